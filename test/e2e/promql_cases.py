"""Reads files in Prometheus's test language for PromQL (test/unit/promql/cases), and writes their series as remote write
messages. Written apart from src/promqltest, so that the one may find out the other."""
import math
import re
import struct

from node import field, text, uvarint, write_request

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 7 * 86400000, "y": 365 * 86400000}
NUMBER = r"[+-]?(?:inf|nan|[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?|[0-9]+\.)"
HINTS = {"unknown": 0, "reset": 1, "not_reset": 2, "gauge": 3}


def duration_ms(s):
    if s == "0":
        return 0
    parts = re.findall(r"(\d+)(ms|[smhdwy])", s)
    if "".join(n + u for n, u in parts) != s:
        raise ValueError(f"not a duration: {s}")
    return sum(int(n) * UNITS[u] for n, u in parts)


class Histogram:
    def __init__(self, schema=0, total=0.0, count=0.0, zero=0.0, width=0.0, custom=(), hint=None):
        self.schema, self.sum, self.count, self.zero, self.width = schema, total, count, zero, width
        self.custom, self.hint = list(custom), hint
        self.pos, self.neg = {}, {}

    @staticmethod
    def parse(s):
        h = Histogram()
        offsets, lists = {}, {}
        for key, value in re.findall(r"(\w+):(\[[^\]]*\]|[^\s\]]+)", s):
            numbers = [] if key == "counter_reset_hint" else [float(x) for x in value.strip("[]").split()]
            if key == "schema":
                h.schema = int(value)
            elif key == "counter_reset_hint":
                h.hint = value
            elif key in ("sum", "count"):
                setattr(h, key, numbers[0])
            elif key in ("z_bucket", "z_bucket_w"):
                setattr(h, "zero" if key == "z_bucket" else "width", numbers[0])
            elif key in ("offset", "n_offset"):
                offsets[key] = int(value)
            elif key == "custom_values":
                h.custom = numbers
            elif key in ("buckets", "n_buckets"):
                lists[key] = numbers
            else:
                raise ValueError(f"unknown key {key}")
        h.pos = {offsets.get("offset", 0) + i: v for i, v in enumerate(lists.get("buckets", []))}
        h.neg = {offsets.get("n_offset", 0) + i: v for i, v in enumerate(lists.get("n_buckets", []))}
        return h

    def combined(self, other, sign):
        out = Histogram(self.schema, self.sum + sign * other.sum, self.count + sign * other.count, self.zero + sign * other.zero,
                        self.width, self.custom, self.hint)
        for side in ("pos", "neg"):
            a, b = getattr(self, side), getattr(other, side)
            setattr(out, side, {i: a.get(i, 0) + sign * b.get(i, 0) for i in sorted(set(a) | set(b))})
        return out

    def scaled(self, by):
        out = Histogram(self.schema, self.sum * by, self.count * by, self.zero * by, self.width, self.custom)
        out.pos, out.neg = {i: v * by for i, v in self.pos.items()}, {i: v * by for i, v in self.neg.items()}
        return out

    def message(self, t_ms):
        def zigzag(n):
            return uvarint(n << 1 if n >= 0 else (-n << 1) - 1)

        def double(num, v):
            return field(num, 1, struct.pack("<d", v))

        def side(spans_num, counts_num, buckets):
            if not buckets:
                return b""
            first, last = min(buckets), max(buckets)
            counts = [buckets.get(i, 0) for i in range(first, last + 1)]
            return text(spans_num, field(1, 0, zigzag(first)) + field(2, 0, uvarint(len(counts)))) + \
                text(counts_num, struct.pack(f"<{len(counts)}d", *counts))
        body = double(2, self.count) + double(3, self.sum) + field(4, 0, zigzag(self.schema)) + double(5, self.width) + double(7, self.zero)
        body += side(8, 10, self.neg) + side(11, 13, self.pos)
        body += field(14, 0, uvarint(HINTS[self.hint or "unknown"])) + field(15, 0, uvarint(t_ms))
        if self.custom:
            body += text(16, struct.pack(f"<{len(self.custom)}d", *self.custom))
        return body

    def upper(self, i):
        if self.schema == -53:
            return self.custom[i] if i < len(self.custom) else math.inf
        return 2.0 ** (i * 2.0 ** -self.schema)

    def buckets(self):
        """As the API shows them: (kind, lower, upper, count), those that hold something, from below."""
        out = [(1, -self.upper(i), -self.upper(i - 1), n) for i, n in sorted(self.neg.items(), reverse=True) if n != 0]
        if self.zero > 0:  # one of NaN is not shown
            out.append((3, -self.width, self.width, self.zero))
        for i, n in sorted(self.pos.items()):
            lower = -math.inf if self.schema == -53 and i == 0 else self.upper(i - 1)
            if n != 0:
                out.append((0, lower, self.upper(i), n))
        return out


