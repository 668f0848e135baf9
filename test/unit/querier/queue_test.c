#include "base/sync.h"
#include "querier/queue.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { JOBS_MAX = 300 };

/* One request: its job notes when it ran, and may hold its thread until it is let go. */
struct request {
    struct worker_job job;
    struct querier_ticket ticket;
    _Atomic bool cancel;
    _Atomic bool hold;
    _Atomic int place; /* 1: the first that ran */
};

static _Atomic int ran;
static struct request made[JOBS_MAX];

static void run(struct worker_job *job)
{
    struct request *r = (struct request *)((char *)job - offsetof(struct request, job));

    atomic_store(&r->place, atomic_fetch_add(&ran, 1) + 1);
    while (atomic_load(&r->hold)) {
        pl_sleep_ns(PL_NS_PER_MS);
    }
}

static struct request *fresh(int i)
{
    struct request *r = &made[i];

    memset(r, 0, sizeof(*r));
    r->job.run = run;
    r->ticket = (struct querier_ticket){.job = &r->job, .cancel = &r->cancel, .deadline_mono_ns = INT64_MAX};
    return r;
}

static int begin(void **state)
{
    (void)state;
    atomic_store(&ran, 0);
    return 0;
}

static void wait_until_ran(int n)
{
    int64_t deadline = pl_now_mono_ns() + 20 * PL_NS_PER_S;

    while (atomic_load(&ran) < n) {
        assert_true(pl_now_mono_ns() < deadline);
        pl_sleep_ns(PL_NS_PER_MS);
    }
}

static enum querier_queue_answer submit(struct querier_queue *q, const char *tenant, struct request *r)
{
    return querier_queue_submit(q, pl_str_c(tenant), 100, &r->ticket);
}

/* Takes the only thread, so that what follows must wait. */
static struct request *block(struct querier_queue *q)
{
    struct request *r = fresh(0);

    atomic_store(&r->hold, true);
    assert_int_equal(submit(q, "first", r), QUEUE_TAKEN);
    wait_until_ran(1);
    return r;
}

static void tenants_take_turns(void **state)
{
    struct querier_queue *q = querier_queue_create(1);
    struct request *blocker = block(q);
    (void)state;

    for (int i = 1; i <= 100; i++) {
        assert_int_equal(submit(q, "a", fresh(i)), QUEUE_TAKEN);
    }
    assert_int_equal(submit(q, "b", fresh(101)), QUEUE_TAKEN);
    assert_int_equal(submit(q, "c", fresh(102)), QUEUE_TAKEN);
    assert_int_equal(submit(q, "c", fresh(103)), QUEUE_TAKEN);
    assert_int_equal(querier_queue_waiting(q), 103);
    atomic_store(&blocker->hold, false);
    wait_until_ran(104);
    assert_int_equal(made[1].place, 2);   /* a's first */
    assert_int_equal(made[101].place, 3); /* b is second of those who waited */
    assert_int_equal(made[102].place, 4);
    assert_int_equal(made[2].place, 5);
    assert_int_equal(made[103].place, 6);
    for (int i = 3; i <= 100; i++) {
        assert_int_equal(made[i].place, i + 4); /* in order of arrival */
    }
    querier_queue_destroy(q);
}

static void a_full_tenant_does_not_stop_the_others(void **state)
{
    struct querier_queue *q = querier_queue_create(1);
    struct request *blocker = block(q);
    (void)state;

    for (int i = 1; i <= 100; i++) {
        assert_int_equal(submit(q, "a", fresh(i)), QUEUE_TAKEN);
    }
    assert_int_equal(submit(q, "a", fresh(101)), QUEUE_TENANT_FULL);
    assert_int_equal(submit(q, "b", fresh(102)), QUEUE_TAKEN);
    assert_int_equal(querier_queue_submit(q, PL_STR("c"), 0, &fresh(103)->ticket), QUEUE_TENANT_FULL);
    atomic_store(&blocker->hold, false);
    wait_until_ran(102);
    assert_int_equal(made[101].place, 0);
    /* Those who are served do not count. */
    assert_int_equal(submit(q, "a", fresh(104)), QUEUE_TAKEN);
    wait_until_ran(103);
    querier_queue_destroy(q);
}

