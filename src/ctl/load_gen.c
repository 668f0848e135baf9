#include "ctl/load_gen.h"

#include "codec/varint.h"

enum {
    METRIC_KINDS = 8,
    SAMPLE_HEAD = 3,              /* field tag, length, tag of the value */
    SAMPLE_FIXED = 2 + 1 + 8 + 1, /* all of a sample field but the timestamp's bytes */
    MATCH_MIN = 4,
    HASH_BITS = 14,
    WINDOW = 65535,
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t mix2(uint64_t a, uint64_t b)
{
    return mix(a + UINT64_C(0x9e3779b97f4a7c15) * (b + 1));
}

/* ---- labels ---- */

/* What one target is called. */
struct target {
    uint64_t index, generation, h;
    const char *app, *cluster;
};

static const char *const apps[] = {"checkout", "cart",   "catalog",  "search",  "payments", "ledger",
                                   "profile",  "mailer", "gateway",  "billing", "images",   "feeds",
                                   "sessions", "quotes", "shipping", "audit"};
static const char *const clusters[] = {"eu-central-1", "eu-west-1", "us-east-1", "us-west-2", "ap-south-1"};
static const char *const parts[] = {"http", "grpc", "container", "process", "database", "cache", "queue", "runtime"};
/* The first KINDS_RISING are counters. */
static const char *const kinds[METRIC_KINDS] = {"requests_total",       "errors_total",          "cpu_seconds_total",
                                                "received_bytes_total", "request_seconds_count", "memory_bytes",
                                                "open_connections",     "pending_items"};
enum { KINDS_RISING = 5 };

static struct target target_of(const struct load_shape *s, uint64_t index, uint64_t generation)
{
    uint64_t h = mix2(s->seed, index);

