#include "data.h"

/* Native histograms as clients make them and as they should not be. */

enum { SIDE = 33, MIDDLE = SIDE / 2, BOUNDS_MAX = 8 };

enum habit {
    HABIT_GAUGE = 1 << 0,
    HABIT_NEGATIVE = 1 << 1,
    HABIT_SCHEMAS = 1 << 2, /* the schema changes now and then */
    HABIT_RESETS = 1 << 3,
    HABIT_ZERO = 1 << 4,    /* the zero threshold grows */
    HABIT_CUSTOM = 1 << 5,  /* written out bounds */
    HABIT_BOUNDS = 1 << 6,  /* which change */
    HABIT_SWITCH = 1 << 7,  /* from exponential to custom and back */
    HABIT_SPECIAL = 1 << 8, /* NaN sums, absurd counts */
    HABIT_EMPTY = 1 << 9,   /* empty buckets between and around */
    HABIT_WHOLE = 1 << 10,  /* counts are whole numbers */
    HABIT_FLOATS = 1 << 11, /* some samples are floats */
    HABIT_FEW = 1 << 12,    /* long stretches without an observation */
};

struct native {
    unsigned habits;
    int32_t schema;
    double zero_threshold, zero, sum;
    double pos[SIDE], neg[SIDE];
    double bounds[BOUNDS_MAX];
    uint32_t bound_count;
    bool custom;
    bool reset; /* since the last sample */
};

static void clear(struct native *s)
{
    memset(s->pos, 0, sizeof(s->pos));
    memset(s->neg, 0, sizeof(s->neg));
    s->zero = s->sum = 0;
    s->reset = true;
}

static void choose_bounds(struct data *d, struct native *s)
{
    static const double sets[][BOUNDS_MAX] = {
        {0.1, 0.5, 1, 2, 5, 10, 0, 0}, {0.1, 1, 2, 10, 0, 0, 0, 0},      {0.1, 0.5, 1, 2, 5, 10, 25, 100},
        {-5, -1, 0, 1, 5, 0, 0, 0},    {0.25, 0.5, 0.75, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 0, 0},
    };
    static const uint32_t counts[] = {6, 4, 8, 5, 3, 1};
    /* Most of the time sets that have bounds in common. */
    size_t set = data_chance(d, 0.7) ? data_below(d, 3) : data_below(d, PL_ARRAY_LEN(sets));

    memcpy(s->bounds, sets[set], sizeof(s->bounds));
    s->bound_count = counts[set];
}

/* Pairs of buckets become one. */
static void coarser(struct native *s)
{
    double *sides[] = {s->pos, s->neg};

    for (size_t k = 0; k < 2; k++) {
        double merged[SIDE] = {0};

        for (int i = 0; i < SIDE; i++) {
            int at = i - MIDDLE;

            merged[(at + 1 >= 0 ? (at + 1) / 2 : -((-at) / 2)) + MIDDLE] += sides[k][i];
        }
        memcpy(sides[k], merged, sizeof(merged));
    }
    s->schema--;
}

static void change(struct data *d, struct native *s)
{
    if ((s->habits & HABIT_RESETS) != 0 && data_chance(d, 0.05)) {
        clear(s);
    }
    if ((s->habits & HABIT_SWITCH) != 0 && data_chance(d, 0.03)) {
        s->custom = !s->custom;
        choose_bounds(d, s);
        clear(s);
    }
    if (s->custom && (s->habits & HABIT_BOUNDS) != 0 && data_chance(d, 0.04)) {
        choose_bounds(d, s);
        if (data_chance(d, 0.5)) {
            clear(s);
        }
    }
    if (!s->custom && (s->habits & HABIT_SCHEMAS) != 0 && data_chance(d, 0.04)) {
        if (data_chance(d, 0.6) && s->schema > HIST_SCHEMA_MIN) {
            coarser(s);
        } else if (s->schema < HIST_SCHEMA_MAX) {
            s->schema++;
            clear(s);
        }
    }
    if ((s->habits & HABIT_ZERO) != 0 && data_chance(d, 0.05)) {
        s->zero_threshold = data_chance(d, 0.2) ? 0 : s->zero_threshold == 0 ? 0.001 : s->zero_threshold * 2;
    }
}

