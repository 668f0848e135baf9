#include "app/selfscrape.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sync.h"
#include "codec/varint.h"
#include "metric/metric.h"
#include "model/labels.h"

struct selfscrape {
    struct distributor *distributor;
    char *tenant, *instance;
    int64_t interval_ns;
    struct pl_mutex lock;
    struct pl_cond wake;
    bool stopping; /* under lock */
    struct pl_thread thread;
    struct pl_buf message, series; /* reused by the thread */
    int64_t now_ms;
};

static void put_len_field(struct pl_buf *b, uint8_t tag, pl_str s)
{
    uint8_t head[1 + VARINT_MAX];
    uint8_t *end;

    head[0] = tag;
    end = uvarint_put(head + 1, s.n);
    pl_buf_add(b, head, (size_t)(end - head));
    pl_buf_str(b, s);
}

/* Label {1: name, 2: value} as field 1 of the TimeSeries being built. */
static void put_label(struct pl_buf *series, pl_str name, pl_str value)
{
    size_t n = 2 + uvarint_size(name.n) + name.n + uvarint_size(value.n) + value.n;
    uint8_t head[1 + VARINT_MAX];
    uint8_t *end;

    head[0] = 0x0a;
    end = uvarint_put(head + 1, n);
    pl_buf_add(series, head, (size_t)(end - head));
    put_len_field(series, 0x0a, name);
    put_len_field(series, 0x12, value);
}

static void put_series(struct selfscrape *s, struct label *labels, size_t count, double v)
{
    uint8_t sample[1 + 8 + 1 + VARINT_MAX];
    uint8_t *end;
    uint64_t bits = pl_f64_bits(v);

    labels_sort(labels, count);
    pl_buf_reset(&s->series);
    for (size_t i = 0; i < count; i++) {
        put_label(&s->series, labels[i].name, labels[i].value);
    }
    sample[0] = 0x09; /* field 1: the value, little endian */
    memcpy(sample + 1, &bits, 8);
    sample[9] = 0x10; /* field 2: the timestamp */
    end = uvarint_put(sample + 10, (uint64_t)s->now_ms);
    put_len_field(&s->series, 0x12, pl_str_of((const char *)sample, (size_t)(end - sample)));
    put_len_field(&s->message, 0x0a, pl_buf_view(&s->series));
}

static void on_sample(void *arg, const struct metric_sample *m)
{
    struct selfscrape *s = arg;
    struct label labels[METRIC_LABELS_MAX + 4];
    size_t n = 0;

    labels[n++] = (struct label){LABEL_METRIC_NAME, m->name};
    labels[n++] = (struct label){PL_STR("instance"), pl_str_c(s->instance)};
    labels[n++] = (struct label){PL_STR("job"), PL_STR("pallium")};
    for (size_t i = 0; i < m->label_count; i++) {
        if (m->label_values[i].n > 0) {
            labels[n++] = (struct label){pl_str_c(m->label_names[i]), m->label_values[i]};
        }
    }
    put_series(s, labels, n, m->value);
}

/* MetricMetadata {1: type, 2: name, 4: help} as field 3 of the message. */
static void on_family(void *arg, const struct metric_family *f)
{
    static const uint8_t types[] = {[METRIC_COUNTER] = 1, [METRIC_GAUGE] = 2, [METRIC_HISTOGRAM] = 3};
    struct selfscrape *s = arg;

    pl_buf_reset(&s->series);
    pl_buf_byte(&s->series, 0x08);
    pl_buf_byte(&s->series, types[f->type]);
    put_len_field(&s->series, 0x12, pl_str_c(f->name));
    put_len_field(&s->series, 0x22, pl_str_c(f->help));
    put_len_field(&s->message, 0x1a, pl_buf_view(&s->series));
}

static pl_status scrape_once(struct selfscrape *s, struct pl_err *err)
{
    const char *up_labels[1] = {NULL};
    struct pl_arena arena;
    pl_status st;

    s->now_ms = pl_now_unix_ms();
    pl_buf_reset(&s->message);
    metric_walk(on_sample, s);
    on_sample(s, &(struct metric_sample){.name = PL_STR("up"), .label_names = up_labels, .value = 1});
    metric_walk_families(on_family, s); /* each time: it is kept for -ingester.metadata-retain-period only */
    pl_arena_init(&arena, (size_t)64 << 20);
    st = distributor_push(s->distributor, pl_str_c(s->tenant), pl_buf_view(&s->message), &arena, s->now_ms, err);
    pl_arena_fini(&arena);
    return st;
}

static void scrape_main(void *arg)
{
    struct selfscrape *s = arg;
    int64_t next_ns = pl_now_mono_ns() + PL_NS_PER_S; /* the first one soon, so that the first query has an answer */
    bool failing = false;

    pl_mutex_lock(&s->lock);
    while (!s->stopping) {
        struct pl_err err;
        if (pl_cond_wait_until(&s->wake, &s->lock, next_ns)) {
            continue;
        }
        pl_mutex_unlock(&s->lock);
        if (scrape_once(s, &err) != PL_OK) {
            if (!failing) {
                pl_warn("self-scrape could not append; it goes on trying", PL_KV_ERR(&err));
            }
            failing = true;
        } else {
            failing = false;
        }
        next_ns += s->interval_ns;
        next_ns = PL_MAX(next_ns, pl_now_mono_ns());
        pl_mutex_lock(&s->lock);
    }
    pl_mutex_unlock(&s->lock);
}

struct selfscrape *selfscrape_start(struct distributor *d, pl_str tenant, pl_str instance, int64_t interval_ns)
{
    struct selfscrape *s = pl_new(struct selfscrape);

    s->distributor = d;
    s->tenant = pl_str_dup(tenant);
    s->instance = pl_str_dup(instance);
    s->interval_ns = interval_ns;
    pl_mutex_init(&s->lock, PL_RANK_APP);
    pl_cond_init(&s->wake);
    pl_buf_init(&s->message, (size_t)64 << 20);
    pl_buf_init(&s->series, (size_t)1 << 20);
    pl_thread_start(&s->thread, "self-scrape", scrape_main, s);
    return s;
}

void selfscrape_stop(struct selfscrape *s)
{
    if (s == NULL) {
        return;
    }
    pl_mutex_lock(&s->lock);
    s->stopping = true;
    pl_cond_signal(&s->wake);
    pl_mutex_unlock(&s->lock);
    pl_thread_join(&s->thread);
    pl_cond_fini(&s->wake);
    pl_mutex_fini(&s->lock);
    pl_buf_fini(&s->message);
    pl_buf_fini(&s->series);
    pl_free(s->tenant);
    pl_free(s->instance);
    pl_free(s);
}
