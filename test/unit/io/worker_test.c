#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/worker.h"

enum { JOBS = 1000 };

struct test_job {
    struct worker_job job;
    uint32_t number;
    _Atomic bool *gate; /* waits until true; NULL: does not */
    uint32_t *order;
    _Atomic uint32_t *done;
};

static void run_job(struct worker_job *j)
{
    struct test_job *t = (struct test_job *)j;

    while (t->gate != NULL && !atomic_load(t->gate)) {
        pl_sleep_ns(100000);
    }
    t->order[atomic_fetch_add(t->done, 1)] = t->number;
}

static void jobs_run_once_in_order(void **state PL_UNUSED)
{
    static struct test_job jobs[JOBS];
    static uint32_t order[JOBS];
    _Atomic uint32_t done = 0;
    struct worker_pool *p = worker_pool_create("test", 1, JOBS);

    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i] = (struct test_job){.job.run = run_job, .number = i, .order = order, .done = &done};
        assert_true(worker_pool_submit(p, &jobs[i].job));
    }
    worker_pool_destroy(p);
    assert_int_equal(atomic_load(&done), JOBS);
    for (uint32_t i = 0; i < JOBS; i++) {
        assert_int_equal(order[i], i);
    }
}

static void many_threads_run_each_job_once(void **state PL_UNUSED)
{
    static struct test_job jobs[JOBS];
    static uint32_t order[JOBS];
    bool seen[JOBS] = {false};
    _Atomic uint32_t done = 0;
    struct worker_pool *p = worker_pool_create("a-long-pool-name", 4, JOBS);

    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i] = (struct test_job){.job.run = run_job, .number = i, .order = order, .done = &done};
        assert_true(worker_pool_submit(p, &jobs[i].job));
    }
    worker_pool_destroy(p);
    assert_int_equal(atomic_load(&done), JOBS);
    for (uint32_t i = 0; i < JOBS; i++) {
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
}

static void full_queue_refuses(void **state PL_UNUSED)
{
    struct test_job jobs[4];
    uint32_t order[4];
    _Atomic uint32_t done = 0;
    _Atomic bool gate = false;
    struct worker_pool *p = worker_pool_create("test", 1, 2);
    uint32_t taken = 0;
    bool refused = false;

    for (uint32_t i = 0; i < 4; i++) {
        jobs[i] = (struct test_job){.job.run = run_job, .number = i, .gate = &gate, .order = order, .done = &done};
        if (worker_pool_submit(p, &jobs[i].job)) {
            taken++;
        } else {
            refused = true;
        }
    }
    assert_true(refused); /* one runs at most, two wait */
    assert_in_range(taken, 2, 3);
    atomic_store(&gate, true);
    worker_pool_destroy(p); /* what was taken still runs */
    assert_int_equal(atomic_load(&done), taken);
    worker_pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_once_in_order),
        cmocka_unit_test(many_threads_run_each_job_once),
        cmocka_unit_test(full_queue_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
