#include "promql/agg.h"

#include <math.h>

/* Sorting. Where elements are equal, or an order contradicts itself, the algorithm decides, so that it has to be the
 * same as in Go's sort and slices packages: O. Peters's pattern-defeating quicksort, with insertion sort up to 12
 * elements, pivots from three (from nine, above 50) elements, heap sort after too many bad pivots. Every comparison and
 * every exchange counts. */

enum { FEW = 12, NINTHER_MIN = 50, SHIFT_MIN = 50, SHIFTS_MAX = 5, SWAPS_MAX = 12, PATTERN_MIN = 8 };

struct sorting {
    struct pick *v;
    pick_before_fn before;
    const void *arg;
};

static bool before(const struct sorting *s, size_t i, size_t j)
{
    return s->before(s->arg, &s->v[i], &s->v[j]);
}

static void swap(const struct sorting *s, size_t i, size_t j)
{
    struct pick p = s->v[i];

    s->v[i] = s->v[j];
    s->v[j] = p;
}

static void by_insertion(const struct sorting *s, size_t from, size_t to)
{
    for (size_t i = from + 1; i < to; i++) {
        for (size_t j = i; j > from && before(s, j, j - 1); j--) {
            swap(s, j, j - 1);
        }
    }
}

static void sift_down(const struct sorting *s, size_t root, size_t n, size_t from)
{
    for (;;) {
        size_t child = 2 * root + 1;

        if (child >= n) {
            return;
        }
        if (child + 1 < n && before(s, from + child, from + child + 1)) {
            child++;
        }
        if (!before(s, from + root, from + child)) {
            return;
        }
        swap(s, from + root, from + child);
        root = child;
    }
}

static void by_heap(const struct sorting *s, size_t from, size_t to)
{
    size_t n = to - from;

    for (size_t i = (n - 1) / 2 + 1; i-- > 0;) {
        sift_down(s, i, n, from);
    }
    for (size_t i = n; i-- > 0;) {
        swap(s, from, from + i);
        sift_down(s, 0, i, from);
    }
}

/* Moves the pivot between those before it and the others; its place in *mid. True: nothing else had to move. */
static bool partition(const struct sorting *s, size_t from, size_t to, size_t pivot, size_t *mid)
{
    size_t i = from + 1, j = to - 1;
    bool in_order = true;

    swap(s, from, pivot);
    for (;;) {
        while (i <= j && before(s, i, from)) {
            i++;
        }
        while (i <= j && !before(s, j, from)) {
            j--;
        }
        if (i > j) {
            break;
        }
        swap(s, i++, j--);
        in_order = false;
    }
    swap(s, j, from);
    *mid = j;
    return in_order;
}

/* Where the element before the range equals the pivot: moves all that equal it to the front; where they end. */
static size_t partition_equal(const struct sorting *s, size_t from, size_t to, size_t pivot)
{
    size_t i = from + 1, j = to - 1;

    swap(s, from, pivot);
    for (;;) {
        while (i <= j && !before(s, from, i)) {
            i++;
        }
        while (i <= j && before(s, from, j)) {
            j--;
        }
        if (i > j) {
            return i;
        }
        swap(s, i++, j--);
    }
}

/* Sorts a range that is almost in order; false: it is not, after a few repairs. */
static bool repaired(const struct sorting *s, size_t from, size_t to)
{
    size_t i = from + 1;

    for (int n = 0; n < SHIFTS_MAX; n++) {
        while (i < to && !before(s, i, i - 1)) {
            i++;
        }
        if (i == to) {
            return true;
        }
        if (to - from < SHIFT_MIN) {
            return false;
        }
        swap(s, i, i - 1);
        for (size_t j = i - 1; i - from >= 2 && j >= 1 && before(s, j, j - 1); j--) {
            swap(s, j, j - 1);
        }
        for (size_t j = i + 1; to - i >= 2 && j < to && before(s, j, j - 1); j++) {
            swap(s, j, j - 1);
        }
    }
    return false;
}

