#include "ctl/load_run.h"

#include "ctl/http_client.h"
#include "ctl/load_gen.h"
#include "ctl/load_stats.h"

#include "base/clock.h"
#include "base/sync.h"
#include "codec/snappy.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

enum { HEADERS_FIXED = 5 };

struct load;
/* One connection and what it has seen. `stats` is locked by `lock` (the progress line reads it). */
struct worker {
    struct load *l;
    struct pl_thread thread;
    struct pl_mutex lock;
    struct load_stats *stats;
    struct pl_buf answer, message, packed; /* the worker's own */
};

/* The whole run. */
struct load {
    struct load_options o;
    struct load_shape shape;
    struct load_block *blocks;
    size_t block_count;
    char *url;      /* whole */
    char **tenants; /* header lines; one NULL entry: no header */
    size_t tenant_count;
    struct worker *workers;
    int64_t begin_ns;
    _Atomic uint64_t samples_due; /* for --rate: handed out so far */
    _Atomic bool stop;

    struct pl_mutex lock; /* PL_RANK_QUEUE: all below */
    struct pl_cond changed;
    uint64_t pass; /* being written; counted from 1 */
    int64_t pass_ms;
    size_t next_block, blocks_done;
    bool over;
};

/* Set by SIGINT and SIGTERM: stop after the requests in flight. */
static volatile sig_atomic_t interrupted;

static void on_signal(int n)
{
    (void)n;
    interrupted = 1;
}

/* ---- sending ---- */

static bool stopping(struct load *l)
{
    return interrupted || atomic_load_explicit(&l->stop, memory_order_relaxed) || /* a hint, it orders nothing */
           (l->o.duration_ns > 0 && pl_now_mono_ns() - l->begin_ns >= l->o.duration_ns);
}

/* Waits until so many more samples may be sent. */
static void wait_for_rate(struct load *l, uint64_t samples)
{
    uint64_t before = atomic_fetch_add_explicit(&l->samples_due, samples, memory_order_relaxed); /* a count */
    int64_t due_ns = l->o.rate > 0 ? l->begin_ns + (int64_t)((double)before / l->o.rate * 1e9) : 0;

    while (pl_now_mono_ns() < due_ns && !stopping(l)) {
        pl_sleep_ns(PL_MIN(due_ns - pl_now_mono_ns(), 50 * PL_NS_PER_MS));
    }
}

static void note_error(struct worker *w, const char *text, size_t n)
{
    char *to = w->stats->first_error;

    if (to[0] == '\0') {
        n = PL_MIN(n, sizeof(w->stats->first_error) - 1);
        for (size_t i = 0; i < n; i++) {
            to[i] = (char)(text[i] >= ' ' ? text[i] : ' ');
        }
        to[n] = '\0';
    }
}

/* The block's body, or with --repack the same message compressed anew. */
static pl_str body_of(struct worker *w, const struct load_block *b)
{
    const pl_str body = pl_buf_view(&b->body);

    if (!w->l->o.repack) {
        return body;
    }
    pl_buf_reset(&w->message);
    char *to = pl_buf_reserve(&w->message, b->message_bytes);
    PL_ASSERT(to != NULL && snappy_decode(to, b->message_bytes, body, NULL) == PL_OK);
    pl_buf_reset(&w->packed);
    snappy_encode(&w->packed, pl_str_of(to, b->message_bytes));
    return pl_buf_view(&w->packed);
}

