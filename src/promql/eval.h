/* promql/eval.h - the evaluator's inner words: grids, columns, operators (this folder only).
 *
 * A query becomes a tree of operators. An operator hands out batches of columns: one column a series, one value a step
 * of the operator's grid. A step without a sample holds PQ_ABSENT, the stale marker's bits, which no arithmetic and no
 * sample of a vector can produce. Batches pull: next() gives columns until an empty batch. The reader owns a batch
 * until it calls next() again and may change values in place. With `keep`, columns stay valid to the end of the query.
 * Label arrays and texts live in the query's arena, so views of them may be kept.
 * A step holds a float in v, a native histogram in h, or nothing: where h[i] is set, v[i] is absent. So whatever knows
 * floats only skips histograms by itself; it must set h to NULL when it hands the column on. Histograms of a batch live
 * as long as the batch (pq__hists); what an operator keeps longer it copies.
 */
#ifndef PL_PROMQL_EVAL_H
#define PL_PROMQL_EVAL_H

#include "base/arena.h"
#include "model/series.h"
#include "promql/ast.h"
#include "promql/engine.h"
#include "promql/functions.h"

#define PQ_ABSENT_BITS PL_STALE_NAN_BITS

static inline double pq_absent(void)
{
    return pl_f64_from_bits(PQ_ABSENT_BITS);
}
static inline bool pq_is_absent(double v)
{
    return pl_f64_bits(v) == PQ_ABSENT_BITS;
}
/* Go's math.NaN(). */
static inline double pq_nan(void)
{
    return pl_f64_from_bits(PL_NORMAL_NAN_BITS);
}

/* Query times and @ stay within this, so that adding ranges and offsets (at most 2^44 ms) cannot overflow. */
#define PQ_TIME_LIMIT_MS (INT64_C(1) << 61)

/* The timestamps at which an expression is evaluated: start, start + step, ... */
struct grid {
    int64_t start_ms;
    int64_t step_ms; /* >= 1 */
    size_t n;
    bool ranged; /* a range query's or a subquery's that ends after its first step, even if that is the only one */
};
static inline int64_t grid_at(struct grid g, size_t i)
{
    return g.start_ms + (int64_t)i * g.step_ms;
}

struct column {
    struct labels labels;
    double *v;             /* grid.n values */
    const struct hist **h; /* grid.n pointers; NULL: no histogram at all */
    bool drop_name;        /* delayed name removal: the name goes at the end of the query */
};

struct batch {
    struct column *col;
    size_t n;
};

static inline bool pq_has_hist(const struct column *c, size_t i)
{
    return c->h != NULL && c->h[i] != NULL;
}
static inline bool pq_has(const struct column *c, size_t i)
{
    return !pq_is_absent(c->v[i]) || pq_has_hist(c, i);
}

/* Samples that selectors touched, for the statistics. */
struct tally {
    uint64_t total;
    uint64_t *per_step; /* NULL: not wanted */
};

/* What had to be changed so that a classic histogram's counts rise. */
struct monotonic_fix {
    bool forced;
    double bound_min, bound_max, diff_max;
};

struct note {
    bool is_info;
    uint64_t hash;
    struct pq_note_detail d;
    struct pq_pos by;
    pl_str text;
    /* What is about monotonicity; `op` NULL: nothing is, and the rest is unused */
    const struct op *op; /* the operator that is at work */
    uint32_t *per_step;  /* how often it had to fix something */
    uint64_t count;      /* of all operators before it */
    struct monotonic_fix fix;
    int64_t t_min_ms, t_max_ms;
};

/* One running query. */
struct exec {
    struct pl_arena *arena;
    struct series_source *source;
    const struct pq_query *q;
    struct note *notes;
    size_t note_count, note_cap;
    struct pl_buf text;   /* scratch for keys and messages */
    uint64_t samples_now; /* points held or handed out, as Prometheus counts them */
    struct pq_stats stats;
    uint32_t check_skip;
    bool typed;            /* a series selected so far has __type__ or __unit__, which go with the name */
    struct shares *shares; /* share.h; NULL: nothing is shared */
    /* explain.c; all NULL when nothing is explained */
    struct op *ops; /* every operator, newest first, by `sibling` */
    struct op *root;
    struct op *planning;     /* the operator whose inputs are being made */
    struct op_cost *running; /* of the operator that called the one running now */
};

