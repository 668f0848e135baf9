#include "codec/remote_write_internal.h"

#include "codec/varint.h"

#include <inttypes.h>

enum { GROUP_DEPTH_MAX = 100, SAMPLES_FIRST = 64 };
/* One-byte tags (field number and wire type) of the fast paths. */
enum {
    TAG_1_FIXED64 = 1 << 3 | WIRE_FIXED64,
    TAG_1_BYTES = 1 << 3 | WIRE_BYTES,
    TAG_2_VARINT = 2 << 3 | WIRE_VARINT,
};

struct walk {
    struct remote_write *out;
    struct pl_arena *arena;
    struct pl_err *err;
    uint32_t series_cap, sample_cap, histogram_cap, metadata_cap;
};

static pl_status fail_cut(struct pl_err *err)
{
    return pl_fail(err, PL_INVALID, "unexpected EOF");
}

static pl_status fail_memory(struct pl_err *err, const struct pl_arena *a)
{
    return pl_fail(err, PL_LIMIT, "write request needs more memory to decode than its limit (%zu bytes)",
                   a->limit_bytes);
}

static pl_status fail_wire(struct pl_err *err, enum wire wire, const char *field)
{
    return pl_fail(err, PL_INVALID, "proto: wrong wireType = %d for field %s", (int)wire, field);
}

static pl_status read_varint(const uint8_t **p, const uint8_t *end, uint64_t *out, struct pl_err *err)
{
    const uint8_t *next = uvarint_get(*p, end, out);

    if (PL_UNLIKELY(next == NULL)) {
        return end - *p < VARINT_MAX ? fail_cut(err) : pl_fail(err, PL_INVALID, "proto: integer overflow");
    }
    *p = next;
    return PL_OK;
}

static pl_status skip_bytes(const uint8_t **p, const uint8_t *end, struct pl_err *err)
{
    uint64_t n;

    PL_TRY(read_varint(p, end, &n, err));
    if (n > INT64_MAX) {
        return pl_fail(err, PL_INVALID, "proto: negative length found during unmarshaling");
    }
    if (n > (uint64_t)(end - *p)) {
        return fail_cut(err);
    }
    *p += n;
    return PL_OK;
}

/* Skips a group, whose fields may be groups again. Iterative: a sender must not choose our stack's depth. */
static pl_status skip_group(const uint8_t **p, const uint8_t *end, struct pl_err *err)
{
    uint32_t depth = 1;
    uint64_t tag, ignored;

    while (depth > 0) {
        PL_TRY(read_varint(p, end, &tag, err));
        switch (tag & 7) {
        case WIRE_VARINT:
            PL_TRY(read_varint(p, end, &ignored, err));
            break;
        case WIRE_FIXED64:
        case WIRE_FIXED32: {
            ptrdiff_t n = (tag & 7) == WIRE_FIXED64 ? 8 : 4;
            if (end - *p < n) {
                return fail_cut(err);
            }
            *p += n;
            break;
        }
        case WIRE_BYTES:
            PL_TRY(skip_bytes(p, end, err));
            break;
        case WIRE_GROUP:
            depth++;
            if (depth > GROUP_DEPTH_MAX) {
                return pl_fail(err, PL_INVALID, "proto: groups are nested deeper than %d", GROUP_DEPTH_MAX);
            }
            break;
        case WIRE_GROUP_END:
            depth--;
            break;
        default:
            return pl_fail(err, PL_INVALID, "proto: illegal wireType %d", (int)(tag & 7));
        }
    }
    return PL_OK;
}

/* Reads one field whole; groups are skipped and reported with their number. */
static pl_status next_field(struct field *f, const uint8_t *p, const uint8_t *end, const char *message,
                            struct pl_err *err)
{
    uint64_t tag, n;