static void send_body(struct worker *w, struct ctl_http *http, pl_str body, uint64_t samples,
                      const char *const *headers)
{
    struct load *l = w->l;
    const struct ctl_http_request r = {
        .url = l->url,
        .headers = headers,
        .body = body,
        .timeout_ms = l->o.timeout_ns / PL_NS_PER_MS,
    };
    struct pl_err err = {.status = PL_OK};
    int status = 0;
    int64_t start_ns;

    wait_for_rate(l, samples);
    pl_buf_reset(&w->answer);
    start_ns = pl_now_mono_ns();
    pl_status st = ctl_http_do(http, &r, &status, &w->answer, &err);
    pl_mutex_lock(&w->lock);
    load_stats_add(w->stats, status, (uint64_t)(pl_now_mono_ns() - start_ns), samples, body.n);
    if (st != PL_OK) {
        note_error(w, err.msg, strlen(err.msg));
    } else if (status < 200 || status > 299) {
        note_error(w, w->answer.p, w->answer.n);
    }
    pl_mutex_unlock(&w->lock);
    if ((st != PL_OK || status < 200 || status > 299) && !l->o.keep_going) {
        atomic_store_explicit(&l->stop, true, memory_order_relaxed);
    }
}

/* Takes the next block of this pass, waiting for the next pass when there is none left; NULL: all is over. */
static struct load_block *take_block(struct load *l, uint64_t *pass, int64_t *pass_ms)
{
    struct load_block *b = NULL;

    pl_mutex_lock(&l->lock);
    while (!l->over && l->next_block == l->block_count) {
        pl_cond_wait(&l->changed, &l->lock);
    }
    if (!l->over) {
        b = &l->blocks[l->next_block++];
        *pass = l->pass;
        *pass_ms = l->pass_ms;
    }
    pl_mutex_unlock(&l->lock);
    return b;
}

static void finish_block(struct load *l)
{
    pl_mutex_lock(&l->lock);
    l->blocks_done++;
    if (l->blocks_done == l->block_count) {
        pl_cond_broadcast(&l->changed);
    }
    pl_mutex_unlock(&l->lock);
}

/* How many series have been replaced before this pass. */
static uint64_t replaced_before(const struct load *l, uint64_t pass)
{
    return (uint64_t)(l->o.churn * (double)l->shape.series * (double)(pass - 1));
}

static void work(void *arg)
{
    struct worker *w = arg;
    struct load *l = w->l;
    const char *headers[HEADERS_FIXED + CTL_LIST_MAX + 1] = {NULL};
    struct ctl_http *http = ctl_http_create();
    struct load_block *b;
    uint64_t pass = 0;
    int64_t pass_ms = 0;
    size_t n = 0;

    headers[n++] = "Content-Type: application/x-protobuf";
    headers[n++] = "Content-Encoding: snappy";
    headers[n++] = "X-Prometheus-Remote-Write-Version: 0.1.0";
    headers[n++] = "User-Agent: palliumctl/" PL_VERSION;
    for (size_t i = 0; i < l->o.headers.n; i++) {
        headers[n++] = l->o.headers.v[i];
    }
    while ((b = take_block(l, &pass, &pass_ms)) != NULL) {
        load_block_stamp(b, &l->shape, replaced_before(l, pass), (pass - 1) * l->shape.samples_per_series, pass_ms,
                         l->o.step_ns / PL_NS_PER_MS);
        const pl_str body = body_of(w, b);
        for (size_t t = 0; t < l->tenant_count && !stopping(l); t++) {
            headers[n] = l->tenants[t];
            send_body(w, http, body, (uint64_t)b->count * l->shape.samples_per_series, headers);
        }
        finish_block(l);
    }
    ctl_http_destroy(http);
}

/* ---- progress and report ---- */

static struct load_stats *sum_up(struct load *l)
{
    struct load_stats *sum = pl_new(struct load_stats);

