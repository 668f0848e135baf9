"""Random valid PromQL over the samples of diff_data: gen(rnd) gives a tree of nodes, text(node) its query.

A node has a type (V instant vector, M range vector, S scalar, T text) and pieces: texts, nodes, and droppable pieces. That is
what shrink.py needs to know of the grammar. Choices are weighted so that most queries return something: metrics are paired
with functions that suit them, and operands with labels that match.
"""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
START, SPAN = 1700000000000, 7200000  # of the data, ms


class Node:
    __slots__ = ("type", "pieces")

    def __init__(self, type_, *pieces):
        self.type = type_
        self.pieces = list(pieces)


class Maybe:
    """A piece that may be left out, or be replaced by a plainer one."""
    __slots__ = ("piece", "plain")

    def __init__(self, piece, plain=""):
        self.piece = piece
        self.plain = plain


def text(x):
    if isinstance(x, str):
        return x
    if isinstance(x, Maybe):
        return text(x.piece)
    return "".join(text(p) for p in x.pieces)


def size(x):
    if isinstance(x, str):
        return 0
    if isinstance(x, Maybe):
        return 1 + size(x.piece)
    return 1 + sum(size(p) for p in x.pieces)


def functions():
    """name -> (argument types, variadic, result), as src/promql/functions.def has them."""
    with open(os.path.join(HERE, "..", "..", "src", "promql", "functions.def"), encoding="utf-8") as f:
        rows = re.findall(r'PQ_FUNCTION\(\w+, (\w+), "(\w*)", (-?\d+), (\w), (\w+)', f.read())
    return {name: (args, int(variadic), result) for name, args, variadic, result, _ in rows}


FUNCTIONS = functions()
# What a version of Prometheus may lack: name of the part, and a query that only parses where it is there.
PARTS = {
    "duration": "g_walk[5m * 2]", "extended": "rate(c_total[5m] anchored)", "fill": "vector(1) + fill(0) vector(1)",
    "trim": "nh_total </ 1", "duration_words": "rate(c_total[max_of(5m, step())])",
    **{f: {"": f + "()", "SS": f + "(1, 2)", "M": f + "(g_walk[5m])", "V": f + "(g_walk)", "VV": f + "(g_walk)"}[FUNCTIONS[f][0]]
       for f in ("first_over_time", "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_min_over_time", "ts_of_max_over_time",
                 "start", "end", "range", "step", "max_of", "min_of", "mad_over_time", "start_timestamp", "info")},
    "histogram_quantiles": 'histogram_quantiles(g_walk, "q", 0.5)', "limitk": "limitk(1, g_walk)",
    "double_exponential_smoothing": "double_exponential_smoothing(g_walk[5m], 0.5, 0.5)",
    "sort_by_label": 'sort_by_label(g_walk, "job")', "sort_by_label_desc": 'sort_by_label_desc(g_walk, "job")',
}

GAUGES = ["g_walk", "g_walk2", "g_ints", "g_wild", "g_sparse", "g_special", "g_huge", "g_tiny", "g_time", "g_const", "g_offset", "g_angle"]
COUNTERS = ["c_total", "c_int_total", "c_wild_total", "c_reset_total", "c_neg_total", "c_sparse_sum", "lat_sum", "lat_count"]
CLASSICS = ["lat_bucket", "lat_bucket", "neg_bucket", "bad_bucket", "near_bucket", "noinf_bucket", "oddle_bucket", "one_bucket"]
NATIVES = ["nh_total", "nh_schema_total", "nh_neg_total", "nh_gauge", "nh_custom_total", "nh_bounds_total", "nh_cgauge",
           "nh_switch_total", "nh_special_total", "nh_few_total", "nh_mixed_total", "lat"]
ODD = ['{"http.requests"}', '{"métrique 1"}', "odd_values", "colon:name:rate5m", "and", "typed", "target_info", "build_info",
       '{__name__=~"g_(walk|ints)"}', '{__name__=~"c_.*_total", job="api"}', '{__name__!~"(nh|lat|demo|.*_bucket).*", job="db"}', "nothing"]