    PL_TRY(read_varint(&p, end, &tag, err));
    f->wire = (enum wire)(tag & 7);
    f->number = (uint32_t)(tag >> 3); /* cut to 32 bits as the original does */
    if (f->wire == WIRE_GROUP_END) {
        return pl_fail(err, PL_INVALID, "proto: %s: wiretype end group for non-group", message);
    }
    if (f->number == 0 || f->number > INT32_MAX) {
        return pl_fail(err, PL_INVALID, "proto: %s: illegal tag %d (wire type %" PRIu64 ")", message,
                       (int32_t)f->number, tag);
    }
    switch (f->wire) {
    case WIRE_VARINT:
        PL_TRY(read_varint(&p, end, &f->varint, err));
        break;
    case WIRE_FIXED64:
        if (end - p < 8) {
            return fail_cut(err);
        }
        f->varint = pl_get_le64(p);
        p += 8;
        break;
    case WIRE_BYTES:
        PL_TRY(read_varint(&p, end, &n, err));
        if (n > INT64_MAX) {
            return pl_fail(err, PL_INVALID, "proto: negative length found during unmarshaling");
        }
        if (n > (uint64_t)(end - p)) {
            return fail_cut(err);
        }
        f->p = p;
        p += n;
        break;
    case WIRE_GROUP:
        PL_TRY(skip_group(&p, end, err));
        break;
    case WIRE_FIXED32:
        if (end - p < 4) {
            return fail_cut(err);
        }
        p += 4;
        break;
    case WIRE_GROUP_END:
    default:
        return pl_fail(err, PL_INVALID, "proto: illegal wireType %d", (int)f->wire);
    }
    f->end = p;
    return PL_OK;
}

pl_status remote_write__field(struct field *f, const uint8_t *p, const uint8_t *end, const char *message,
                              struct pl_err *err)
{
    return next_field(f, p, end, message, err);
}

pl_status remote_write__fail_memory(struct pl_err *err, const struct pl_arena *a)
{
    return fail_memory(err, a);
}

pl_status remote_write__fail_wire(struct pl_err *err, enum wire wire, const char *field)
{
    return fail_wire(err, wire, field);
}

static pl_str field_str(const struct field *f)
{
    return pl_str_of((const char *)f->p, (size_t)(f->end - f->p));
}

/* ---- growing arrays in the arena ---- */

static void *grow(struct walk *w, void *old, uint32_t count, uint32_t cap, size_t size)
{
    void *p = NULL;
    size_t bytes;

    if (pl_mul_ok(&bytes, (size_t)cap, size)) {
        p = pl_arena_alloc_try(w->arena, bytes);
    }
    if (p != NULL && count > 0) {
        memcpy(p, old, count * size);
    }
    return p;
}

static bool grow_cap(uint32_t *cap, uint32_t first)
{
    if (*cap > UINT32_MAX / 2) {
        return false;
    }
    *cap = *cap == 0 ? first : *cap * 2;
    return true;
}

static pl_status grow_samples(struct walk *w)
{
    struct remote_write *o = w->out;
    int64_t *t = NULL;
    double *v = NULL;

    if (grow_cap(&w->sample_cap, PL_MAX(w->series_cap, (uint32_t)SAMPLES_FIRST))) {
        t = grow(w, o->t, o->sample_count, w->sample_cap, sizeof(*t));
        v = grow(w, o->v, o->sample_count, w->sample_cap, sizeof(*v));
    }
    if (t == NULL || v == NULL) {
        return fail_memory(w->err, w->arena);
    }
    o->t = t;
    o->v = v;
    return PL_OK;
}

/* ---- messages ---- */

