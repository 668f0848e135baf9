#include "querier/queue.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/sync.h"

enum { QUEUE_BUCKETS = 256 };

/* A tenant with at least one waiting request. Locked by the queue. */
struct queue_tenant {
    struct queue_tenant *next_turn;
    struct queue_tenant *next_in_bucket;
    struct querier_ticket *first, **last;
    uint64_t count;
    size_t name_n;
    char name[];
};

struct querier_queue {
    struct pl_mutex lock;
    struct pl_cond wake; /* of the serving threads */
    struct pl_cond look; /* of the thread that looks after those who wait */
    /* locked by lock */
    struct queue_tenant *turn, **turn_last; /* whose turn is next */
    struct queue_tenant *buckets[QUEUE_BUCKETS];
    uint64_t waiting;
    uint32_t idle;    /* threads that wait on wake, signalled ones too */
    uint32_t started; /* of threads */
    bool looker_sleeps;
    bool stopping;
    /* const after create */
    struct pl_thread looker;
    uint32_t thread_count;
    struct pl_thread threads[];
};

/* ---- tenants ---- */

static struct queue_tenant **find_locked(struct querier_queue *q, pl_str tenant)
{
    struct queue_tenant **at = &q->buckets[pl_hash64(tenant.p, tenant.n) % QUEUE_BUCKETS];

    while (*at != NULL && !pl_str_eq(pl_str_of((*at)->name, (*at)->name_n), tenant)) {
        at = &(*at)->next_in_bucket;
    }
    return at;
}

static void turn_push_locked(struct querier_queue *q, struct queue_tenant *t)
{
    t->next_turn = NULL;
    *q->turn_last = t;
    q->turn_last = &t->next_turn;
}

static struct queue_tenant *turn_pop_locked(struct querier_queue *q)
{
    struct queue_tenant *t = q->turn;

    q->turn = t->next_turn;
    if (q->turn == NULL) {
        q->turn_last = &q->turn;
    }
    return t;
}

static struct queue_tenant *tenant_add_locked(struct querier_queue *q, struct queue_tenant **at, pl_str tenant)
{
    struct queue_tenant *t = pl_alloc(sizeof(*t) + tenant.n);

    *t = (struct queue_tenant){.last = &t->first, .name_n = tenant.n};
    memcpy(t->name, tenant.p, tenant.n);
    *at = t;
    turn_push_locked(q, t);
    return t;
}

static void tenant_forget_locked(struct querier_queue *q, struct queue_tenant *t)
{
    struct queue_tenant **at = find_locked(q, pl_str_of(t->name, t->name_n));

    *at = t->next_in_bucket;
    pl_free(t);
}

/* ---- turns ---- */

/* The request whose turn it is; its tenant goes to the end of the line. NULL: none waits. */
static struct querier_ticket *next_locked(struct querier_queue *q)
{
    struct queue_tenant *t;
    struct querier_ticket *ticket;

    if (q->turn == NULL) {
        return NULL;
    }
    t = turn_pop_locked(q);
    ticket = t->first;
    t->first = ticket->next;
    t->count--;
    q->waiting--;
    if (t->first == NULL) {
        tenant_forget_locked(q, t);
    } else {
        turn_push_locked(q, t);
    }
    return ticket;
}

static void serve(void *arg)
{
    struct querier_queue *q = arg;

    pl_mutex_lock(&q->lock);
    for (;;) {
        struct querier_ticket *ticket = next_locked(q);
        if (ticket != NULL) {
            struct worker_job *job = ticket->job;
            pl_mutex_unlock(&q->lock);
            job->run(job); /* the job and its ticket may be gone now */
            pl_mutex_lock(&q->lock);
        } else if (q->stopping) {
            break;
        } else {
            q->idle++;
            pl_cond_wait(&q->wake, &q->lock);
            q->idle--;
        }
    }
    pl_mutex_unlock(&q->lock);
}

/* ---- those who need not wait any more ---- */

static bool is_over(const struct querier_ticket *t, int64_t now_ns)
{
    return now_ns >= t->deadline_mono_ns ||
           (t->cancel != NULL && atomic_load_explicit(t->cancel, memory_order_relaxed));
}

/* Moves the tickets that are over from t to the list that *out ends. */
static struct querier_ticket **sift_locked(struct querier_queue *q, struct queue_tenant *t, int64_t now_ns,
                                           struct querier_ticket **out)
{
    struct querier_ticket **at = &t->first;

    while (*at != NULL) {
        struct querier_ticket *x = *at;
        if (!is_over(x, now_ns)) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        x->next = NULL;
        *out = x;
        out = &x->next;
        t->count--;
        q->waiting--;
    }
    t->last = at;
    return out;
}

