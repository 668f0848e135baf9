#include "base/arena.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static void no_limit_is_always_fine(void **state)
{
    (void)state;
    pl_memory_limit_set(0);
    assert_int_equal(pl_memory_state(), PL_MEMORY_FINE);
    assert_true(pl_memory_charge(UINT64_C(1) << 40, PL_MEMORY_FINE));
    assert_int_equal(pl_memory_state(), PL_MEMORY_FINE);
    pl_memory_uncharge(UINT64_C(1) << 40);
}

static void sees_what_is_touched(void **state)
{
    enum { N = 64 * MIB };
    uint64_t before, after;
    char *p;
    (void)state;

    pl_memory_sample();
    before = pl_memory_used();
    assert_true(before > 0);
    p = pl_alloc(N);
    memset(p, 1, N);
    pl_memory_sample();
    after = pl_memory_used();
    assert_true(after >= before + N / 2);
    assert_true(after <= before + (uint64_t)N * 16); /* a sanitizer counts its own */
    assert_int_equal(p[N - 1], 1);
    pl_free(p);
}

static void goes_from_fine_to_short_to_out(void **state)
{
    const uint64_t limit = UINT64_C(8) << 30;
    uint64_t room;
    (void)state;

    pl_memory_limit_set(limit);
    assert_int_equal(pl_memory_limit(), limit);
    room = limit - pl_memory_used();
    assert_true(pl_memory_charge(room - 1, PL_MEMORY_FINE));
    assert_int_equal(pl_memory_state(), PL_MEMORY_FINE);
    assert_false(pl_memory_charge(2, PL_MEMORY_FINE));
    assert_int_equal(pl_memory_state(), PL_MEMORY_FINE);
    assert_true(pl_memory_charge(2, PL_MEMORY_SHORT)); /* a write may go on */
    assert_int_equal(pl_memory_state(), PL_MEMORY_SHORT);
    assert_false(pl_memory_charge(limit / 10 + 1, PL_MEMORY_SHORT));
    assert_true(pl_memory_charge(limit / 10 + 1, PL_MEMORY_OUT));
    assert_int_equal(pl_memory_state(), PL_MEMORY_OUT);
    pl_memory_uncharge(room + 1 + limit / 10 + 1);
    assert_int_equal(pl_memory_state(), PL_MEMORY_FINE);
    pl_memory_limit_set(0);
}

static void counted_arena_stops_at_the_limit(void **state)
{
    struct pl_arena a, child;
    uint64_t taken = 0;
    (void)state;

    pl_memory_limit_set(0);
    pl_memory_limit_set(pl_memory_used() + 64 * MIB);
    pl_arena_init(&a, 0);
    a.counted = true;
    pl_arena_init_child(&child, &a);
    while (pl_arena_alloc_try(taken % 2 == 0 ? &a : &child, MIB + taken % 2) != NULL) {
        taken += MIB + 1;
        assert_true(taken < 80 * (uint64_t)MIB);
    }
    assert_true(taken > 32 * (uint64_t)MIB);
    assert_true(a.refused);
    assert_non_null(pl_arena_alloc(&a, 1000)); /* small things are never refused */
    pl_arena_reset(&a);
    assert_non_null(pl_arena_alloc_try(&a, MIB));
    pl_arena_fini(&a);
    assert_int_equal(pl_memory_state(), PL_MEMORY_FINE);
    pl_memory_limit_set(0);
}

static void guesses_at_most_the_machine(void **state)
{
    uint64_t guess = pl_memory_limit_guess();
    (void)state;

    assert_true(guess > 16 * (uint64_t)MIB);
    assert_true(guess < UINT64_C(1) << 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_is_always_fine), cmocka_unit_test(sees_what_is_touched),
        cmocka_unit_test(goes_from_fine_to_short_to_out), cmocka_unit_test(counted_arena_stops_at_the_limit),
        cmocka_unit_test(guesses_at_most_the_machine)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