JOBS, INSTANCES = ["api", "db", "web"], ["h1:9090", "h2:9090", "h3:9090"]
LABELS = ["job", "instance", "code", "le", "zone", "v", "version", "region", "nope", "__name__"]
RANGES = ["1s", "31s", "45s", "1m", "90s", "2m", "2m", "3m", "5m", "5m", "5m", "5m", "10m", "10m", "17m", "30m", "1h", "3h", "4m59s999ms", "300", "61.5"]
OFFSETS = ["1s", "15s", "1m", "5m", "10m", "1h", "-1m", "-7s", "-5m", "1ms", "0s"]
NUMBERS = ["0", "1", "2", "3", "-1", "0.5", "1.5", "-0.5", "100", "1e3", "0x1F", "1_000", "Inf", "-Inf", "NaN", "1e308", "-1e308", "5e-324", ".5", "5.", "1e-6",
           "9007199254740993", "1h", "5m30s", "-0", "017", "0.1", "7", "1e21", "9.999e-7", "3.7", "1700003600", "10", "0.3333333333333333"]
SMALL = ["0", "1", "2", "3", "5", "-1", "0.5", "2.9", "NaN", "Inf", "1e19", "100"]
QUANTILES = ["0", "0.1", "0.25", "0.5", "0.5", "0.75", "0.9", "0.99", "0.999", "1", "-0.1", "1.1", "NaN", "0.3333"]
AGGREGATIONS = ["sum", "sum", "sum", "avg", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", "<", ">", "<=", ">="]
SETS = ["and", "or", "unless"]
COUNTER_FUNCTIONS = ["rate", "rate", "rate", "increase", "increase", "irate", "resets", "changes", "idelta", "delta"]
RANGE_FUNCTIONS = sorted(f for f, (args, _, r) in FUNCTIONS.items() if "M" in args and r == "V")
VECTOR_FUNCTIONS = sorted(f for f, (args, v, r) in FUNCTIONS.items() if args == "V" and r == "V" and f not in ("absent", "start_timestamp"))
MATH = [f for f in VECTOR_FUNCTIONS if not f.startswith(("histogram_", "sort", "timestamp", "day", "month", "year", "hour", "minute"))]
DATES = ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"]
HISTOGRAM_FUNCTIONS = ["histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar"]
TEXTS = ['""', '"x"', '"$1"', '"a-${1}-b"', '"$2$1"', '"é"', '"/"', "'single'", "`raw\\`", '"$0"', '"$$1"', '"$name"']
REGEXES = ['"(.*)"', '"(.+):(.*)"', '"h(?P<name>[0-9]).*"', '"api|db"', '"nope"', '""', '".*b$"', '"(a)(p)?.*"', '"(?i)API"']
DESTINATIONS = ['"new"', '"job"', '"instance"', '"__name__"', '"code"', '"utf8.label"', '"nope"']
PLAIN_MATCHERS = ['job="api"', 'job!="api"', 'job=~"api|web"', 'instance=~"h[12].*"', 'instance!="h2:9090"', 'job=~".+"', 'nope=""', 'instance="h1:9090"']
MATCHERS = ['job="api"', 'job!="api"', 'job=~"api|web"', 'job!~"d.*"', 'instance="h1:9090"', 'instance=~"h[12].*"', 'instance!="h2:9090"', 'code="200"', 'code!=""',
            'code=""', 'nope=""', 'nope!=""', 'job=~".+"', 'job=~""', 'code=~"2..|404"', "instance=~'.*1.*'", 'job=~"(?i:API)"', 'le="1"', 'le="+Inf"', '"job"="db"', 'job="api",instance!~"h3.*"']


class Gen:
    def __init__(self, rnd, parts, hists=True):
        self.r = rnd
        self.parts = parts
        self.natives = NATIVES if hists else []
        self.cost = 1.0

    def chance(self, p):
        return self.r.random() < p

    def one(self, items):
        return self.r.choice(items)

    def has(self, function):
        return function not in PARTS or function in self.parts

    # ---- times ----

    def duration(self, choices):
        d = self.one(choices)
        if self.chance(0.06) and "duration" in self.parts:
            d = self.one(["%s * 2", "(%s + 30s)", "%s - 500ms", "%s / 2", "3 ^ 2 * 10s", "%s % 4m + 1s"]).replace("%s", d)
            if self.chance(0.3) and "duration_words" in self.parts:
                d = self.one(["max_of(%s, step())", "min_of(%s, 10m)", "step() + %s", "range() / 2 + 1m", "max_of(step(), 30s)"]).replace("%s", d)
        return d

    def modifiers(self):
        out = []
        if self.chance(0.12):
            out.append(Maybe(" offset " + self.one(OFFSETS)))
        if self.chance(0.10):
            at = self.r.randrange(START, START + SPAN, 500) / 1000
            out.append(Maybe(" @ " + self.one(["start()", "end()", "%.3f" % at, "%d" % at])))
        if self.chance(0.3):
            out.reverse()
        return out

    # ---- selectors ----

    def metric(self, kinds=None):
        if kinds is None:
            kinds = self.r.choices([GAUGES, COUNTERS, CLASSICS, self.natives or GAUGES, ODD], [40, 22, 6, 25, 7])[0]
        return self.one(kinds)

    def selector(self, kinds=None, modifiers=True):
        name = self.metric(kinds)
        pieces = [name]
        if self.chance(0.3):
            m = self.one(MATCHERS if self.chance(0.3) else PLAIN_MATCHERS)
            if name.startswith("{"):
                pieces = [name[:-1], Maybe("," + m), "}"]
            else:
                pieces.append(Maybe("{" + m + "}"))
        if modifiers:
            pieces += self.modifiers()
        return Node("V", *pieces)

    def matrix(self, depth, kinds=None, function=""):
        if depth > 0 and self.cost < 60 and self.chance(0.18):
            return self.subquery(depth, function)
        s = self.selector(kinds, modifiers=False)
        extended = ""
        if "extended" in self.parts and self.chance(0.1) and function in ("rate", "increase", "delta", "changes", "resets"):
            extended = self.one([" anchored", " smoothed"] if function not in ("changes", "resets") else [" anchored"])
        return Node("M", s, "[" + self.duration(RANGES) + "]", *([Maybe(extended)] if extended else []), *self.modifiers())

    def subquery(self, depth, function):
        r, step = self.one([("1m", "10s"), ("2m", "15s"), ("5m", "30s"), ("10m", "1m"), ("5m", ""), ("17m", "1m7s"), ("30m", "2m"),
                            ("1h", "5m"), ("3m", "7s"), ("90s", "3700ms"), ("1m", "1m"), ("10s", "1m")])
        before, self.cost = self.cost, self.cost * 15
        inner = self.vector(depth - 1, COUNTERS if function in COUNTER_FUNCTIONS and self.chance(0.5) else None)
        self.cost = before
        if not re.match(r"^[\w({]", text(inner)) or isinstance(inner.pieces[0], Node) or "offset" in text(inner) or "@" in text(inner):
            inner = Node("V", "(", inner, ")")
        return Node("M", inner, "[" + r + ":" + step + "]", *self.modifiers())

    # ---- scalars and texts ----

    def scalar(self, depth, choices=None):
        if choices is not None and self.chance(0.8):
            return Node("S", self.one(choices))
        k = self.r.random()
        if depth <= 0 or k < 0.6:
            return Node("S", self.one(NUMBERS))
        if k < 0.68:
            return Node("S", self.one(["time()", "pi()", *[f + "()" for f in ("start", "end", "range", "step") if self.has(f)]]))
        if k < 0.80:
            return Node("S", "scalar(", self.vector(depth - 1), ")")
        if k < 0.84 and self.has("max_of"):
            return Node("S", self.one(["max_of(", "min_of("]), self.scalar(depth - 1), ", ", self.scalar(depth - 1), ")")
        if k < 0.88:
            return Node("S", "(", self.scalar(depth - 1), " " + self.one(COMPARISONS) + " bool ", self.scalar(depth - 1), ")")
        if k < 0.92:
            return Node("S", "-(", self.scalar(depth - 1), ")")
        return Node("S", "(", self.scalar(depth - 1), " " + self.one(ARITHMETIC) + " ", self.scalar(depth - 1), ")")

    # ---- vectors ----

    def vector(self, depth, kinds=None):
        if depth <= 0:
            return self.selector(kinds)
        makers = [(self.selector_any, 10), (self.range_call, 24), (self.aggregation, 20), (self.binary, 20), (self.scalar_binary, 9), (self.math_call, 7),
                  (self.label_call, 4), (self.histogram_call, 9), (self.other_call, 7), (self.unary, 2)]
        make = self.r.choices([m for m, _ in makers], [w for _, w in makers])[0]
        return make(depth, kinds)

    def selector_any(self, depth, kinds):
        s = self.selector(kinds)
        if "extended" in self.parts and self.chance(0.03) and "offset" not in text(s) and "@" not in text(s):
            s.pieces.append(Maybe(" smoothed"))
        return s

    def range_call(self, depth, kinds):
        f = self.one(COUNTER_FUNCTIONS if self.chance(0.45) else RANGE_FUNCTIONS)
        if not self.has(f):
            f = "rate"
        if kinds is None:
            if f in COUNTER_FUNCTIONS:
                kinds = self.r.choices([COUNTERS, self.natives or COUNTERS, CLASSICS, None], [50, 30, 10, 10])[0]
            elif f in ("sum_over_time", "avg_over_time", "last_over_time", "first_over_time", "count_over_time", "present_over_time"):
                kinds = self.r.choices([self.natives or GAUGES, None], [30, 70])[0]
            else:
                kinds = self.r.choices([GAUGES, None], [70, 30])[0]
        args = []
        for k in FUNCTIONS[f][0]:
            if k == "M":
                args.append(self.matrix(depth - 1, kinds, f))
            else:
                args.append(self.scalar(depth - 1, QUANTILES if f == "quantile_over_time" else ["0.1", "0.3", "0.5", "0.9", "1"] if "smooth" in f else NUMBERS))
        return self.call(f, args)

    def call(self, f, args):
        pieces = [f, "("]
        for i, a in enumerate(args):
            pieces += [", ", a] if i > 0 else [a]
        return Node("V", *pieces, ")")

    def grouping(self):
        k = self.r.random()
        if k < 0.2:
            return ""
        names = self.r.sample(LABELS, self.r.choice([0, 1, 1, 1, 2, 2, 3])) if self.chance(0.3) else self.one([["job"], ["instance"], ["job", "instance"], ["le"], ["job", "le"]])
        return (" by (" if k < 0.75 else " without (") + ", ".join(names) + ")"

    def aggregation(self, depth, kinds):
        inner = self.vector(depth - 1, kinds)
        g = self.grouping()
        k = self.r.random()
        if k < 0.68:
            op, param = self.one(AGGREGATIONS), None
        elif k < 0.82:
            op, param = self.one(["topk", "bottomk"]), self.scalar(depth - 1, SMALL[:6] if self.chance(0.9) else SMALL)
        elif k < 0.90:
            op, param = "quantile", self.scalar(depth - 1, QUANTILES)
        elif k < 0.95 or not self.has("limitk"):
            op, param = "count_values", Node("T", self.one(['"value"', '"job"', '"new"', '"utf8.name"', '"__name__"']))
            if self.chance(0.7):
                inner = self.selector(["g_ints", "g_const", "g_sparse", "c_int_total", "nh_total", "lat_bucket"])
        elif k < 0.975:
            op, param = "limitk", self.scalar(depth - 1, SMALL[:6])
        else:
            op, param = "limit_ratio", self.scalar(depth - 1, ["0.1", "0.5", "0.9", "-0.3", "1", "-1", "0", "2", "-1.5", "NaN"])
        args = ["("] + ([param, ", "] if param is not None else []) + [inner, ")"]
        if self.chance(0.2):
            return Node("V", op, *args, *([Maybe(g)] if g else []))
        return Node("V", op, *([Maybe(g)] if g else []), *args)

    def operator(self):
        k = self.r.random()
        if k < 0.55:
            return " " + self.one(ARITHMETIC) + " "
        if k < 0.73:
            return " " + self.one(COMPARISONS) + " "
        return " " + self.one(COMPARISONS) + " bool "

    def wrap(self, node):
        return Node("V", "(", node, ")") if any(isinstance(p, Node) for p in node.pieces) else node

    def binary(self, depth, kinds):
        k = self.r.random()
        if k < 0.2:
            match = self.one(["", "", " on(job)", " on(job, instance)", " ignoring(code)", " on()", " ignoring(job)"])
            return Node("V", self.wrap(self.vector(depth - 1, kinds)), " " + self.one(SETS), Maybe(match), " ", self.wrap(self.vector(depth - 1, kinds)))
        op = self.operator()
        fill = ""
        if "fill" in self.parts and self.chance(0.12):
            fill = self.one([" fill(0)", " fill(NaN)", " fill_left(1)", " fill_right(-2.5)", " fill_left(1) fill_right(2)", " fill(5m)"])
        if k < 0.45:  # the same labels on both sides
            left, right = self.flat(depth - 1, kinds), self.flat(depth - 1, kinds)
            match = self.one(["", "", "", " on(job, instance)", " ignoring(nope)", " ignoring(code)", " on(job, instance, code)"])
        elif k < 0.7:  # both aggregated
            labels = self.one([["job"], ["instance"], ["job", "instance"], []])
            by = " by (" + ", ".join(labels) + ") ("
            left = Node("V", self.one(AGGREGATIONS), by, self.vector(depth - 1, kinds), ")")
            right = Node("V", self.one(AGGREGATIONS), by, self.vector(depth - 1, kinds), ")")
            match = self.one(["", "", " on(" + ", ".join(labels) + ")"])
        elif k < 0.93:  # many to one
            labels = self.one([["job"], ["instance"], ["job", "instance"]])
            one = Node("V", self.one(AGGREGATIONS), " by (" + ", ".join(labels) + ") (", self.vector(depth - 1, kinds), ")")
            many = self.wrap(self.vector(depth - 1, kinds))
            if self.chance(0.15):
                one = Node("V", "build_info" if labels == ["job", "instance"] else "max by (job, instance, region) (build_info)")
            include = self.one(["", "", "()", "(region)", "(rev, nope)", "(job)" if labels == ["instance"] else ""])
            match = " on(" + ", ".join(labels) + ")"
            if self.chance(0.6):
                left, right, match = many, one, match + " group_left" + include
            else:
                left, right, match = one, many, match + " group_right" + include
        else:
            left, right = self.wrap(self.vector(depth - 1, kinds)), self.wrap(self.vector(depth - 1, kinds))
            match = self.one(["", " on(job)", " ignoring(instance)", " on()"])
        if match.endswith(("group_left", "group_right")) and not fill and text(right).startswith("("):
            match += "()"  # else what follows would be its labels
        pieces = [left, op.rstrip(), Maybe(match)] if match and "group" not in match else [left, op.rstrip() + match]
        return Node("V", *pieces, *([Maybe(fill)] if fill else []), " ", right)

    def flat(self, depth, kinds):
        """Something with job and instance and mostly nothing else."""
        kinds = kinds or self.one([GAUGES, COUNTERS[:6], self.natives or GAUGES])
        k = self.r.random()
        if depth <= 0 or k < 0.5:
            return self.selector(kinds)
        if k < 0.8:
            return self.wrap(self.range_call(depth, kinds))
        return self.wrap(self.vector(depth, kinds))

    def scalar_binary(self, depth, kinds):
        v, s = self.wrap(self.vector(depth - 1, kinds)), self.scalar(depth - 1)
        if "trim" in self.parts and self.natives and self.chance(0.12):
            return Node("V", self.selector(self.natives), self.one([" </ ", " >/ "]), s)
        if text(s).startswith("-") or self.chance(0.1):
            s = Node("S", "(", s, ")")
        return Node("V", v, self.operator(), s) if self.chance(0.7) else Node("V", s, self.operator(), v)

    def math_call(self, depth, kinds):
        v = self.vector(depth - 1, kinds or (GAUGES if self.chance(0.7) else None))
        k = self.r.random()
        if k < 0.6:
            return self.call(self.one(MATH), [v])
        if k < 0.75:
            return self.call("round", [v] + ([self.scalar(depth - 1)] if self.chance(0.6) else []))
        f = self.one(["clamp", "clamp_min", "clamp_max"])
        return self.call(f, [v] + [self.scalar(depth - 1) for _ in range(2 if f == "clamp" else 1)])

    def label_call(self, depth, kinds):
        v = self.vector(depth - 1, kinds)
        if self.chance(0.6):
            return self.call("label_replace", [v, Node("T", self.one(DESTINATIONS)), Node("T", self.one(TEXTS)), Node("T", self.one(['"job"', '"instance"', '"nope"', '"__name__"', '"v"'])),
                                               Node("T", self.one(REGEXES))])
        return self.call("label_join", [v, Node("T", self.one(DESTINATIONS)), Node("T", self.one(TEXTS))] +
                         [Node("T", self.one(['"job"', '"instance"', '"code"', '"nope"'])) for _ in range(self.r.randrange(4))])

    def histogram_call(self, depth, kinds):
        classic = self.chance(0.45) or not self.natives
        source = CLASSICS if classic else self.natives
        k = self.r.random()
        inner = self.selector(source)
        if k < 0.6:
            inner = self.call(self.one(["rate", "rate", "increase", "sum_over_time", "avg_over_time", "last_over_time", "delta"]), [self.matrix(0, source, "x")])
        if k < 0.35:
            by = self.one(["le", "job, le", "instance, le", "le, code"]) if classic else self.one(["job", "instance", "", "job, instance"])
            inner = Node("V", self.one(["sum", "sum", "avg"]), " by (" + by + ") (", inner, ")")
        f = self.r.random()
        if classic or f < 0.4:
            if f < 0.3 and self.has("histogram_quantiles"):
                return self.call("histogram_quantiles", [inner, Node("T", self.one(['"q"', '"job"', '"le"'])), *[Node("S", self.one(QUANTILES)) for _ in range(self.r.choice([1, 2, 3, 10]))]])
            if f < 0.7:
                return self.call("histogram_quantile", [self.scalar(depth - 1, QUANTILES), inner])
            return self.call("histogram_fraction", [self.scalar(depth - 1), self.scalar(depth - 1), inner])
        if f < 0.55:
            return self.call("histogram_fraction", [self.scalar(depth - 1, ["-Inf", "0", "0.1", "-1", "1", "NaN"]), self.scalar(depth - 1, ["Inf", "1", "2", "0.5", "-0.5", "0"]), inner])
        return self.call(self.one(HISTOGRAM_FUNCTIONS), [inner])

    def other_call(self, depth, kinds):
        k = self.r.random()
        if k < 0.2:
            return self.call(self.one(DATES), [] if self.chance(0.2) else [self.selector(["g_time"]) if self.chance(0.6) else self.vector(depth - 1, kinds)])
        if k < 0.3:
            return self.call("absent", [self.vector(depth - 1, kinds) if self.chance(0.5) else self.selector(["nothing", "g_sparse", '{job="x",nope=~"a",v="1",v="2"}'])])
        if k < 0.5:
            return self.call("timestamp", [self.selector(kinds) if self.chance(0.7) else self.vector(depth - 1, kinds)])
        if k < 0.62:
            return self.call("vector", [self.scalar(depth - 1)])
        if k < 0.8:
            f = self.one([f for f in ("sort", "sort_desc", "sort_by_label", "sort_by_label_desc") if self.has(f)])
            args = [self.vector(depth - 1, kinds)]
            if "label" in f:
                args += [Node("T", self.one(['"job"', '"instance"', '"v"', '"le"', '"nope"'])) for _ in range(self.r.randrange(3))]
            return self.call(f, args)
        if k < 0.9 and self.has("info"):
            args = [self.vector(depth - 1, kinds)]
            if self.chance(0.5):
                args.append(Node("T", self.one(['{version=~".+"}', '{region="eu"}', '{__name__="build_info"}', '{nope=~".*"}', '{__name__=~".*_info"}', '{region!="eu"}', '{version=~"1.*|"}'])))
            return self.call("info", args)
        return self.call(self.one(["sgn", "abs", "ceil", "floor"]), [self.vector(depth - 1, kinds)])

    def unary(self, depth, kinds):
        return Node("V", self.one(["-", "-", "+"]), self.wrap(self.vector(depth - 1, kinds)))

    def query(self):
        self.cost = 1.0
        depth = self.r.choice([0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5])
        k = self.r.random()
        if k < 0.93:
            return self.vector(depth)
        if k < 0.97:
            return self.scalar(max(depth, 1))
        if k < 0.99:
            return self.matrix(depth)
        return Node("T", self.one(TEXTS))

    def times(self, type_):
        """(start, end, step) in ms; step 0: an instant query."""
        t = self.r.randrange(START - 600000, START + SPAN + 900000)
        if self.chance(0.8):
            t = self.r.randrange(START + 300000, START + SPAN)
        if self.chance(0.6):
            t -= t % 1000
        if type_ in ("M", "T") or self.chance(0.4):
            return t, t, 0
        step = self.one([1000, 5000, 7000, 15000, 15000, 30000, 60000, 60000, 61700, 300000, 333, 1])
        steps = self.one([1, 2, 3, 7, 20, 40, 60])
        return t, t + step * (steps - 1) + self.r.randrange(step), step
