/* Canonical text of an expression, spec prometheus.md 2.6. */
#include "promql/print.h"

#include "codec/float_text.h"
#include "model/labels.h"
#include "promql/functions.h"

#include <math.h>
#include <stdlib.h>

const char *pq_op_text(enum pq_op op)
{
    static const char *const texts[] = {
        [PQ_OP_ADD] = "+",  [PQ_OP_SUB] = "-",         [PQ_OP_MUL] = "*",         [PQ_OP_DIV] = "/",
        [PQ_OP_MOD] = "%",  [PQ_OP_POW] = "^",         [PQ_OP_ATAN2] = "atan2",   [PQ_OP_EQ] = "==",
        [PQ_OP_NEQ] = "!=", [PQ_OP_LT] = "<",          [PQ_OP_LTE] = "<=",        [PQ_OP_GT] = ">",
        [PQ_OP_GTE] = ">=", [PQ_OP_TRIM_UPPER] = "</", [PQ_OP_TRIM_LOWER] = ">/", [PQ_OP_AND] = "and",
        [PQ_OP_OR] = "or",  [PQ_OP_UNLESS] = "unless",
    };

    return texts[op];
}

const char *pq_agg_text(enum pq_agg op)
{
    static const char *const texts[] = {
        [PQ_AGG_SUM] = "sum",
        [PQ_AGG_AVG] = "avg",
        [PQ_AGG_COUNT] = "count",
        [PQ_AGG_MIN] = "min",
        [PQ_AGG_MAX] = "max",
        [PQ_AGG_GROUP] = "group",
        [PQ_AGG_STDDEV] = "stddev",
        [PQ_AGG_STDVAR] = "stdvar",
        [PQ_AGG_TOPK] = "topk",
        [PQ_AGG_BOTTOMK] = "bottomk",
        [PQ_AGG_COUNT_VALUES] = "count_values",
        [PQ_AGG_QUANTILE] = "quantile",
        [PQ_AGG_LIMITK] = "limitk",
        [PQ_AGG_LIMIT_RATIO] = "limit_ratio",
    };

    return texts[op];
}

static void print_f(struct pl_buf *b, double v)
{
    char *at = pl_buf_reserve(b, FLOAT_TEXT_MAX);

    if (at != NULL) {
        b->n += float_put_f(at, v);
    }
}

/* Seconds as a duration literal; Go converts through nanoseconds. */
static void print_seconds(struct pl_buf *b, double seconds)
{
    int64_t ns = pl_f64_to_i64(fabs(seconds) * 1e9);

    if (seconds < 0) {
        pl_buf_byte(b, '-');
    }
    pq_print_duration(b, ns / 1000000);
}

/* Text of at least n bytes does not fit any more: callers that ask whether a node is short (print_pretty.c) ask on
 * every level, so the answer must not cost the node's size each time. */
static bool is_too_long(struct pl_buf *b, size_t n)
{
    if (b->limit_bytes != 0 && n > b->limit_bytes) {
        b->overflow = true;
    }
    return b->overflow;
}

void pq__print_labels(struct pl_buf *b, const pl_str *labels, uint32_t count)
{
    for (uint32_t i = 0; i < count && !b->overflow; i++) {
        if (i > 0) {
            PL_BUF_LIT(b, ", ");
        }
        if (label_name_is_legacy(labels[i])) {
            pl_buf_str(b, labels[i]);
        } else {
            pl_buf_quoted(b, labels[i]);
        }
    }
}

/* ---- durations ---- */

static const char *dur_op_text(int kind)
{
    switch (kind) {
    case PQ_DUR_ADD:
        return " + ";
    case PQ_DUR_SUB:
        return " - ";
    case PQ_DUR_MUL:
        return " * ";
    case PQ_DUR_DIV:
        return " / ";
    case PQ_DUR_MOD:
        return " % ";
    default:
        return " ^ ";
    }
}

