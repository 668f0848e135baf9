/* Texts that come and go: ids stay right, places are used again, memory comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tsdb/symbols.h"

enum { TEXTS = 4000, BIG = 300000 };

struct held {
    uint32_t id; /* 0: not interned */
    uint32_t uses;
};

/* Text number i: lengths from 3 bytes to a few pages, mostly short. */
static pl_str text_of(uint32_t i, char *buf)
{
    size_t n = i % 997 == 0 ? 70000 + i * 13 % (BIG - 70000) : i % 53 == 0 ? 200 + i * 7 % 5000 : 8 + i % 60;
    int head = snprintf(buf, 16, "%u.", i);

    memset(buf + head, 'a' + (int)(i % 26), n - (size_t)head);
    return pl_str_of(buf, n);
}

static void free_retired(struct symbols *s)
{
    size_t n;
    uint32_t *ids = symbols_retired_take(s, &n);

    symbols_free(s, ids, n);
    symbols_pages_free(s);
    pl_free(ids);
}

static void drop(struct symbols *s, struct held *h, char *buf, uint32_t i)
{
    pl_str text = text_of(i, buf);

    symbols_unref(s, h->id);
    if (--h->uses == 0) {
        assert_int_equal(symbols_find(s, text), SYMBOL_NONE);
        assert_true(pl_str_eq(symbols_text(s, h->id), text)); /* until it is freed */
        h->id = 0;
    }
}

static void agrees_with_a_list(void **state)
{
    struct held *held = calloc(TEXTS, sizeof(*held));
    char *buf = malloc(BIG + 16);
    struct symbols s;
    uint32_t rnd = 12345, live = 0;
    uint64_t peak = 0;

    (void)state;
    symbols_init(&s);
    for (uint32_t step = 0; step < 200000; step++) {
        uint32_t i = (rnd = rnd * 1664525u + 1013904223u) >> 8;
        struct held *h = &held[i % TEXTS];
        /* Waves: now mostly adding, now mostly dropping. */
        bool add = (rnd >> 28) < (step / 20000 % 2 == 0 ? 12u : 4u);

        i %= TEXTS;
        if (add && h->uses < 200) {
            uint32_t id = symbols_intern(&s, text_of(i, buf));
            assert_true(id != 0 && (h->id == 0 || h->id == id));
            symbols_ref(&s, id);
            live += h->uses++ == 0;
            h->id = id;
        } else if (h->uses > 0) {
            drop(&s, h, buf, i);
            live -= h->uses == 0;
        }
        peak = PL_MAX(peak, s.bytes);
        if (step % 5000 == 4999) {
            free_retired(&s);
            assert_int_equal(s.count, live);
            for (uint32_t k = 0; k < TEXTS; k++) {
                pl_str text = text_of(k, buf);
                assert_int_equal(symbols_find(&s, text), held[k].id != 0 ? held[k].id : SYMBOL_NONE);
                assert_true(held[k].id == 0 || pl_str_eq(symbols_text(&s, held[k].id), text));
            }
        }
    }
    for (uint32_t i = 0; i < TEXTS; i++) {
        while (held[i].uses > 0) {
            drop(&s, &held[i], buf, i);
        }
    }
    free_retired(&s);
    assert_int_equal(s.count, 0);
    assert_true(s.bytes <= 2 * SYMBOL_PAGE_BYTES && peak > 12 * SYMBOL_PAGE_BYTES); /* the first page, and the newest */
    symbols_fini(&s);
    free(held);
    free(buf);
}

/* As many texts as went come again with the same lengths: not one page more. */
static void holes_are_filled(void **state)
{
    enum { N = 20000 };
    char text[32];
    struct symbols s;
    uint64_t bytes = 0;
    uint32_t *ids = calloc(N, sizeof(*ids));

    (void)state;
    symbols_init(&s);
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < N; i++) {
            if (round > 0 && i % 3 != round % 3) {
                continue; /* stays */
            }
            if (round > 0) {
                symbols_unref(&s, ids[i]);
            }
        }
        free_retired(&s);
        for (uint32_t i = 0; i < N; i++) {
            if (round == 0 || i % 3 == round % 3) {
                int n = snprintf(text, sizeof(text), "pod-%03u-%06u", round, i);
                ids[i] = symbols_intern(&s, pl_str_of(text, (size_t)n));
                symbols_ref(&s, ids[i]);
            }
        }
        bytes = round == 0 ? s.bytes : bytes;
        assert_true(s.bytes == bytes);
        assert_int_equal(s.count, N);
    }
    symbols_fini(&s);
    free(ids);
}

static void many_uses_stay(void **state)
{
    struct symbols s;
    uint32_t id;

    (void)state;
    symbols_init(&s);
    id = symbols_intern(&s, PL_STR("true"));
    for (int i = 0; i < SYMBOL_USES_MAX + 20; i++) {
        symbols_ref(&s, id);
    }
    for (int i = 0; i < SYMBOL_USES_MAX + 20; i++) {
        symbols_unref(&s, id);
    }
    assert_int_equal(symbols_find(&s, PL_STR("true")), id);
    assert_int_equal(s.retired_count, 0);
    symbols_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_list),
        cmocka_unit_test(holes_are_filled),
        cmocka_unit_test(many_uses_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
