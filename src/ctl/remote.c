#include "ctl/remote.h"

#include "codec/float_text.h"
#include "codec/snappy.h"
#include "ctl/http_client.h"

#include <time.h>

#define DAY_MS ((int64_t)86400000)

enum { REQUEST_SAMPLES = 50000, TRIES_MAX = 20, PAUSE_NS = 250000000, HEADERS_MAX = 6 };

struct remote {
    struct ptest_target base;
    struct remote_options o;
    struct ctl_http *http;
    pl_str query_url;
    struct pl_arena texts;           /* for ever: URLs, headers */
    struct pl_arena place;           /* of the present place: its tenant and made series */
    const struct ptest_load **loads; /* all since the last clear */
    size_t load_count, load_cap;
    struct ptest_target *local;     /* the same data here, time 0 */
    struct ptest_target *moved;     /* the same data here, at the server's times */
    struct ptest_target *immediate; /* as moved, names dropped at once */
    bool written;                   /* the server has the data */
    const char *refused;            /* it did not take them */
    int64_t base_ms, next_ms;       /* time 0 of the present place and, by_time, of the next one */
    int64_t reserved_ms;
    uint64_t places;
    const char *tenant_header; /* NULL: none */
    bool probed, drops_names_at_once;
};

static int64_t day_down(int64_t t_ms)
{
    return t_ms - t_ms % DAY_MS;
}

/* ---- how much room a place takes ---- */

static int64_t load_extent(const struct ptest_load *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        n = PL_MAX(n, l->series[i].n);
    }
    return (int64_t)n * l->step_ms;
}

/* How far behind its evaluation time a query looks, about. */
static int64_t reach_of(const struct pq_node *n)
{
    int64_t reach = 0;

    switch (n->kind) {
    case PQ_PAREN:
        return reach_of(n->paren.expr);
    case PQ_STEP_INVARIANT:
        return reach_of(n->step_invariant.expr);
    case PQ_UNARY:
        return reach_of(n->unary.expr);
    case PQ_BINARY:
        return PL_MAX(reach_of(n->binary.lhs), reach_of(n->binary.rhs));
    case PQ_AGGREGATE:
        return reach_of(n->agg.expr);
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            reach = PL_MAX(reach, reach_of(n->call.args[i]));
        }
        return reach;
    case PQ_MATRIX_SELECTOR:
        return n->matrix.range_ms + reach_of(n->matrix.selector);
    case PQ_SUBQUERY:
        return n->subquery.range_ms + PL_MAX(n->subquery.time.offset_ms, 0) + reach_of(n->subquery.expr);
    case PQ_SELECTOR:
        return PL_MAX(n->selector.time.offset_ms, 0);
    case PQ_NUMBER:
    case PQ_STRING_LIT:
        return 0;
    }
    return 0;
}

static int64_t script_reach(const struct ptest_script *s)
{
    struct pl_arena a;
    int64_t reach = 0;

    pl_arena_init(&a, 0);
    for (size_t i = 0; i < s->n; i++) {
        struct pq_node *n;

        if (s->commands[i].kind == PTEST_EVAL &&
            pq_parse(&n, &a, s->commands[i].eval.query, &ptest_parse_options, NULL) == PL_OK) {
            reach = PL_MAX(reach, reach_of(n));
        }
        pl_arena_reset(&a);
    }
    pl_arena_fini(&a);
    return reach;
}

/* A place by time: the data, then what the next place's queries may look back over, to whole days. */
static int64_t room_of(int64_t extent_ms, int64_t reach_ms)
{
    return day_down(extent_ms + reach_ms + PTEST_LOOKBACK_MS) + 2 * DAY_MS;
}

void remote_reserve(struct ptest_target *t, const struct ptest_script *s)
{
    struct remote *r = (struct remote *)t;
    int64_t extent = 0, reach = script_reach(s);
    bool changed = false;

    for (size_t i = 0; i < s->n; i++) {
        const struct ptest_command *c = &s->commands[i];

        if (c->kind == PTEST_LOAD) {
            extent = PL_MAX(extent, load_extent(&c->load));
            changed = true;
        } else if (c->kind == PTEST_CLEAR) {
            extent = 0;
            changed = true;
        } else if (c->kind == PTEST_EVAL && changed) {
            r->reserved_ms += room_of(extent, reach);
            changed = false;
        }
    }
    r->reserved_ms += room_of(0, reach); /* between two scripts */
}

