/* ctl/remote.h - a server as a target of the test language: series go there by remote write 1.0, questions over the
 * query API.
 *
 * A test's time 0 becomes a recent time, a multiple of a day, since servers refuse old samples. What was loaded before
 * must not be seen after `clear`, and a server takes no sample older than the ones it has: so whenever data changed
 * before a question, all of it is written anew, in a place of its own: under a tenant that no one used (Pallium,
 * Cortex, Mimir) or at a later time, far from the place before (Prometheus, which has no tenants). Threads: confined.
 */
#ifndef PL_CTL_REMOTE_H
#define PL_CTL_REMOTE_H

#include "promqltest/promqltest.h"

struct ctl_http;

struct remote_options {
    const char *url;       /* up to before /api/v1 */
    const char *write_url; /* of remote write */
    const char *tenant;    /* the tenants' common beginning; by_time: the tenant itself, "" for none */
    bool by_time;
    int64_t now_ms;
};

struct ptest_target *remote_create(const struct remote_options *o);
/* Reserves the places that the script needs; for each script before the first one runs. */
void remote_reserve(struct ptest_target *t, const struct ptest_script *s);
/* Forgets all that was loaded: before another script. */
void remote_forget(struct ptest_target *t);

/* ---- remote_write_out.c ---- */

struct remote_series {
    const struct ptest_series *series;
    int64_t step_ms;
};

/* Appends the WriteRequest (not compressed) with the samples from_ms <= t < to_ms, t without base_ms. Returns how
 * many. */
size_t remote_write_put(struct pl_buf *out, const struct remote_series *series, size_t n, int64_t base_ms,
                        int64_t from_ms, int64_t to_ms);

/* Servers store a request's floats before its histograms, and then refuse those that are older: the first time up to
 * to_ms where a series goes on with the other kind, for which another request is needed. */
int64_t remote_write_cut(const struct remote_series *series, size_t n, int64_t from_ms, int64_t to_ms);

/* ---- remote_answer.c ---- */

/* Reads the query API's JSON; times lose base_ms. PL_UNAVAILABLE: it is no answer to the question. */
PL_MUST_USE pl_status remote_answer_parse(struct ptest_answer *out, struct pl_arena *a, pl_str json, int http_status,
                                          int64_t base_ms, struct pl_err *err);

#endif