struct op;
struct op_ops {
    const char *name;
    pl_status (*next)(struct op *op, struct batch *out, struct pl_err *err);
};

/* What explaining knows of an operator. */
struct op_cost {
    uint64_t series, samples; /* found by its selector */
    uint64_t columns, points; /* handed out */
    int64_t own_ns, child_ns;
    size_t own_bytes, child_bytes;
};

struct op {
    const struct op_ops *ops;
    struct exec *x;
    const struct pq_node *node; /* for messages */
    struct grid grid;
    struct op *stream; /* the child whose columns are handed on in place; NULL: own columns */
    bool keep;
    /* own columns */
    size_t batch_max;    /* most columns of a batch */
    struct column *cols; /* batch_max entries, made with the first batch */
    double *pool_base, *pool_at;
    size_t pool_left;      /* columns */
    struct pl_arena hists; /* histograms made for the current batch; with keep, for all */
    bool hists_made;
    /* explain.c */
    struct op *parent, *sibling;
    struct op_cost cost;
};

/* Where a subtree is evaluated. */
struct scope {
    struct grid grid;
    struct tally *tally;
};

enum {
    PQ_BATCH_VALUES = 32768,
    PQ_BATCH_MIN = 4,
    PQ_BATCH_MAX = 256,
    PQ_NOTES_MAX = 10000,
    PQ_BATCH_HIST_BYTES = 4 << 20, /* a batch whose histograms take more is handed out before it is full */
};

/* ---- eval_op.c: what operators share ---- */

void pq__op_init(struct op *op, const struct op_ops *ops, struct exec *x, const struct pq_node *node, struct grid grid);
PL_MUST_USE pl_status pq__next(struct op *op, struct batch *out, struct pl_err *err);
/* Columns handed out from now on stay valid until the query ends. Before the first next() only. */
void pq__keep(struct op *op);
/* Own columns: begin a batch, take a column's values (NULL past the limit), give the newest one back. */
PL_MUST_USE pl_status pq__cols_begin(struct op *op, struct pl_err *err);
/* Only op->cols, for operators whose values lie elsewhere. */
PL_MUST_USE pl_status pq__cols_array(struct op *op, struct pl_err *err);
/* A batch of one column without labels; its values are to be filled. */
PL_MUST_USE pl_status pq__one_column(struct op *op, struct batch *out, struct pl_err *err);
double *pq__col_take(struct op *op);
void pq__col_untake(struct op *op);
/* PL_LIMIT that names the limit and the part of the query. */
pl_status pq__nomem(const struct op *op, struct pl_err *err);
pl_status pq__nomem_node(struct exec *x, const struct pq_node *node, struct pl_err *err);
/* PL_TIMEOUT or PL_CANCELED when the query must end. Cheap: reads the clock now and then. */
PL_MUST_USE pl_status pq__check(struct exec *x, struct pl_err *err);
PL_MUST_USE pl_status pq__count_samples(struct exec *x, uint64_t n, struct pl_err *err);
/* Reads all columns of a child; they stay valid. */
PL_MUST_USE pl_status pq__drain(struct op *op, struct batch *out, struct pl_err *err);
/* The one column of a scalar child. */
PL_MUST_USE pl_status pq__scalar(struct op *op, double **out, struct pl_err *err);
/* Removes columns without any sample. */
void pq__compact(struct batch *b, size_t steps);
bool pq__col_any(const struct column *c, size_t n);
/* How many steps hold a sample, and what they count for: a float 1, a histogram by its size. */
uint64_t pq__col_cost(const struct column *c, size_t n);
/* Histograms of a batch: the arena that they are made in (NULL: no memory); emptied at the next batch, unless kept. */
struct pl_arena *pq__hists(struct op *op);
void pq__hists_begin(struct op *op);
bool pq__hists_full(const struct op *op);
/* grid.n NULL pointers in that arena; NULL: no memory. */
const struct hist **pq__hist_column(struct op *op);
/* Moves the sample at step i of `from` into `to`, whose step is absent. PL_LIMIT when memory ends. */
PL_MUST_USE pl_status pq__sample_put(struct op *op, struct column *to, const struct column *from, size_t i,
                                     struct pl_err *err);