/* Sample: 1 value (double), 2 timestamp_ms (int64). */
static pl_status walk_sample_slow(const uint8_t *p, const uint8_t *end, int64_t *t, double *v, struct pl_err *err)
{
    struct field f;

    *t = 0;
    *v = 0;
    while (p < end) {
        PL_TRY(next_field(&f, p, end, "Sample", err));
        p = f.end;
        if (f.number == 1) {
            if (f.wire != WIRE_FIXED64) {
                return fail_wire(err, f.wire, "Value");
            }
            *v = pl_f64_from_bits(f.varint);
        } else if (f.number == 2) {
            if (f.wire != WIRE_VARINT) {
                return fail_wire(err, f.wire, "TimestampMs");
            }
            *t = (int64_t)f.varint;
        }
    }
    return PL_OK;
}

static inline pl_status walk_sample(const uint8_t *p, const uint8_t *end, int64_t *t, double *v, struct pl_err *err)
{
    /* The form that every known sender writes: value, then timestamp. */
    if (PL_LIKELY(end - p > 10 && p[0] == TAG_1_FIXED64 && p[9] == TAG_2_VARINT)) {
        uint64_t ts = 0;
        if (PL_LIKELY(uvarint_get(p + 10, end, &ts) == end)) {
            *v = pl_f64_from_bits(pl_get_le64(p + 1));
            *t = (int64_t)ts;
            return PL_OK;
        }
    }
    return walk_sample_slow(p, end, t, v, err);
}

/* Copies label fields that do not lie side by side into one piece. */
static pl_status gather_labels(struct walk *w, struct remote_write_series *s, const uint8_t *p, const uint8_t *end)
{
    char *to = pl_arena_alloc_try(w->arena, (size_t)(end - p));
    struct field f;

    if (to == NULL) {
        return fail_memory(w->err, w->arena);
    }
    s->labels = pl_str_of(to, 0);
    s->gathered = true;
    while (p < end) {
        PL_TRY(next_field(&f, p, end, "TimeSeries", w->err));
        if (f.number == 1) {
            memcpy(to + s->labels.n, p, (size_t)(f.end - p));
            s->labels.n += (size_t)(f.end - p);
        }
        p = f.end;
    }
    return PL_OK;
}

static pl_status add_sample(struct walk *w, struct remote_write_series *s, const uint8_t *p, const uint8_t *end)
{
    struct remote_write *o = w->out;

    if (PL_UNLIKELY(o->sample_count == w->sample_cap)) {
        PL_TRY(grow_samples(w));
    }
    PL_TRY(walk_sample(p, end, &o->t[o->sample_count], &o->v[o->sample_count], w->err));
    o->sample_count++;
    s->sample_count++;
    return PL_OK;
}

static pl_status add_histogram(struct walk *w, struct remote_write_series *s, const struct field *f)
{
    struct remote_write *o = w->out;

    if (o->histogram_count == w->histogram_cap) {
        struct remote_write_histogram *grown = NULL;
        if (grow_cap(&w->histogram_cap, 64)) {
            grown = grow(w, o->histograms, o->histogram_count, w->histogram_cap, sizeof(*grown));
        }
        if (grown == NULL) {
            return fail_memory(w->err, w->arena);
        }
        o->histograms = grown;
    }
    PL_TRY(remote_write__histogram(&o->histograms[o->histogram_count], f->p, f->end, w->arena, w->err));
    o->histogram_count++;
    s->histogram_count++;
    return PL_OK;
}

/* A field of TimeSeries that is not one of the two that matter most. */
static pl_status walk_series_other(struct walk *w, struct remote_write_series *s, const struct field *f)
{
    static const char *const names[5] = {NULL, "Labels", "Samples", "Exemplars", "Histograms"};

    if (f->number > 4) {
        return PL_OK;
    }
    if (f->wire != WIRE_BYTES) {
        return fail_wire(w->err, f->wire, names[f->number]);
    }
    if (f->number == 3) {
        s->exemplar_count++;
    } else if (f->number == 4) {
        return add_histogram(w, s, f);
    }
    return PL_OK;
}

