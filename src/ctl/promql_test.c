/* palliumctl promql test: files of the test language against the engine or a server. */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/remote.h"

#include "base/clock.h"

#include <stdio.h>

static const char usage[] =
    "Usage: palliumctl promql test [flags] FILE...\n"
    "\n"
    "Runs files in Prometheus's test language for PromQL (load, clear, eval) and prints each evaluation whose answer "
    "is\n"
    "not the expected one: FILE:LINE, the query, then what was expected and what came. Without --url the engine "
    "inside\n"
    "this tool answers, as with all of PromQL's experimental parts on; each instant query that passes is then asked "
    "again\n"
    "with @ on its selectors and as a step of a range query.\n"
    "\n"
    "With --url a running server answers. Series go there by remote write 1.0, native histograms among them. A file's\n"
    "time 0 becomes a recent midnight (UTC), since servers refuse old samples. Whenever data changed before an\n"
    "evaluation all of it is written anew, apart from what was there before:\n"
    "    --apart tenant  under a tenant of its own, sent as X-Scope-OrgID (Pallium, Cortex, Mimir);\n"
    "    --apart time    at a later time, days after the place before (Prometheus, which has no tenants). Start a "
    "fresh\n"
    "                    Prometheus for it, with --web.enable-remote-write-receiver, a long "
    "--storage.tsdb.retention.time\n"
    "                    and --enable-feature=native-histograms,promql-experimental-functions,\n"
    "                    promql-delayed-name-removal,promql-duration-expr,promql-extended-range-selectors.\n"
    "Evaluations that cannot be asked there are listed as skipped, with the reason: results that depend on the "
    "absolute\n"
    "time or on a switch that is off, syntax that its parser does not know, series that it refuses.\n"
    "\n"
    "Examples:\n"
    "  palliumctl promql test tests/*.test\n"
    "  palliumctl promql test --url http://127.0.0.1:9009/prometheus tests/*.test\n"
    "  palliumctl promql test --url http://127.0.0.1:9090 --write-path /api/v1/write --apart time operators.test\n"
    "\n"
    "Flags:\n";

static const char notes[] =
    "\nThe last line reads \"N passed, M failed\". Exit code 0: nothing failed; 1: an evaluation "
    "failed, or a file could\nnot be read; 2: wrong usage.\n";

struct args {
    const char *url, *write_path, *tenant, *apart;
    bool quiet_skips;
};

struct file {
    const char *path;
    struct pl_buf text;
    struct ptest_script script;
};

struct totals {
    unsigned passed, failed, skipped;
};

static bool read_files(struct file *files, char **paths, size_t n, struct pl_arena *a)
{
    struct pl_err err;
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        files[i].path = paths[i];
        pl_buf_init(&files[i].text, 0);
        if (ctl_file_read(&files[i].text, paths[i], &err) != PL_OK ||
            ptest_script_parse(&files[i].script, a, pl_buf_view(&files[i].text), &err) != PL_OK) {
            fprintf(stderr, "palliumctl promql test: %s\n", err.msg);
            ok = false;
        }
    }
    return ok;
}

static void run_file(const struct args *args, struct ptest_target *target, const struct file *f, struct totals *sum)
{
    struct ptest_result r;
    struct pl_buf report;

    pl_buf_init(&report, 0);
    ptest_run(&r, target, &f->script, &report,
              &(struct ptest_options){.name = pl_str_c(f->path), .list_skipped = !args->quiet_skips});
    (void)fwrite(report.p, 1, report.n, stdout);
    (void)fflush(stdout);
    pl_buf_fini(&report);
    sum->passed += r.passed;
    sum->failed += r.failed + r.bad;
    sum->skipped += r.skipped;
}

static void run_locally(const struct args *args, const struct file *files, size_t n, struct totals *sum)
{
    for (size_t i = 0; i < n; i++) {
        struct ptest_target *t = ptest_local_create(&(struct ptest_local_options){.cheap = true});

        run_file(args, t, &files[i], sum);
        ptest_target_destroy(t);
    }
}

