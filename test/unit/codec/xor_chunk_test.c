#include "codec/varint.h"
#include "codec/xor_chunk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SAMPLES_MAX = 3000, BYTES_MAX = 2 + SAMPLES_MAX * XOR_SAMPLE_BYTES_MAX + 64 };

/* ---- a naive coder, one bit at a time, written from the format's words alone: the judge of the fast one ---- */

struct bits {
    uint8_t p[BYTES_MAX];
    size_t n;
};

static void naive_put(struct bits *b, uint64_t v, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        if (b->n % 8 == 0) {
            b->p[b->n / 8] = 0;
        }
        b->p[b->n / 8] |= (uint8_t)((v >> i & 1) << (7 - b->n % 8));
        b->n++;
    }
}

static void naive_encode(struct bits *b, const int64_t *t, const double *v, int n)
{
    int lead = -1, trail = 0;
    uint64_t prev_delta = 0;

    b->n = 0;
    naive_put(b, (uint64_t)n, 16);
    for (int i = 0; i < n; i++) {
        uint64_t bits = pl_f64_bits(v[i]);
        uint8_t text[VARINT_MAX];
        if (i == 0) {
            uint8_t *end = varint_put(text, t[0]);
            for (uint8_t *q = text; q < end; q++) {
                naive_put(b, *q, 8);
            }
            naive_put(b, bits, 64);
            continue;
        }
        uint64_t delta = (uint64_t)t[i] - (uint64_t)t[i - 1];
        if (i == 1) {
            uint8_t *end = uvarint_put(text, delta);
            for (uint8_t *q = text; q < end; q++) {
                naive_put(b, *q, 8);
            }
        } else {
            int64_t dod = (int64_t)(delta - prev_delta);
            if (dod == 0) {
                naive_put(b, 0, 1);
            } else if (dod >= -8191 && dod <= 8192) {
                naive_put(b, 2, 2);
                naive_put(b, (uint64_t)dod, 14);
            } else if (dod >= -65535 && dod <= 65536) {
                naive_put(b, 6, 3);
                naive_put(b, (uint64_t)dod, 17);
            } else if (dod >= -524287 && dod <= 524288) {
                naive_put(b, 14, 4);
                naive_put(b, (uint64_t)dod, 20);
            } else {
                naive_put(b, 15, 4);
                naive_put(b, (uint64_t)dod, 64);
            }
        }
        prev_delta = delta;
        uint64_t x = bits ^ pl_f64_bits(v[i - 1]);
        if (x == 0) {
            naive_put(b, 0, 1);
            continue;
        }
        int l = 0, tr = 0;
        while (l < 31 && (x >> (63 - l) & 1) == 0) {
            l++;
        }
        while ((x >> tr & 1) == 0) {
            tr++;
        }
        naive_put(b, 1, 1);
        if (lead >= 0 && l >= lead && tr >= trail) {
            naive_put(b, 0, 1);
            naive_put(b, x >> trail, 64 - lead - trail);
        } else {
            lead = l;
            trail = tr;
            naive_put(b, 1, 1);
            naive_put(b, (uint64_t)l, 5);
            naive_put(b, (uint64_t)(64 - l - tr) & 63, 6);
            naive_put(b, x >> tr, 64 - l - tr);
        }
    }
}

/* ---- sample makers ---- */

static uint64_t rng_state = 88172645463325252u;
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

static int64_t ts[SAMPLES_MAX], got_t[SAMPLES_MAX];
static double vs[SAMPLES_MAX], got_v[SAMPLES_MAX];
static struct bits want;

static void make_samples(int kind, int n)
{
    int64_t t = kind == 7 ? INT64_MIN : INT64_C(1700000000000) + (int64_t)(rng() % 100000);
    double v = 0;

    for (int i = 0; i < n; i++) {
        switch (kind) {
        case 0: /* constant */
            t += 15000;
            v = 42;
            break;
        case 1: /* counter on a steady step */
            t += 15000;
            v += (double)(rng() % 1000);
            break;
        case 2: /* gauge with jitter */
            t += 15000 + (int64_t)(rng() % 41) - 20;
            v = (double)(rng() % 100000) / 7;
            break;
        case 3: /* any bits, NaN payloads too */
            t += (int64_t)(rng() % 2000000);
            v = pl_f64_from_bits(rng());
            break;
        case 4: /* every class of time step, both edges */
        {
            static const int64_t edges[] = {0,      1,      -1,      8191,    8192,    8193,      -8191,
                                            -8192,  65535,  65536,   65537,   -65535,  -65536,    524287,
                                            524288, 524289, -524287, -524288, 1 << 30, -(1 << 30)};
            t += 600000 + edges[rng() % PL_ARRAY_LEN(edges)];
            v = rng() % 3 == 0 ? v + 1 : v;
            break;
        }
        case 5: /* long runs broken now and then, with stale markers */
            t += rng() % 50 == 0 ? 17000 : 15000;
            v = rng() % 40 == 0 ? pl_f64_from_bits(PL_STALE_NAN_BITS) : rng() % 20 == 0 ? (double)(rng() % 8) : v;
            break;
        case 6: /* one bit apart at either end: full windows */
            t += 1000;
            v = pl_f64_from_bits(pl_f64_bits(v) ^ (rng() % 2 == 0 ? UINT64_C(1) : UINT64_C(1) << 63));
            break;
        default: /* differences that wrap */
            t = (int64_t)rng();
            v = -v + 1e300;
            break;
        }
        ts[i] = t;
        vs[i] = v;
    }
}