/* The step becomes absent. */
static inline void pq_clear(struct column *c, size_t i)
{
    c->v[i] = pq_absent();
    if (c->h != NULL) {
        c->h[i] = NULL;
    }
}
pl_str pq__str_try(struct pl_arena *a, pl_str s); /* p == NULL: no memory */
bool pq__any(const double *v, size_t n);
void pq__fill_absent(double *v, size_t n);
/* Takes the name off: at once, or by marking with delayed removal. PL_LIMIT when memory ends. */
PL_MUST_USE pl_status pq__drop_name(struct op *op, struct column *c, struct pl_err *err);
bool pq__label_is_reserved(pl_str name);
/* The labels without __name__, __type__ and __unit__; v == NULL with n > 0: no memory. */
struct labels pq__labels_drop_reserved(struct pl_arena *a, struct labels ls);
struct labels pq__labels_without(struct pl_arena *a, struct labels ls, const pl_str *names, size_t count,
                                 bool and_name);
struct labels pq__labels_only(struct pl_arena *a, struct labels ls, const pl_str *names, size_t count);
struct labels pq__labels_set(struct pl_arena *a, struct labels ls, pl_str name, pl_str value); /* empty value removes */
bool pq__name_in(pl_str name, const pl_str *names, size_t count);
const pl_str *pq__names_sorted(struct pl_arena *a, const pl_str *names, size_t count);
void pq__batch_slice(const struct batch *all, size_t *at, size_t max, struct batch *out);

/* ---- notes.c: annotations; texts come without their prefix ---- */

void pq__note(struct exec *x, bool is_info, struct pq_pos pos, const char *fmt, ...) PL_PRINTF(4, 5);
void pq__note_named(struct exec *x, bool is_info, struct pq_pos pos, const char *prefix, pl_str name);
/* The argument `arg` of `by` is not a quantile. */
void pq__note_quantile(struct exec *x, const struct pq_node *by, const struct pq_node *arg, double q);
void pq__note_bad_bucket(struct exec *x, struct pq_pos pos, pl_str le, pl_str name);
void pq__note_monotonic(const struct op *op, struct pq_pos pos, pl_str name, const struct monotonic_fix *fix,
                        size_t step);
bool pq__notes_finish(struct pq_notes *out, struct exec *x);

/* ---- explain.c ---- */

void pq__explain_op(struct op *op);                                     /* a new operator below x->planning */
void pq__explain_wrap(struct op *wrapper, struct op *child);            /* wrapper took child's place */
void pq__explain_selected(struct exec *x, const struct series_list *l); /* by the operator being made */
PL_MUST_USE pl_status pq__explain_next(struct op *op, struct batch *out, struct pl_err *err);
struct pq_explained *pq__explained(struct exec *x); /* NULL: no memory, or no operator */

/* ---- keytab.c: byte keys to small numbers ---- */

struct keytab_slot;
struct keytab {
    struct pl_arena *a;
    struct keytab_slot *slots;
    size_t cap; /* power of two */
    size_t n;   /* keys, numbered 0..n-1 in order of arrival */
};
/* *index of the key, which is added when new (*added). False: no memory. */
bool pq__keytab_put(struct keytab *t, pl_str key, uint32_t *index, bool *added);
bool pq__keytab_get(const struct keytab *t, pl_str key, uint32_t *index);
/* Unambiguous bytes of labels, written to b (reset before). */
void pq__key_all(struct pl_buf *b, struct labels ls);
void pq__key_only(struct pl_buf *b, struct labels ls, const pl_str *sorted, size_t count);
/* All labels but these and, where and_name, __name__. */
void pq__key_without(struct pl_buf *b, struct labels ls, const pl_str *sorted, size_t count, bool and_name);

/* ---- plan.c ---- */

PL_MUST_USE pl_status pq__plan(struct op **out, struct exec *x, const struct pq_node *node, struct scope s,
                               struct pl_err *err);