static void who_gave_up_leaves_while_all_threads_are_busy(void **state)
{
    struct querier_queue *q = querier_queue_create(1);
    struct request *blocker = block(q);
    int64_t from_ns = pl_now_mono_ns();
    (void)state;

    for (int i = 1; i <= 4; i++) {
        struct request *r = fresh(i);
        r->ticket.deadline_mono_ns = i == 2 ? pl_now_mono_ns() + 20 * PL_NS_PER_MS : INT64_MAX;
        assert_int_equal(submit(q, i < 4 ? "a" : "b", r), QUEUE_TAKEN);
    }
    atomic_store(&made[4].cancel, true);
    wait_until_ran(3); /* the second at its deadline, the fourth because its client left */
    assert_true(pl_now_mono_ns() - from_ns < 5 * PL_NS_PER_S);
    assert_int_equal(made[1].place, 0);
    assert_int_equal(made[3].place, 0);
    assert_true(made[2].place > 1 && made[4].place > 1);
    assert_int_equal(querier_queue_waiting(q), 2);
    atomic_store(&blocker->hold, false);
    wait_until_ran(5);
    assert_int_equal(made[1].place, 4);
    assert_int_equal(made[3].place, 5);
    querier_queue_destroy(q);
}

static void serves_as_many_at_once_as_it_has_threads(void **state)
{
    struct querier_queue *q = querier_queue_create(4);
    (void)state;

    for (int i = 0; i < 6; i++) {
        struct request *r = fresh(i);
        atomic_store(&r->hold, true);
        assert_int_equal(submit(q, "a", r), QUEUE_TAKEN);
    }
    wait_until_ran(4);
    pl_sleep_ns(50 * PL_NS_PER_MS);
    assert_int_equal(ran, 4);
    assert_int_equal(querier_queue_waiting(q), 2);
    for (int i = 0; i < 6; i++) {
        atomic_store(&made[i].hold, false);
    }
    wait_until_ran(6);
    querier_queue_destroy(q);
}

struct sender {
    struct pl_thread thread;
    struct querier_queue *q;
    int from;
};

static void send_many(void *arg)
{
    struct sender *s = arg;
    char tenant[8] = "t0";

    for (int i = s->from; i < JOBS_MAX; i += 3) {
        tenant[1] = (char)('0' + i % 7);
        assert_int_equal(submit(s->q, tenant, &made[i]), QUEUE_TAKEN);
    }
}

static void each_job_runs_once_under_load(void **state)
{
    struct querier_queue *q = querier_queue_create(3);
    struct sender s[3];
    (void)state;

    for (int i = 0; i < JOBS_MAX; i++) {
        atomic_store(&fresh(i)->cancel, i % 5 == 0);
    }
    for (int k = 0; k < 3; k++) {
        s[k] = (struct sender){.q = q, .from = k};
        pl_thread_start(&s[k].thread, "sender", send_many, &s[k]);
    }
    for (int k = 0; k < 3; k++) {
        pl_thread_join(&s[k].thread);
    }
    wait_until_ran(JOBS_MAX);
    querier_queue_destroy(q);
    assert_int_equal(ran, JOBS_MAX);
    for (int i = 0; i < JOBS_MAX; i++) {
        assert_true(made[i].place > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(tenants_take_turns, begin),
                                       cmocka_unit_test_setup(a_full_tenant_does_not_stop_the_others, begin),
                                       cmocka_unit_test_setup(who_gave_up_leaves_while_all_threads_are_busy, begin),
                                       cmocka_unit_test_setup(serves_as_many_at_once_as_it_has_threads, begin),
                                       cmocka_unit_test_setup(each_job_runs_once_under_load, begin)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