void pq__print_dur(struct pl_buf *b, const struct pq_dur *d)
{
    switch (d->kind) {
    case PQ_DUR_NUM:
        if (d->written_as_duration) {
            print_seconds(b, d->num_s);
        } else {
            print_f(b, d->num_s);
        }
        return;
    case PQ_DUR_STEP:
        PL_BUF_LIT(b, "step()");
        return;
    case PQ_DUR_RANGE:
        PL_BUF_LIT(b, "range()");
        return;
    case PQ_DUR_NEG:
        pl_buf_byte(b, '-');
        pq__print_dur(b, d->l);
        return;
    case PQ_DUR_POS:
        pq__print_dur(b, d->l);
        return;
    case PQ_DUR_PAREN:
        pl_buf_byte(b, '(');
        pq__print_dur(b, d->l);
        pl_buf_byte(b, ')');
        return;
    case PQ_DUR_MIN:
    case PQ_DUR_MAX:
        pl_buf_cstr(b, d->kind == PQ_DUR_MIN ? "min_of(" : "max_of(");
        pq__print_dur(b, d->l);
        PL_BUF_LIT(b, ", ");
        pq__print_dur(b, d->r);
        pl_buf_byte(b, ')');
        return;
    case PQ_DUR_ADD:
    case PQ_DUR_SUB:
    case PQ_DUR_MUL:
    case PQ_DUR_DIV:
    case PQ_DUR_MOD:
    case PQ_DUR_POW:
        pq__print_dur(b, d->l);
        pl_buf_cstr(b, dur_op_text(d->kind));
        pq__print_dur(b, d->r);
        return;
    }
}

static void print_length(struct pl_buf *b, int64_t ms, const struct pq_dur *expr)
{
    if (expr != NULL) {
        pq__print_dur(b, expr);
    } else {
        pq_print_duration(b, ms);
    }
}

/* ---- time modifiers ---- */

/* Milliseconds as seconds with three decimals, as %.3f of ms / 1000 gives them. */
static void print_at(struct pl_buf *b, const struct pq_time *t)
{
    switch (t->at) {
    case PQ_AT_NONE:
        return;
    case PQ_AT_START:
        PL_BUF_LIT(b, " @ start()");
        return;
    case PQ_AT_END:
        PL_BUF_LIT(b, " @ end()");
        return;
    case PQ_AT_TIME:
        pl_buf_printf(b, " @ %.3f", (double)t->at_ms / 1000.0);
        return;
    }
}

/* Does an offset of this form end where its text ends, whatever follows: a call, or a signed call or parenthesis? */
static bool is_closed(const struct pq_dur *d)
{
    bool is_signed = d->kind == PQ_DUR_NEG || d->kind == PQ_DUR_POS;
    const struct pq_dur *inner = is_signed ? d->l : d;

    switch (inner->kind) {
    case PQ_DUR_NUM:
    case PQ_DUR_STEP:
    case PQ_DUR_RANGE:
    case PQ_DUR_MIN:
    case PQ_DUR_MAX:
        return true;
    case PQ_DUR_PAREN:
        return d->kind == PQ_DUR_NEG;
    default:
        return false;
    }
}

/* Any other form takes in the arithmetic behind it, and only if it begins with a parenthesis or two signs. Prometheus
 * prints some that then mean something else: `x offset --5m + 3` has lost its signs, and with @ or smoothed moved to
 * the front, an operator behind them comes to stand behind the offset. Parentheses keep the first, a plus sign before
 * them the second. */
static void print_offset(struct pl_buf *b, const struct pq_time *t, bool moved)
{
    struct pl_buf text;
    bool open;
    bool parens;

    if (!t->has_offset) {
        return;
    }
    PL_BUF_LIT(b, " offset ");
    if (t->offset_expr == NULL || is_closed(t->offset_expr)) {
        print_length(b, t->offset_ms, t->offset_expr);
        return;
    }
    pl_buf_init(&text, 0);
    pq__print_dur(&text, t->offset_expr);
    open = pl_str_starts(pl_buf_view(&text), PL_STR("(")) || pl_str_starts(pl_buf_view(&text), PL_STR("--"));
    parens = !open || (moved && t->offset_expr->kind != PQ_DUR_PAREN);
    pl_buf_cstr(b, moved ? "+" : "");
    pl_buf_cstr(b, parens ? "(" : "");
    pl_buf_str(b, pl_buf_view(&text));
    pl_buf_cstr(b, parens ? ")" : "");
    pl_buf_fini(&text);
}