const struct pq_node *pq__unparen(const struct pq_node *n);
bool pq__invariant(const struct pq_node *n);
/* May columns of this expression collide once the name is dropped? */
bool pq__name_unique(const struct pq_node *n);
PL_MUST_USE pl_status pq__duration(int64_t *out_ms, struct exec *x, const struct pq_dur *d, bool negative_ok,
                                   struct pl_err *err);
/* Time modifiers with all expressions resolved. */
struct when {
    int64_t offset_ms;
    bool fixed; /* @ */
    int64_t at_ms;
};
PL_MUST_USE pl_status pq__when(struct when *out, struct exec *x, const struct pq_time *t, struct pl_err *err);
/* The time that step i of the grid looks at. */
static inline int64_t pq__ref(struct when w, struct grid g, size_t i)
{
    return (w.fixed ? w.at_ms : grid_at(g, i)) - w.offset_ms;
}
/* A subquery's own grid under a parent's; n may be 0. */
PL_MUST_USE pl_status pq__subquery_grid(struct grid *out, int64_t *range_ms, struct when *when, struct exec *x,
                                        const struct pq_node *n, struct grid parent, struct pl_err *err);

/* ---- makers, one per kind of operator ---- */

pl_status pq__make_number(struct op **out, struct exec *x, const struct pq_node *n, double v, struct scope s,
                          struct pl_err *err);
/* What a selector's column holds: its samples, their times in seconds, or these where a histogram is an error. */
enum selector_values { SELECT_SAMPLES, SELECT_TIMES, SELECT_INFO_TIMES };
pl_status pq__make_selector(struct op **out, struct exec *x, const struct pq_node *n, enum selector_values values,
                            struct scope s, struct pl_err *err);
/* COMPAT: for timestamp(selector @ t offset o) Prometheus reads the samples around t - o, in which it then looks for
 * those of t: it has forgotten the offset. */
void pq__selector_forget_offset(struct op *selector);
pl_status pq__make_negate(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err);
pl_status pq__make_absent(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err);
pl_status pq__make_range_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                              struct pl_err *err);
pl_status pq__make_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err);
pl_status pq__make_label_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                              struct pl_err *err);
pl_status pq__make_histogram_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                  struct pl_err *err);
pl_status pq__make_sort_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err);
pl_status pq__make_info_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err);
pl_status pq__make_aggregate(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err);
pl_status pq__make_aggregate_k(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                               struct pl_err *err);
pl_status pq__make_count_values(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                struct pl_err *err);
pl_status pq__make_binary(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err);
pl_status pq__make_match(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err);
pl_status pq__make_set(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err);
/* Merges columns of equal labels; samples at the same step fail. finish: takes marked names off first. */
pl_status pq__make_merge(struct op **out, struct op *child, bool finish, struct pl_err *err);
/* Does what follows a function that dropped names without delayed removal: merges where names may have told apart. */
pl_status pq__make_renamed(struct op **out, const struct pq_node *input, struct pl_err *err);
/* Evaluated once, at the first step of `grid`, repeated for every step. */
pl_status pq__make_repeat(struct op **out, struct op *child, struct tally *from, struct scope s, struct pl_err *err);

/* ---- eval_selector.c: also used for matrices as results ---- */

struct selection {
    struct series_list list;
    int64_t mint_ms, maxt_ms;
    bool only_stats; /* histograms are wanted without their buckets */
    /* How Prometheus moves over a series, which shows in such histograms: it reads up to a step's time and goes on from
     * there, or from the time less this where that is further. */
    int64_t first_ms, reach_ms, step_ms;
};
struct select_window {
    int64_t mint_ms, maxt_ms; /* inclusive */
    int64_t range_ms, step_ms;
};
PL_MUST_USE pl_status pq__select(struct selection *out, struct exec *x, const struct pq_node *selector,
                                 struct select_window w, struct pl_err *err);
/* Decodes a series without stale markers. */
PL_MUST_USE pl_status pq__decode_live(struct exec *x, const struct pq_node *n, const struct selection *sel, size_t i,
                                      struct samples *buf, size_t *cap, struct pl_err *err);

#define PQ_TRY_ALLOC(op, p)              \
    do {                                 \
        if (PL_UNLIKELY((p) == NULL)) {  \
            return pq__nomem((op), err); \
        }                                \
    } while (0)

#endif
