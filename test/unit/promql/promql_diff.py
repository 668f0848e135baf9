#!/usr/bin/env python3
"""Compares the evaluator with a real Prometheus, bit for bit.

promql_diff.py ANSWER [--prometheus DIR] [--queries FILE.yml]

Random samples go into Prometheus (as a block made by promtool) and into ANSWER (promql_answer); both answer the compliance
queries and further ones, instant and range. Floats are compared by their shortest text, that is, by their bits. Skips with
a printed reason when Prometheus is not there. Everything runs on loopback in a temporary folder.
"""
import argparse, itertools, json, math, os, random, socket, subprocess, sys, tempfile, time, urllib.parse, urllib.request
import yaml

T0 = 1700000000  # seconds
SPAN = 3600
ARGS = {
    'range': ['1s', '15s', '1m', '5m', '15m', '1h'],
    'offset': ['1m', '5m', '10m'],
    'simpleAggrOp': ['sum', 'avg', 'max', 'min', 'count', 'stddev', 'stdvar'],
    'simpleTimeAggrOp': ['sum', 'avg', 'max', 'min', 'count', 'stddev', 'stdvar', 'absent', 'last', 'present'],
    'topBottomOp': ['topk', 'bottomk'],
    'quantile': ['-0.5', '0.1', '0.5', '0.75', '0.95', '0.90', '0.99', '1', '1.5'],
    'arithBinOp': ['+', '-', '*', '/', '%', '^'],
    'compBinOp': ['==', '!=', '<', '>', '<=', '>='],
    'binOp': ['+', '-', '*', '/', '%', '^', '==', '!=', '<', '>', '<=', '>='],
    'simpleMathFunc': ['abs', 'ceil', 'floor', 'exp', 'sqrt', 'ln', 'log2', 'log10', 'round'],
    'extrapolatedRateFunc': ['delta', 'rate', 'increase'],
    'clampFunc': ['clamp_min', 'clamp_max'],
    'instantRateFunc': ['idelta', 'irate'],
    'dateFunc': ['day_of_month', 'day_of_week', 'days_in_month', 'hour', 'minute', 'month', 'year', 'day_of_year'],
    'smoothingFactor': ['0.1', '0.5', '0.8'],
    'trendFactor': ['0.1', '0.5', '0.8'],
}
MORE = '''
sum by (mode) (rate(demo_cpu_usage_seconds_total[1m]))
sum(rate(demo_cpu_usage_seconds_total[5m])) by (instance) / on (instance) demo_num_cpus
avg_over_time(rate(demo_cpu_usage_seconds_total[1m])[10m:30s])
histogram_quantile(0.9, rate(demo_api_request_duration_seconds_bucket[5m]))
histogram_quantile(0.5, sum by (le, path) (rate(demo_api_request_duration_seconds_bucket[1m])))
histogram_fraction(0, 0.2, rate(demo_api_request_duration_seconds_bucket[5m]))
demo_cpu_usage_seconds_total @ 1700001000
rate(demo_cpu_usage_seconds_total[2m] @ end())
rate(demo_cpu_usage_seconds_total[2m] offset 3m)
max_over_time(demo_memory_usage_bytes[5m:7s] offset 1m)
quantile by (type) (0.3, demo_memory_usage_bytes)
count_values("v", demo_num_cpus)
count_values by (job) ("v", round(demo_intermittent_metric))
demo_intermittent_metric
sum(demo_intermittent_metric)
avg by (instance) (demo_intermittent_metric)
changes(demo_intermittent_metric[5m])
resets(demo_cpu_usage_seconds_total[30m])
deriv(demo_memory_usage_bytes[5m])
predict_linear(demo_cpu_usage_seconds_total[5m], 3600)
double_exponential_smoothing(demo_disk_usage_bytes[5m], 0.3, 0.6)
mad_over_time(demo_memory_usage_bytes[3m])
quantile_over_time(0.33, demo_memory_usage_bytes[3m])
demo_memory_usage_bytes and on (instance) demo_num_cpus > 2
demo_memory_usage_bytes{type="free"} or demo_memory_usage_bytes
demo_memory_usage_bytes unless demo_memory_usage_bytes{type="free"}
demo_memory_usage_bytes * on (instance, job) group_left () demo_num_cpus
sort(demo_memory_usage_bytes)
sort_desc(demo_memory_usage_bytes)
topk by (type) (1, demo_memory_usage_bytes)
bottomk(4, demo_cpu_usage_seconds_total)
limitk(2, demo_cpu_usage_seconds_total)
demo_memory_usage_bytes ^ 3
demo_num_cpus ^ -2
0.3 ^ demo_num_cpus
ln(rate(demo_cpu_usage_seconds_total[1m]))
log10(rate(demo_cpu_usage_seconds_total[1m]))
exp(rate(demo_cpu_usage_seconds_total[1m]))
-demo_num_cpus ^ 3
sort_by_label(demo_cpu_usage_seconds_total, "mode", "instance")
label_replace(rate(demo_cpu_usage_seconds_total[1m]), "a", "x$1", "mode", "(.).*")
label_join(demo_num_cpus, "new", "/", "job", "instance", "nope")
-demo_memory_usage_bytes
scalar(sum(demo_num_cpus)) + vector(time())
timestamp(demo_num_cpus)
timestamp(demo_num_cpus offset 17s)
absent(demo_num_cpus{instance="nope", job=~"x"})
absent_over_time(demo_intermittent_metric[1m])
present_over_time(demo_intermittent_metric[1m])
abs({__name__=~"demo_num_cpus|demo_disk_usage_bytes"})
sum by (__name__) ({__name__=~"demo_.*"})
{__name__=~"demo_num_cpus|demo_disk_usage_bytes"} * 2
rate({__name__=~"demo_.*_total"}[1m])
{__name__=~"demo_num_cpus|demo_disk_usage_bytes"} > 1
demo_memory_usage_bytes / demo_memory_usage_bytes
demo_memory_usage_bytes + on (instance) demo_memory_usage_bytes
demo_memory_usage_bytes + on (instance) group_left () demo_memory_usage_bytes
demo_num_cpus == on (instance) group_right () demo_memory_usage_bytes
demo_counter_resets_total
rate(demo_counter_resets_total[1m])
increase(demo_counter_resets_total[13m])
irate(demo_counter_resets_total[1m])
stddev(demo_cpu_usage_seconds_total)
stdvar by (mode) (rate(demo_cpu_usage_seconds_total[1m]))
stddev_over_time(demo_cpu_usage_seconds_total[5m])
sum_over_time(demo_special[5m])
avg_over_time(demo_special[5m])
max_over_time(demo_special[5m])
min_over_time(demo_special[5m])
sum(demo_special)
avg(demo_special)
max(demo_special)
min(demo_special)
stddev(demo_special)
quantile(0.5, demo_special)
topk(2, demo_special)
bottomk(3, demo_special)
sum by (kind) (demo_special)
clamp(demo_special, -1, 1)
clamp_min(demo_special, NaN)
round(demo_special, 0.1)
sgn(demo_special)
demo_special % 7
demo_special atan2 2
sum(demo_memory_usage_bytes) - sum(demo_memory_usage_bytes offset 5m)
count(demo_intermittent_metric) by (job) or vector(0)
group by (job) (demo_intermittent_metric)
demo_intermittent_metric == bool demo_intermittent_metric offset 1m
sum(sum_over_time(demo_intermittent_metric[2m])) / sum(count_over_time(demo_intermittent_metric[2m]))
'''


