/* palliumctl load: writes made-up series to a server and measures it. Its command line. */
#include "ctl/load_gen.h"
#include "ctl/load_run.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

static pl_status check_range(const char *flag, uint64_t v, uint64_t min, uint64_t max, struct pl_err *err)
{
    if (v < min || v > max) {
        return pl_fail(err, PL_INVALID, "--%s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, flag, v, min, max);
    }
    return PL_OK;
}

static pl_status check_options(struct load_options *o, struct pl_err *err)
{
    PL_TRY(check_range("series", o->series, 1, 1000000000, err));
    PL_TRY(check_range("labels", o->labels, 1, LOAD_LABELS_MAX, err));
    PL_TRY(check_range("metrics", o->metrics, 1, LOAD_METRICS_MAX, err));
    PL_TRY(check_range("samples-per-series", o->samples_per_series, 1, LOAD_SAMPLES_PER_SERIES_MAX, err));
    if (o->samples_per_request > 0) {
        o->series_per_request = PL_MAX(o->samples_per_request / o->samples_per_series, UINT64_C(1));
    }
    PL_TRY(check_range("series-per-request", o->series_per_request, 1, LOAD_SERIES_PER_REQUEST_MAX, err));
    PL_TRY(check_range("concurrency", o->concurrency, 1, LOAD_CONCURRENCY_MAX, err));
    PL_TRY(check_range("tenants", o->tenants, 0, LOAD_TENANTS_MAX, err));
    if (o->tenant != NULL && o->tenants > 0) {
        return pl_fail(err, PL_INVALID, "--tenant names one, --tenants makes several: give one of them");
    }
    if (o->churn < 0 || o->churn > 1) {
        return pl_fail(err, PL_INVALID, "--churn: %g is not between 0 and 1", o->churn);
    }
    if (o->rate < 0) {
        return pl_fail(err, PL_INVALID, "--rate: %g is negative", o->rate);
    }
    if (o->passes == 0) {
        o->passes = o->duration_ns > 0 ? LOAD_PASSES_ENDLESS : 10;
    }
    return PL_OK;
}

static const char usage[] =
    "Usage: palliumctl load [flags]\n"
    "\n"
    "Writes made-up series to a server by remote write 1.0 and says how fast it took them. One pass writes one sample "
    "(or\n"
    "--samples-per-series) of every series; counters rise and gauges wander, the same way for the same --seed. Names "
    "and labels look\n"
    "like those of pods in a cluster.\n"
    "\n"
    "Examples:\n"
    "  palliumctl load --series 100k --passes 20                  as fast as the server takes it, samples at the "
    "present\n"
    "  palliumctl load --series 10k --interval 15s --duration 10m like 150 scraped pods\n"
    "  palliumctl load --series 1k --start-time -2h --step 15s --passes 480   two hours of history at once\n"
    "  palliumctl load --series 50k --passes 100 --churn 0.01     one series in a hundred is replaced each pass\n"
    "  palliumctl load --tenants 20 --tenant-prefix team-         X-Scope-OrgID: team-0 .. team-19\n"
    "\n"
    "Flags:\n";

static const char notes[] =
    "\n"
    "A progress line appears on standard error each second; the report follows on standard output. Exit code 0:\n"
    "every request got a 2xx; 1: some did not; 2: wrong usage.\n";

int ctl_load(int argc, char **argv)
{
    struct load_options o = {.url = "http://127.0.0.1:9009",
                             .tenant_prefix = "load-",
                             .series = 10000,
                             .labels = 12,
                             .metrics = LOAD_METRICS_MAX,
                             .series_per_request = 2000,
                             .samples_per_series = 1,
                             .concurrency = 2,
                             .seed = 1,
                             .start_ms = INT64_MIN,
                             .step_ns = 15 * PL_NS_PER_S,
                             .timeout_ns = 30 * PL_NS_PER_S};
    const struct ctl_flag flags[] = {
        {"url", CTL_FLAG_TEXT, &o.url, "URL",
         "where to write; default http://127.0.0.1:9009. A /prometheus at\nits end, as queries have it, is left out"},
        {"path", CTL_FLAG_TEXT, &o.path, "PATH", "on that server; default /api/v1/push, or what --url has"},
        {"series", CTL_FLAG_COUNT, &o.series, "NUMBER", "series per tenant, e.g. 100k or 1M; default 10k"},
        {"labels", CTL_FLAG_COUNT, &o.labels, "NUMBER", "labels per series, the name included; default 12"},
        {"metrics", CTL_FLAG_COUNT, &o.metrics, "NUMBER",
         "metric names per target, up to 64 (the default); 1: one name in all"},
        {"passes", CTL_FLAG_COUNT, &o.passes, "NUMBER",
         "how often every series is written; default 10, or until\n--duration is over"},
        {"duration", CTL_FLAG_DURATION, &o.duration_ns, "TIME", "stop after this long, e.g. 90s, 10m"},
        {"interval", CTL_FLAG_DURATION, &o.interval_ns, "TIME",
         "start a pass each so often, e.g. 15s; default at once"},
        {"rate", CTL_FLAG_FLOAT, &o.rate, "SAMPLES",
         "at most so many samples per second, all tenants together;\ndefault no limit"},
        {"concurrency", CTL_FLAG_COUNT, &o.concurrency, "NUMBER",
         "connections, each with one request in flight; default 2"},
        {"series-per-request", CTL_FLAG_COUNT, &o.series_per_request, "NUMBER", "default 2000"},
        {"samples-per-series", CTL_FLAG_COUNT, &o.samples_per_series, "NUMBER",
         "samples of each series in one request; default 1"},
        {"samples-per-request", CTL_FLAG_COUNT, &o.samples_per_request, "NUMBER",
         "the same, as samples: sets --series-per-request to this by\n--samples-per-series"},
        {"churn", CTL_FLAG_FLOAT, &o.churn, "SHARE",
         "share of the series, 0 to 1, that are replaced by new ones\nbefore each pass; default 0"},
        {"start-time", CTL_FLAG_TIME, &o.start_ms, "TIME",
         "of the first pass: Unix seconds, RFC 3339, or -2h; later\npasses are --step apart. Default: the real time"},
        {"step", CTL_FLAG_DURATION, &o.step_ns, "TIME",
         "between samples with --start-time or --samples-per-series;\ndefault 15s"},
        {"tenant", CTL_FLAG_TEXT, &o.tenant, "ID", "sent as X-Scope-OrgID; default: none"},
        {"tenants", CTL_FLAG_COUNT, &o.tenants, "NUMBER",
         "tenants that get the same series; default 0: no tenant header,\nor --tenant"},
        {"tenant-prefix", CTL_FLAG_TEXT, &o.tenant_prefix, "TEXT",
         "what tenants are called, a number follows; default load-"},
        {"header", CTL_FLAG_LIST, &o.headers, "\"NAME: VALUE\"", "another header; may be repeated"},
        {"timeout", CTL_FLAG_DURATION, &o.timeout_ns, "TIME", "for one answer; default 30s"},
        {"seed", CTL_FLAG_COUNT, &o.seed, "NUMBER", "another data set; default 1"},
        {"repack", CTL_FLAG_BOOL, &o.repack, NULL,
         "compress each request anew, as a real sender does: a third\nfewer bytes, and ten times this tool's CPU"},
        {"keep-going", CTL_FLAG_BOOL, &o.keep_going, NULL, "go on after a failed request; default: stop"},
        {"json", CTL_FLAG_BOOL, &o.json, NULL, "report as one JSON object"},
        {"quiet", CTL_FLAG_BOOL, &o.quiet, NULL, "no progress lines"},
    };
    struct pl_err err = {.status = PL_OK};
    bool help = false;

    pl_status st = ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err);
    if (help) {
        return ctl_help(usage, flags, PL_ARRAY_LEN(flags), notes);
    }
    if (st == PL_OK && argc > 1) {
        st = pl_fail(&err, PL_INVALID, "unexpected argument %s", argv[1]);
    }
    if (st == PL_OK) {
        st = check_options(&o, &err);
    }
    if (st != PL_OK) {
        (void)fprintf(stderr, "palliumctl load: %s\n", err.msg);
        return 2;
    }
    return load_run(&o);
}