    for (uint64_t i = 0; i < l->o.concurrency; i++) {
        pl_mutex_lock(&l->workers[i].lock);
        load_stats_merge(sum, l->workers[i].stats);
        pl_mutex_unlock(&l->workers[i].lock);
    }
    return sum;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* What the last progress line saw. */
struct progress {
    int64_t shown_ns;
    uint64_t samples;
};

static void show_progress(struct load *l, struct progress *p, uint64_t pass)
{
    const int64_t now_ns = pl_now_mono_ns();
    /* With pauses between passes a second is mostly empty: then it is the rate since the beginning. */
    const bool paced = l->o.interval_ns > PL_NS_PER_S;
    const int64_t since_ns = paced ? l->begin_ns : p->shown_ns;
    struct load_stats *s;
    char until[64] = "", of[32] = "";

    if (l->o.quiet || now_ns - p->shown_ns < PL_NS_PER_S) {
        return;
    }
    s = sum_up(l);
    if (l->o.duration_ns > 0) {
        (void)snprintf(until, sizeof(until), " of %.0f s", (double)l->o.duration_ns / 1e9);
    }
    if (l->o.passes < LOAD_PASSES_ENDLESS) {
        (void)snprintf(of, sizeof(of), "/%" PRIu64, l->o.passes);
    }
    (void)fprintf(stderr,
                  "%6.1f s%s  pass %" PRIu64 "%s  %" PRIu64 " samples (%.0f/s)  %" PRIu64 " requests, %" PRIu64
                  " failed  p99 %.1f ms\n",
                  (double)(now_ns - l->begin_ns) / 1e9, until, pass, of, s->samples,
                  (double)(s->samples - (paced ? 0 : p->samples)) * 1e9 / (double)(now_ns - since_ns), s->requests,
                  load_stats_failed(s), ms(load_stats_quantile(s, 0.99)));
    *p = (struct progress){now_ns, s->samples};
    pl_free(s);
}

static void report_text(const struct load_stats *s, double seconds, double cpu_seconds)
{
    printf("samples    %" PRIu64 " in %.2f s = %.0f per second\n", s->samples, seconds, (double)s->samples / seconds);
    printf("requests   %" PRIu64 " = %.1f per second, %.2f MB sent = %.1f bytes per sample\n", s->requests,
           (double)s->requests / seconds, (double)s->bytes / 1e6,
           s->samples > 0 ? (double)s->bytes / (double)s->samples : 0);
    printf("latency    p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n", ms(load_stats_quantile(s, 0.5)),
           ms(load_stats_quantile(s, 0.9)), ms(load_stats_quantile(s, 0.99)), ms(s->latency_ns_max));
    printf("this tool  %.2f s of CPU = %.3f us per sample\n", cpu_seconds,
           s->samples > 0 ? cpu_seconds * 1e6 / (double)s->samples : 0);
    printf("answers   ");
    for (size_t i = 0; i < LOAD_STATUSES; i++) {
        if (s->status[i] > 0 && i > 0) {
            printf(" %zu: %" PRIu64, i, s->status[i]);
        } else if (s->status[i] > 0) {
            printf(" none: %" PRIu64, s->status[i]);
        }
    }
    printf("\n");
    if (s->first_error[0] != '\0') {
        printf("first error: %s\n", s->first_error);
    }
    if (s->status[401] > 0) {
        printf("hint: this server wants a tenant: --tenant ID\n");
    }
    if (s->status[404] > 0) {
        printf(
            "hint: nothing takes samples there: --url is the server's root (http://HOST:9009), --path where it takes "
            "them\n");
    }
}

static void report_json(const struct load_stats *s, double seconds, double cpu_seconds)
{
    const char *comma = "";

    printf("{\"samples\":%" PRIu64 ",\"seconds\":%.6f,\"samples_per_second\":%.1f,\"requests\":%" PRIu64
           ",\"failed\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"latency_ms\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f},\"cpu_seconds\":%.6f,"
           "\"answers\":{",
           s->samples, seconds, (double)s->samples / seconds, s->requests, load_stats_failed(s), s->bytes,
           ms(load_stats_quantile(s, 0.5)), ms(load_stats_quantile(s, 0.9)), ms(load_stats_quantile(s, 0.99)),
           ms(s->latency_ns_max), cpu_seconds);
    for (size_t i = 0; i < LOAD_STATUSES; i++) {
        if (s->status[i] > 0) {
            printf("%s\"%zu\":%" PRIu64, comma, i, s->status[i]);
            comma = ",";
        }
    }
    printf("}}\n");
}