void pq__print_subquery_suffix(struct pl_buf *b, const struct pq_node *n)
{
    pl_buf_byte(b, '[');
    print_length(b, n->subquery.range_ms, n->subquery.range_expr);
    pl_buf_byte(b, ':');
    if (n->subquery.step_ms != 0 || n->subquery.step_expr != NULL) {
        print_length(b, n->subquery.step_ms, n->subquery.step_expr);
    }
    pl_buf_byte(b, ']');
    print_at(b, &n->subquery.time);
    print_offset(b, &n->subquery.time, n->subquery.time.at != PQ_AT_NONE);
}

/* ---- selectors ---- */

static int compare_texts(const void *a, const void *b)
{
    return pl_str_cmp(*(const pl_str *)a, *(const pl_str *)b);
}

/* Name and matchers; these sorted by their text. COMPAT: a name's own matcher is left out, an empty one is not. */
static void print_metric(struct pl_buf *b, const struct pq_node *n)
{
    struct pl_buf texts;
    size_t *ends;
    pl_str *sorted;
    size_t count = 0;
    size_t least = 0;

    for (uint32_t i = 0; i < n->selector.matcher_count; i++) {
        least += n->selector.matchers[i].name.n + n->selector.matchers[i].value.n;
    }
    if (is_too_long(b, least)) {
        return;
    }
    ends = pl_new_array(size_t, n->selector.matcher_count + 1);
    sorted = pl_new_array(pl_str, n->selector.matcher_count + 1);
    pl_buf_str(b, n->selector.name);
    pl_buf_init(&texts, 0);
    for (uint32_t i = 0; i < n->selector.matcher_count; i++) {
        const struct matcher *m = &n->selector.matchers[i];
        if (pl_str_eq(m->name, LABEL_METRIC_NAME) && m->type == MATCH_EQ && m->value.n > 0 &&
            pl_str_eq(m->value, n->selector.name)) {
            continue;
        }
        matcher_text(&texts, m);
        ends[++count] = texts.n;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = pl_str_of(texts.p + ends[i], ends[i + 1] - ends[i]);
    }
    if (count > 0) {
        qsort(sorted, count, sizeof(*sorted), compare_texts);
        for (size_t i = 0; i < count; i++) {
            pl_buf_byte(b, i == 0 ? '{' : ',');
            pl_buf_str(b, sorted[i]);
        }
        pl_buf_byte(b, '}');
    } else if (n->selector.name.n == 0) {
        PL_BUF_LIT(b, "{}"); /* only info() takes it; Prometheus prints nothing here, which does not parse */
    }
    pl_buf_fini(&texts);
    pl_free(ends);
    pl_free(sorted);
}

static void print_extended(struct pl_buf *b, const struct pq_node *s)
{
    if (s->selector.anchored) {
        PL_BUF_LIT(b, " anchored");
    } else if (s->selector.smoothed) {
        PL_BUF_LIT(b, " smoothed");
    }
}

/* Modifiers that are printed before the offset. */
static bool has_others(const struct pq_node *s)
{
    return s->selector.time.at != PQ_AT_NONE || s->selector.anchored || s->selector.smoothed;
}

static void print_matrix(struct pl_buf *b, const struct pq_node *n)
{
    const struct pq_node *s = n->matrix.selector;

    print_metric(b, s);
    pl_buf_byte(b, '[');
    print_length(b, n->matrix.range_ms, n->matrix.range_expr);
    pl_buf_byte(b, ']');
    print_extended(b, s);
    print_at(b, &s->selector.time);
    print_offset(b, &s->selector.time, has_others(s));
}

/* ---- operators ---- */

static void print_fill(struct pl_buf *b, const char *word, double v)
{
    pl_buf_printf(b, " %s (", word);
    pl_buf_f64_g(b, v);
    pl_buf_byte(b, ')');
}

