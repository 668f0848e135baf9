#include "model/labels.h"

#include "base/hash.h"

#include <stdlib.h>

enum { SORT_INSERTION_MAX = 64, HASH_STACK_BYTES = 1024 };

pl_str labels_get(struct labels ls, pl_str name)
{
    for (size_t i = 0; i < ls.n; i++) {
        if (pl_str_eq(ls.v[i].name, name)) {
            return ls.v[i].value;
        }
    }
    return PL_STR_NULL;
}

int labels_cmp(struct labels a, struct labels b)
{
    size_t n = PL_MIN(a.n, b.n);

    for (size_t i = 0; i < n; i++) {
        int c = pl_str_cmp(a.v[i].name, b.v[i].name);
        if (c == 0) {
            c = pl_str_cmp(a.v[i].value, b.v[i].value);
        }
        if (c != 0) {
            return c;
        }
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool labels_eq(struct labels a, struct labels b)
{
    if (a.n != b.n) {
        return false;
    }
    /* Values from the back: the last labels differ soonest among series of one metric. */
    for (size_t i = a.n; i-- > 0;) {
        if (!pl_str_eq(a.v[i].value, b.v[i].value) || !pl_str_eq(a.v[i].name, b.v[i].name)) {
            return false;
        }
    }
    return true;
}

static char *put_hash_part(char *p, pl_str s)
{
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = (char)0xff;
    return p + s.n + 1;
}

uint64_t labels_hash(struct labels ls)
{
    char small[HASH_STACK_BYTES];
    char *buf = small, *p;
    size_t n = 0;
    uint64_t h;

    small[0] = '\0';
    for (size_t i = 0; i < ls.n; i++) {
        n += ls.v[i].name.n + ls.v[i].value.n + 2;
    }
    if (n > sizeof(small)) {
        buf = pl_alloc(n);
    }
    p = buf;
    for (size_t i = 0; i < ls.n; i++) {
        p = put_hash_part(p, ls.v[i].name);
        p = put_hash_part(p, ls.v[i].value);
    }
    PL_ASSERT((size_t)(p - buf) == n);
    h = pl_xxh64(buf, n);
    if (buf != small) {
        pl_free(buf);
    }
    return h;
}

static int label_name_cmp(const void *a, const void *b)
{
    const struct label *x = a, *y = b;

    return pl_str_cmp(x->name, y->name);
}

void labels_sort(struct label *v, size_t n)
{
    if (n > SORT_INSERTION_MAX) {
        qsort(v, n, sizeof(*v), label_name_cmp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct label l = v[i];
        size_t k = i;
        for (; k > 0 && pl_str_cmp(v[k - 1].name, l.name) > 0; k--) {
            v[k] = v[k - 1];
        }
        v[k] = l;
    }
}

struct labels labels_copy_try(struct pl_arena *a, struct labels ls)
{
    size_t text = 0;
    struct label *v;
    char *p;

    for (size_t i = 0; i < ls.n; i++) {
        text += ls.v[i].name.n + ls.v[i].value.n;
    }
    v = pl_arena_alloc_try(a, ls.n * sizeof(*v) + text);
    if (v == NULL) {
        return (struct labels){.v = NULL, .n = ls.n};
    }
    p = (char *)(v + ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        const struct label *l = &ls.v[i];
        if (l->name.n > 0) {
            memcpy(p, l->name.p, l->name.n);
        }
        v[i].name = pl_str_of(p, l->name.n);
        p += l->name.n;
        if (l->value.n > 0) {
            memcpy(p, l->value.p, l->value.n);
        }
        v[i].value = pl_str_of(p, l->value.n);
        p += l->value.n;
    }
    return (struct labels){.v = v, .n = ls.n};
}

/* ---- names ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool name_is_legacy(pl_str s, bool colon)
{
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool digit = c >= '0' && c <= '9';
        if (!is_letter(c) && !(colon && c == ':') && !(digit && i > 0)) {
            return false;
        }
    }
    return true;
}

bool label_name_is_legacy(pl_str name)
{
    return name_is_legacy(name, false);
}

bool metric_name_is_legacy(pl_str name)
{
    return name_is_legacy(name, true);
}

/* ---- text ---- */

static void put_name(struct pl_buf *b, pl_str name)
{
    if (label_name_is_legacy(name)) {
        pl_buf_str(b, name);
    } else {
        pl_buf_quoted(b, name);
    }
}

static void put_pair(struct pl_buf *b, const struct label *l, bool *first)
{
    if (!*first) {
        PL_BUF_LIT(b, ", ");
    }
    *first = false;
    put_name(b, l->name);
    pl_buf_byte(b, '=');
    pl_buf_quoted(b, l->value);
}

void labels_text(struct pl_buf *b, struct labels ls)
{
    bool first = true;

    pl_buf_byte(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        put_pair(b, &ls.v[i], &first);
    }
    pl_buf_byte(b, '}');
}

void labels_metric_text(struct pl_buf *b, struct labels ls)
{
    pl_str name = labels_get(ls, LABEL_METRIC_NAME);
    bool plain = metric_name_is_legacy(name);
    size_t rest = ls.n - (name.n > 0);
    bool first = true;

    if (plain) {
        pl_buf_str(b, name);
        if (rest == 0) {
            return;
        }
    }
    pl_buf_byte(b, '{');
    if (!plain && name.n > 0) {
        /* A name that is no plain metric name stands quoted inside the braces. */
        pl_buf_quoted(b, name);
        first = false;
    }
    for (size_t i = 0; i < ls.n; i++) {
        if (!pl_str_eq(ls.v[i].name, LABEL_METRIC_NAME)) {
            put_pair(b, &ls.v[i], &first);
        }
    }
    pl_buf_byte(b, '}');
}