/* ---- passes ---- */

/* Waits on the lock for a moment, and shows progress. */
static void idle_locked(struct load *l, struct progress *p)
{
    uint64_t pass = l->pass;

    (void)pl_cond_wait_until(&l->changed, &l->lock, pl_now_mono_ns() + 100 * PL_NS_PER_MS);
    pl_mutex_unlock(&l->lock);
    show_progress(l, p, pass);
    pl_mutex_lock(&l->lock);
}

static int64_t pass_time(const struct load *l, uint64_t pass)
{
    const int64_t step_ms = l->o.step_ns / PL_NS_PER_MS, per_pass = step_ms * (int64_t)l->shape.samples_per_series;

    if (l->o.start_ms != INT64_MIN) {
        return l->o.start_ms + (int64_t)(pass - 1) * per_pass;
    }
    /* Real time: the last sample of a pass is now; one pass may not overtake the one before. */
    return PL_MAX(pl_now_unix_ms() - (per_pass - step_ms),
                  pass > 1 ? l->pass_ms + (l->shape.samples_per_series > 1 ? PL_MAX(per_pass, 1) : 1) : INT64_MIN);
}

static void run_passes(struct load *l)
{
    struct progress p = {l->begin_ns, 0};

    pl_mutex_lock(&l->lock);
    for (uint64_t pass = 1; pass <= l->o.passes && !stopping(l); pass++) {
        const int64_t next_ns = l->begin_ns + (int64_t)pass * l->o.interval_ns;
        l->pass_ms = pass_time(l, pass);
        l->pass = pass;
        l->next_block = 0;
        l->blocks_done = 0;
        pl_cond_broadcast(&l->changed);
        while (l->blocks_done < l->block_count) {
            idle_locked(l, &p);
        }
        while (pass < l->o.passes && pl_now_mono_ns() < next_ns && !stopping(l)) {
            idle_locked(l, &p);
        }
    }
    l->over = true;
    pl_cond_broadcast(&l->changed);
    pl_mutex_unlock(&l->lock);
}

static int run(struct load *l)
{
    int64_t cpu_ns;
    struct load_stats *s;
    uint64_t failed;

    for (uint64_t i = 0; i < l->o.concurrency; i++) {
        pl_thread_start(&l->workers[i].thread, "load", work, &l->workers[i]);
    }
    l->begin_ns = pl_now_mono_ns();
    cpu_ns = pl_cpu_process_ns();
    run_passes(l);
    for (uint64_t i = 0; i < l->o.concurrency; i++) {
        pl_thread_join(&l->workers[i].thread);
    }
    s = sum_up(l);
    double seconds = (double)(pl_now_mono_ns() - l->begin_ns) / 1e9,
           cpu_seconds = (double)(pl_cpu_process_ns() - cpu_ns) / 1e9;
    if (l->o.json) {
        report_json(s, seconds, cpu_seconds);
    } else {
        report_text(s, seconds, cpu_seconds);
    }
    failed = load_stats_failed(s);
    pl_free(s);
    return failed > 0 ? 1 : 0;
}

/* ---- setting up ---- */

static void make_tenants(struct load *l)
{
    l->tenant_count = PL_MAX((size_t)l->o.tenants, (size_t)1);
    l->tenants = pl_new_array(char *, l->tenant_count);
    if (l->o.tenant != NULL) {
        struct pl_buf b;
        pl_buf_init(&b, 0);
        pl_buf_printf(&b, "X-Scope-OrgID: %s", l->o.tenant);
        l->tenants[0] = pl_str_dup(pl_buf_view(&b));
        pl_buf_fini(&b);
    }
    for (uint64_t i = 0; i < l->o.tenants; i++) {
        struct pl_buf b;
        pl_buf_init(&b, 0);
        pl_buf_printf(&b, "X-Scope-OrgID: %s", l->o.tenant_prefix);
        if (l->o.tenants > 1) {
            pl_buf_printf(&b, "%" PRIu64, i);
        }
        l->tenants[i] = pl_str_dup(pl_buf_view(&b));
        pl_buf_fini(&b);
    }
}