/* Steps over the label fields at p whose length is one byte: nearly all. What it leaves is the general loop's. */
static const uint8_t *step_labels(const uint8_t *p, const uint8_t *end, uint32_t *count)
{
    while (end - p >= 2 && p[0] == TAG_1_BYTES && p[1] < 0x80 && p[1] <= end - p - 2) {
        p += 2 + p[1];
        (*count)++;
    }
    return p;
}

/* TimeSeries: 1 labels, 2 samples, 3 exemplars, 4 histograms. */
static pl_status walk_series(struct walk *w, struct remote_write_series *s, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *const begin = p, *labels = NULL, *labels_end = NULL;
    bool scattered = false;
    struct field f;

    *s = (struct remote_write_series){.sample_first = w->out->sample_count, .histogram_first = w->out->histogram_count};
    p = step_labels(p, end, &s->label_count);
    if (s->label_count > 0) {
        labels = begin;
        labels_end = p;
    }
    while (p < end) {
        const uint8_t *at = p;
        PL_TRY(next_field(&f, p, end, "TimeSeries", w->err));
        p = f.end;
        if (PL_LIKELY(f.number == 1 && f.wire == WIRE_BYTES)) {
            scattered |= labels != NULL && at != labels_end;
            labels = labels == NULL ? at : labels;
            labels_end = p;
            s->label_count++;
        } else if (PL_LIKELY(f.number == 2 && f.wire == WIRE_BYTES)) {
            PL_TRY(add_sample(w, s, f.p, f.end));
        } else {
            PL_TRY(walk_series_other(w, s, &f));
        }
    }
    w->out->exemplar_count += s->exemplar_count;
    if (PL_UNLIKELY(scattered)) {
        return gather_labels(w, s, begin, end);
    }
    s->labels = labels == NULL ? PL_STR("") : pl_str_of((const char *)labels, (size_t)(labels_end - labels));
    return PL_OK;
}

/* MetricMetadata: 1 type, 2 metric_family_name, 4 help, 5 unit. */
static pl_status walk_metadata(struct walk *w, const uint8_t *p, const uint8_t *end)
{
    static const char *const names[6] = {NULL, "Type", "MetricFamilyName", NULL, "Help", "Unit"};
    struct remote_write *o = w->out;
    struct remote_write_metadata m = {0};
    struct field f;

    while (p < end) {
        PL_TRY(next_field(&f, p, end, "MetricMetadata", w->err));
        p = f.end;
        if (f.number > 5 || f.number == 3) {
            continue;
        }
        if (f.wire != (f.number == 1 ? WIRE_VARINT : WIRE_BYTES)) {
            return fail_wire(w->err, f.wire, names[f.number]);
        }
        switch (f.number) {
        case 1:
            m.type = (int32_t)f.varint;
            break;
        case 2:
            m.metric = field_str(&f);
            break;
        case 4:
            m.help = field_str(&f);
            break;
        default:
            m.unit = field_str(&f);
            break;
        }
    }
    if (o->metadata_count == w->metadata_cap) {
        struct remote_write_metadata *grown = NULL;
        if (grow_cap(&w->metadata_cap, 16)) {
            grown = grow(w, o->metadata, o->metadata_count, w->metadata_cap, sizeof(m));
        }
        if (grown == NULL) {
            return fail_memory(w->err, w->arena);
        }
        o->metadata = grown;
    }
    o->metadata[o->metadata_count++] = m;
    return PL_OK;
}

static pl_status add_series(struct walk *w, const struct field *f)
{
    struct remote_write *o = w->out;

    if (PL_UNLIKELY(o->series_count == w->series_cap)) {
        struct remote_write_series *grown = NULL;
        if (grow_cap(&w->series_cap, 16)) {
            grown = grow(w, o->series, o->series_count, w->series_cap, sizeof(*grown));
        }
        if (grown == NULL) {
            return fail_memory(w->err, w->arena);
        }
        o->series = grown;
    }
    PL_TRY(walk_series(w, &o->series[o->series_count], f->p, f->end));
    if (PL_UNLIKELY(o->series[o->series_count].label_count == 0)) {
        /* Two bytes of message must not cost an entry: the whole message is walked, for the error that comes first. */
        o->unlabelled_count++;
        o->sample_count = o->series[o->series_count].sample_first;
        o->histogram_count = o->series[o->series_count].histogram_first;
        o->exemplar_count -= o->series[o->series_count].exemplar_count;
        return PL_OK;
    }
    o->series_count++;
    return PL_OK;
}