/* Encodes ts/vs into a buffer of exactly the promised room, dirty behind the used bytes. */
static size_t encode(uint8_t *data, int n)
{
    struct xor_appender a;

    xor_init(&a, data);
    for (int i = 0; i < n; i++) {
        memset(data + xor_size(&a), 0xa5, XOR_SAMPLE_BYTES_MAX);
        data[xor_size(&a) + XOR_SAMPLE_BYTES_MAX] = 0x5a;
        uint32_t before = xor_size(&a);
        xor_append(&a, data, ts[i], vs[i]);
        assert_int_equal(data[before + XOR_SAMPLE_BYTES_MAX], 0x5a);
        assert_true(xor_size(&a) <= before + XOR_SAMPLE_BYTES_MAX);
    }
    return xor_size(&a);
}

/* Decodes from a heap copy of exactly `size` bytes, so that sanitizers see any read past it. */
static pl_status decode(const uint8_t *data, size_t size)
{
    uint8_t *copy = pl_alloc(size);
    pl_status st;

    memcpy(copy, data, size);
    memset(got_t, 0, sizeof(got_t));
    st = xor_decode(copy, size, got_t, got_v, NULL);
    pl_free(copy);
    return st;
}

static void check_value(void **state)
{
    static const uint8_t golden[33] = {0x00, 0x04, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0x3f, 0xf0, 0x00,
                                       0x00, 0x00, 0x00, 0x00, 0x00, 0x98, 0x75, 0x30, 0x9b, 0xff, 0xd8,
                                       0x00, 0x3c, 0x5e, 0xff, 0xe8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04};
    uint8_t data[256];

    (void)state;
    ts[0] = INT64_C(1700000000000);
    ts[1] = ts[0] + 15000;
    ts[2] = ts[0] + 30000;
    ts[3] = ts[0] + 45003;
    vs[0] = vs[1] = 1;
    vs[2] = 2.5;
    vs[3] = pl_f64_from_bits(PL_STALE_NAN_BITS);
    assert_int_equal(encode(data, 4), sizeof(golden));
    assert_memory_equal(data, golden, sizeof(golden));
    assert_int_equal(decode(golden, sizeof(golden)), PL_OK);
    assert_memory_equal(got_t, ts, 4 * sizeof(ts[0]));
    assert_memory_equal(got_v, vs, 4 * sizeof(vs[0]));
}

static void equals_naive_coder(void **state)
{
    static uint8_t data[BYTES_MAX];

    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        for (int round = 0; round < 200; round++) {
            int n = round < 40 ? round : (int)(rng() % 400) + 1;
            n = round == 199 ? SAMPLES_MAX : n;
            make_samples(kind, n);
            size_t size = encode(data, n);
            naive_encode(&want, ts, vs, n);
            assert_int_equal(size, (want.n + 7) / 8);
            assert_memory_equal(data, want.p, size);
            assert_int_equal(xor_count(data, size), n);
            assert_int_equal(decode(data, size), PL_OK);
            assert_memory_equal(got_t, ts, (size_t)n * sizeof(ts[0]));
            assert_memory_equal(got_v, vs, (size_t)n * sizeof(vs[0]));
        }
    }
}

static void resume_equals_one_go(void **state)
{
    static uint8_t data[BYTES_MAX], again[BYTES_MAX];

    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        for (int round = 0; round < 100; round++) {
            int n = (int)(rng() % 300) + 1, cut = (int)(rng() % (uint64_t)n);
            struct xor_appender a, whole;
            cut = round < 4 ? PL_MIN(round, n) : cut;
            make_samples(kind, n);
            size_t size = encode(data, n);
            assert_int_equal(xor_resume(&whole, data, size, NULL), PL_OK);
            assert_int_equal(xor_size(&whole), size);
            (void)encode(again, cut);
            memset(&a, 0xee, sizeof(a));
            uint8_t *exact = pl_alloc(BYTES_MAX);
            size_t cut_size = encode(exact, cut);
            assert_int_equal(xor_resume(&a, exact, cut_size, NULL), PL_OK);
            for (int i = cut; i < n; i++) {
                xor_append(&a, exact, ts[i], vs[i]);
            }
            assert_int_equal(xor_size(&a), size);
            assert_memory_equal(exact, data, size);
            assert_int_equal(a.bit_count, whole.bit_count);
            assert_int_equal(a.leading, whole.leading);
            assert_int_equal(a.trailing, whole.trailing);
            pl_free(exact);
        }
    }
}

