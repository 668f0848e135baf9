#include "metric/metric.h"

#include "base/hash.h"
#include "base/sync.h"
#include "codec/float_text.h"

#include <stdlib.h>

enum { COLLECTORS_MAX = 32, FAMILIES_MAX = 1024, INDEX_FROM = 16 };

const double metric_latency_bounds[14] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 50, 100};

/* The registry: families and cells are only ever added, under `lock`; readers walk the lists without it (acquire loads
 * pair with the release stores below). */
static struct {
    struct pl_mutex lock;
    pthread_once_t once;
    struct metric_family *families[FAMILIES_MAX];
    size_t family_count;
    struct {
        void (*fn)(void *arg);
        void *arg;
    } collectors[COLLECTORS_MAX];
    size_t collector_count;
} reg = {.once = PTHREAD_ONCE_INIT};

static void reg_init(void)
{
    pl_mutex_init(&reg.lock, PL_RANK_METRIC);
}

static size_t label_count(const struct metric_family *f)
{
    size_t n = 0;

    while (n < METRIC_LABELS_MAX && f->labels[n] != NULL) {
        n++;
    }
    return n;
}

static void register_locked(struct metric_family *f)
{
    size_t at;

    if (atomic_load_explicit(&f->registered, memory_order_relaxed)) {
        return;
    }
    PL_ASSERT(reg.family_count < FAMILIES_MAX);
    PL_ASSERT(f->bound_count <= METRIC_BUCKETS_MAX);
    for (at = reg.family_count; at > 0 && strcmp(reg.families[at - 1]->name, f->name) > 0; at--) {
        reg.families[at] = reg.families[at - 1];
    }
    reg.families[at] = f;
    reg.family_count++;
    atomic_store_explicit(&f->registered, true, memory_order_relaxed);
}

static uint64_t values_hash(const pl_str *values, size_t n)
{
    uint64_t h = 0;

    for (size_t i = 0; i < n; i++) {
        h = (h ^ pl_hash64(values[i].p, values[i].n)) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

/* The slot of these values, or the free one that they would take. */
static struct metric_cell **index_slot(const struct metric_family *f, const pl_str *values, size_t n)
{
    size_t at = values_hash(values, n) & (f->index_size - 1);

    for (;; at = (at + 1) & (f->index_size - 1)) {
        struct metric_cell *c = f->index[at];
        size_t i = 0;

        while (c != NULL && i < n && pl_str_eq(c->values[i], values[i])) {
            i++;
        }
        if (c == NULL || i == n) {
            return &f->index[at];
        }
    }
}

static void index_grow(struct metric_family *f, size_t n)
{
    struct metric_cell **old = f->index;
    size_t old_size = f->index_size;

    f->index_size = PL_MAX(old_size * 2, (size_t)INDEX_FROM);
    f->index = pl_alloc_array_zero(f->index_size, sizeof(*f->index));
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] != NULL) {
            *index_slot(f, old[i]->values, n) = old[i];
        }
    }
    pl_free(old);
}

static struct metric_cell *cell_new(struct metric_family *f, const pl_str *values, size_t n)
{
    struct metric_cell *c = pl_new(struct metric_cell);

    for (size_t i = 0; i < n; i++) {
        c->values[i] = (pl_str){pl_str_dup(values[i]), values[i].n};
    }
    if (f->type == METRIC_HISTOGRAM) {
        c->buckets = pl_alloc_array_zero(f->bound_count + 1, sizeof(c->buckets[0]));
    }
    c->next = atomic_load_explicit(&f->cells, memory_order_relaxed);
    f->cell_count++;
    atomic_store_explicit(&f->cells, c, memory_order_release); /* pairs with the walkers' loads */
    return c;
}

struct metric_cell *metric_cell(struct metric_family *f, const pl_str *values)
{
    pl_str other[METRIC_LABELS_MAX];
    size_t n = label_count(f);
    struct metric_cell **slot;

    (void)pthread_once(&reg.once, reg_init);
    pl_mutex_lock(&reg.lock);
    register_locked(f);
    if (f->cell_count * 2 >= f->index_size) {
        index_grow(f, n);
    }
    slot = index_slot(f, values, n);
    if (*slot == NULL && f->cell_count >= METRIC_CELLS_MAX) {
        for (size_t i = 0; i < n; i++) {
            other[i] = PL_STR("overflow");
        }
        values = other;
        slot = index_slot(f, values, n);
    }
    if (*slot == NULL) {
        *slot = cell_new(f, values, n);
    }
    atomic_store_explicit(&(*slot)->hidden, false, memory_order_relaxed);
    pl_mutex_unlock(&reg.lock);
    return *slot;
}

void metric_add(struct metric_cell *c, double v)
{
    double old = atomic_load_explicit(&c->v, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&c->v, &old, old + v, memory_order_relaxed, memory_order_relaxed)) {
    }
}

