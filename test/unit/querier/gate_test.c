#include "querier/internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct visitor {
    struct querier_gate *gate;
    struct pl_thread thread;
    pl_status st;
    _Atomic int *order;
    int at;
    int64_t deadline_ns;
    const _Atomic bool *cancel;
};

static void visit(void *arg)
{
    struct visitor *v = arg;
    struct pl_err err;

    v->st = querier_gate_enter(v->gate, v->deadline_ns, v->cancel, &err);
    if (v->st == PL_OK) {
        v->at = atomic_fetch_add(v->order, 1);
        querier_gate_leave(v->gate);
    }
}

static uint64_t waiting(struct querier_gate *g)
{
    uint64_t n;

    pl_mutex_lock(&g->mutex);
    n = g->waiting;
    pl_mutex_unlock(&g->mutex);
    return n;
}

static void wait_for(struct querier_gate *g, uint64_t n)
{
    int64_t deadline = pl_now_mono_ns() + 20 * PL_NS_PER_S;

    while (waiting(g) != n) {
        assert_true(pl_now_mono_ns() < deadline);
        pl_sleep_ns(PL_NS_PER_MS);
    }
}

static void waits_in_order_of_arrival(void **state)
{
    struct querier_gate g;
    struct visitor v[6];
    _Atomic int order = 0;
    struct pl_err err;
    (void)state;

    querier_gate_init(&g, 1);
    assert_int_equal(querier_gate_enter(&g, INT64_MAX, NULL, &err), PL_OK);
    for (int i = 0; i < 6; i++) {
        v[i] = (struct visitor){.gate = &g, .order = &order, .deadline_ns = pl_now_mono_ns() + 60 * PL_NS_PER_S};
        pl_thread_start(&v[i].thread, "visitor", visit, &v[i]);
        wait_for(&g, (uint64_t)i + 1);
    }
    querier_gate_leave(&g);
    for (int i = 0; i < 6; i++) {
        pl_thread_join(&v[i].thread);
        assert_int_equal(v[i].st, PL_OK);
        assert_int_equal(v[i].at, i);
    }
    querier_gate_fini(&g);
}

static void gives_up_at_the_deadline_and_when_canceled(void **state)
{
    struct querier_gate g;
    struct pl_err err;
    _Atomic bool cancel = true;
    (void)state;

    querier_gate_init(&g, 1);
    assert_int_equal(querier_gate_enter(&g, INT64_MAX, NULL, &err), PL_OK);
    assert_int_equal(querier_gate_enter(&g, pl_now_mono_ns() + PL_NS_PER_MS, NULL, &err), PL_TIMEOUT);
    assert_string_equal(err.msg, "query timed out in query queue");
    assert_int_equal(querier_gate_enter(&g, INT64_MAX, &cancel, &err), PL_CANCELED);
    assert_string_equal(err.msg, "context canceled");
    querier_gate_leave(&g);
    assert_int_equal(querier_gate_enter(&g, INT64_MAX, NULL, &err), PL_OK);
    querier_gate_leave(&g);
    querier_gate_fini(&g);
}

static void refuses_when_too_many_wait(void **state)
{
    struct querier_gate g;
    struct visitor v[QUERIER_WAITERS_PER_SLOT];
    _Atomic int order = 0;
    struct pl_err err;
    (void)state;

    querier_gate_init(&g, 1);
    assert_int_equal(querier_gate_enter(&g, INT64_MAX, NULL, &err), PL_OK);
    for (int i = 0; i < QUERIER_WAITERS_PER_SLOT; i++) {
        v[i] = (struct visitor){.gate = &g, .order = &order, .deadline_ns = pl_now_mono_ns() + 60 * PL_NS_PER_S};
        pl_thread_start(&v[i].thread, "visitor", visit, &v[i]);
    }
    wait_for(&g, QUERIER_WAITERS_PER_SLOT);
    assert_int_equal(querier_gate_enter(&g, INT64_MAX, NULL, &err), PL_RATE);
    assert_string_equal(err.msg, "too many outstanding requests");
    querier_gate_leave(&g);
    for (int i = 0; i < QUERIER_WAITERS_PER_SLOT; i++) {
        pl_thread_join(&v[i].thread);
        assert_int_equal(v[i].st, PL_OK);
    }
    querier_gate_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(waits_in_order_of_arrival),
                                       cmocka_unit_test(gives_up_at_the_deadline_and_when_canceled),
                                       cmocka_unit_test(refuses_when_too_many_wait)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