/* The operator with all its modifiers: `== bool on (a) group_left (b)`. */
void pq__print_operator(struct pl_buf *b, const struct pq_node *n)
{
    const struct pq_matching *m = n->binary.matching;
    bool grouped;

    pl_buf_cstr(b, pq_op_text(n->binary.op));
    if (n->binary.return_bool) {
        PL_BUF_LIT(b, " bool");
    }
    if (m == NULL) {
        return;
    }
    grouped = m->card == PQ_MANY_TO_ONE || m->card == PQ_ONE_TO_MANY;
    if (m->label_count > 0 || m->on || grouped) {
        pl_buf_cstr(b, m->on ? " on (" : " ignoring (");
        pq__print_labels(b, m->labels, m->label_count);
        pl_buf_byte(b, ')');
    }
    if (grouped) {
        pl_buf_cstr(b, m->card == PQ_MANY_TO_ONE ? " group_left (" : " group_right (");
        pq__print_labels(b, m->include, m->include_count);
        pl_buf_byte(b, ')');
    }
    if (m->has_fill_left && m->has_fill_right && m->fill_left == m->fill_right) {
        print_fill(b, "fill", m->fill_left);
        return;
    }
    if (m->has_fill_left) {
        print_fill(b, "fill_left", m->fill_left);
    }
    if (m->has_fill_right) {
        print_fill(b, "fill_right", m->fill_right);
    }
}

/* `sum by (a) `, `sum without () `, `sum`. */
void pq__print_agg_head(struct pl_buf *b, const struct pq_node *n)
{
    pl_buf_cstr(b, pq_agg_text(n->agg.op));
    if (n->agg.without || n->agg.label_count > 0) {
        pl_buf_cstr(b, n->agg.without ? " without (" : " by (");
        pq__print_labels(b, n->agg.labels, n->agg.label_count);
        PL_BUF_LIT(b, ") ");
    }
}

static void print_call(struct pl_buf *b, const struct pq_node *n)
{
    pl_buf_cstr(b, n->call.func->name);
    pl_buf_byte(b, '(');
    for (uint32_t i = 0; i < n->call.arg_count && !b->overflow; i++) {
        if (i > 0) {
            PL_BUF_LIT(b, ", ");
        }
        pq_print(b, n->call.args[i]);
    }
    pl_buf_byte(b, ')');
}

void pq_print(struct pl_buf *b, const struct pq_node *n)
{
    if (b->overflow) {
        return; /* the caller only asked whether the text is short */
    }
    switch (n->kind) {
    case PQ_NUMBER:
        if (n->number.is_duration) {
            print_seconds(b, n->number.value);
        } else {
            print_f(b, n->number.value);
        }
        return;
    case PQ_STRING_LIT:
        if (!is_too_long(b, n->string.n)) {
            pl_buf_quoted(b, n->string);
        }
        return;
    case PQ_PAREN:
        pl_buf_byte(b, '(');
        pq_print(b, n->paren.expr);
        pl_buf_byte(b, ')');
        return;
    case PQ_UNARY:
        pl_buf_cstr(b, pq_op_text(n->unary.op));
        pq_print(b, n->unary.expr);
        return;
    case PQ_BINARY:
        pq_print(b, n->binary.lhs);
        pl_buf_byte(b, ' ');
        pq__print_operator(b, n);
        pl_buf_byte(b, ' ');
        pq_print(b, n->binary.rhs);
        return;
    case PQ_AGGREGATE:
        pq__print_agg_head(b, n);
        pl_buf_byte(b, '(');
        if (n->agg.param != NULL) {
            pq_print(b, n->agg.param);
            PL_BUF_LIT(b, ", ");
        }
        pq_print(b, n->agg.expr);
        pl_buf_byte(b, ')');
        return;
    case PQ_CALL:
        print_call(b, n);
        return;
    case PQ_SELECTOR:
        print_metric(b, n);
        print_at(b, &n->selector.time);
        print_extended(b, n);
        print_offset(b, &n->selector.time, has_others(n));
        return;
    case PQ_MATRIX_SELECTOR:
        print_matrix(b, n);
        return;
    case PQ_SUBQUERY:
        pq_print(b, n->subquery.expr);
        pq__print_subquery_suffix(b, n);
        return;
    case PQ_STEP_INVARIANT:
        pq_print(b, n->step_invariant.expr);
        return;
    }
}