/* Exchanges three elements around the middle with chosen ones, by Marsaglia's xorshift seeded with the length. */
static void break_patterns(const struct sorting *s, size_t from, size_t to)
{
    size_t n = to - from, mask, middle = from + n / 4 * 2;
    uint64_t random = n;

    if (n < PATTERN_MIN) {
        return;
    }
    mask = ((size_t)1 << (64 - __builtin_clzll(n))) - 1;
    for (size_t i = middle - 1; i <= middle + 1; i++) {
        size_t other;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        other = (size_t)random & mask;
        swap(s, i, from + (other >= n ? other - n : other));
    }
}

static void order(const struct sorting *s, size_t *a, size_t *b, int *swaps)
{
    if (before(s, *b, *a)) {
        size_t c = *a;

        *a = *b;
        *b = c;
        ++*swaps;
    }
}

static size_t median(const struct sorting *s, size_t a, size_t b, size_t c, int *swaps)
{
    order(s, &a, &b, swaps);
    order(s, &b, &c, swaps);
    order(s, &a, &b, swaps);
    return b;
}

/* *swaps: 0 when all that was looked at was in order, SWAPS_MAX when all was in reverse. */
static size_t choose_pivot(const struct sorting *s, size_t from, size_t to, int *swaps)
{
    size_t quarter = (to - from) / 4, i = from + quarter, j = from + quarter * 2, k = from + quarter * 3;

    *swaps = 0;
    if (to - from >= NINTHER_MIN) {
        i = median(s, i - 1, i, i + 1, swaps);
        j = median(s, j - 1, j, j + 1, swaps);
        k = median(s, k - 1, k, k + 1, swaps);
    }
    return median(s, i, j, k, swaps);
}

/* Recurses into the shorter part only: log2 of the elements deep. */
static void quick(const struct sorting *s, size_t from, size_t to, int bad_left)
{
    bool balanced = true, in_order = true;

    while (to - from > FEW) {
        size_t n = to - from, pivot, mid;
        int swaps;
        bool sorted;

        if (bad_left == 0) {
            by_heap(s, from, to);
            return;
        }
        if (!balanced) {
            break_patterns(s, from, to);
            bad_left--;
        }
        pivot = choose_pivot(s, from, to, &swaps);
        sorted = swaps == 0;
        if (swaps == SWAPS_MAX) {
            for (size_t i = from, j = to - 1; i < j; i++, j--) {
                swap(s, i, j);
            }
            pivot = (to - 1) - (pivot - from);
            sorted = true;
        }
        if (balanced && in_order && sorted && repaired(s, from, to)) {
            return;
        }
        if (from > 0 && !before(s, from - 1, pivot)) {
            from = partition_equal(s, from, to, pivot);
            continue;
        }
        in_order = partition(s, from, to, pivot, &mid);
        if (mid - from < to - mid) {
            balanced = mid - from >= n / 8;
            quick(s, from, mid, bad_left);
            from = mid + 1;
        } else {
            balanced = to - mid >= n / 8;
            quick(s, mid + 1, to, bad_left);
            to = mid;
        }
    }
    by_insertion(s, from, to);
}

void pq__picks_sort_by(struct pick *v, size_t n, pick_before_fn is_before, const void *arg)
{
    struct sorting s = {v, is_before, arg};

    if (n > 1) {
        quick(&s, 0, n, 64 - __builtin_clzll(n));
    }
}

/* NaN last. COMPAT: of two NaN each comes before the other. */
static bool rising(const void *arg, const struct pick *x, const struct pick *y)
{
    (void)arg;
    return isnan(y->v) || x->v < y->v;
}

static bool falling(const void *arg, const struct pick *x, const struct pick *y)
{
    (void)arg;
    return isnan(y->v) || x->v > y->v;
}

void pq__picks_sort(struct pick *v, size_t n, bool ascending)
{
    pq__picks_sort_by(v, n, ascending ? rising : falling, NULL);
}
