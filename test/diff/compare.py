"""Whether two answers of the query API are equal. difference(ours, theirs, ordered) gives '' or (kind, text)."""
import math
import re

# What of an error's text is not part of the promise: which of several equal elements of a map is told first.
OMITTED = re.compile(r"^\d+ more (warning|info) annotations omitted$")


def near(a, b):
    """Equal but for the last bits."""
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    if math.isnan(x) or math.isnan(y) or math.isinf(x) or math.isinf(y):
        return False
    return abs(x - y) <= 1e-12 * max(abs(x), abs(y))


def labels(series):
    return sorted(series["metric"].items())


def points(series):
    """[(time, value)] of floats and histograms, of a vector's or a matrix's element."""
    if "value" in series:
        return [series["value"]], []
    if "histogram" in series:
        return [], [series["histogram"]]
    return series.get("values", []), series.get("histograms", [])


def histogram_near(a, b):
    if not (a["count"] == b["count"] or near(a["count"], b["count"])) or not (a["sum"] == b["sum"] or near(a["sum"], b["sum"])):
        return False
    x, y = a.get("buckets", []), b.get("buckets", [])
    return len(x) == len(y) and all(p[0] == q[0] and all(u == v or near(u, v) for u, v in zip(p[1:], q[1:])) for p, q in zip(x, y))


def series_difference(a, b):
    if a == b:
        return ""
    worst = ""
    for x, y, is_near in zip(points(a), points(b), (near, histogram_near)):
        if [p[0] for p in x] != [p[0] for p in y]:
            return "times", "%s: at %s and at %s" % (labels(a), [p[0] for p in x][:8], [p[0] for p in y][:8])
        for p, q in zip(x, y):
            if p[1] != q[1]:
                if not is_near(p[1], q[1]):
                    return "value", "%s at %s: %s and %s" % (labels(a), p[0], p[1], q[1])
                worst = "bits", "%s at %s: %s and %s" % (labels(a), p[0], p[1], q[1])
    return worst or ("shape", "%s and %s" % (a, b))


def notes(answer, key):
    # Where notes about NaN observations point to changed after 3.14.0.
    found = [re.sub(r" \(\d+:\d+\)$", "", n) if "has NaN observations" in n else n for n in answer.get(key, [])]
    return sorted(n for n in found if not OMITTED.match(n)), [n for n in found if OMITTED.match(n)]


def notes_difference(ours, theirs):
    for key in ("warnings", "infos"):
        a, b = notes(ours, key), notes(theirs, key)
        # Of more than ten texts which ten are shown is left to chance.
        if a[1] != b[1] or (a[0] != b[0] and not a[1]):
            return "notes", "%s: %s and %s" % (key, ours.get(key), theirs.get(key))
    return ""


def result_difference(x, y, ordered):
    if x["resultType"] != y["resultType"]:
        return "type", "%s and %s" % (x["resultType"], y["resultType"])
    a, b = x["result"], y["result"]
    if x["resultType"] in ("scalar", "string"):
        if a == b:
            return ""
        return ("bits" if a[0] == b[0] and near(a[1], b[1]) else "value"), "%s and %s" % (a, b)
    if not ordered:
        a, b = sorted(a, key=labels), sorted(b, key=labels)
    if [labels(s) for s in a] != [labels(s) for s in b]:
        only = [dict(labels(s)) for s in a if s["metric"] not in [t["metric"] for t in b]]
        other = [dict(labels(s)) for s in b if s["metric"] not in [t["metric"] for t in a]]
        if not only and not other:
            return "order", "%s and %s" % ([s["metric"] for s in a][:6], [s["metric"] for s in b][:6])
        return "series", "%d and %d series; only ours %s, only theirs %s" % (len(a), len(b), only[:3], other[:3])
    worst = ""
    for s, t in zip(a, b):
        d = series_difference(s, t)
        if d and d[0] != "bits":
            return d
        worst = worst or d
    return worst


# Which of two equals is named first in an error: in the order of labels since after 3.14.0, by chance before.
PAIR = re.compile(r"(found duplicate series for the match group .*: \[)(\{.*\}), (\{.*\})(\];many-to-many)")


def error_text(answer):
    m = PAIR.search(answer["error"])
    return answer["error"] if not m else m.group(1) + ", ".join(sorted(m.group(2, 3))) + m.group(4)


def difference(ours, theirs, ordered):
    if ours["status"] != theirs["status"]:
        told = [r.get("error", "%s of %d" % (r["data"]["resultType"], len(r["data"]["result"])) if "data" in r else "") for r in (ours, theirs)]
        return "status", "%s and %s" % tuple(told)
    if ours["status"] != "success":
        a, b = (ours["errorType"], error_text(ours)), (theirs["errorType"], error_text(theirs))
        return "" if a == b else ("error", "%s\n      and %s" % (a, b))
    return result_difference(ours["data"], theirs["data"], ordered) or notes_difference(ours, theirs)


def samples(answer):
    return answer.get("data", {}).get("stats", {}).get("samples", {}).get("totalQueryableSamples") if answer["status"] == "success" else None
