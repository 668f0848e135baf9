/* Which series, samples and metadata a tenant may write: spec ring-distributor-ingester.md 4.2 (5) and 4.3. */
#include "distributor/internal.h"
#include "distributor/messages.h"

#include "base/buf.h"
#include "codec/varint.h"
#include "model/labels.h"
#include "ports/discard.h"

METRIC_DEF_COUNTER(m_reduced, "cortex_reduced_resolution_histogram_samples_total",
                   "Native histograms that were made coarser to have fewer buckets.", "user");

enum { QUOTE_CHARS_MAX = 200, LABELS_SHOWN_MAX = 1000 };

static pl_str cut_chars(pl_str s, size_t chars_max)
{
    size_t chars = 0;

    for (size_t i = 0; i < s.n; i++) {
        /* A byte that does not continue a character begins one. */
        if (((uint8_t)s.p[i] & 0xc0) != 0x80 && chars++ == chars_max) {
            return pl_str_of(s.p, i);
        }
    }
    return s;
}

/* Go's %.200q. Only the first refusal of a request is told: the others need no text. */
static const char *quoted(const struct dist_check *c, pl_str s)
{
    struct pl_buf b;
    char *text;

    if (c->silent) {
        return "";
    }
    pl_buf_init(&b, 0);
    pl_buf_quoted(&b, cut_chars(s, QUOTE_CHARS_MAX));
    pl_buf_byte(&b, 0);
    text = pl_arena_alloc_try(c->arena, b.n);
    if (text != NULL) {
        memcpy(text, b.p, b.n);
    }
    pl_buf_fini(&b);
    return text != NULL ? text : "";
}

/* The labels as an error shows them: `name{k="v"}` in the order they have, a second __name__ among them. */
static const char *quoted_series(const struct dist_check *c, const struct label *v, size_t n)
{
    enum { SHOWN_BYTES_MAX = 4 * QUOTE_CHARS_MAX };
    struct pl_buf b;
    size_t name = 0, shown = 0;
    const char *text;

    if (c->silent) {
        return "";
    }
    pl_buf_init(&b, 0);
    while (name < n && !(pl_str_eq(v[name].name, LABEL_METRIC_NAME) && v[name].value.n > 0)) {
        name++;
    }
    if (name < n) {
        pl_buf_str(&b, v[name].value);
    }
    /* What lies behind the first 200 characters is cut anyway. */
    for (size_t i = 0; i < n && b.n <= SHOWN_BYTES_MAX; i++) {
        if (i != name) {
            pl_buf_cstr(&b, shown++ == 0 ? "{" : ", ");
            pl_buf_str(&b, v[i].name);
            pl_buf_byte(&b, '=');
            pl_buf_quoted(&b, v[i].value);
        }
    }
    if (shown > 0) {
        pl_buf_byte(&b, '}');
    } else if (name == n) {
        PL_BUF_LIT(&b, "{}");
    }
    text = quoted(c, pl_buf_view(&b));
    pl_buf_fini(&b);
    return text;
}

static enum dist_verdict refuse(const struct dist_check *c, pl_str reason)
{
    discard_samples(reason, c->tenant, 1);
    return DIST_REFUSE;
}

static bool metric_name_ok(const struct dist_check *c, pl_str name)
{
    return c->utf8_names ? name.n > 0 && pl_str_is_utf8(name) : metric_name_is_legacy(name);
}

static bool label_name_ok(const struct dist_check *c, pl_str name)
{
    return c->utf8_names ? name.n > 0 && pl_str_is_utf8(name) : label_name_is_legacy(name);
}

static enum dist_verdict check_metric_name(const struct dist_check *c, const struct label *v, size_t n,
                                           struct pl_err *err)
{
    size_t i = 0;

    while (i < n && !pl_str_eq(v[i].name, LABEL_METRIC_NAME)) {
        i++;
    }
    if (i == n) {
        (void)pl_fail(err, PL_INVALID, MSG_NAME_MISSING);
        return refuse(c, PL_STR("missing_metric_name"));
    }
    if (!metric_name_ok(c, v[i].value)) {
        (void)pl_fail(err, PL_INVALID, MSG_NAME_INVALID, quoted(c, v[i].value));
        return refuse(c, PL_STR("metric_name_invalid"));
    }
    return DIST_KEEP;
}

