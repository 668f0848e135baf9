/* Remote write bodies: snappy, then the zero-copy walk, checked against a decoder that is written as plainly as the
 * format's rules are. A body that is not snappy is taken as the bare message, so that the fuzzer reaches the walk by
 * either way. */
#include "codec/remote_write.h"
#include "codec/snappy.h"

#include <stdlib.h>

enum { DECODED_MAX = 1 << 20, NAIVE_MAX = 1 << 16 };

#define REQUIRE(c)   \
    do {             \
        if (!(c)) {  \
            abort(); \
        }            \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the naive decoder ---- */

struct cursor {
    const uint8_t *p;
    size_t n, at;
};

static bool naive_varint(struct cursor *c, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < 10; i++) {
        if (c->at >= c->n) {
            return false;
        }
        uint8_t b = c->p[c->at++];
        if (i == 9 && b > 1) {
            return false;
        }
        *out |= (uint64_t)(b & 127) << (7 * i);
        if (b < 128) {
            return true;
        }
    }
    return false;
}

struct naive_field {
    uint64_t number, value;
    unsigned wire;
    struct cursor content;
};

/* One field; groups are left by recursion, no deeper than the walk allows. */
static bool naive_next(struct cursor *c, struct naive_field *f, int depth)
{
    uint64_t tag, n;

    if (!naive_varint(c, &tag)) {
        return false;
    }
    f->number = (uint32_t)(tag >> 3);
    f->wire = (unsigned)(tag & 7);
    if (depth == 0 && (f->number == 0 || f->number > INT32_MAX)) {
        return false;
    }
    switch (f->wire) {
    case 0:
        return naive_varint(c, &f->value);
    case 1:
    case 5:
        n = f->wire == 1 ? 8 : 4;
        if (c->n - c->at < n) {
            return false;
        }
        f->value = 0;
        for (size_t i = 0; i < n; i++) {
            f->value |= (uint64_t)c->p[c->at + i] << (8 * i);
        }
        c->at += n;
        return true;
    case 2:
        if (!naive_varint(c, &n) || n > c->n - c->at) {
            return false;
        }
        f->content = (struct cursor){c->p + c->at, n, 0};
        c->at += n;
        return true;
    case 3:
        if (depth >= 100) {
            return false;
        }
        for (;;) {
            struct naive_field inner;
            size_t begin = c->at;
            if (!naive_varint(c, &tag)) {
                return false;
            }
            if ((tag & 7) == 4) {
                return true;
            }
            c->at = begin;
            if (!naive_next(c, &inner, depth + 1)) {
                return false;
            }
        }
    default:
        return false;
    }
}

static uint64_t add(uint64_t sum, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
    }
    return (sum ^ n) * UINT64_C(0x100000001b3);
}

/* A digest of all that was read, and counts. */
struct digest {
    uint64_t sum, series, unlabelled, samples, labels, histograms, exemplars, metadata;
    bool labels_ok;
};

static uint64_t add_u64(uint64_t sum, uint64_t v)
{
    return add(sum, &v, sizeof(v));
}

static bool naive_label(struct cursor c, struct digest *d)
{
    struct cursor name = {0}, value = {0};
    struct naive_field f;

    while (c.at < c.n) {
        if (!naive_next(&c, &f, 0) || ((f.number == 1 || f.number == 2) && f.wire != 2)) {
            return false;
        }
        if (f.number == 1) {
            name = f.content;
        } else if (f.number == 2) {
            value = f.content;
        }
    }
    d->sum = add(add(d->sum, name.p, name.n), value.p, value.n);
    return true;
}

static bool naive_sample(struct cursor c, struct digest *d)
{
    uint64_t value = 0, time = 0;
    struct naive_field f;

    while (c.at < c.n) {
        if (!naive_next(&c, &f, 0) || (f.number == 1 && f.wire != 1) || (f.number == 2 && f.wire != 0)) {
            return false;
        }
        value = f.number == 1 ? f.value : value;
        time = f.number == 2 ? f.value : time;
    }
    d->sum = add_u64(add_u64(d->sum, time), value);
    d->samples++;
    return true;
}

/* Is it a Histogram message? */
static bool naive_histogram(struct cursor c)
{
    static const uint8_t wire[17] = {0, 0, 1, 1, 0, 1, 0, 1, 2, 9, 9, 2, 9, 9, 0, 0, 9};
    struct naive_field f, inner;

    while (c.at < c.n) {
        if (!naive_next(&c, &f, 0)) {
            return false;
        }
        if (f.number > 16) {
            continue;
        }
        if (wire[f.number] != 9 && f.wire != wire[f.number]) {
            return false;
        }
        if (f.number == 8 || f.number == 11) {
            while (f.content.at < f.content.n) {
                if (!naive_next(&f.content, &inner, 0) || (inner.number <= 2 && inner.wire != 0)) {
                    return false;
                }
            }
        } else if (f.number == 9 || f.number == 12) {
            uint64_t ignored;
            if (f.wire != 0 && f.wire != 2) {
                return false;
            }
            while (f.wire == 2 && f.content.at < f.content.n) {
                if (!naive_varint(&f.content, &ignored)) {
                    return false;
                }
            }
        } else if (wire[f.number] == 9 && f.wire != 1 && (f.wire != 2 || (f.content.n - f.content.at) % 8 != 0)) {
            return false;
        }
    }
    return true;
}