/* ---- HTTP ---- */

static void pause_a_moment(void)
{
    struct timespec ts = {0, PAUSE_NS};

    (void)nanosleep(&ts, NULL);
}

/* Sends, again while the server says that it is busy. */
static pl_status send(struct remote *r, const char *url, const char *const *headers, pl_str body, int *status,
                      struct pl_buf *answer, struct pl_err *err)
{
    struct ctl_http_request req = {.url = url, .method = "POST", .headers = headers, .body = body};

    for (int i = 0;; i++) {
        pl_buf_reset(answer);
        PL_TRY(ctl_http_do(r->http, &req, status, answer, err));
        if ((*status != 429 && *status != 503) || i == TRIES_MAX) {
            return PL_OK;
        }
        pause_a_moment();
    }
}

/* ---- writing ---- */

static pl_status write_one(struct remote *r, pl_str message, struct pl_err *err)
{
    const char *headers[HEADERS_MAX] = {"Content-Type: application/x-protobuf", "Content-Encoding: snappy",
                                        "X-Prometheus-Remote-Write-Version: 0.1.0", r->tenant_header};
    struct pl_buf body, answer;
    int status = 0;
    pl_status st;

    pl_buf_init(&body, 0);
    pl_buf_init(&answer, 0);
    snappy_encode(&body, message);
    st = send(r, r->o.write_url, headers, pl_buf_view(&body), &status, &answer, err);
    if (st == PL_OK && status / 100 != 2) {
        pl_str text = pl_str_trim(pl_buf_view(&answer));

        r->refused = pl_arena_printf(&r->place, "the server did not take the series: HTTP %d: %.*s", status,
                                     (int)PL_MIN(text.n, (size_t)300), text.p)
                         .p;
    }
    pl_buf_fini(&answer);
    pl_buf_fini(&body);
    return st;
}

/* All series of the place, loaded and made, with their steps. */
static pl_status collect(struct remote *r, struct remote_series **out, size_t *count, struct pl_err *err)
{
    size_t cap = 0, n = 0;
    struct remote_series *v = NULL;

    for (size_t i = 0; i < r->load_count; i++) {
        const struct ptest_load *l = r->loads[i];
        struct ptest_series *more = NULL;
        size_t more_count = 0;
        pl_status st = l->nhcb ? ptest_nhcb(&more, &more_count, &r->place, l, err) : PL_OK;

        if (st != PL_OK) {
            pl_free(v);
            return st;
        }
        pl_array_reserve(v, cap, n + l->n + more_count);
        for (size_t k = 0; k < l->n; k++) {
            v[n++] = (struct remote_series){&l->series[k], l->step_ms};
        }
        for (size_t k = 0; k < more_count; k++) {
            v[n++] = (struct remote_series){&more[k], l->step_ms};
        }
    }
    *out = v;
    *count = n;
    return PL_OK;
}

/* Sends windows of time one after the other, so that no sample is much older than one sent before. */
static pl_status write_all(struct remote *r, const struct remote_series *v, size_t n, struct pl_err *err)
{
    int64_t extent = 0, width;
    uint64_t samples = 0, windows;
    struct pl_buf message;
    pl_status st = PL_OK;

    for (size_t i = 0; i < n; i++) {
        samples += v[i].series->n;
        extent = PL_MAX(extent, (int64_t)v[i].series->n * v[i].step_ms);
    }
    windows = samples / REQUEST_SAMPLES + 1;
    width = PL_MAX(extent / (int64_t)windows + 1, 1);
    pl_buf_init(&message, 0);
    for (int64_t from = 0; from <= extent && st == PL_OK && r->refused == NULL;) {
        int64_t to = remote_write_cut(v, n, from, from + width);

        pl_buf_reset(&message);
        if (remote_write_put(&message, v, n, r->base_ms, from, to) > 0) {
            st = write_one(r, pl_buf_view(&message), err);
        }
        from = to;
    }
    pl_buf_fini(&message);
    return st;
}

static void drop_locals(struct remote *r)
{
    ptest_target_destroy(r->moved);
    ptest_target_destroy(r->immediate);
    r->moved = r->immediate = NULL;
}