static double amount(struct data *d, const struct native *s)
{
    return (s->habits & HABIT_WHOLE) != 0 ? 1 + (double)data_below(d, 3) : data_unit(d) * 3;
}

static void observe(struct data *d, struct native *s)
{
    int buckets = s->custom ? (int)s->bound_count + 1 : SIDE;
    uint64_t n = data_below(d, 6);

    if ((s->habits & HABIT_GAUGE) != 0) {
        clear(s);
        n += 4;
    }
    if ((s->habits & HABIT_FEW) != 0 && data_chance(d, 0.7)) {
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        double by = amount(d, s);
        int at = (int)(s->custom ? data_below(d, (uint64_t)buckets)
                                 : (data_below(d, SIDE) + data_below(d, SIDE)) / 2); /* more in the middle */

        if (!s->custom && (s->habits & HABIT_NEGATIVE) != 0 && data_chance(d, 0.4)) {
            s->neg[at] += by;
            s->sum -= by * data_unit(d) * 4;
        } else {
            s->pos[at] += by;
            s->sum += by * data_unit(d) * 4;
        }
    }
    if (!s->custom && data_chance(d, 0.4)) {
        s->zero += amount(d, s);
    }
}

static struct hist_side side(struct data *d, const struct native *s, const double *n, int len, int first, double *count)
{
    int32_t *at = pl_arena_zero(&d->a, SIDE * sizeof(*at));
    double *v = pl_arena_zero(&d->a, SIDE * sizeof(*v));
    uint32_t used = 0;

    for (int i = 0; i < len; i++) {
        if (n[i] != 0 || ((s->habits & HABIT_EMPTY) != 0 && i % 5 == 0)) {
            at[used] = i + first;
            v[used++] = n[i];
            *count += n[i];
        }
    }
    return (struct hist_side){at, v, used};
}

static void spoil(struct data *d, struct hist *h, double *n)
{
    static const double absurd[] = {1e300, 1.7e308, 9e18, 0.25};

    switch (data_below(d, 10)) {
    case 0:
        h->sum = pl_f64_from_bits(PL_NORMAL_NAN_BITS);
        h->count += 3; /* observations of NaN are in no bucket */
        break;
    case 1:
        h->sum = data_chance(d, 0.5) ? __builtin_inf() : -__builtin_inf();
        break;
    case 2:
        if (h->pos.len > 0) {
            double by = data_pick(d, absurd, PL_ARRAY_LEN(absurd));

            n[0] += by;
            h->count += by;
        }
        break;
    default:
        break;
    }
}

static const struct hist *emit(struct data *d, struct native *s)
{
    struct hist *h = pl_arena_zero(&d->a, sizeof(*h));

    h->sum = s->sum;
    if (s->custom) {
        double *bounds = pl_arena_zero(&d->a, sizeof(s->bounds));

        memcpy(bounds, s->bounds, sizeof(s->bounds));
        h->schema = HIST_SCHEMA_CUSTOM;
        h->bounds = bounds;
        h->bound_count = s->bound_count;
        h->pos = side(d, s, s->pos, (int)s->bound_count + 1, 0, &h->count);
    } else {
        h->schema = s->schema;
        h->zero_threshold = s->zero_threshold;
        h->zero_count = s->zero;
        h->count = s->zero;
        h->neg = side(d, s, s->neg, SIDE, -MIDDLE, &h->count);
        h->pos = side(d, s, s->pos, SIDE, -MIDDLE, &h->count);
    }
    if ((s->habits & HABIT_SPECIAL) != 0) {
        double *n = pl_arena_zero(&d->a, SIDE * sizeof(*n));

        memcpy(n, h->pos.n, h->pos.len * sizeof(*n));
        h->pos.n = n;
        spoil(d, h, n);
    }
    h->hint = (s->habits & HABIT_GAUGE) != 0 ? HIST_HINT_GAUGE : s->reset ? HIST_HINT_RESET : HIST_HINT_UNKNOWN;
    s->reset = false;
    return h;
}