def number(s):
    if re.fullmatch(NUMBER, s, re.I):
        return float(s)
    sign = -1 if s.startswith("-") else 1
    return sign * duration_ms(s.lstrip("+-")) / 1000


def item_values(s):
    """One item of a series line: a list of values; None is a gap."""
    if s.startswith("{{"):
        m = re.fullmatch(r"\{\{(.*?)\}\}(?:([+-])\{\{(.*?)\}\})?(?:x(\d+))?", s)
        if not m:
            raise ValueError(f"not a histogram: {s}")
        h, n = Histogram.parse(m[1]), int(m[4] or 0)
        out = [h]
        for _ in range(n):
            out.append(out[-1].combined(Histogram.parse(m[3]), 1 if m[2] == "+" else -1) if m[2] else h)
        return out
    m = re.fullmatch(r"_(?:x(\d+))?", s)
    if m:
        return [None] * int(m[1] or 1)
    m = re.fullmatch(r"(stale|.+?)(?:([+-])([^x]+))?(?:x(\d+))?", s) if "x" in s else None
    if m and m[4]:
        base = STALE if m[1] == "stale" else number(m[1])
        step = (1 if m[2] == "+" else -1) * number(m[3]) if m[2] else 0
        out = [base]
        for _ in range(int(m[4])):
            out.append(out[-1] + step if m[2] else base)
        return out
    return [STALE if s == "stale" else number(s)]


def unquote(s):
    """A quoted text of the language; its escapes in labels are few."""
    if s[0] == "`":
        return s[1:-1]
    names = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

    def one(m):
        c = m[1]
        if c[0] in "xuU":
            return chr(int(c[1:], 16))
        return chr(int(c, 8)) if c[0].isdigit() else names.get(c, c)
    return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", one, s[1:-1])


QUOTED = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'|`[^`]*`"


def series_line(line):
    """(labels, values)"""
    m = re.match(r"([a-zA-Z_:][\w:]*)?\s*", line)
    labels = {"__name__": m[1]} if m[1] else {}
    rest = line[m.end():]
    if rest.startswith("{") and not rest.startswith("{{"):
        at = 1
        while True:
            at += len(rest[at:]) - len(rest[at:].lstrip(" ,"))
            if rest[at] == "}":
                break
            p = re.match(rf"({QUOTED}|[\w.]+)\s*(?:=\s*({QUOTED}))?", rest[at:])
            name = unquote(p[1]) if p[1][0] in "\"'`" else p[1]
            if p[2] is None:
                labels["__name__"] = name
            else:
                labels[name] = unquote(p[2])
            at += p.end()
        rest = rest[at + 1:]
    items = re.findall(r"(?:\{\{.*?\}\}[^\s{]*)+|\S+", rest)
    return {k: v for k, v in labels.items() if v}, [v for s in items for v in item_values(s)]


class Eval:
    def __init__(self, name, line, m):
        self.file, self.line, self.query = name, line, m["query"]
        self.range = m["from"] is not None
        self.start = duration_ms(m["from"] if self.range else m["at"])
        self.end = duration_ms(m["to"]) if self.range else self.start
        self.step = duration_ms(m["step"]) if self.range else 0
        self.grid = None
        self.expect = []  # (kind, test)
        self.ordered = self.fail = False
        self.scalar = self.string = None
        self.rows = []

    def add(self, line):
        m = re.match(r"expect (fail|warn|info)(?: (msg|regex):\s*(.*))?$", line)
        if m:
            how, want = m[2], m[3]
            self.expect.append((m[1], (lambda s: True) if how is None else (lambda s: s == want) if how == "msg" else
                                (lambda s: re.search(want, s) is not None), line))
            self.fail |= m[1] == "fail"
        elif line in ("expect no_warn", "expect no_info"):
            self.expect.append((line[7:], None, line))
        elif line == "expect ordered":
            self.ordered = True
        elif line.startswith("expect string "):
            self.string = unquote(line[14:].strip())
        elif line.startswith("expect range vector"):
            m = re.fullmatch(r"expect range vector from (\S+) to (\S+) step (\S+)", line)
            self.grid = tuple(duration_ms(x) for x in m.groups())
            self.start = self.end = self.grid[1]
        elif re.fullmatch(NUMBER, line, re.I):
            self.scalar = float(line)
        else:
            self.rows.append(series_line(line))

    def points(self, values):
        """{time: value} of an expected row."""
        start, step = (self.grid[0], self.grid[2]) if self.grid else (self.start, self.step)
        return {start + i * step: v for i, v in enumerate(values) if v is not None}