static void new_place(struct remote *r)
{
    int64_t extent = 0;

    pl_arena_reset(&r->place);
    for (size_t i = 0; i < r->load_count; i++) {
        extent = PL_MAX(extent, load_extent(r->loads[i]));
    }
    r->refused = NULL;
    r->places++;
    if (r->o.by_time) {
        if (r->next_ms == 0) {
            r->next_ms = day_down(r->o.now_ms - r->reserved_ms);
        }
        r->base_ms = r->next_ms;
        r->next_ms += room_of(extent, 0);
    } else {
        r->base_ms = day_down(r->o.now_ms - extent);
        /* The HTTP client knows headers by their address: each tenant's stays. */
        r->tenant_header = pl_arena_printf(&r->texts, "X-Scope-OrgID: %s-%llx-%llu", r->o.tenant,
                                           (unsigned long long)r->o.now_ms, (unsigned long long)r->places)
                               .p;
    }
}

/* Brings the data of this moment to the server, and to the engines here that say what depends on what. */
static pl_status settle(struct remote *r, struct pl_err *err)
{
    struct remote_series *v;
    size_t n;
    pl_status st;

    if (r->written) {
        return PL_OK;
    }
    new_place(r);
    drop_locals(r);
    r->moved = ptest_local_create(&(struct ptest_local_options){.base_ms = r->base_ms});
    r->immediate = ptest_local_create(&(struct ptest_local_options){.base_ms = r->base_ms, .immediate_names = true});
    for (size_t i = 0; i < r->load_count; i++) {
        PL_TRY(r->moved->ops->load(r->moved, r->loads[i], err));
        PL_TRY(r->immediate->ops->load(r->immediate, r->loads[i], err));
    }
    PL_TRY(collect(r, &v, &n, err));
    st = write_all(r, v, n, err);
    pl_free(v);
    r->written = st == PL_OK;
    return st;
}

/* ---- asking ---- */

static void add(struct pl_buf *form, const char *name, pl_str value)
{
    pl_buf_printf(form, "%s%s=", form->n > 0 ? "&" : "", name);
    ctl_http_escape(form, value);
}

static void add_seconds(struct pl_buf *form, const char *name, int64_t ms)
{
    char text[FLOAT_TEXT_MAX];

    add(form, name, pl_str_of(text, float_put_f(text, (double)ms / 1000)));
}

static pl_status ask_text(struct remote *r, struct pl_arena *a, pl_str text, const struct ptest_question *q,
                          struct ptest_answer *out, struct pl_err *err)
{
    const char *headers[HEADERS_MAX] = {"Content-Type: application/x-www-form-urlencoded", r->tenant_header};
    struct pl_buf form, answer;
    const char *url = pl_arena_printf(a, "%.*s%s", PL_STR_ARG(r->query_url), q->range ? "query_range" : "query").p;
    int status = 0;
    pl_status st;

    pl_buf_init(&form, 0);
    pl_buf_init(&answer, 0);
    add(&form, "query", text);
    if (q->range) {
        add_seconds(&form, "start", r->base_ms + q->start_ms);
        add_seconds(&form, "end", r->base_ms + q->end_ms);
        add_seconds(&form, "step", q->step_ms);
    } else {
        add_seconds(&form, "time", r->base_ms + q->start_ms);
    }
    st = send(r, url, headers, pl_buf_view(&form), &status, &answer, err);
    if (st == PL_OK) {
        st = remote_answer_parse(out, a, pl_buf_view(&answer), status, r->base_ms, err);
    }
    pl_buf_fini(&answer);
    pl_buf_fini(&form);
    return st;
}

/* The query with its `@ time` moved to the server's times; as written where there is none. */
static pl_status moved_text(pl_str *out, struct pl_arena *a, const struct remote *r, const struct ptest_question *q,
                            struct pl_err *err)
{
    struct pq_node *n;
    struct pl_buf b;

    *out = q->text;
    if (q->expr == NULL || pl_str_find(q->text, '@') == SIZE_MAX) {
        return PL_OK;
    }
    PL_TRY(pq_parse(&n, a, q->text, &ptest_parse_options, err));
    ptest_shift_at(n, r->base_ms);
    pl_buf_init(&b, 0);
    pq_print(&b, n);
    *out = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return PL_OK;
}

static pl_status remote_ask(struct ptest_target *t, struct pl_arena *a, const struct ptest_question *q,
                            struct ptest_answer *out, struct pl_err *err)
{
    struct remote *r = (struct remote *)t;
    pl_str text;

