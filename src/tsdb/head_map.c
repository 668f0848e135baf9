#include "tsdb/head_map.h"

static size_t place(uint64_t key, size_t mask)
{
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & mask;
}

void u64_map_fini(struct u64_map *m)
{
    pl_free(m->v);
    *m = (struct u64_map){.v = NULL};
}

static void put(struct u64_map *m, uint64_t key, uint64_t value)
{
    size_t at = place(key, m->mask);

    while (m->v[at].key != 0 && m->v[at].key != key) {
        at = (at + 1) & m->mask;
    }
    m->count += m->v[at].key == 0;
    m->v[at] = (struct u64_map_entry){.key = key, .value = value};
}

void u64_map_put(struct u64_map *m, uint64_t key, uint64_t value)
{
    PL_ASSERT(key != 0);
    if (m->v == NULL || (m->count + 1) * 2 > m->mask + 1) {
        struct u64_map old = *m;
        m->mask = old.v == NULL ? 15 : old.mask * 2 + 1;
        m->v = pl_new_array(struct u64_map_entry, m->mask + 1);
        m->count = 0;
        for (size_t i = 0; old.v != NULL && i <= old.mask; i++) {
            if (old.v[i].key != 0) {
                put(m, old.v[i].key, old.v[i].value);
            }
        }
        pl_free(old.v);
    }
    put(m, key, value);
}

bool u64_map_get(const struct u64_map *m, uint64_t key, uint64_t *value)
{
    if (m->count == 0 || key == 0) {
        return false;
    }
    for (size_t at = place(key, m->mask); m->v[at].key != 0; at = (at + 1) & m->mask) {
        if (m->v[at].key == key) {
            *value = m->v[at].value;
            return true;
        }
    }
    return false;
}

void u64_map_filter(struct u64_map *m, bool (*keep)(void *arg, uint64_t key, uint64_t value), void *arg)
{
    struct u64_map old = *m;

    *m = (struct u64_map){.v = NULL};
    for (size_t i = 0; old.v != NULL && i <= old.mask; i++) {
        if (old.v[i].key != 0 && keep(arg, old.v[i].key, old.v[i].value)) {
            u64_map_put(m, old.v[i].key, old.v[i].value);
        }
    }
    pl_free(old.v);
}