static bool naive_series(struct cursor c, struct digest *d)
{
    const struct cursor begin = c;
    const struct digest before = *d;
    struct naive_field f;

    d->series++;
    while (c.at < c.n) {
        if (!naive_next(&c, &f, 0) || (f.number <= 4 && f.wire != 2)) {
            return false;
        }
        d->labels += f.number == 1;
        d->exemplars += f.number == 3;
        d->histograms += f.number == 4;
        if (f.number == 2 && !naive_sample(f.content, d)) {
            return false;
        }
        if (f.number == 4 && !naive_histogram(f.content)) {
            return false;
        }
    }
    if (d->labels == before.labels) { /* not listed */
        *d = before;
        d->unlabelled++;
        return true;
    }
    for (c = begin; c.at < c.n;) {
        REQUIRE(naive_next(&c, &f, 0));
        if (f.number == 1 && d->labels_ok) {
            d->labels_ok = naive_label(f.content, d);
        }
    }
    return true;
}

static bool naive_metadata(struct cursor c, struct digest *d)
{
    struct cursor text[6] = {{0}};
    uint64_t type = 0;
    struct naive_field f;

    while (c.at < c.n) {
        if (!naive_next(&c, &f, 0)) {
            return false;
        }
        if (f.number == 1 || f.number == 2 || f.number == 4 || f.number == 5) {
            if (f.wire != (f.number == 1 ? 0 : 2)) {
                return false;
            }
            if (f.number == 1) {
                type = (uint32_t)f.value;
            } else {
                text[f.number] = f.content;
            }
        }
    }
    d->metadata++;
    d->sum = add_u64(d->sum, type);
    d->sum = add(add(add(d->sum, text[2].p, text[2].n), text[4].p, text[4].n), text[5].p, text[5].n);
    return true;
}

static bool naive_request(struct cursor c, struct digest *d)
{
    struct naive_field f;

    while (c.at < c.n) {
        if (!naive_next(&c, &f, 0)) {
            return false;
        }
        if (((f.number == 1 || f.number == 3) && f.wire != 2) || ((f.number == 2 || f.number == 1000) && f.wire != 0)) {
            return false;
        }
        if ((f.number == 1 && !naive_series(f.content, d)) || (f.number == 3 && !naive_metadata(f.content, d))) {
            return false;
        }
    }
    return true;
}

/* ---- the walk's digest, in the same order ---- */

static void digest_labels(struct digest *d, const struct remote_write_series *s, struct pl_arena *a)
{
    struct remote_write_label *v = pl_arena_alloc(a, (s->label_count + 1) * sizeof(*v));
    struct pl_err err;

    d->labels += s->label_count;
    if (!d->labels_ok) {
        return;
    }
    if (remote_write_labels(v, s, &err) != PL_OK) {
        d->labels_ok = false;
        return;
    }
    for (uint32_t i = 0; i < s->label_count; i++) {
        d->sum = add(add(d->sum, v[i].name.p, v[i].name.n), v[i].value.p, v[i].value.n);
    }
}

static struct digest digest_series(const struct remote_write *rw, struct pl_arena *a)
{
    struct digest d = {.sum = 1, .labels_ok = true};
    uint32_t next = 0;

    for (uint32_t i = 0; i < rw->series_count; i++) {
        const struct remote_write_series *s = &rw->series[i];
        REQUIRE(s->sample_first == next);
        next += s->sample_count;
        for (uint32_t k = 0; k < s->sample_count; k++) {
            d.sum =
                add_u64(add_u64(d.sum, (uint64_t)rw->t[s->sample_first + k]), pl_f64_bits(rw->v[s->sample_first + k]));
        }
        digest_labels(&d, s, a);
        d.histograms += s->histogram_count;
        d.exemplars += s->exemplar_count;
    }
    for (uint32_t i = 0; i < rw->histogram_count; i++) {
        const struct remote_write_histogram *x = &rw->histograms[i];
        REQUIRE(x->h == NULL || (x->problem == NULL && x->schema_known && hist_validate(x->h, NULL) == PL_OK));
    }
    REQUIRE(next == rw->sample_count && d.histograms == rw->histogram_count && d.exemplars == rw->exemplar_count);
    d.series = rw->series_count;
    d.samples = rw->sample_count;
    return d;
}

static void check_message(pl_str m)
{
    struct digest naive = {.sum = 1, .labels_ok = true}, walked;
    struct remote_write rw;
    struct pl_arena a;
    struct pl_err err = {.status = PL_OK};
    bool ok = naive_request((struct cursor){(const uint8_t *)m.p, m.n, 0}, &naive);

    pl_arena_init(&a, 0);
    REQUIRE((remote_write_walk(&rw, m, &a, &err) == PL_OK) == ok);
    REQUIRE(ok || (err.status == PL_INVALID && err.msg[0] != '\0'));
    if (ok) {
        walked = digest_series(&rw, &a);
        walked.metadata = rw.metadata_count;
        REQUIRE(rw.unlabelled_count == naive.unlabelled);
        REQUIRE(walked.series == naive.series && walked.samples == naive.samples && walked.labels == naive.labels);
        REQUIRE(walked.histograms == naive.histograms && walked.exemplars == naive.exemplars &&
                walked.metadata == naive.metadata);
        REQUIRE(walked.labels_ok == naive.labels_ok);
        if (rw.metadata_count == 0) { /* metadata may lie between the series: then the orders differ */
            REQUIRE(walked.sum == naive.sum || !walked.labels_ok);
        }
    }
    pl_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const pl_str in = pl_str_of((const char *)data, size);
    struct pl_err err;
    size_t n = 0;

    if (snappy_decoded_size(in, &n) && n <= DECODED_MAX && snappy_size_plausible(in, n)) {
        char *out = malloc(n + 1);
        REQUIRE(out != NULL);
        if (snappy_decode(out, n, in, &err) == PL_OK) {
            check_message(pl_str_of(out, n));
        }
        free(out);
    }
    if (size <= NAIVE_MAX) {
        check_message(in);
    }
    return 0;
}