def make_series(rnd):
    """[(labels, [(t_ms, value)])]"""
    out = []

    def add(name, labels, f, start=0, keep=1.0, jitter=0):
        off = rnd.randrange(5000)
        samples = []
        for i in range(start, SPAN // 5):
            if rnd.random() <= keep:
                samples.append((T0 * 1000 + off + i * 5000 + (rnd.randrange(jitter) if jitter else 0), f(i)))
        out.append((dict(labels, __name__=name), samples))

    def counter(scale, reset=0.0):
        v = [0.0]

        def f(i):
            v[0] = 0.0 if reset and rnd.random() < reset else v[0] + rnd.random() * scale
            return v[0]
        return f

    special = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 1e-308, 3.5, -7.25, 1e100, -1e100, 1]
    for port in (10000, 10001, 10002):
        base = {'instance': 'demo.promlabs.com:%d' % port, 'job': 'demo'}
        for mode in ('idle', 'system', 'user'):
            add('demo_cpu_usage_seconds_total', dict(base, mode=mode), counter(2.5), keep=0.98)
        for typ in ('buffers', 'cached', 'free', 'used'):
            add('demo_memory_usage_bytes', dict(base, type=typ), lambda i: rnd.random() * 4e9)
        add('demo_num_cpus', base, lambda i, p=port: float(p - 9998))
        add('demo_disk_usage_bytes', base, lambda i: 1e9 + i * 12345.678 + rnd.random())
        add('demo_disk_total_bytes', base, lambda i: 1e12)
        add('demo_intermittent_metric', base, lambda i: rnd.random() * 3, keep=0.02)
        add('demo_batch_last_success_timestamp_seconds', base, lambda i: float(T0 + i // 12 * 60))
        add('demo_counter_resets_total', base, counter(10, 0.05), jitter=4000, keep=0.9)
        for k in range(3):
            add('demo_special', dict(base, kind=str(k)), lambda i: rnd.choice(special))
        for path in ('/api/bar', '/api/foo'):
            counts = [0.0] * 6
            for b, le in enumerate(('0.1', '0.2', '0.5', '1', '5', '+Inf')):
                state = [0.0]

                def f(i, b=b, state=state):
                    state[0] += rnd.randrange(3) * (b + 1)
                    return state[0]
                add('demo_api_request_duration_seconds_bucket', dict(base, path=path, le=le, status='200'), f)
            del counts
    return out


def expand(queries):
    for case in queries['test_cases']:
        names = case.get('variant_args') or []
        for values in itertools.product(*[ARGS[n] for n in names]):
            q = str(case['query'])
            for n, v in zip(names, values):
                q = q.replace('{{.%s}}' % n, v)
            yield q


def go_float(v):
    if math.isnan(v):
        return 'NaN'
    return repr(v) if math.isfinite(v) else ('+Inf' if v > 0 else '-Inf')


def write_data(d, series):
    with open(d + '/data.txt', 'w') as f:
        for labels, samples in series:
            f.write('L\t' + '\t'.join('%s\t%s' % kv for kv in sorted(labels.items())) + '\n')
            for t, v in samples:
                f.write('%d %s\n' % (t, go_float(v)))
    with open(d + '/data.om', 'w') as f:
        by_name = {}
        for labels, samples in series:
            by_name.setdefault(labels['__name__'], []).append((labels, samples))
        for name, items in by_name.items():
            for labels, samples in items:
                text = ','.join('%s="%s"' % (k, v) for k, v in sorted(labels.items()) if k != '__name__')
                for t, v in samples:
                    f.write('%s{%s} %s %d.%03d\n' % (name, text, go_float(v), t // 1000, t % 1000))
        f.write('# EOF\n')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def ask(port, start, end, step, q):
    if step:
        path, p = 'query_range', {'query': q, 'start': start / 1000, 'end': end / 1000, 'step': step / 1000}
    else:
        path, p = 'query', {'query': q, 'time': start / 1000}
    p['stats'] = 'all'
    try:
        with urllib.request.urlopen('http://127.0.0.1:%d/api/v1/%s' % (port, path), urllib.parse.urlencode(p).encode()) as r:
            return json.load(r)
    except urllib.error.HTTPError as e:
        return json.load(e)


def norm(result):
    """[(labels, [(t_ms, text)])] from an API answer."""
    kind, r = result['resultType'], result['result']
    if kind == 'scalar':
        return [([], [(round(r[0] * 1000), r[1])])]
    out = []
    for s in r:
        points = s['values'] if kind == 'matrix' else [s['value']]
        out.append((sorted(s['metric'].items()), [(round(t * 1000), v) for t, v in points]))
    return out


def norm_ours(data):
    if data and isinstance(data[0], list):
        return [([], [tuple(data[0])])]
    return [(sorted(s['metric'].items()), [tuple(p) for p in s['values']]) for s in data]


def close(a, b):
    x, y = float(a), float(b)
    return x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= 1e-9 * max(abs(x), abs(y))


def compare(ours, theirs, ordered):
    """'' when equal to the bit, 'near' when only last bits differ, else what differs."""
    if not ordered:
        ours, theirs = sorted(ours), sorted(theirs)
    if [s[0] for s in ours] != [s[0] for s in theirs]:
        return 'series differ: %d and %d' % (len(ours), len(theirs))
    near = ''
    for a, b in zip(ours, theirs):
        if [p[0] for p in a[1]] != [p[0] for p in b[1]]:
            return 'times differ at %s' % a[0]
        for p, r in zip(a[1], b[1]):
            if p[1] != r[1]:
                if not close(p[1], r[1]):
                    return '%s at %d: %s and %s' % (a[0], p[0], p[1], r[1])
                near = 'near: %s %s' % (p[1], r[1])
    return near


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('answer')
    ap.add_argument('--prometheus', default=os.path.expanduser('~/.cache/pallium-peers'))
    ap.add_argument('--queries', default=os.environ.get('SHARED', '../shared') + '/testdata/compliance/promql-queries.yml')
    ap.add_argument('--seed', type=int, default=1)
    a = ap.parse_args()
    if not os.path.exists(a.prometheus + '/prometheus'):
        print('skipped: no prometheus in ' + a.prometheus)
        return 0
    rnd = random.Random(a.seed)
    queries = list(expand(yaml.safe_load(open(a.queries)))) + [q for q in MORE.strip().split('\n')]
    with tempfile.TemporaryDirectory() as d:
        write_data(d, make_series(rnd))
        subprocess.run([a.prometheus + '/promtool', 'tsdb', 'create-blocks-from', 'openmetrics', d + '/data.om', d + '/tsdb'],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        open(d + '/prom.yml', 'w').write('global: {}\n')
        port = free_port()
        prom = subprocess.Popen([a.prometheus + '/prometheus', '--config.file=' + d + '/prom.yml', '--storage.tsdb.path=' + d +
                                 '/tsdb', '--storage.tsdb.retention.time=100y', '--web.listen-address=127.0.0.1:%d' % port,
                                 '--enable-feature=promql-experimental-functions'],
                                stdout=subprocess.DEVNULL, stderr=open(d + '/log', 'w'))
        try:
            for _ in range(200):
                try:
                    urllib.request.urlopen('http://127.0.0.1:%d/-/ready' % port).read()
                    break
                except OSError:
                    time.sleep(0.1)
            asked = []
            for q in queries:
                t = T0 * 1000 + rnd.randrange(600, SPAN) * 1000 + rnd.randrange(1000)
                asked.append((t, t, 0, q))
                start = T0 * 1000 + rnd.randrange(0, 900) * 1000
                asked.append((start, start + rnd.randrange(600, 3000) * 1000, rnd.choice([5000, 10000, 13000, 60000]), q))
            lines = ''.join('%d %d %d %s\n' % x for x in asked)
            ours = subprocess.run([a.answer, d + '/data.txt'], input=lines, capture_output=True, text=True, check=True)
            bits = near = bad = failures = samples = 0
            for x, line in zip(asked, ours.stdout.split('\n')):
                o, p = json.loads(line), ask(port, *x)
                if 'error' in o or p['status'] != 'success':
                    same = 'error' in o and p['status'] != 'success'
                    theirs = p.get('error', 'answered').replace('invalid parameter "query": ', '')
                    failures += same
                    if not same or o['error'] != theirs:
                        print('%s: %r\n   ours %s\n   theirs %s' % ('error text' if same else 'ERROR', x, o.get('error', 'answered'), theirs))
                        bad += not same
                    continue
                ordered = x[2] == 0 and ('sort' in x[3] or 'topk' in x[3] or 'bottomk' in x[3])
                diff = compare(norm_ours(o['data']), norm(p['data']), ordered)
                want = p['data']['stats']['samples']['totalQueryableSamples']
                if o['samples'] != want:
                    samples += 1
                    print('samples %d, theirs %d: %r' % (o['samples'], want, x))
                if not diff:
                    bits += 1
                elif diff.startswith('near'):
                    near += 1
                    print(diff, x)
                else:
                    bad += 1
                    print('DIFFERS %r\n   %s' % (x, diff))
            print('%d answers: %d equal to the bit, %d in all but last bits, %d failed alike, %d different; %d sample counts differ'
                  % (len(asked), bits, near, failures, bad, samples))
            return 1 if bad else 0
        finally:
            prom.terminate()
            prom.wait()


if __name__ == '__main__':
    sys.exit(main())
