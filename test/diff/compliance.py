"""The queries of Prometheus's compliance suite (testdata/compliance/promql-queries.yml) with their variants filled in."""
import itertools
import random
import re

ARGS = {
    "range": ["1s", "15s", "1m", "5m", "15m", "1h"],
    "offset": ["1m", "5m", "10m"],
    "simpleAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar"],
    "simpleTimeAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last", "present"],
    "topBottomOp": ["topk", "bottomk"],
    "quantile": ["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"],
    "arithBinOp": ["+", "-", "*", "/", "%", "^"],
    "compBinOp": ["==", "!=", "<", ">", "<=", ">="],
    "binOp": ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="],
    "simpleMathFunc": ["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"],
    "extrapolatedRateFunc": ["delta", "rate", "increase"],
    "clampFunc": ["clamp_min", "clamp_max"],
    "instantRateFunc": ["idelta", "irate"],
    "dateFunc": ["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year", "day_of_year"],
    "smoothingFactor": ["0.1", "0.5", "0.8"],
    "trendFactor": ["0.1", "0.5", "0.8"],
}


def unquote(s):
    s = s.strip()
    if s[:1] == "'":
        return s[1:-1].replace("''", "'")
    if s[:1] == '"':
        return s[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return s


def patterns(path):
    """(query, names of its variants): what is needed of the file's YAML, read without a library."""
    found = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"\s*(?:- )?query: (.*)$", line)
            if m:
                found.append([unquote(m.group(1)), []])
            m = re.match(r"\s*(?:- )?variant_args: \[(.*)\]", line)
            if m:
                names = [unquote(x) for x in m.group(1).split(",")]
                if line.lstrip().startswith("- "):
                    found.append([None, names])
                else:
                    found[-1][1] = names
    return found


def cases(path, start, span):
    """Each query as an instant one and over a range, at times that only depend on its number."""
    rnd = random.Random(7)
    for query, names in patterns(path):
        for values in itertools.product(*[ARGS[n] for n in names]):
            q = query
            for n, v in zip(names, values):
                q = q.replace("{{.%s}}" % n, v)
            t = start + rnd.randrange(600000, span)
            yield q, (t, t, 0)
            first = start + rnd.randrange(span // 2) // 1000 * 1000
            yield q, (first, first + rnd.randrange(600, 3000) * 1000, rnd.choice([5000, 10000, 13000, 60000]))