static void cut_anywhere_is_corrupt(void **state)
{
    static uint8_t data[BYTES_MAX];

    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        make_samples(kind, 150);
        size_t size = encode(data, 150);
        for (size_t n = 0; n < size; n++) {
            struct xor_appender a;
            assert_int_equal(decode(data, n), PL_CORRUPT);
            uint8_t *copy = pl_alloc(n);
            memcpy(copy, data, n);
            assert_int_equal(xor_resume(&a, copy, n, NULL), PL_CORRUPT);
            pl_free(copy);
        }
    }
}

static void reuse_without_window_reads_64_bits(void **state)
{
    /* Prometheus reopening a chunk of equal values goes on with a window of 0/0: control bits 1 0, then all 64 bits. */
    static struct bits b; /* large */
    uint64_t one = pl_f64_bits(1), two = pl_f64_bits(2);

    (void)state;
    naive_put(&b, 3, 16);
    naive_put(&b, 2, 8); /* t = 1 */
    naive_put(&b, one, 64);
    naive_put(&b, 10, 8); /* +10 */
    naive_put(&b, 0, 1);
    naive_put(&b, 0, 1);
    naive_put(&b, 2, 2);
    naive_put(&b, one ^ two, 64);
    assert_int_equal(decode(b.p, (b.n + 7) / 8), PL_OK);
    assert_int_equal(got_t[2], 21);
    assert_true(pl_f64_bits(got_v[2]) == two);
    struct xor_appender a;
    assert_int_equal(xor_resume(&a, b.p, (b.n + 7) / 8, NULL), PL_OK);
    assert_int_equal(a.leading, 0);
    assert_int_equal(a.trailing, 0);
}

static void window_wider_than_64_is_corrupt(void **state)
{
    static struct bits b; /* large */
    struct pl_err err;

    (void)state;
    naive_put(&b, 2, 16);
    naive_put(&b, 2, 8);
    naive_put(&b, 0, 64);
    naive_put(&b, 10, 8);
    naive_put(&b, 3, 2);
    naive_put(&b, 31, 5);
    naive_put(&b, 40, 6);
    naive_put(&b, 0, 64);
    assert_int_equal(xor_decode(b.p, b.n / 8, got_t, got_v, &err), PL_CORRUPT);
    assert_string_equal(err.msg, "xor chunk: malformed value");
}

static void empty_and_short(void **state)
{
    struct xor_appender a;
    uint8_t data[64] = {0};

    (void)state;
    assert_int_equal(xor_count(data, 1), 0);
    assert_int_equal(xor_decode(data, 2, got_t, got_v, NULL), PL_OK);
    assert_int_equal(xor_decode(data, 1, got_t, got_v, NULL), PL_CORRUPT);
    assert_int_equal(xor_decode(data, 0, got_t, got_v, NULL), PL_CORRUPT);
    assert_int_equal(xor_resume(&a, data, 2, NULL), PL_OK);
    assert_int_equal(a.bit_count, 16);
    assert_int_equal(a.leading, 0xff);
}

static void chunk_of_65535_samples(void **state)
{
    uint8_t *data = pl_alloc(2 + 65535 * 2 + 64);
    int64_t *t = pl_alloc(65535 * sizeof(*t));
    double *v = pl_alloc(65535 * sizeof(*v));
    struct xor_appender a;

    (void)state;
    xor_init(&a, data);
    for (int i = 0; i < XOR_CHUNK_SAMPLES_MAX; i++) {
        xor_append(&a, data, i * 1000, i / 10000);
    }
    assert_int_equal(xor_count(data, xor_size(&a)), 65535);
    assert_int_equal(xor_decode(data, xor_size(&a), t, v, NULL), PL_OK);
    for (int i = 0; i < XOR_CHUNK_SAMPLES_MAX; i++) {
        assert_true(t[i] == i * 1000 && v[i] == i / 10000);
    }
    pl_free(data);
    pl_free(t);
    pl_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_value),
        cmocka_unit_test(equals_naive_coder),
        cmocka_unit_test(resume_equals_one_go),
        cmocka_unit_test(cut_anywhere_is_corrupt),
        cmocka_unit_test(reuse_without_window_reads_64_bits),
        cmocka_unit_test(window_wider_than_64_is_corrupt),
        cmocka_unit_test(empty_and_short),
        cmocka_unit_test(chunk_of_65535_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
