/* ctl/rules_state.h - evaluates rule groups over a store in memory, as Prometheus's rule manager does.
 *
 * Series that rules record and the ALERTS series go into the store; series that a rule no longer gives get a stale
 * marker. Alerts live until 15 minutes after they are resolved. Threads: confined.
 */
#ifndef PL_CTL_RULES_STATE_H
#define PL_CTL_RULES_STATE_H

#include "ctl/rules_file.h"
#include "promql/engine.h"
#include "promqltest/mem_source.h"

enum alert_state { ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING };

struct alert {
    struct labels labels, annotations;
    enum alert_state state;
    double value;
    int64_t active_ms, resolved_ms, keep_since_ms; /* 0: not */
    bool seen;                                     /* in this evaluation */
};

struct rule_state {
    const struct rule *rule;
    const struct rule_group *group;
    struct alert **alerts;
    size_t n, cap;
    struct labels *given; /* series of the last evaluation */
    size_t given_count;
};

struct rules_state {
    struct mem_source source;
    struct pl_arena arena;   /* as long as the state */
    struct pl_arena scratch; /* of one rule's evaluation */
    struct labels external_labels;
    pl_str external_url;
    int64_t subquery_step_ms;
    bool delayed_names;
    struct rule_state *rules; /* in order of evaluation */
    size_t n;
};

/* The groups (in the order of evaluation) stay borrowed. */
void rules_state_init(struct rules_state *s, const struct rule_group *const *groups, size_t n);
void rules_state_fini(struct rules_state *s);
/* Evaluates all rules at t; PL_EXEC and others name the rule. */
PL_MUST_USE pl_status rules_state_eval(struct rules_state *s, int64_t t_ms, struct pl_err *err);
/* An instant query whose result is a vector; a scalar becomes one without labels. */
PL_MUST_USE pl_status rules_state_query(struct rules_state *s, struct pl_arena *a, const struct pq_node *expr,
                                        int64_t t_ms, struct pq_result *out, struct pl_err *err);

#endif
