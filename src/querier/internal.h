/* querier/internal.h - what the files of this folder share: the querier, one call's state, parameters, answers. */
#ifndef PL_QUERIER_INTERNAL_H
#define PL_QUERIER_INTERNAL_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/sync.h"
#include "metric/metric.h"
#include "promql/engine.h"
#include "querier/active.h"
#include "querier/messages.h"
#include "querier/querier.h"
#include "querier/queue.h"

enum {
    QUERIER_POINTS_MAX = 11000,
    QUERIER_NOTES_MAX = 10,         /* warnings and infos shown, each */
    QUERIER_BODY_MAX = 10 << 20,    /* frontend.max_body_size's default */
    QUERIER_LABEL_ROWS_MAX = 10000, /* status/tsdb?limit= */
};

#define QUERIER_TIME_MIN_TEXT PL_STR("-292273086-05-16T16:47:06Z")
#define QUERIER_TIME_MAX_TEXT PL_STR("292277025-08-18T07:12:54.999999999Z")
/* Those two in milliseconds, as Prometheus's minTime and maxTime. */
#define QUERIER_TIME_MIN_MS   (INT64_MIN / 1000 * 1000 + INT64_C(62135596801000))
#define QUERIER_TIME_MAX_MS   (INT64_MAX / 1000 * 1000 - INT64_C(62135596801000) + 999)
/* Evaluation times stay this far inside int64, so that ranges and offsets cannot wrap. */
#define QUERIER_EVAL_MS_MAX   (INT64_C(1) << 61)

/* Cells whose labels do not depend on the request. Const after create. */
struct querier_cells {
    struct metric_cell *running, *samples, *waited, *queue_time, *prepare_time, *inner_eval, *result_sort;
};
/* Of one route, for what most of its answers are: 200 to GET and to POST. Looked up once, by whoever is first. */
struct querier_request_cells {
    struct metric_cell *_Atomic get_ok, *_Atomic post_ok;
};

struct querier {
    struct querier_options o;
    struct querier_cells cell;
    struct overrides *limits; /* borrowed */
    struct query_port *port;  /* borrowed */
    struct querier_queue *queue;
    struct active_queries *active;
    struct pl_arena route_arena; /* what the routes' handlers get */
    int64_t start_unix_ms;
};

/* One request in the hands of its handler. */
struct querier_call {
    struct querier *q;
    struct http_request *req;
    struct http_response *resp;
    const struct http_param *params;
    size_t param_count;
    struct pl_arena arena; /* of this query, with the byte limit */
    const struct limits *limits;
    int64_t now_ms;
    int64_t start_mono_ns;
    int64_t queue_ns;         /* how long it waited for its turn */
    bool reached_limit;       /* the answer was cut by `limit` */
    pl_status answer_stopped; /* why it was given up halfway */
    struct pl_err err;
};

typedef pl_status (*querier_fn)(struct querier_call *c);

/* ---- params.c ---- */
pl_str querier_param(const struct querier_call *c, const char *name); /* first value, empty when absent */
size_t querier_param_all(const struct querier_call *c, const char *name, pl_str *out, size_t max);
PL_MUST_USE pl_status querier_parse_time(int64_t *out_ms, pl_str text, struct pl_err *err);
PL_MUST_USE pl_status querier_parse_duration(int64_t *out_ms, pl_str text, struct pl_err *err);
PL_MUST_USE pl_status querier_parse_limit(uint64_t *out, pl_str text, struct pl_err *err);
/* start and end of the label and series endpoints. */
PL_MUST_USE pl_status querier_time_range(struct querier_call *c, int64_t *mint_ms, int64_t *maxt_ms);
/* A Go duration: 1h30m0s, 1.5s, 0s. */
pl_str querier_go_duration(struct pl_arena *a, int64_t ns);
pl_str querier_quote(struct pl_arena *a, pl_str s); /* Go's %q */
/* U__ escaped label names of URLs become what they stand for; others stay. PL_LIMIT when the arena is full. */
PL_MUST_USE pl_status querier_unescape_label(pl_str *out, struct pl_arena *a, pl_str name, struct pl_err *err);

/* ---- source.c ---- */
/* The tenant's source, with max_query_lookback and max_query_length in front. */
PL_MUST_USE pl_status querier_source(struct querier_call *c, struct series_source **out);
PL_MUST_USE pl_status querier_check_length(struct querier_call *c, pl_status st, int64_t mint_ms, int64_t maxt_ms);

/* ---- admit.c ---- */
/* On a loop: a request whose body is there goes to the queue; false: it is refused, and resp says why. arg: querier. */
bool querier_submit(void *arg, struct worker_job *job, struct http_request *req, struct http_response *resp);
/* The first thing of each handler that was submitted. PL_CANCELED, PL_TIMEOUT, PL_UNAVAILABLE. */
PL_MUST_USE pl_status querier_admit(struct querier_call *c);
/* From the end of the request, so that waiting counts; timeout_ms 0: the client asked for none. */
int64_t querier_deadline(const struct querier_call *c, int64_t timeout_ms);
PL_MUST_USE pl_status querier_still_wanted(struct querier_call *c, int64_t deadline_mono_ns);

/* ---- answer.c ---- */
void querier_answer_begin(struct querier_call *c); /* {"status":"success","data": */
/* Closes the envelope with notes and the limit's warning; PL_LIMIT when the answer grew past its limit. */
PL_MUST_USE pl_status querier_answer_end(struct querier_call *c, const struct pq_notes *notes);
void querier_answer_labels(struct pl_buf *b, struct labels ls);
/* answer_hist.c: [time,{"count":"..","sum":"..","buckets":[..]}] */
void querier_answer_hist(struct pl_buf *b, int64_t t_ms, const struct hist *h);
/* The whole answer of a query; `limit` 0: all. */
PL_MUST_USE pl_status querier_answer_result(struct querier_call *c, const struct pq_result *r,
                                            const struct pq_query *query, uint64_t limit, bool stats);

/* ---- endpoints ---- */
pl_status querier_query(struct querier_call *c);
pl_status querier_query_range(struct querier_call *c);
pl_status querier_labels(struct querier_call *c);
pl_status querier_label_values(struct querier_call *c);
pl_status querier_series(struct querier_call *c);
pl_status querier_series_delete(struct querier_call *c);
pl_status querier_exemplars(struct querier_call *c);
pl_status querier_metadata(struct querier_call *c);
pl_status querier_format(struct querier_call *c);
pl_status querier_parse(struct querier_call *c);
pl_status querier_buildinfo(struct querier_call *c);
pl_status querier_runtimeinfo(struct querier_call *c);
pl_status querier_config(struct querier_call *c);
pl_status querier_flags(struct querier_call *c);
pl_status querier_tsdb(struct querier_call *c);

/* ---- metrics.c ---- */
void querier_metrics_init(struct querier *q);
void querier_metrics_running(struct querier *q, double delta);
void querier_metrics_waits(pl_str tenant, double delta);
void querier_metrics_waited(struct querier *q, int64_t ns);
void querier_metrics_discarded(pl_str tenant);
void querier_metrics_query(struct querier *q, const char *op, pl_str tenant, const struct pq_stats *stats,
                           int64_t queue_ns);
void querier_metrics_request(struct querier_request_cells *cells, const struct http_request *req, int status,
                             int64_t duration_ns);

#endif
