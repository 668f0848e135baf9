/* From the loop to the queue, and from the queue to the handler: who waits, for how long, and who is refused. */
#include "base/memory.h"
#include "ports/shed.h"
#include "querier/internal.h"

enum { LOOP_PARAMS_MAX = 4096 }; /* bytes of parameters that a loop may decode */

static uint64_t wait_max(struct querier *q, pl_str tenant)
{
    const struct limits *l;
    uint64_t max;

    if (q->limits == NULL) {
        return QUEUE_WAIT_MAX;
    }
    l = limits_get(q->limits, tenant);
    max = (uint64_t)PL_MAX(l->max_outstanding_requests_per_tenant, (int64_t)0);
    limits_put(q->limits, l);
    return max;
}

/* The `timeout` parameter in nanoseconds; INT64_MAX: none, not readable (the handler says so), or too long a request to
 * look for it here: then the handler finds it when its turn has come. */
static int64_t asked_timeout_ns(struct http_request *req)
{
    struct http_param *params;
    size_t count;
    struct pl_err err;
    int64_t ms;
    int64_t ns;

    if (req->query.n + req->body.n > LOOP_PARAMS_MAX || http_params(req, &params, &count, &err) != PL_OK) {
        return INT64_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        if (pl_str_eq(params[i].name, PL_STR("timeout"))) {
            return querier_parse_duration(&ms, params[i].value, &err) == PL_OK &&
                           pl_mul_ok(&ns, PL_MAX(ms, (int64_t)1), PL_NS_PER_MS)
                       ? ns
                       : INT64_MAX;
        }
    }
    return INT64_MAX;
}

static int64_t deadline_of(const struct querier *q, int64_t from_ns, int64_t asked_ns)
{
    int64_t ns = q->o.timeout_ns > 0 ? PL_MIN(q->o.timeout_ns, asked_ns) : asked_ns;
    int64_t deadline;

    return pl_add_ok(&deadline, from_ns, ns) ? deadline : INT64_MAX;
}

static pl_status submit(struct querier *q, struct worker_job *job, struct http_request *req, struct pl_err *err)
{
    struct querier_ticket *t = pl_arena_new(req->arena, struct querier_ticket);
    enum querier_queue_answer answer;

    PL_TRY(shed_check(SHED_QUERY, err));
    *t = (struct querier_ticket){
        .job = job,
        .cancel = req->canceled,
        .deadline_mono_ns = deadline_of(q, req->ready_mono_ns, asked_timeout_ns(req)),
    };
    querier_metrics_waits(req->tenant, 1); /* before: it may be served and counted down at once */
    answer = querier_queue_submit(q->queue, req->tenant, wait_max(q, req->tenant), t);
    if (answer == QUEUE_TAKEN) {
        return PL_OK;
    }
    querier_metrics_waits(req->tenant, -1);
    querier_metrics_discarded(req->tenant);
    return answer == QUEUE_TENANT_FULL ? pl_fail(err, PL_RATE, MSG_QUEUE_TENANT_FULL)
                                       : pl_fail(err, PL_UNAVAILABLE, MSG_QUEUE_FULL, (int)QUEUE_WAIT_MAX);
}

bool querier_submit(void *arg, struct worker_job *job, struct http_request *req, struct http_response *resp)
{
    struct pl_err err;
    pl_status st = server_tenant_check(req->tenant, &err);

    if (st != PL_OK) {
        server_text_fail(resp, &err); /* COMPAT: a malformed tenant is a text error, unlike all others */
        return false;
    }
    if (submit(arg, job, req, &err) != PL_OK) {
        server_json_fail(resp, &err);
        return false;
    }
    return true;
}

pl_status querier_admit(struct querier_call *c)
{
    c->queue_ns = PL_MAX(c->start_mono_ns - c->req->ready_mono_ns, (int64_t)0);
    querier_metrics_waits(c->req->tenant, -1);
    querier_metrics_waited(c->q, c->queue_ns);
    PL_TRY(querier_still_wanted(c, deadline_of(c->q, c->req->ready_mono_ns, INT64_MAX)));
    return shed_check(SHED_QUERY, &c->err);
}

int64_t querier_deadline(const struct querier_call *c, int64_t timeout_ms)
{
    int64_t ns;

    if (timeout_ms <= 0 || !pl_mul_ok(&ns, timeout_ms, PL_NS_PER_MS)) {
        ns = INT64_MAX;
    }
    return deadline_of(c->q, c->req->ready_mono_ns, ns);
}

pl_status querier_still_wanted(struct querier_call *c, int64_t deadline_mono_ns)
{
    if (c->req->canceled != NULL && atomic_load_explicit(c->req->canceled, memory_order_relaxed)) {
        return pl_fail(&c->err, PL_CANCELED, MSG_CANCELED);
    }
    return pl_now_mono_ns() >= deadline_mono_ns ? pl_fail(&c->err, PL_TIMEOUT, MSG_QUEUE_TIMEOUT) : PL_OK;
}