    return (struct target){index, generation, mix2(h, generation), apps[h % PL_ARRAY_LEN(apps)],
                           clusters[h / 16 % PL_ARRAY_LEN(clusters)]};
}

static void put_suffix(struct pl_buf *b, uint64_t h, size_t n)
{
    static const char chars[] = "bcdfghjklmnpqrstvwxz2456789";

    for (size_t i = 0; i < n; i++, h /= 27) {
        pl_buf_byte(b, (uint8_t)chars[h % 27]);
    }
}

static void put_address(struct pl_buf *b, const struct target *t, char dot)
{
    const unsigned host = (unsigned)t->index; /* no two targets share an address */

    pl_buf_printf(b, "10%c%u%c%u%c%u", dot, host >> 16 & 255, dot, host >> 8 & 255, dot, host & 255);
}

static void put_pod(struct pl_buf *b, const struct target *t)
{
    pl_buf_printf(b, "%s-", t->app);
    put_suffix(b, mix(t->h), 9);
    pl_buf_byte(b, '-');
    put_suffix(b, mix(t->h + 1), 5);
    pl_buf_printf(b, "-%u", (unsigned)(t->index + t->generation));
}

enum label {
    L_NAME,
    L_CLUSTER,
    L_CONTAINER,
    L_ENDPOINT,
    L_IMAGE,
    L_INSTANCE,
    L_JOB,
    L_NAMESPACE,
    L_NODE,
    L_POD,
    L_REGION,
    L_SERVICE,
    L_TEAM,
    L_VERSION,
    L_ZONE,
    LABEL_KINDS
};
static const char *const label_names[LABEL_KINDS] = {"__name__", "cluster", "container", "endpoint", "image",
                                                     "instance", "job",     "namespace", "node",     "pod",
                                                     "region",   "service", "team",      "version",  "zone"};
/* Which labels a series gets first, when it has few. */
static const uint8_t label_order[LABEL_KINDS] = {L_NAME,      L_INSTANCE, L_JOB,    L_NAMESPACE, L_POD,
                                                 L_CONTAINER, L_CLUSTER,  L_NODE,   L_SERVICE,   L_ENDPOINT,
                                                 L_VERSION,   L_ZONE,     L_REGION, L_TEAM,      L_IMAGE};

static void put_value(struct pl_buf *b, const struct load_shape *s, enum label l, const struct target *t,
                      uint64_t metric)
{
    switch (l) {
    case L_NAME:
        pl_buf_printf(b, "%s_%s", parts[metric / METRIC_KINDS], kinds[metric % METRIC_KINDS]);
        if (s->labels < 2) { /* nothing else tells the targets apart */
            pl_buf_printf(b, "_%u_%u", (unsigned)t->index, (unsigned)t->generation);
        }
        break;
    case L_CLUSTER:
        pl_buf_printf(b, "prod-%s", t->cluster);
        break;
    case L_CONTAINER:
    case L_SERVICE:
        pl_buf_cstr(b, t->app);
        break;
    case L_ENDPOINT:
        pl_buf_cstr(b, "http-metrics");
        break;
    case L_IMAGE:
        pl_buf_printf(b, "registry.example.com/shop/%s:v1.%u.3", t->app, (unsigned)(t->h % 40));
        break;
    case L_INSTANCE:
        put_address(b, t, '.');
        pl_buf_printf(b, ":%u", (unsigned)(9100 + t->generation % 50000));
        break;
    case L_JOB:
        pl_buf_printf(b, "shop/%s", t->app);
        break;
    case L_NAMESPACE:
        pl_buf_printf(b, "shop-%s", t->app);
        break;
    case L_NODE:
        pl_buf_cstr(b, "ip-");
        put_address(b, t, '-');
        pl_buf_printf(b, ".%s.compute.internal", t->cluster);
        break;
    case L_POD:
        put_pod(b, t);
        break;
    case L_REGION:
        pl_buf_cstr(b, t->cluster);
        break;
    case L_TEAM:
        pl_buf_printf(b, "team-%c", (char)('a' + t->h % 8));
        break;
    case L_VERSION:
        pl_buf_printf(b, "1.%u.%u", (unsigned)(t->h % 40), (unsigned)(t->h / 64 % 10));
        break;
    case L_ZONE:
        pl_buf_printf(b, "%s%c", t->cluster, (char)('a' + t->h % 3));
        break;
    case LABEL_KINDS:
        PL_UNREACHABLE("not a label");
    }
}

static void put_uvarint(struct pl_buf *b, uint64_t v)
{
    uint8_t tmp[VARINT_MAX];

    pl_buf_add(b, tmp, (size_t)(uvarint_put(tmp, v) - tmp));
}

static void put_field(struct pl_buf *b, uint8_t tag, pl_str s)
{
    pl_buf_byte(b, tag);
    put_uvarint(b, s.n);
    pl_buf_str(b, s);
}

/* A LabelPair as field 1 of a TimeSeries. */
static void put_label(struct pl_buf *b, pl_str name, pl_str value)
{
    pl_buf_byte(b, 0x0a);
    put_uvarint(b, 2 + uvarint_size(name.n) + name.n + uvarint_size(value.n) + value.n);
    put_field(b, 0x0a, name);
    put_field(b, 0x12, value);
}

static void put_labels(struct pl_buf *b, struct pl_buf *tmp, const struct load_shape *s, uint64_t series,
                       uint64_t generation)
{
    const struct target t = target_of(s, series / s->metrics, generation);
    bool wanted[LABEL_KINDS] = {false};
    uint32_t extra = s->labels > LABEL_KINDS ? s->labels - LABEL_KINDS : 0;

    for (uint32_t i = 0; i < s->labels && i < LABEL_KINDS; i++) {
        wanted[label_order[i]] = true;
    }
    for (int l = 0; l < LABEL_KINDS; l++) {
        if (wanted[l]) {
            pl_buf_reset(tmp);
            put_value(tmp, s, (enum label)l, &t, series % s->metrics);
            put_label(b, pl_str_c(label_names[l]), pl_buf_view(tmp));
        }
    }
    for (uint32_t i = 0; i < extra; i++) {
        char name[16];
        pl_buf_reset(tmp);
        pl_buf_printf(tmp, "zz_extra_%02u", (unsigned)i);
        memcpy(name, tmp->p, tmp->n);
        size_t n = tmp->n;
        pl_buf_reset(tmp);
        pl_buf_printf(tmp, "value-%u", (unsigned)(mix2(t.h, i) % 50));
        put_label(b, pl_str_of(name, n), pl_buf_view(tmp));
    }
}

/* ---- the message, before compression ---- */

/* Where the parts of one series lie in the message. */
struct span {
    uint32_t begin, samples, end;
};

static uint32_t sample_bytes(uint32_t time_width)
{
    return SAMPLE_FIXED + time_width;
}

static void put_empty_sample(struct pl_buf *b, uint32_t time_width)
{
    static const uint8_t zeros[10] = {0};

    pl_buf_byte(b, 0x12);
    pl_buf_byte(b, (uint8_t)(sample_bytes(time_width) - 2));
    pl_buf_byte(b, 0x09);
    pl_buf_add(b, zeros, 8);
    pl_buf_byte(b, 0x10);
    pl_buf_add(b, zeros, time_width);
}

/* How often the series has been replaced by a new one. */
static uint64_t generation_of(const struct load_shape *s, uint64_t replaced, uint64_t series)
{
    return replaced / s->series + (series < replaced % s->series ? 1 : 0);
}

static void put_message(struct pl_buf *m, struct span *spans, const struct load_block *b, const struct load_shape *s)
{
    struct pl_buf labels, tmp;

    pl_buf_init(&labels, 0);
    pl_buf_init(&tmp, 0);
    for (uint32_t i = 0; i < b->count; i++) {
        pl_buf_reset(&labels);
        put_labels(&labels, &tmp, s, b->first + i, generation_of(s, b->replaced, b->first + i));
        spans[i].begin = (uint32_t)m->n;
        pl_buf_byte(m, 0x0a);
        put_uvarint(m, labels.n + (size_t)s->samples_per_series * sample_bytes(b->time_width));
        pl_buf_str(m, pl_buf_view(&labels));
        spans[i].samples = (uint32_t)m->n;
        for (uint32_t k = 0; k < s->samples_per_series; k++) {
            put_empty_sample(m, b->time_width);
        }
        spans[i].end = (uint32_t)m->n;
    }
    pl_buf_fini(&tmp);
    pl_buf_fini(&labels);
}

/* ---- compression ---- */

static void put_literal(struct pl_buf *out, const char *p, size_t n)
{
    PL_ASSERT(n > 0 && n <= UINT32_C(1) << 24);
    n--;
    if (n < 60) {
        pl_buf_byte(out, (uint8_t)(n << 2));
    } else {
        unsigned bytes = n < 1 << 8 ? 1 : n < 1 << 16 ? 2 : 3;
        pl_buf_byte(out, (uint8_t)((59 + bytes) << 2));
        for (unsigned i = 0; i < bytes; i++) {
            pl_buf_byte(out, (uint8_t)(n >> 8 * i));
        }
    }
    pl_buf_add(out, p, n + 1);
}

static void put_copy(struct pl_buf *out, uint32_t offset, uint32_t n)
{
    while (n > 0) {
        uint32_t part = n > 64 ? (n < 68 ? 60 : 64) : n; /* no rest shorter than four */
        if (part <= 11 && part >= 4 && offset < 2048) {
            pl_buf_byte(out, (uint8_t)(1 | (part - 4) << 2 | (offset >> 8) << 5));
            pl_buf_byte(out, (uint8_t)offset);
        } else {
            pl_buf_byte(out, (uint8_t)(2 | (part - 1) << 2));
            pl_buf_byte(out, (uint8_t)offset);
            pl_buf_byte(out, (uint8_t)(offset >> 8));
        }
        n -= part;
    }
}

static uint32_t load32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* State of one compression: a hash of four bytes -> the last place they were seen, and which bytes will be overwritten
 * later (no copy may read those). */
struct squeeze {
    const char *m;
    const uint8_t *volatile_byte;
    uint32_t *table;
    struct pl_buf *out;
    uint32_t literal; /* begin of what is not written yet */
};

static uint32_t match_length(const struct squeeze *q, uint32_t from, uint32_t at, uint32_t end)
{
    uint32_t n = 0;

    while (at + n < end && q->m[from + n] == q->m[at + n] && !q->volatile_byte[from + n]) {
        n++;
    }
    return n;
}

/* Writes the constant bytes [at, end) but for a tail that stays pending as literal. */
static void squeeze_constant(struct squeeze *q, uint32_t at, uint32_t end)
{
    while (at + MATCH_MIN <= end) {
        uint32_t *slot = &q->table[load32(q->m + at) * UINT32_C(0x1e35a7bd) >> (32 - HASH_BITS)];
        uint32_t from = *slot, n = 0;
        *slot = at + 1; /* 0: never seen */
        if (from > 0 && at - (from - 1) <= WINDOW) {
            n = match_length(q, from - 1, at, end);
        }
        if (n < MATCH_MIN) {
            at++;
            continue;
        }
        if (at > q->literal) {
            put_literal(q->out, q->m + q->literal, at - q->literal);
        }
        put_copy(q->out, at - (from - 1), n);
        at += n;
        q->literal = at;
    }
}

static void compress(struct load_block *b, const struct pl_buf *m, const struct span *spans)
{
    struct squeeze q = {.m = m->p, .out = &b->body};
    uint8_t *marks = pl_alloc_zero(m->n);

    q.volatile_byte = marks;
    q.table = pl_alloc_zero(sizeof(uint32_t) << HASH_BITS);
    pl_buf_reset(&b->body);
    put_uvarint(&b->body, m->n);
    for (uint32_t i = 0; i < b->count; i++) {
        memset(marks + spans[i].samples, 1, spans[i].end - spans[i].samples);
        squeeze_constant(&q, spans[i].begin, spans[i].samples);
        put_literal(&b->body, m->p + q.literal, spans[i].end - q.literal);
        b->sample_at[i] = (uint32_t)(b->body.n - (spans[i].end - spans[i].samples));
        q.literal = spans[i].end;
    }
    pl_free(q.table);
    pl_free(marks);
}

/* ---- blocks ---- */

void load_block_init(struct load_block *b, uint64_t first, uint32_t count)
{
    *b = (struct load_block){.first = first, .count = count};
    pl_buf_init(&b->body, 0);
    b->sample_at = pl_new_array(uint32_t, count);
}

void load_block_fini(struct load_block *b)
{
    pl_buf_fini(&b->body);
    pl_free(b->sample_at);
}

static void build(struct load_block *b, const struct load_shape *s)
{
    struct span *spans = pl_new_array(struct span, b->count);
    struct pl_buf m;

    pl_buf_init(&m, 0);
    put_message(&m, spans, b, s);
    b->message_bytes = m.n;
    compress(b, &m, spans);
    pl_buf_fini(&m);
    pl_free(spans);
}

static double value_of(const struct load_shape *s, uint64_t series, uint64_t sample)
{
    const uint64_t h = mix2(s->seed + 1, series), noise = mix2(h, sample);

    if (series % s->metrics % METRIC_KINDS < KINDS_RISING) {
        uint64_t step = h % 997 + 1;
        return (double)(h % 100000 + sample * step + noise % step);
    }
    return (double)(h % 100000) + (double)(noise % 1000) / 8;
}

static void put_time(uint8_t *p, uint32_t width, uint64_t v)
{
    for (uint32_t i = 0; i + 1 < width; i++, v >>= 7) {
        p[i] = (uint8_t)(v | 0x80);
    }
    p[width - 1] = (uint8_t)v;
}

void load_block_stamp(struct load_block *b, const struct load_shape *s, uint64_t replaced, uint64_t sample_first,
                      int64_t time_ms, int64_t step_ms)
{
    const uint64_t last_ms = (uint64_t)time_ms + (uint64_t)step_ms * (s->samples_per_series - 1);
    const uint32_t width = (uint32_t)PL_MAX(uvarint_size((uint64_t)time_ms), uvarint_size(last_ms));
    const uint64_t last = b->first + b->count - 1;

    if (b->time_width < width || generation_of(s, replaced, b->first) != generation_of(s, b->replaced, b->first) ||
        generation_of(s, replaced, last) != generation_of(s, b->replaced, last) ||
        (replaced != b->replaced && replaced % s->series > b->first && replaced % s->series <= last)) {
        b->time_width = PL_MAX(width, b->time_width);
        b->replaced = replaced;
        build(b, s);
    }
    for (uint32_t i = 0; i < b->count; i++) {
        uint8_t *p = (uint8_t *)b->body.p + b->sample_at[i];
        for (uint32_t k = 0; k < s->samples_per_series; k++, p += sample_bytes(b->time_width)) {
            uint64_t bits = pl_f64_bits(value_of(s, b->first + i, sample_first + k));
            memcpy(p + SAMPLE_HEAD, &bits, sizeof(bits));
            put_time(p + SAMPLE_FIXED, b->time_width, (uint64_t)time_ms + (uint64_t)step_ms * k);
        }
    }
}