    PL_TRY(settle(r, err));
    PL_TRY(moved_text(&text, a, r, q, err));
    PL_TRY(ask_text(r, a, text, q, out, err));
    if (out->failed && q->expr != NULL && pl_str_find_str(out->error, PL_STR("parse error: ")) != SIZE_MAX) {
        out->skip = pl_arena_printf(a, "the server's parser does not take it: %.*s", PL_STR_ARG(out->error)).p;
    }
    return PL_OK;
}

/* Does the server drop metric names at once? Then abs() has lost the name before it is copied into a label. */
static void probe(struct remote *r, struct pl_arena *a)
{
    static const pl_str text =
        PL_STR_INIT("label_replace(abs(label_replace(vector(1), \"__name__\", \"x\", \"\", \"\")), \"kept\", \"$1\", "
                    "\"__name__\", \"(.*)\")");
    struct ptest_question q = {.text = text};
    struct ptest_answer answer;

    if (ask_text(r, a, text, &q, &answer, NULL) == PL_OK && answer.n == 1) {
        r->drops_names_at_once = labels_get(answer.rows[0].labels, PL_STR("kept")).n == 0;
        r->probed = true;
    }
}

static const char *remote_cannot(struct ptest_target *t, struct pl_arena *a, const struct ptest_eval *e,
                                 const struct pq_node *expr)
{
    struct remote *r = (struct remote *)t;
    const char *why = r->local->ops->cannot(r->local, a, e, expr);
    struct pl_err err = {.status = PL_OK};

    if (why != NULL) {
        return why;
    }
    if (settle(r, &err) != PL_OK) {
        return NULL; /* asking fails with the same error and shows it */
    }
    if (r->refused != NULL) {
        return r->refused;
    }
    if (!r->probed) {
        probe(r, a);
    }
    if (!ptest_agrees(r->local, a, e, expr)) {
        return NULL; /* whatever it depends on, the server may know better */
    }
    if (!ptest_agrees(r->moved, a, e, expr)) {
        return "its result depends on the absolute time";
    }
    if (r->drops_names_at_once && !ptest_agrees(r->immediate, a, e, expr)) {
        return "its result depends on delayed name removal, which is off there";
    }
    return NULL;
}

/* ---- data ---- */

static pl_status remote_load(struct ptest_target *t, const struct ptest_load *load, struct pl_err *err)
{
    struct remote *r = (struct remote *)t;

    PL_TRY(r->local->ops->load(r->local, load, err));
    pl_array_reserve(r->loads, r->load_cap, r->load_count + 1);
    r->loads[r->load_count++] = load;
    r->written = false;
    return PL_OK;
}

static pl_status remote_clear(struct ptest_target *t, struct pl_err *err)
{
    struct remote *r = (struct remote *)t;

    r->load_count = 0;
    r->written = false;
    return r->local->ops->clear(r->local, err);
}

void remote_forget(struct ptest_target *t)
{
    if (remote_clear(t, NULL) != PL_OK) {
        PL_UNREACHABLE("the local store cannot refuse");
    }
}

static void remote_destroy(struct ptest_target *t)
{
    struct remote *r = (struct remote *)t;

    drop_locals(r);
    ptest_target_destroy(r->local);
    ctl_http_destroy(r->http);
    pl_arena_fini(&r->place);
    pl_arena_fini(&r->texts);
    pl_free(r->loads);
    pl_free(r);
}

struct ptest_target *remote_create(const struct remote_options *o)
{
    static const struct ptest_target_ops ops = {.load = remote_load,
                                                .clear = remote_clear,
                                                .cannot = remote_cannot,
                                                .ask = remote_ask,
                                                .destroy = remote_destroy};
    struct remote *r = pl_new(struct remote);
    pl_str url = pl_str_c(o->url);

    r->base = (struct ptest_target){.ops = &ops};
    r->o = *o;
    pl_arena_init(&r->texts, 0);
    pl_arena_init(&r->place, 0);
    while (url.n > 0 && url.p[url.n - 1] == '/') {
        url.n--;
    }
    r->query_url = pl_arena_printf(&r->texts, "%.*s/api/v1/", PL_STR_ARG(url));
    if (o->by_time && o->tenant[0] != '\0') {
        r->tenant_header = pl_arena_printf(&r->texts, "X-Scope-OrgID: %s", o->tenant).p;
    }
    r->local = ptest_local_create(&(struct ptest_local_options){.cheap = false});
    ctl_http_setup();
    r->http = ctl_http_create();
    return &r->base;
}
