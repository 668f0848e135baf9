/* Writes one Prometheus block of data that hurts, for comparisons of answers:
 *   diff_data DIR SEED START_MS SPAN_MS [floats]
 * Prints how many series and samples. `floats`: no native histograms. */
#include "data.h"

#include "base/clock.h"
#include "codec/hist_chunk.h"
#include "codec/xor_chunk.h"
#include "tsdb/block.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LABELS_MAX = 16, CHUNK_SAMPLES_MAX = 120, CHUNK_SAMPLES_MIN = 30, STEADY_MS = 15000 };

/* ---- random numbers: splitmix64 ---- */

uint64_t data_rnd(struct data *d)
{
    uint64_t z = d->rnd += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t data_below(struct data *d, uint64_t n)
{
    return data_rnd(d) % n;
}

double data_unit(struct data *d)
{
    return (double)(data_rnd(d) >> 11) * 0x1p-53;
}

bool data_chance(struct data *d, double p)
{
    return data_unit(d) < p;
}

double data_pick(struct data *d, const double *v, size_t n)
{
    return v[data_below(d, n)];
}

/* ---- series ---- */

struct made *data_series(struct data *d, const char *name, ...)
{
    struct made *m = pl_arena_zero(&d->a, sizeof(*m));
    struct label *l = pl_arena_zero(&d->a, LABELS_MAX * sizeof(*l));
    size_t n = 0;
    va_list ap;

    l[n++] = (struct label){LABEL_METRIC_NAME, pl_arena_str(&d->a, pl_str_c(name))};
    va_start(ap, name);
    for (const char *label = va_arg(ap, const char *); label != NULL; label = va_arg(ap, const char *)) {
        const char *value = va_arg(ap, const char *);

        PL_ASSERT(n < LABELS_MAX);
        if (value[0] != '\0') {
            l[n++] = (struct label){pl_arena_str(&d->a, pl_str_c(label)), pl_arena_str(&d->a, pl_str_c(value))};
        }
    }
    va_end(ap);
    labels_sort(l, n);
    m->labels = (struct labels){l, n};
    pl_array_reserve(d->made, d->cap, d->n + 1);
    d->made[d->n++] = m;
    return m;
}

static void add(struct data *d, struct made *m, struct point p)
{
    if (p.t_ms < d->start_ms || p.t_ms >= d->start_ms + d->span_ms || (m->n > 0 && p.t_ms <= m->p[m->n - 1].t_ms)) {
        return;
    }
    pl_array_reserve(m->p, m->cap, m->n + 1);
    m->p[m->n++] = p;
}

void data_add(struct data *d, struct made *m, int64_t t_ms, double v)
{
    add(d, m, (struct point){t_ms, v, NULL});
}

void data_add_hist(struct data *d, struct made *m, int64_t t_ms, const struct hist *h)
{
    add(d, m, (struct point){t_ms, 0, h});
}

/* The marker has the kind of the sample before it. */
void data_add_stale(struct data *d, struct made *m, int64_t t_ms)
{
    const struct hist *before = m->n > 0 ? m->p[m->n - 1].h : NULL;
    struct hist *h;

    if (before == NULL) {
        data_add(d, m, t_ms, pl_f64_from_bits(PL_STALE_NAN_BITS));
        return;
    }
    h = pl_arena_zero(&d->a, sizeof(*h));
    h->sum = pl_f64_from_bits(PL_STALE_NAN_BITS);
    h->hint = before->hint == HIST_HINT_GAUGE ? HIST_HINT_GAUGE : HIST_HINT_UNKNOWN;
    data_add_hist(d, m, t_ms, h);
}

/* ---- times ---- */

struct life data_life(struct data *d, enum pace pace, bool calm)
{
    struct life l = {.pace = pace, .at_ms = d->start_ms + (int64_t)data_below(d, STEADY_MS)};

    l.end_ms = d->start_ms + d->span_ms;
    if (calm) {
        return l;
    }
    l.gap = data_chance(d, 0.5) ? 0.02 : 0;
    l.stale = data_chance(d, 0.6) ? 0.7 : 0;
    if (data_chance(d, 0.3)) {
        l.at_ms += (int64_t)data_below(d, (uint64_t)d->span_ms / 2);
    }
    if (data_chance(d, 0.3)) {
        l.end_ms -= (int64_t)data_below(d, (uint64_t)d->span_ms / 2);
    }
    return l;
}

static int64_t pace_ms(struct data *d, enum pace pace)
{
    switch (pace) {
    case PACE_STEADY:
        return STEADY_MS;
    case PACE_JITTER:
        return STEADY_MS - 2000 + (int64_t)data_below(d, 4000);
    case PACE_WILD:
        return 1 + (int64_t)data_below(d, data_chance(d, 0.2) ? 90000 : 15000);
    case PACE_SPARSE:
        return 60000 + (int64_t)data_below(d, 600000);
    case PACE_DENSE:
        return 5000;
    case PACE_COUNT:
        break;
    }
    PL_UNREACHABLE("a pace");
}

bool data_next(struct data *d, struct life *l, int64_t *t_ms, bool *stale)
{
    int64_t at = l->at_ms;

    if (at >= l->end_ms) {
        /* A series that ends before the data may say so. */
        *t_ms = at;
        *stale = !l->gone && data_chance(d, l->stale);
        l->gone = true;
        return *stale;
    }
    *t_ms = at;
    *stale = false;
    l->at_ms = at + pace_ms(d, l->pace);
    if (data_chance(d, l->gap)) {
        *stale = data_chance(d, l->stale);
        l->at_ms += (int64_t)data_below(d, 900000);
    }
    return true;
}

/* ---- the block ---- */

static struct pl_err err;

static void check(pl_status st)
{
    if (st != PL_OK) {
        (void)fprintf(stderr, "diff_data: %s\n", err.msg);
        exit(1);
    }
}

struct chunks {
    struct chunk_view *v;
    size_t n, cap;
    struct xor_appender app;
    uint8_t *open;
    struct hist_chunk_writer *hist;
    size_t left; /* samples until the next cut */
};

static struct chunk_view *begin(struct data *d, struct chunks *c, uint8_t encoding, int64_t t_ms)
{
    pl_array_reserve(c->v, c->cap, c->n + 1);
    c->v[c->n] = (struct chunk_view){.encoding = encoding, .mint_ms = t_ms};
    c->left = CHUNK_SAMPLES_MIN + data_below(d, CHUNK_SAMPLES_MAX - CHUNK_SAMPLES_MIN + 1);
    return &c->v[c->n++];
}

static void put_float(struct data *d, struct chunks *c, const struct point *p)
{
    struct chunk_view *v = c->n > 0 ? &c->v[c->n - 1] : NULL;

    if (v == NULL || v->encoding != CHUNK_ENC_XOR || c->left == 0) {
        v = begin(d, c, CHUNK_ENC_XOR, p->t_ms);
        c->open = pl_arena_alloc(&d->a, CHUNK_SAMPLES_MAX * XOR_SAMPLE_BYTES_MAX + 16);
        xor_init(&c->app, c->open);
    }
    xor_append(&c->app, c->open, p->t_ms, p->v);
    *v = (struct chunk_view){.data = c->open,
                             .size = xor_size(&c->app),
                             .encoding = CHUNK_ENC_XOR,
                             .mint_ms = v->mint_ms,
                             .maxt_ms = p->t_ms};
    c->left--;
}

static void put_hist(struct data *d, struct chunks *c, const struct point *p, bool whole)
{
    struct chunk_view *v = c->n > 0 ? &c->v[c->n - 1] : NULL;
    uint8_t encoding = whole ? CHUNK_ENC_HISTOGRAM : CHUNK_ENC_FLOAT_HISTOGRAM;
    size_t size;

    if (v == NULL || v->encoding != encoding || c->left == 0 || !hist_chunk_fits(c->hist, p->h)) {
        v = begin(d, c, encoding, p->t_ms);
        c->hist = hist_chunk_begin(&d->a, encoding, p->h);
        PL_ASSERT(c->hist != NULL);
    }
    if (!hist_chunk_append(c->hist, p->t_ms, p->h)) {
        check(pl_fail(&err, PL_NOMEM, "a histogram chunk"));
    }
    v->data = hist_chunk_bytes(c->hist, &size);
    v->size = (uint32_t)size;
    v->maxt_ms = p->t_ms;
    c->left--;
}

static int made_cmp(const void *x, const void *y)
{
    return labels_cmp((*(struct made *const *)x)->labels, (*(struct made *const *)y)->labels);
}

static void write_block(struct data *d, pl_str dir)
{
    struct block_writer *w;
    struct ulid id;
    size_t floats = 0, hists = 0;

    qsort(d->made, d->n, sizeof(struct made *), made_cmp);
    check(block_writer_create(&w, dir, d->start_ms, d->start_ms + d->span_ms, d->start_ms, &err));
    for (size_t i = 0; i < d->n; i++) {
        const struct made *m = d->made[i];
        struct chunks c = {0};

        if (i > 0 && labels_eq(d->made[i - 1]->labels, m->labels)) {
            (void)fprintf(stderr, "diff_data: two series of the same labels: %.*s\n", PL_STR_ARG(m->labels.v[0].value));
            exit(1);
        }
        for (size_t k = 0; k < m->n; k++) {
            if (m->p[k].h != NULL) {
                put_hist(d, &c, &m->p[k], m->whole_hists);
                hists++;
            } else {
                put_float(d, &c, &m->p[k]);
                floats++;
            }
        }
        check(block_writer_add(w, m->labels, c.v, (uint32_t)c.n, &err));
        pl_free(c.v);
    }
    check(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    (void)printf("%zu series, %zu floats, %zu histograms\n", d->n, floats, hists);
}

int main(int argc, char **argv)
{
    struct data d = {0};

    if (argc < 5) {
        (void)fprintf(stderr, "usage: diff_data DIR SEED START_MS SPAN_MS [floats]\n");
        return 2;
    }
    pl_arena_init(&d.a, 0);
    d.rnd = strtoull(argv[2], NULL, 10);
    d.start_ms = atoll(argv[3]);
    d.span_ms = atoll(argv[4]);
    data_floats(&d);
    data_demo(&d);
    if (argc < 6) {
        data_hists(&d);
    }
    write_block(&d, pl_str_c(argv[1]));
    for (size_t i = 0; i < d.n; i++) {
        pl_free(d.made[i]->p);
    }
    pl_free(d.made);
    pl_arena_fini(&d.a);
    return 0;
}