static enum dist_verdict refuse_many(const struct dist_check *c, const struct label *v, size_t n, struct pl_err *err)
{
    struct pl_buf b;

    if (!c->silent) {
        pl_buf_init(&b, 0);
        labels_metric_text(&b, (struct labels){v, PL_MIN(n, (size_t)LABELS_SHOWN_MAX)});
        (void)pl_fail(err, PL_INVALID, MSG_LABELS_MANY, n, c->policy->label_names_max, PL_STR_ARG(pl_buf_view(&b)));
        pl_buf_fini(&b);
    }
    return refuse(c, PL_STR("max_label_names_per_series"));
}

/* One label of a sorted set: first hit wins. */
static enum dist_verdict check_label(const struct dist_check *c, const struct label *v, size_t n, size_t i,
                                     struct pl_err *err)
{
    const struct dist_policy *p = c->policy;
    const pl_str name = v[i].name, value = v[i].value;
    int order = pl_str_cmp(i > 0 ? v[i - 1].name : PL_STR(""), name);

    if (PL_LIKELY(label_name_ok(c, name) && (int64_t)name.n <= p->label_name_bytes_max &&
                  (int64_t)value.n <= p->label_value_bytes_max && order < 0)) {
        return DIST_KEEP;
    }
    const char *series = quoted_series(c, v, n), *cause = quoted(c, name);
    if (!label_name_ok(c, name)) {
        (void)pl_fail(err, PL_INVALID, MSG_LABEL_INVALID, cause, series);
        return refuse(c, PL_STR("label_invalid"));
    }
    if ((int64_t)name.n > p->label_name_bytes_max) {
        (void)pl_fail(err, PL_INVALID, MSG_LABEL_NAME_LONG, name.n, p->label_name_bytes_max, series, cause);
        return refuse(c, PL_STR("label_name_too_long"));
    }
    if ((int64_t)value.n > p->label_value_bytes_max) {
        (void)pl_fail(err, PL_INVALID, MSG_LABEL_VALUE_LONG, value.n, p->label_value_bytes_max, series, cause,
                      quoted(c, value));
        return refuse(c, PL_STR("label_value_too_long"));
    }
    if (order == 0) {
        (void)pl_fail(err, PL_INVALID, MSG_LABEL_DUPLICATE, cause, series);
        return refuse(c, PL_STR("duplicate_label_names"));
    }
    (void)pl_fail(err, PL_INVALID, MSG_LABELS_UNSORTED, cause, series);
    return refuse(c, PL_STR("labels_not_sorted"));
}

/* Protobuf size of a LabelPair message. */
static size_t label_bytes(const struct label *l)
{
    return (l->name.n > 0 ? 1 + uvarint_size(l->name.n) + l->name.n : 0) +
           (l->value.n > 0 ? 1 + uvarint_size(l->value.n) + l->value.n : 0);
}

static enum dist_verdict check_sorted(const struct dist_check *c, const struct label *v, size_t n, struct pl_err *err)
{
    size_t bytes = 0;

    if ((int64_t)n > c->policy->label_names_max) {
        return refuse_many(c, v, n, err);
    }
    for (size_t i = 0; i < n; i++) {
        enum dist_verdict verdict = check_label(c, v, n, i, err);
        if (verdict != DIST_KEEP) {
            return verdict;
        }
        bytes += label_bytes(&v[i]);
    }
    if (c->policy->labels_bytes_max > 0 && bytes > (size_t)c->policy->labels_bytes_max) {
        (void)pl_fail(err, PL_INVALID, MSG_LABELS_SIZE, bytes, c->policy->labels_bytes_max, quoted_series(c, v, n));
        return refuse(c, PL_STR("labels_size_bytes_exceeded"));
    }
    return DIST_KEEP;
}

static bool is_dropped(const struct dist_policy *p, pl_str name)
{
    for (size_t i = 0; i < p->drop_count; i++) {
        if (pl_str_eq(p->drop[i], name)) {
            return true;
        }
    }
    return false;
}

