#include "base/hash.h"
#include "promql/eval.h"

struct keytab_slot {
    uint64_t hash;
    pl_str key; /* p == NULL: free */
    uint32_t index;
};

static bool keytab_grow(struct keytab *t)
{
    size_t cap = t->cap == 0 ? 64 : t->cap * 2;
    struct keytab_slot *slots = pl_arena_new_array_try(t->a, struct keytab_slot, cap);

    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->cap; i++) {
        if (t->slots[i].key.p != NULL) {
            size_t at = t->slots[i].hash & (cap - 1);

            while (slots[at].key.p != NULL) {
                at = (at + 1) & (cap - 1);
            }
            slots[at] = t->slots[i];
        }
    }
    t->slots = slots;
    t->cap = cap;
    return true;
}

static struct keytab_slot *keytab_find(const struct keytab *t, uint64_t hash, pl_str key)
{
    size_t at = hash & (t->cap - 1);

    while (t->slots[at].key.p != NULL && (t->slots[at].hash != hash || !pl_str_eq(t->slots[at].key, key))) {
        at = (at + 1) & (t->cap - 1);
    }
    return &t->slots[at];
}

bool pq__keytab_put(struct keytab *t, pl_str key, uint32_t *index, bool *added)
{
    uint64_t hash = pl_hash64(key.p, key.n);
    struct keytab_slot *s;
    char *copy;

    if (t->n * 2 >= t->cap && !keytab_grow(t)) {
        return false;
    }
    s = keytab_find(t, hash, key);
    *added = s->key.p == NULL;
    if (*added) {
        copy = pl_arena_alloc_try(t->a, key.n + 1);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, key.p, key.n);
        *s = (struct keytab_slot){.hash = hash, .key = {copy, key.n}, .index = (uint32_t)t->n++};
    }
    *index = s->index;
    return true;
}

bool pq__keytab_get(const struct keytab *t, pl_str key, uint32_t *index)
{
    const struct keytab_slot *s = t->cap > 0 ? keytab_find(t, pl_hash64(key.p, key.n), key) : NULL;

    if (s == NULL || s->key.p == NULL) {
        return false;
    }
    *index = s->index;
    return true;
}

static void key_add(struct pl_buf *b, pl_str s)
{
    uint32_t n = (uint32_t)s.n;

    pl_buf_add(b, &n, sizeof(n));
    pl_buf_str(b, s);
}

void pq__key_all(struct pl_buf *b, struct labels ls)
{
    pl_buf_reset(b);
    pl_buf_byte(b, 1); /* a key is never empty */
    for (size_t i = 0; i < ls.n; i++) {
        key_add(b, ls.v[i].name);
        key_add(b, ls.v[i].value);
    }
}

void pq__key_only(struct pl_buf *b, struct labels ls, const pl_str *sorted, size_t count)
{
    size_t at = 0;

    pl_buf_reset(b);
    pl_buf_byte(b, 1);
    for (size_t i = 0; i < count; i++) {
        int c = 1;

        while (at < ls.n && (c = pl_str_cmp(ls.v[at].name, sorted[i])) < 0) {
            at++;
        }
        key_add(b, at < ls.n && c == 0 ? ls.v[at].value : PL_STR_NULL);
    }
}

void pq__key_without(struct pl_buf *b, struct labels ls, const pl_str *sorted, size_t count, bool and_name)
{
    size_t at = 0;

    pl_buf_reset(b);
    pl_buf_byte(b, 1);
    for (size_t i = 0; i < ls.n; i++) {
        int c = -1;

        while (at < count && (c = pl_str_cmp(sorted[at], ls.v[i].name)) < 0) {
            at++;
        }
        if ((at < count && c == 0) || (and_name && pl_str_eq(ls.v[i].name, LABEL_METRIC_NAME))) {
            continue;
        }
        key_add(b, ls.v[i].name);
        key_add(b, ls.v[i].value);
    }
}