/* Guesses the number of series from the size of the first one, so that arrays of even requests are made once. */
static uint32_t guess_series(const uint8_t *p, const uint8_t *end)
{
    uint64_t n;

    if (p == end || *p != TAG_1_BYTES || uvarint_get(p + 1, end, &n) == NULL || n < 16) {
        return 16;
    }
    return (uint32_t)PL_MIN((uint64_t)(end - p) / n + 16, (uint64_t)16384);
}

pl_status remote_write_walk(struct remote_write *out, pl_str message, struct pl_arena *a, struct pl_err *err)
{
    const uint8_t *p = (const uint8_t *)message.p, *end = message.n > 0 ? p + message.n : p;
    struct walk w = {.out = out, .arena = a, .err = err};
    struct field f;

    *out = (struct remote_write){0};
    if (message.n == 0) {
        return PL_OK;
    }
    w.series_cap = guess_series(p, end);
    out->series = grow(&w, NULL, 0, w.series_cap, sizeof(*out->series));
    if (out->series == NULL) {
        return fail_memory(err, a);
    }
    while (p < end) {
        PL_TRY(next_field(&f, p, end, "WriteRequest", err));
        p = f.end;
        switch (f.number) {
        case 1:
            if (f.wire != WIRE_BYTES) {
                return fail_wire(err, f.wire, "Timeseries");
            }
            PL_TRY(add_series(&w, &f));
            break;
        case 2:
            if (f.wire != WIRE_VARINT) {
                return fail_wire(err, f.wire, "Source");
            }
            out->source = (int32_t)f.varint;
            break;
        case 3:
            if (f.wire != WIRE_BYTES) {
                return fail_wire(err, f.wire, "Metadata");
            }
            PL_TRY(walk_metadata(&w, f.p, f.end));
            break;
        case 1000: /* skip_label_name_validation: not for a sender to say; only its form is checked */
            if (f.wire != WIRE_VARINT) {
                return fail_wire(err, f.wire, "SkipLabelNameValidation");
            }
            break;
        default:
            break;
        }
    }
    return PL_OK;
}

/* LabelPair: 1 name, 2 value. */
static pl_status read_label(struct remote_write_label *out, const uint8_t *p, const uint8_t *end, struct pl_err *err)
{
    struct field f;

    *out = (struct remote_write_label){PL_STR(""), PL_STR("")};
    while (p < end) {
        PL_TRY(next_field(&f, p, end, "LabelPair", err));
        p = f.end;
        if (f.number != 1 && f.number != 2) {
            continue;
        }
        if (f.wire != WIRE_BYTES) {
            return fail_wire(err, f.wire, f.number == 1 ? "Name" : "Value");
        }
        *(f.number == 1 ? &out->name : &out->value) = field_str(&f);
    }
    return PL_OK;
}

pl_status remote_write_labels(struct remote_write_label *out, const struct remote_write_series *s, struct pl_err *err)
{
    const uint8_t *p = (const uint8_t *)s->labels.p, *end = p + s->labels.n;
    struct field f;
    uint32_t count = 0;

    while (p < end) {
        PL_TRY(next_field(&f, p, end, "TimeSeries", err));
        PL_ASSERT(f.number == 1 && f.wire == WIRE_BYTES && count < s->label_count); /* as the walk left it */
        PL_TRY(read_label(&out[count], f.p, f.end, err));
        count++;
        p = f.end;
    }
    PL_ASSERT(count == s->label_count);
    return PL_OK;
}
