"""Makes a failing query smaller while it fails in the same way."""
from gen import Maybe, Node, size, text

PLAIN = {"V": ["g_walk", "vector(1)"], "M": ["g_walk[5m]"], "S": ["1"], "T": ['"x"']}
TRIES = 600


def below(node, type_):
    """Descendants of a type, the largest first is the order of the tree."""
    for p in node.pieces:
        p = p.piece if isinstance(p, Maybe) else p
        if isinstance(p, Node):
            if p.type == type_:
                yield p
            yield from below(p, type_)


def smaller(node):
    """Trees that are a step smaller."""
    for d in below(node, node.type):
        yield d
    for plain in PLAIN[node.type]:
        if size(node) > 1:
            yield Node(node.type, plain)
    for i, p in enumerate(node.pieces):
        if isinstance(p, Maybe):
            yield Node(node.type, *node.pieces[:i], *([p.plain] if p.plain else []), *node.pieces[i + 1:])
        elif isinstance(p, Node):
            for s in smaller(p):
                yield Node(node.type, *node.pieces[:i], s, *node.pieces[i + 1:])


def shrink(node, when, fails):
    """fails(node, when) is true while the failure stays the same. Returns the smallest node and times found."""
    left = TRIES
    progress = True
    while progress and left > 0:
        progress = False
        for s in smaller(node):
            if len(text(s)) >= len(text(node)) and size(s) >= size(node):
                continue
            left -= 1
            if fails(s, when):
                node, progress = s, True
                break
            if left <= 0:
                break
    start, end, step = when
    if step:
        steps = [(start + k * step, start + k * step, 0) for k in range((end - start) // step + 1)]
        steps += [(t, t + step, step) for t, _, _ in steps]
        for w in steps:
            if fails(node, w):
                return node, w
    return node, when