static bool is_sorted(const struct label *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (pl_str_cmp(v[i - 1].name, v[i].name) > 0) {
            return false;
        }
    }
    return true;
}

/* Parses the label fields; NULL on failure. struct label and remote_write_label are the same two views, but codec/ lies
 * below model/. */
static struct label *parse_labels(struct dist_check *c, const struct remote_write_series *s, struct pl_err *err)
{
    struct label *v = pl_arena_alloc_try(c->arena, s->label_count * sizeof(*v));

    if (s->label_count > c->raw_cap) {
        c->raw = pl_arena_alloc_try(c->arena, s->label_count * sizeof(*c->raw));
        c->raw_cap = c->raw != NULL ? s->label_count : 0;
    }
    if (v == NULL || s->label_count > c->raw_cap) {
        (void)ingest_fail_memory(c->arena, err);
        return NULL;
    }
    if (remote_write_labels(c->raw, s, err) != PL_OK) {
        return NULL;
    }
    for (uint32_t i = 0; i < s->label_count; i++) {
        v[i] = (struct label){c->raw[i].name, c->raw[i].value};
    }
    return v;
}

enum dist_verdict dist__check_labels(struct labels *out, struct dist_check *c, const struct remote_write_series *s,
                                     struct pl_err *err)
{
    struct label *v = parse_labels(c, s, err);
    size_t n = 0, kept = 0;
    enum dist_verdict verdict;

    if (v == NULL) {
        return DIST_FAIL;
    }
    for (uint32_t i = 0; i < s->label_count; i++) {
        if (!is_dropped(c->policy, v[i].name)) {
            v[n++] = v[i];
        }
    }
    verdict = c->policy->enforce_metric_name ? check_metric_name(c, v, n, err) : DIST_KEEP;
    if (verdict != DIST_KEEP) {
        return verdict;
    }
    for (size_t i = 0; i < n; i++) {
        if (v[i].value.n > 0) {
            v[kept++] = v[i];
        }
    }
    if (kept == 0) {
        discard_samples(PL_STR("user_label_removal_configuration"), c->tenant, s->sample_count + s->histogram_count);
        return DIST_DROP;
    }
    if (!is_sorted(v, kept)) {
        labels_sort(v, kept);
    }
    verdict = check_sorted(c, v, kept, err);
    *out = (struct labels){v, kept};
    return verdict;
}

/* The metric name of a series whose labels need not have been parsed. Bad labels show as no name: the text is all that
 * needs it. */
static const char *quoted_metric_name(struct dist_check *c, const struct remote_write_series *s)
{
    struct label *v = c->silent ? NULL : parse_labels(c, s, NULL);

    for (uint32_t i = 0; v != NULL && i < s->label_count; i++) {
        if (pl_str_eq(v[i].name, LABEL_METRIC_NAME)) {
            return quoted(c, v[i].value);
        }
    }
    return "\"\"";
}

static enum dist_verdict check_time(struct dist_check *c, const struct remote_write_series *s, int64_t t,
                                    struct pl_err *err)
{
    if (PL_UNLIKELY(t < c->mint_ms)) {
        (void)pl_fail(err, PL_INVALID, MSG_TOO_OLD, t, quoted_metric_name(c, s));
        return refuse(c, PL_STR("greater_than_max_sample_age"));
    }
    if (PL_UNLIKELY(t > c->maxt_ms)) {
        (void)pl_fail(err, PL_INVALID, MSG_TOO_NEW, t, quoted_metric_name(c, s));
        return refuse(c, PL_STR("too_far_in_future"));
    }
    return DIST_KEEP;
}

enum dist_verdict dist__check_samples(struct dist_check *c, const struct remote_write_series *s, const int64_t *t,
                                      struct pl_err *err)
{
    enum dist_verdict verdict = DIST_KEEP;

    for (uint32_t i = 0; i < s->sample_count && verdict == DIST_KEEP; i++) {
        verdict = check_time(c, s, t[i], err);
    }
    return verdict;
}