static struct querier_ticket *sift_all_locked(struct querier_queue *q)
{
    struct querier_ticket *over = NULL, **out = &over;
    struct queue_tenant *turn = q->turn;
    int64_t now_ns = pl_now_mono_ns();

    q->turn = NULL;
    q->turn_last = &q->turn;
    while (turn != NULL) {
        struct queue_tenant *t = turn;
        turn = t->next_turn;
        out = sift_locked(q, t, now_ns, out);
        if (t->first == NULL) {
            tenant_forget_locked(q, t);
        } else {
            turn_push_locked(q, t);
        }
    }
    return over;
}

/* Runs the jobs of those that are over itself: they end at once, and all serving threads may be busy for long. */
static void look(void *arg)
{
    struct querier_queue *q = arg;

    pl_mutex_lock(&q->lock);
    while (!q->stopping) {
        struct querier_ticket *over;
        if (q->waiting == 0) {
            q->looker_sleeps = true;
            pl_cond_wait(&q->look, &q->lock);
            q->looker_sleeps = false;
            continue;
        }
        (void)pl_cond_wait_until(&q->look, &q->lock, pl_now_mono_ns() + QUEUE_LOOK_NS);
        over = sift_all_locked(q);
        if (over == NULL) {
            continue;
        }
        pl_mutex_unlock(&q->lock);
        while (over != NULL) {
            struct worker_job *job = over->job;
            over = over->next;
            job->run(job);
        }
        pl_mutex_lock(&q->lock);
    }
    pl_mutex_unlock(&q->lock);
}

/* ---- life ---- */

struct querier_queue *querier_queue_create(uint64_t thread_count)
{
    uint32_t n = (uint32_t)PL_MIN(PL_MAX(thread_count, (uint64_t)1), (uint64_t)QUEUE_THREADS_MAX);
    struct querier_queue *q = pl_alloc_zero(sizeof(*q) + n * sizeof(q->threads[0]));

    pl_mutex_init(&q->lock, PL_RANK_QUEUE);
    pl_cond_init(&q->wake);
    pl_cond_init(&q->look);
    q->turn_last = &q->turn;
    q->thread_count = n;
    pl_thread_start(&q->looker, "query-queue", look, q);
    return q;
}

void querier_queue_destroy(struct querier_queue *q)
{
    if (q == NULL) {
        return;
    }
    pl_mutex_lock(&q->lock);
    q->stopping = true;
    pl_mutex_unlock(&q->lock);
    pl_cond_broadcast(&q->wake);
    pl_cond_broadcast(&q->look);
    pl_thread_join(&q->looker);
    for (uint32_t i = 0; i < q->started; i++) {
        pl_thread_join(&q->threads[i]);
    }
    PL_ASSERT(q->waiting == 0);
    pl_cond_fini(&q->look);
    pl_cond_fini(&q->wake);
    pl_mutex_fini(&q->lock);
    pl_free(q);
}

static bool start_locked(struct querier_queue *q)
{
    char name[16];

    if (q->started == q->thread_count) {
        return false;
    }
    (void)snprintf(name, sizeof(name), "query-%u", q->started);
    pl_thread_start(&q->threads[q->started++], name, serve, q);
    return true;
}

enum querier_queue_answer querier_queue_submit(struct querier_queue *q, pl_str tenant, uint64_t wait_max,
                                               struct querier_ticket *t)
{
    enum querier_queue_answer answer = QUEUE_TAKEN;
    struct queue_tenant **at, *owner;
    bool look_after = false;

    pl_mutex_lock(&q->lock);
    at = find_locked(q, tenant);
    owner = *at;
    if (q->waiting >= QUEUE_WAIT_MAX || q->stopping) {
        answer = QUEUE_FULL;
    } else if ((owner != NULL ? owner->count : 0) >= wait_max) {
        answer = QUEUE_TENANT_FULL;
    } else {
        owner = owner != NULL ? owner : tenant_add_locked(q, at, tenant);
        t->next = NULL;
        *owner->last = t;
        owner->last = &t->next;
        owner->count++;
        q->waiting++;
        look_after = q->waiting > q->idle && !start_locked(q) && q->looker_sleeps;
    }
    pl_mutex_unlock(&q->lock);
    if (answer == QUEUE_TAKEN) {
        pl_cond_signal(&q->wake);
        if (look_after) {
            pl_cond_signal(&q->look);
        }
    }
    return answer;
}

uint64_t querier_queue_waiting(struct querier_queue *q)
{
    uint64_t n;

    pl_mutex_lock(&q->lock);
    n = q->waiting;
    pl_mutex_unlock(&q->lock);
    return n;
}
