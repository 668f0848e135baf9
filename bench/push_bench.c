/* distributor_push for known series, with a port that answers at once: the distributor's own cost per sample. */
#include "distributor/distributor.h"

#include "base/clock.h"
#include "codec/snappy.h"
#include "ctl/load_gen.h"

#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 2000, BLOCKS = 50, ROUNDS = 40 };

static struct limits limits;
static uint64_t appended;

const struct limits *limits_get(struct overrides *o, pl_str tenant, uint64_t *generation)
{
    (void)o, (void)tenant;
    *generation = 1;
    return &limits;
}

void limits_put(struct overrides *o, const struct limits *l)
{
    (void)o, (void)l;
}

static pl_status fake_begin(struct ingest_port *p, pl_str tenant, struct ingest_session **out, struct pl_err *err)
{
    (void)tenant, (void)err;
    *out = (struct ingest_session *)(void *)p;
    return PL_OK;
}

static void fake_resolve(struct ingest_session *s, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    (void)s;
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = hashes[i].lo | 1;
    }
}

static pl_status fake_append(struct ingest_session *s, const struct ingest_batch *b, struct pl_arena *a,
                             struct pl_err *err)
{
    (void)s, (void)a, (void)err;
    appended += b->series_count;
    return PL_OK;
}

static void fake_end(struct ingest_session *s)
{
    (void)s;
}

static const struct ingest_port_ops fake_ops = {fake_begin, fake_resolve, fake_append, fake_end, fake_end, NULL};

/* Known series: pushes messages that were decoded before, or with `decode` the snappy bodies. */
static double run(struct distributor *d, struct load_block *blocks, pl_str *messages, bool decode)
{
    struct pl_arena a;
    struct pl_err err;
    int64_t cpu_ns;

    pl_arena_init(&a, 0);
    appended = 0;
    cpu_ns = pl_cpu_process_ns();
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < BLOCKS; i++) {
            pl_str m = messages[i];
            if (decode) {
                char *to = pl_arena_alloc(&a, m.n);
                PL_ASSERT(snappy_decode(to, m.n, pl_buf_view(&blocks[i].body), &err) == PL_OK);
                m.p = to;
            }
            PL_ASSERT(distributor_push(d, PL_STR("bench"), m, &a, pl_now_unix_ms(), &err) == PL_OK);
            pl_arena_reset(&a);
        }
    }
    cpu_ns = pl_cpu_process_ns() - cpu_ns;
    pl_arena_fini(&a);
    PL_ASSERT(appended == (uint64_t)ROUNDS * BLOCKS * SERIES);
    return (double)cpu_ns / (double)appended;
}

int main(void)
{
    static struct ingest_port port = {&fake_ops};
    const struct distributor_options o = {.recv_bytes_max = 100 << 20};
    const struct load_shape shape = {
        .series = (uint64_t)SERIES * BLOCKS, .labels = 12, .samples_per_series = 1, .seed = 1};
    struct load_block blocks[BLOCKS];
    pl_str messages[BLOCKS];
    size_t bytes = 0, packed = 0;
    struct pl_err err;

    limits = (struct limits){.enforce_metric_name = true,
                             .max_label_name_length = 1024,
                             .max_label_value_length = 2048,
                             .max_label_names_per_series = 30,
                             .creation_grace_period_ns = 600 * PL_NS_PER_S,
                             .ingestion_rate = 1e18,
                             .ingestion_burst_size = INT64_C(1) << 60};
    struct distributor *d = distributor_create(&o, NULL, &port);
    for (int i = 0; i < BLOCKS; i++) {
        load_block_init(&blocks[i], (uint64_t)i * SERIES, SERIES);
        load_block_stamp(&blocks[i], &shape, 0, 0, pl_now_unix_ms(), 15000);
        char *to = pl_alloc(blocks[i].message_bytes);
        PL_ASSERT(snappy_decode(to, blocks[i].message_bytes, pl_buf_view(&blocks[i].body), &err) == PL_OK);
        messages[i] = pl_str_of(to, blocks[i].message_bytes);
        bytes += messages[i].n;
        packed += blocks[i].body.n;
    }
    printf("%d requests of %d series: %.1f bytes per sample, %.1f compressed\n", BLOCKS, SERIES,
           (double)bytes / (SERIES * BLOCKS), (double)packed / (SERIES * BLOCKS));
    for (int i = 0; i < 3; i++) {
        printf("distributor_push, known series: %.1f ns per sample; with snappy %.1f ns\n",
               run(d, blocks, messages, false), run(d, blocks, messages, true));
    }
    distributor_destroy(d);
    for (int i = 0; i < BLOCKS; i++) {
        load_block_fini(&blocks[i]);
        pl_free((char *)(uintptr_t)messages[i].p);
    }
    return 0;
}