void metric_set(struct metric_cell *c, double v)
{
    atomic_store_explicit(&c->v, v, memory_order_relaxed);
}

double metric_get(const struct metric_cell *c)
{
    return atomic_load_explicit(&c->v, memory_order_relaxed);
}

void metric_observe(struct metric_family *f, struct metric_cell *c, double v)
{
    uint32_t i = 0;

    PL_DCHECK(f->type == METRIC_HISTOGRAM);
    while (i < f->bound_count && v > f->bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&c->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
    metric_add(c, v);
}

void metric_remove_label(const char *label, pl_str value)
{
    (void)pthread_once(&reg.once, reg_init);
    pl_mutex_lock(&reg.lock);
    for (size_t i = 0; i < reg.family_count; i++) {
        struct metric_family *f = reg.families[i];
        size_t n = label_count(f);
        for (size_t k = 0; k < n; k++) {
            if (strcmp(f->labels[k], label) != 0) {
                continue;
            }
            for (struct metric_cell *c = atomic_load_explicit(&f->cells, memory_order_relaxed); c != NULL;
                 c = c->next) {
                if (pl_str_eq(c->values[k], value)) {
                    atomic_store_explicit(&c->hidden, true, memory_order_relaxed);
                }
            }
        }
    }
    pl_mutex_unlock(&reg.lock);
}

void metric_on_collect(void (*fn)(void *arg), void *arg)
{
    (void)pthread_once(&reg.once, reg_init);
    pl_mutex_lock(&reg.lock);
    PL_ASSERT(reg.collector_count < COLLECTORS_MAX);
    reg.collectors[reg.collector_count].fn = fn;
    reg.collectors[reg.collector_count].arg = arg;
    reg.collector_count++;
    pl_mutex_unlock(&reg.lock);
}

/* Runs the collectors and copies the family list, so that the walk itself holds no lock. */
static size_t snapshot(struct metric_family **out)
{
    size_t n;
    size_t collectors;

    (void)pthread_once(&reg.once, reg_init);
    pl_mutex_lock(&reg.lock);
    collectors = reg.collector_count; /* entries below it never change again */
    pl_mutex_unlock(&reg.lock);
    for (size_t i = 0; i < collectors; i++) {
        reg.collectors[i].fn(reg.collectors[i].arg);
    }
    pl_mutex_lock(&reg.lock);
    n = reg.family_count;
    memcpy(out, reg.families, n * sizeof(*out));
    pl_mutex_unlock(&reg.lock);
    return n;
}

/* One family's visible cells in order of their label values, so that two scrapes look alike. */
static int cell_cmp(const void *pa, const void *pb)
{
    const struct metric_cell *a = *(struct metric_cell *const *)pa;
    const struct metric_cell *b = *(struct metric_cell *const *)pb;
    int c = 0;

    for (size_t i = 0; i < METRIC_LABELS_MAX && c == 0; i++) {
        c = pl_str_cmp(a->values[i], b->values[i]);
    }
    return c;
}

struct cell_list {
    struct metric_cell **v;
    size_t n, cap;
};

static void cells_of(const struct metric_family *f, struct cell_list *l)
{
    l->n = 0;
    for (struct metric_cell *c = atomic_load_explicit(&f->cells, memory_order_acquire); c != NULL; c = c->next) {
        if (!atomic_load_explicit(&c->hidden, memory_order_relaxed)) {
            pl_array_reserve(l->v, l->cap, l->n + 1);
            l->v[l->n++] = c;
        }
    }
    if (l->n > 1) {
        qsort(l->v, l->n, sizeof(struct metric_cell *), cell_cmp);
    }
}

typedef void (*sample_fn)(void *arg, const struct metric_family *f, const char *suffix, const struct metric_cell *c,
                          const double *le, double v);

static void each_sample(const struct metric_family *f, const struct metric_cell *c, sample_fn fn, void *arg)
{
    static const double inf = (double)__builtin_inff();
    uint64_t total = 0;

    if (f->type != METRIC_HISTOGRAM) {
        fn(arg, f, "", c, NULL, metric_get(c));
        return;
    }
    for (uint32_t i = 0; i <= f->bound_count; i++) {
        total += atomic_load_explicit(&c->buckets[i], memory_order_relaxed);
        fn(arg, f, "_bucket", c, i < f->bound_count ? &f->bounds[i] : &inf, (double)total);
    }
    fn(arg, f, "_sum", c, NULL, metric_get(c));
    fn(arg, f, "_count", c, NULL, (double)total); /* equal to the last bucket, whatever is being counted meanwhile */
}

struct text_ctx {
    struct pl_buf *b;
    bool openmetrics;
};

static void put_label_value(struct pl_buf *b, pl_str s)
{
    pl_buf_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '"':
            PL_BUF_LIT(b, "\\\"");
            break;
        case '\\':
            PL_BUF_LIT(b, "\\\\");
            break;
        case '\n':
            PL_BUF_LIT(b, "\\n");
            break;
        default:
            pl_buf_byte(b, (uint8_t)s.p[i]);
        }
    }
    pl_buf_byte(b, '"');
}