static void fill(struct data *d, struct made *m, unsigned habits, int32_t schema, bool calm)
{
    struct life l = data_life(d, (habits & HABIT_FEW) != 0 ? PACE_WILD : PACE_JITTER, calm);
    struct native s = {.habits = habits, .schema = schema, .zero_threshold = 0.001};
    int64_t t_ms;
    bool stale;

    m->whole_hists = (habits & HABIT_WHOLE) != 0;
    s.custom = (habits & HABIT_CUSTOM) != 0;
    if (s.custom) {
        choose_bounds(d, &s);
    }
    while (data_next(d, &l, &t_ms, &stale)) {
        if (stale) {
            data_add_stale(d, m, t_ms);
            continue;
        }
        change(d, &s);
        observe(d, &s);
        if ((habits & HABIT_FLOATS) != 0 && (t_ms / 120000) % 3 == 0) {
            data_add(d, m, t_ms, s.sum);
        } else {
            data_add_hist(d, m, t_ms, emit(d, &s));
        }
    }
}

void data_hists(struct data *d)
{
    static const struct {
        const char *name;
        unsigned habits;
        bool calm;
    } rows[] = {
        {"nh_total", HABIT_RESETS | HABIT_WHOLE, false},
        {"nh_schema_total", HABIT_SCHEMAS | HABIT_RESETS | HABIT_WHOLE | HABIT_EMPTY, true},
        {"nh_neg_total", HABIT_NEGATIVE | HABIT_ZERO | HABIT_RESETS, true},
        {"nh_gauge", HABIT_GAUGE | HABIT_NEGATIVE | HABIT_SCHEMAS, false},
        {"nh_custom_total", HABIT_CUSTOM | HABIT_RESETS | HABIT_WHOLE, false},
        {"nh_bounds_total", HABIT_CUSTOM | HABIT_BOUNDS | HABIT_RESETS | HABIT_EMPTY, true},
        {"nh_cgauge", HABIT_CUSTOM | HABIT_BOUNDS | HABIT_GAUGE, true},
        {"nh_switch_total", HABIT_SWITCH | HABIT_BOUNDS | HABIT_SCHEMAS, true},
        {"nh_special_total", HABIT_SPECIAL | HABIT_NEGATIVE | HABIT_ZERO, true},
        {"nh_few_total", HABIT_FEW | HABIT_RESETS | HABIT_WHOLE, false},
        {"nh_mixed_total", HABIT_FLOATS | HABIT_SCHEMAS | HABIT_RESETS, true},
        {"lat", HABIT_WHOLE | HABIT_RESETS | HABIT_ZERO, true},
        /* beside the classic histogram of the same labels */
        {"lat_bucket", HABIT_WHOLE, true},
    };
    static const char *const jobs[] = {"api", "db", "web"};
    static const char *const instances[] = {"h1:9090", "h2:9090", "h3:9090"};

    for (size_t r = 0; r < PL_ARRAY_LEN(rows); r++) {
        for (size_t j = 0; j < PL_ARRAY_LEN(jobs); j++) {
            for (size_t i = 0; i < PL_ARRAY_LEN(instances); i++) {
                if (data_chance(d, 0.2)) {
                    continue;
                }
                fill(d, data_series(d, rows[r].name, "job", jobs[j], "instance", instances[i], NULL), rows[r].habits,
                     (int32_t)data_below(d, 13) - 4, rows[r].calm);
            }
        }
    }
}