EVAL = re.compile(r"eval (?:instant at (?P<at>\S+)|range from (?P<from>\S+) to (?P<to>\S+) step (?P<step>\S+)) (?P<query>.+)$")


class Series:
    """Takes the lines of a load."""
    def __init__(self, rows):
        self.rows = rows

    def __call__(self, line):
        self.rows.append(series_line(line))


def read(path, name):
    """[(loads, evals)]: the evaluations that are made over the same data. A load is (step, nhcb, [(labels, values)])."""
    loads, out, block = [], [], None
    with open(path, encoding="utf-8") as f:
        lines = [x.strip() for x in f]
    for i, line in enumerate(lines, 1):
        if line == "" or line.startswith("#"):
            block = None
        elif block is not None:
            block(line)
        elif line == "clear":
            loads, out = [], out + [None]
        elif line.startswith("load"):
            loads = loads + [(duration_ms(line.split()[1]), line.startswith("load_with_nhcb"), [])]
            block = Series(loads[-1][2])
        else:
            m = EVAL.match(line)
            if m is None:
                raise ValueError(f"{name}:{i}: {line}")
            e = Eval(name, i, m)
            block = e.add
            if not out or out[-1] is None or out[-1][0] is not loads:
                out.append((loads, []))
            out[-1][1].append(e)
    return [x for x in out if x is not None]


def converted(rows):
    """Classic histograms of a load as native ones with custom buckets, one per set of labels without le."""
    groups = {}
    for labels, values in rows:
        m = re.fullmatch(r"(.+)_(bucket|count|sum)", labels.get("__name__", ""))
        if m is None or (m[2] == "bucket") != ("le" in labels):
            continue
        key = tuple(sorted((k, m[1] if k == "__name__" else v) for k, v in labels.items() if k != "le"))
        for i, v in enumerate(values):
            if v is not None:
                g = groups.setdefault(key, {}).setdefault(i, {"le": {}})
                if m[2] == "bucket":
                    g["le"][float(labels["le"])] = v
                else:
                    g[m[2]] = v
    out = []
    for key, at in groups.items():
        values = [None] * (max(at) + 1)
        for i, g in at.items():
            bounds = sorted(g["le"])
            counts = [g["le"][b] - (g["le"][bounds[k - 1]] if k else 0) for k, b in enumerate(bounds)]
            h = Histogram(-53, g.get("sum", 0.0), g.get("count", max(g["le"].values(), default=0)),
                          custom=[b for b in bounds if math.isfinite(b)])
            h.pos = dict(enumerate(counts))
            values[i] = h
        out.append((dict(key), values))
    return out


def messages(loads):
    """Remote write messages with all samples; one for each time where a series holds floats and histograms, which a message
    keeps apart and a server therefore takes in another order."""
    series = {}
    for step, nhcb, rows in loads:
        for labels, values in rows + (converted(rows) if nhcb else []):
            at = series.setdefault(tuple(sorted(labels.items())), {})
            at.update((i * step, v) for i, v in enumerate(values) if v is not None)
    mixed = any(len({isinstance(v, Histogram) for v in at.values()}) > 1 for at in series.values())
    times = sorted({t for at in series.values() for t in at})
    for wanted in ([{t} for t in times] if mixed else [set(times)] if times else []):
        body = b""
        for labels, at in sorted(series.items()):
            one = b"".join(text(1, text(1, k) + text(2, v)) for k, v in labels)
            points = sorted((t, v) for t, v in at.items() if t in wanted) if not mixed else [(t, at[t]) for t in wanted if t in at]
            for t, v in points:
                if isinstance(v, Histogram):
                    one += text(4, v.message(t))
                else:
                    one += text(2, field(1, 1, struct.pack("<d", v)) + field(2, 0, uvarint(t)))
            if points:
                body += text(1, one)
        yield write_request([]) + body