/* --url and --path together; a --url with a path of its own needs no --path. */
static char *make_url(const struct load_options *o)
{
    static const pl_str query = PL_STR_INIT("/prometheus");
    pl_str base = pl_str_c(o->url);
    const char *host = strstr(o->url, "://");
    struct pl_buf b;
    bool has_path;
    char *url;

    while (base.n > 0 && base.p[base.n - 1] == '/') {
        base.n--;
    }
    if (base.n > query.n && pl_str_eq(pl_str_sub(base, base.n - query.n, base.n), query)) {
        base.n -= query.n; /* where queries go; what is behind it is the root */
    }
    has_path = pl_str_find(pl_str_sub(base, host != NULL ? (size_t)(host + 3 - o->url) : 0, base.n), '/') != SIZE_MAX;
    pl_buf_init(&b, 0);
    pl_buf_str(&b, base);
    if (o->path != NULL || !has_path) {
        while (b.n > 0 && b.p[b.n - 1] == '/') {
            b.n--;
        }
        pl_buf_cstr(&b, o->path != NULL ? o->path : "/api/v1/push");
    }
    url = pl_str_dup(pl_buf_view(&b));
    pl_buf_fini(&b);
    return url;
}

static void load_init(struct load *l, const struct load_options *o)
{
    *l = (struct load){.o = *o};
    l->url = make_url(o);
    l->shape = (struct load_shape){.series = o->series,
                                   .labels = (uint32_t)o->labels,
                                   .metrics = (uint32_t)o->metrics,
                                   .samples_per_series = (uint32_t)o->samples_per_series,
                                   .seed = o->seed};
    l->block_count = (size_t)((o->series + o->series_per_request - 1) / o->series_per_request);
    l->blocks = pl_new_array(struct load_block, l->block_count);
    for (size_t i = 0; i < l->block_count; i++) {
        uint64_t first = i * o->series_per_request;
        load_block_init(&l->blocks[i], first, (uint32_t)PL_MIN(o->series_per_request, o->series - first));
    }
    l->next_block = l->block_count; /* workers wait for the first pass */
    make_tenants(l);
    l->workers = pl_new_array(struct worker, o->concurrency);
    for (uint64_t i = 0; i < o->concurrency; i++) {
        l->workers[i].l = l;
        l->workers[i].stats = pl_new(struct load_stats);
        pl_mutex_init(&l->workers[i].lock, PL_RANK_CACHE);
        pl_buf_init(&l->workers[i].answer, 0);
        pl_buf_init(&l->workers[i].message, 0);
        pl_buf_init(&l->workers[i].packed, 0);
    }
    pl_mutex_init(&l->lock, PL_RANK_QUEUE);
    pl_cond_init(&l->changed);
}

static void load_fini(struct load *l)
{
    for (size_t i = 0; i < l->block_count; i++) {
        load_block_fini(&l->blocks[i]);
    }
    for (size_t i = 0; i < l->tenant_count; i++) {
        pl_free(l->tenants[i]);
    }
    for (uint64_t i = 0; i < l->o.concurrency; i++) {
        pl_mutex_fini(&l->workers[i].lock);
        pl_buf_fini(&l->workers[i].answer);
        pl_buf_fini(&l->workers[i].message);
        pl_buf_fini(&l->workers[i].packed);
        pl_free(l->workers[i].stats);
    }
    pl_free(l->url);
    pl_free(l->workers);
    pl_free(l->tenants);
    pl_free(l->blocks);
    pl_cond_fini(&l->changed);
    pl_mutex_fini(&l->lock);
}

int load_run(const struct load_options *o)
{
    struct load l;
    int code;

    ctl_http_setup();
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    load_init(&l, o);
    code = run(&l);
    load_fini(&l);
    return code;
}