/* Where remote write goes: beside the API's prefix, or at a path of the same host. */
static const char *write_url(const struct args *args, struct pl_arena *a)
{
    pl_str url = pl_str_c(args->url);
    size_t host = pl_str_find_str(url, PL_STR("://")), end;

    host = host == SIZE_MAX ? 0 : host + 3;
    end = pl_str_find(pl_str_sub(url, host, url.n), '/');
    end = end == SIZE_MAX ? url.n : host + end;
    return pl_arena_printf(a, "%.*s%s%s", (int)end, url.p, args->write_path[0] == '/' ? "" : "/", args->write_path).p;
}

static void run_remotely(const struct args *args, const struct file *files, size_t n, struct pl_arena *a,
                         struct totals *sum)
{
    struct remote_options o = {.url = args->url,
                               .write_url = write_url(args, a),
                               .tenant = args->tenant,
                               .by_time = strcmp(args->apart, "time") == 0,
                               .now_ms = pl_now_unix_ms()};
    struct ptest_target *t;

    if (o.tenant == NULL) {
        o.tenant = o.by_time ? "" : "promqltest";
    }
    t = remote_create(&o);
    for (size_t i = 0; i < n; i++) {
        remote_reserve(t, &files[i].script);
    }
    for (size_t i = 0; i < n; i++) {
        remote_forget(t);
        run_file(args, t, &files[i], sum);
    }
    ptest_target_destroy(t);
}

static int run(const struct args *args, char **paths, size_t n)
{
    struct file *files = pl_new_array(struct file, n);
    struct totals sum = {0};
    struct pl_arena a;
    bool readable;

    pl_arena_init(&a, 0);
    readable = read_files(files, paths, n, &a);
    if (readable && args->url == NULL) {
        run_locally(args, files, n, &sum);
    } else if (readable) {
        run_remotely(args, files, n, &a, &sum);
    }
    for (size_t i = 0; i < n; i++) {
        pl_buf_fini(&files[i].text);
    }
    pl_arena_fini(&a);
    pl_free(files);
    if (!readable) {
        return 1;
    }
    if (sum.skipped > 0) {
        printf("%u skipped\n", sum.skipped);
    }
    printf("%u passed, %u failed\n", sum.passed, sum.failed);
    return sum.failed > 0 ? 1 : 0;
}

int ctl_promql_test(int argc, char **argv)
{
    struct args args = {.write_path = "/api/v1/push", .apart = "tenant"};
    const struct ctl_flag flags[] = {
        {"url", CTL_FLAG_TEXT, &args.url, "URL", "ask this server, up to before /api/v1 (default: the engine here)"},
        {"write-path", CTL_FLAG_TEXT, &args.write_path, "PATH",
         "where the same host takes remote write (default /api/v1/push)"},
        {"apart", CTL_FLAG_TEXT, &args.apart, "tenant|time", "what keeps data sets apart (default tenant)"},
        {"tenant", CTL_FLAG_TEXT, &args.tenant, "ID",
         "how the tenants' names begin (default promqltest); with --apart time the\ntenant itself (default: none)"},
        {"quiet-skips", CTL_FLAG_BOOL, &args.quiet_skips, NULL, "only count what is skipped"},
    };
    struct pl_err err = {.status = PL_OK};
    bool help = false;
    pl_status st = ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err);

    if (help) {
        return ctl_help(usage, flags, PL_ARRAY_LEN(flags), notes);
    }
    if (st == PL_OK && argc < 2) {
        st = pl_fail(&err, PL_INVALID, "the files to run are missing");
    }
    if (st == PL_OK && strcmp(args.apart, "tenant") != 0 && strcmp(args.apart, "time") != 0) {
        st = pl_fail(&err, PL_INVALID, "--apart must be tenant or time, not \"%s\"", args.apart);
    }
    if (st != PL_OK) {
        fprintf(stderr, "palliumctl promql test: %s\n", err.msg);
        return 2;
    }
    return run(&args, argv + 1, (size_t)argc - 1);
}