static void text_sample(void *arg, const struct metric_family *f, const char *suffix, const struct metric_cell *c,
                        const double *le, double v)
{
    struct text_ctx *t = arg;
    struct pl_buf *b = t->b;
    size_t n = label_count(f);
    char num[FLOAT_TEXT_MAX];

    pl_buf_cstr(b, f->name);
    pl_buf_cstr(b, suffix);
    for (size_t i = 0; i < n; i++) {
        pl_buf_byte(b, i == 0 ? '{' : ',');
        pl_buf_cstr(b, f->labels[i]);
        pl_buf_byte(b, '=');
        put_label_value(b, c->values[i]);
    }
    if (le != NULL) {
        pl_buf_cstr(b, n == 0 ? "{le=\"" : ",le=\"");
        pl_buf_add(b, num, t->openmetrics ? float_put_om(num, *le) : float_put_g(num, *le));
        pl_buf_byte(b, '"');
    }
    pl_buf_cstr(b, n > 0 || le != NULL ? "} " : " ");
    pl_buf_add(b, num, t->openmetrics ? float_put_om(num, v) : float_put_g(num, v));
    pl_buf_byte(b, '\n');
}

static void text_head(const struct metric_family *f, struct pl_buf *b, bool openmetrics)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    pl_str name = pl_str_c(f->name);

    if (openmetrics && f->type == METRIC_COUNTER && pl_str_ends(name, PL_STR("_total"))) {
        name.n -= 6; /* OpenMetrics names the family without the suffix of its sample */
    }
    pl_buf_printf(b, "# HELP %.*s %s\n# TYPE %.*s %s\n", PL_STR_ARG(name), f->help, PL_STR_ARG(name), types[f->type]);
}

void metric_write_text(struct pl_buf *b, bool openmetrics)
{
    struct metric_family *fams[FAMILIES_MAX];
    size_t n = snapshot(fams);
    struct cell_list cells = {0};
    struct text_ctx t = {.b = b, .openmetrics = openmetrics};

    for (size_t i = 0; i < n; i++) {
        cells_of(fams[i], &cells);
        if (cells.n == 0) {
            continue;
        }
        text_head(fams[i], b, openmetrics);
        for (size_t k = 0; k < cells.n; k++) {
            each_sample(fams[i], cells.v[k], text_sample, &t);
        }
    }
    if (openmetrics) {
        PL_BUF_LIT(b, "# EOF\n");
    }
    pl_free(cells.v);
}

struct walk_ctx {
    void (*fn)(void *arg, const struct metric_sample *s);
    void *arg;
};

static void walk_sample(void *arg, const struct metric_family *f, const char *suffix, const struct metric_cell *c,
                        const double *le, double v)
{
    struct walk_ctx *w = arg;
    const char *names[METRIC_LABELS_MAX + 1];
    pl_str values[METRIC_LABELS_MAX + 1];
    char name[256];
    char num[FLOAT_TEXT_MAX];
    size_t n = label_count(f);
    size_t name_len = strlen(f->name);
    size_t suffix_len = strlen(suffix);

    PL_ASSERT(name_len + suffix_len < sizeof(name));
    memcpy(name, f->name, name_len);
    memcpy(name + name_len, suffix, suffix_len);
    for (size_t i = 0; i < n; i++) {
        names[i] = f->labels[i];
        values[i] = c->values[i];
    }
    if (le != NULL) {
        names[n] = "le";
        values[n] = (pl_str){num, float_put_om(num, *le)};
        n++;
    }
    w->fn(w->arg, &(struct metric_sample){.name = {name, name_len + suffix_len},
                                          .label_names = names,
                                          .label_values = values,
                                          .label_count = n,
                                          .value = v});
}

void metric_walk(void (*fn)(void *arg, const struct metric_sample *s), void *arg)
{
    struct metric_family *fams[FAMILIES_MAX];
    size_t n = snapshot(fams);
    struct cell_list cells = {0};
    struct walk_ctx w = {.fn = fn, .arg = arg};

    for (size_t i = 0; i < n; i++) {
        cells_of(fams[i], &cells);
        for (size_t k = 0; k < cells.n; k++) {
            each_sample(fams[i], cells.v[k], walk_sample, &w);
        }
    }
    pl_free(cells.v);
}

void metric_walk_families(void (*fn)(void *arg, const struct metric_family *f), void *arg)
{
    struct metric_family *fams[FAMILIES_MAX];
    size_t n = snapshot(fams);

    for (size_t i = 0; i < n; i++) {
        if (atomic_load_explicit(&fams[i]->cells, memory_order_acquire) != NULL) {
            fn(arg, fams[i]);
        }
    }
}