/* Halves the resolution until the buckets are few enough. */
static enum dist_verdict fit_buckets(struct dist_check *c, const struct remote_write_series *s,
                                     struct remote_write_histogram *x, struct pl_err *err)
{
    const int64_t max = c->policy->hist_buckets_max;
    const struct hist *h = x->h;

    while ((int64_t)h->pos.len + h->neg.len > max) {
        struct hist *coarser;
        if (hist_is_custom(h) || h->schema == HIST_SCHEMA_MIN) {
            (void)pl_fail(err, PL_INVALID, MSG_HIST_BUCKETS, max, quoted_metric_name(c, s));
            return refuse(c, PL_STR("native_histogram_buckets_exceeded"));
        }
        coarser = hist_reduce(c->arena, h, h->schema - 1);
        if (coarser == NULL) {
            (void)ingest_fail_memory(c->arena, err);
            return DIST_FAIL;
        }
        coarser->hint = h->hint;
        h = coarser;
    }
    if (h != x->h) {
        metric_inc(METRIC_CELL(m_reduced, c->tenant));
        x->h = h;
    }
    return DIST_KEEP;
}

static enum dist_verdict check_histogram(struct dist_check *c, const struct remote_write_series *s,
                                         struct remote_write_histogram *x, struct pl_err *err)
{
    const struct dist_policy *p = c->policy;
    enum dist_verdict verdict = check_time(c, s, x->t, err);

    if (verdict != DIST_KEEP) {
        return verdict;
    }
    if (p->hist_bytes_max > 0 && x->bytes > p->hist_bytes_max) {
        (void)pl_fail(err, PL_INVALID, MSG_HIST_SIZE, x->bytes, p->hist_bytes_max, quoted_metric_name(c, s));
        return refuse(c, PL_STR("native_histogram_sample_size_bytes_exceeded"));
    }
    if (!x->schema_known) {
        (void)pl_fail(err, PL_INVALID, MSG_HIST_SCHEMA, x->schema, quoted_metric_name(c, s));
        return refuse(c, PL_STR("native_histogram_invalid_schema"));
    }
    if (x->h == NULL) {
        (void)pl_fail(err, PL_INVALID, MSG_HIST_INVALID, x->problem, quoted_metric_name(c, s));
        return refuse(c, PL_STR("native_histogram_invalid"));
    }
    return p->hist_buckets_max > 0 ? fit_buckets(c, s, x, err) : DIST_KEEP;
}

enum dist_verdict dist__check_histograms(struct dist_check *c, const struct remote_write_series *s,
                                         struct remote_write_histogram *x, struct pl_err *err)
{
    enum dist_verdict verdict = DIST_KEEP;

    for (uint32_t i = 0; i < s->histogram_count && verdict == DIST_KEEP; i++) {
        verdict = check_histogram(c, s, &x[i], err);
    }
    return verdict;
}

enum dist_verdict dist__check_metadata(const struct dist_check *c, const struct remote_write_metadata *m,
                                       struct pl_err *err)
{
    const size_t max = (size_t)PL_MAX(c->policy->metadata_bytes_max, 0);
    const struct {
        pl_str value;
        const char *what;
        pl_str reason;
    } part[] = {{m->metric, "METRIC_NAME", PL_STR_INIT("metric_name_too_long")},
                {m->help, "HELP", PL_STR_INIT("help_too_long")},
                {m->unit, "UNIT", PL_STR_INIT("unit_too_long")}};

    if (c->policy->enforce_metadata_name && m->metric.n == 0) {
        discard_metadata(PL_STR("missing_metric_name"), c->tenant, 1);
        (void)pl_fail(err, PL_INVALID, MSG_METADATA_NAME_MISSING);
        return DIST_REFUSE;
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(part); i++) {
        if (part[i].value.n > max) {
            discard_metadata(part[i].reason, c->tenant, 1);
            (void)pl_fail(err, PL_INVALID, MSG_METADATA_LONG, part[i].what, quoted(c, part[i].value),
                          quoted(c, m->metric));
            return DIST_REFUSE;
        }
    }
    return DIST_KEEP;
}
