#include "data.h"

#include <stdio.h>

/* How values go on from sample to sample. */
enum shape {
    SHAPE_WALK,
    SHAPE_INTS,
    SHAPE_SPECIAL,
    SHAPE_HUGE,
    SHAPE_TINY,
    SHAPE_TIMES,
    SHAPE_CONST,
    SHAPE_OFFSET, /* small noise on a large number: cancellation */
    SHAPE_COUNTER,
    SHAPE_COUNTER_INT,
    SHAPE_COUNTER_RESETS,
    SHAPE_COUNTER_NEGATIVE,
    SHAPE_ANGLES,
};

static const double specials[] = {0.0,
                                  -0.0,
                                  1,
                                  -1,
                                  0.5,
                                  1e308,
                                  -1e308,
                                  1.7976931348623157e308,
                                  5e-324,
                                  -5e-324,
                                  2.2250738585072014e-308,
                                  1e-308,
                                  1e-6,
                                  9.9e-7,
                                  1e20,
                                  1e21,
                                  123456.7,
                                  3.5,
                                  -7.25,
                                  1e100,
                                  -1e100,
                                  9007199254740993.0,
                                  0.1,
                                  1.0 / 3,
                                  2.0 / 3,
                                  1e-100,
                                  -2.5,
                                  2.5,
                                  -0.5,
                                  1.5,
                                  100};

static double special(struct data *d)
{
    switch (data_below(d, 12)) {
    case 0:
        return pl_f64_from_bits(PL_NORMAL_NAN_BITS);
    case 1:
        return __builtin_inf();
    case 2:
        return -__builtin_inf();
    default:
        return data_pick(d, specials, PL_ARRAY_LEN(specials));
    }
}

static double next_time(struct data *d, double t)
{
    switch (data_below(d, 6)) {
    case 0:
        return -1e9 + data_unit(d) * 6e9;
    case 1:
        return (double)data_below(d, 253402300800);
    case 2:
        return 1709164800 + (double)data_below(d, 3) * 86400; /* around 29 February */
    default:
        return t;
    }
}

static double next_value(struct data *d, enum shape shape, double v, int64_t t_ms)
{
    double grown = v + data_unit(d) * 12.5;

    switch (shape) {
    case SHAPE_WALK:
        return v + (data_unit(d) - 0.5) * 10;
    case SHAPE_INTS:
        return data_chance(d, 0.5) ? v : (double)data_below(d, 6) - 1;
    case SHAPE_SPECIAL:
        return special(d);
    case SHAPE_HUGE:
        return (data_unit(d) - 0.45) * 1.7e308;
    case SHAPE_TINY:
        return (data_unit(d) - 0.4) * 1e-306 * data_unit(d) * data_unit(d);
    case SHAPE_TIMES:
        return next_time(d, (double)(t_ms / 1000));
    case SHAPE_CONST:
        return v;
    case SHAPE_OFFSET:
        return 1e9 + data_unit(d) * 0.001;
    case SHAPE_COUNTER:
        return grown;
    case SHAPE_COUNTER_INT:
        return v + (double)data_below(d, 4);
    case SHAPE_COUNTER_RESETS:
        return data_chance(d, 0.08) ? data_unit(d) * 3 : grown;
    case SHAPE_COUNTER_NEGATIVE:
        return data_chance(d, 0.05) ? -data_unit(d) * 30 : grown;
    case SHAPE_ANGLES:
        return (data_unit(d) - 0.5) * (data_chance(d, 0.2) ? 1e6 : data_chance(d, 0.3) ? 2 : 20);
    }
    PL_UNREACHABLE("a shape");
}

static void fill(struct data *d, struct made *m, enum shape shape, enum pace pace, bool calm)
{
    struct life l = data_life(d, pace, calm);
    double v = shape == SHAPE_COUNTER_NEGATIVE ? -50
               : shape == SHAPE_CONST          ? (double)data_below(d, 5)
                                               : data_unit(d) * 100;
    int64_t t_ms;
    bool stale;

    if (shape == SHAPE_COUNTER_INT || shape == SHAPE_INTS) {
        v = (double)data_below(d, 50);
    }
    while (data_next(d, &l, &t_ms, &stale)) {
        v = next_value(d, shape, v, t_ms);
        if (stale) {
            data_add_stale(d, m, t_ms);
        } else {
            data_add(d, m, t_ms, v);
        }
    }
}

static const char *const jobs[] = {"api", "db", "web"};
static const char *const instances[] = {"h1:9090", "h2:9090", "h3:9090"};
static const char *const codes[] = {"200", "404", "500"};

static void families(struct data *d)
{
    static const struct {
        const char *name;
        enum shape shape;
        enum pace pace;
        bool calm, coded;
    } rows[] = {
        {"g_walk", SHAPE_WALK, PACE_JITTER, false, false},
        {"g_walk2", SHAPE_WALK, PACE_STEADY, true, false},
        {"g_ints", SHAPE_INTS, PACE_STEADY, false, true},
        {"g_wild", SHAPE_WALK, PACE_WILD, false, false},
        {"g_sparse", SHAPE_INTS, PACE_SPARSE, true, false},
        {"g_special", SHAPE_SPECIAL, PACE_STEADY, false, false},
        {"g_huge", SHAPE_HUGE, PACE_JITTER, true, false},
        {"g_tiny", SHAPE_TINY, PACE_JITTER, true, false},
        {"g_time", SHAPE_TIMES, PACE_STEADY, true, false},
        {"g_const", SHAPE_CONST, PACE_STEADY, true, false},
        {"g_offset", SHAPE_OFFSET, PACE_STEADY, true, false},
        {"g_angle", SHAPE_ANGLES, PACE_JITTER, true, false},
        {"c_total", SHAPE_COUNTER, PACE_STEADY, false, true},
        {"c_int_total", SHAPE_COUNTER_INT, PACE_JITTER, true, false},
        {"c_wild_total", SHAPE_COUNTER_RESETS, PACE_WILD, false, false},
        {"c_reset_total", SHAPE_COUNTER_RESETS, PACE_STEADY, false, true},
        {"c_neg_total", SHAPE_COUNTER_NEGATIVE, PACE_JITTER, false, false},
        {"c_sparse_sum", SHAPE_COUNTER, PACE_SPARSE, false, false},
    };

    for (size_t r = 0; r < PL_ARRAY_LEN(rows); r++) {
        for (size_t j = 0; j < PL_ARRAY_LEN(jobs); j++) {
            for (size_t i = 0; i < PL_ARRAY_LEN(instances); i++) {
                size_t n = rows[r].coded ? 1 + data_below(d, PL_ARRAY_LEN(codes)) : 1;

                if (data_chance(d, 0.15)) {
                    continue; /* so that some have no partner */
                }
                for (size_t c = 0; c < n; c++) {
                    fill(d,
                         data_series(d, rows[r].name, "job", jobs[j], "instance", instances[i],
                                     rows[r].coded ? "code" : NULL, codes[c], NULL),
                         rows[r].shape, rows[r].pace, rows[r].calm);
                }
            }
        }
    }
}

/* Names and values that need care wherever labels are written, sorted, matched or joined. */
static void odd_texts(struct data *d)
{
    static const struct {
        const char *name, *label, *value;
    } rows[] = {
        {"http.requests", "http.status", "200"},
        {"http.requests", "http.status", "4\"0\\4\n"},
        {"http.requests", "odd label", "\xf0\x9f\x98\x80 \xc3\xa9"},
        {"m\xc3\xa9trique 1", "zone", "a<b>&c"},
        {"m\xc3\xa9trique 1", "zone", "\xe2\x80\xa8line"},
        {"odd_values", "v", "\x01\x1f\x7f"},
        {"odd_values", "v", "tab\there"},
        {"odd_values", "v", " lead and trail "},
        {"odd_values", "v", "a10"},
        {"odd_values", "v", "a9"},
        {"odd_values", "v", "A9"},
        {"odd_values", "v", "a09"},
        {"odd_values", "v", "10"},
        {"odd_values", "v", "9.5"},
        {"odd_values", "v", "$1 ${x}"},
        {"odd_values", "le", "x"},
        {"colon:name:rate5m", "v", "1"},
        {"and", "by", "on"},
        {"typed", "__type__", "counter"},
        {"typed", "__unit__", "seconds"},
        {"typed", "__type__", "gauge"},
    };

    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        fill(d, data_series(d, rows[i].name, "job", jobs[i % 3], rows[i].label, rows[i].value, NULL),
             i % 2 == 0 ? SHAPE_COUNTER_INT : SHAPE_INTS, PACE_STEADY, i % 3 != 0);
    }
}

/* Info series: one that changes its labels over time, with and without a stale marker between, and several names. */
static void infos(struct data *d)
{
    static const char *const versions[] = {"1.0", "1.1", "2.0"};

    for (size_t j = 0; j < PL_ARRAY_LEN(jobs); j++) {
        for (size_t i = 0; i < PL_ARRAY_LEN(instances); i++) {
            for (size_t v = 0; v < 2; v++) {
                struct made *m = data_series(d, "target_info", "job", jobs[j], "instance", instances[i], "version",
                                             versions[(v + i) % 3], "region", i == 0 ? "eu" : "us", NULL);
                int64_t from = d->start_ms + (v == 0 ? 0 : d->span_ms / 2), end = from + d->span_ms / 2;

                for (int64_t t = from + (int64_t)(1000 * i); t < end; t += 15000) {
                    data_add(d, m, t, 1);
                }
                if (j != 2) {
                    data_add_stale(d, m, end);
                }
            }
        }
        fill(d,
             data_series(d, "build_info", "job", jobs[j], "instance", instances[j], "rev", versions[j], "region", "eu",
                         NULL),
             SHAPE_CONST, PACE_STEADY, true);
    }
}

/* ---- classic histograms ---- */

struct classic {
    const char *name;
    const char *le[10];
    double fall;   /* chance that a bucket holds less than the one below it */
    double little; /* chance of a difference that is levelled silently */
    bool gauge;
};

static void classic_series(struct data *d, const struct classic *c, const char *job, const char *instance,
                           bool with_sum)
{
    struct made *m[12] = {0};
    double count[12] = {0};
    struct life l = data_life(d, PACE_STEADY, data_chance(d, 0.5));
    int64_t t_ms;
    bool stale;
    size_t n = 0;
    double total = 0;

    while (n < PL_ARRAY_LEN(c->le) && c->le[n] != NULL) {
        m[n] = data_series(d, c->name, "job", job, "instance", instance, "le", c->le[n], NULL);
        n++;
    }
    if (with_sum) {
        char name[64];

        (void)snprintf(name, sizeof(name), "%.*s_sum", (int)(strlen(c->name) - strlen("_bucket")), c->name);
        m[n] = data_series(d, name, "job", job, "instance", instance, NULL);
        (void)snprintf(name, sizeof(name), "%.*s_count", (int)(strlen(c->name) - strlen("_bucket")), c->name);
        m[n + 1] = data_series(d, name, "job", job, "instance", instance, NULL);
    }
    while (data_next(d, &l, &t_ms, &stale)) {
        double below = 0, last = 0;

        for (size_t i = 0; i < n; i++) {
            double v;

            count[i] = c->gauge ? data_unit(d) * 9 : count[i] + (double)data_below(d, 4);
            below += count[i];
            v = below;
            if (data_chance(d, c->fall)) {
                v = last * 0.9;
            } else if (data_chance(d, c->little)) {
                v = last * (1 - 1e-14);
            }
            last = v;
            if (stale) {
                data_add_stale(d, m[i], t_ms);
            } else {
                data_add(d, m[i], t_ms, v);
            }
        }
        total += below * 0.37;
        if (with_sum && !stale) {
            data_add(d, m[n], t_ms, total);
            data_add(d, m[n + 1], t_ms, below);
        }
    }
}

static void classics(struct data *d)
{
    static const struct classic rows[] = {
        {"lat_bucket", {"0.005", "0.01", "0.1", "0.5", "1", "2.5", "10", "+Inf"}, 0, 0, false},
        {"neg_bucket", {"-5", "-1", "0", "1", "+Inf"}, 0, 0, false},
        {"bad_bucket", {"0.1", "0.5", "1", "5", "+Inf"}, 0.15, 0, false},
        {"near_bucket", {"0.1", "0.5", "1", "5", "+Inf"}, 0, 0.3, true},
        {"noinf_bucket", {"0.1", "0.5", "1"}, 0, 0, false},
        {"oddle_bucket", {"1", "1.0", "1e0", "2", "abc", "NaN", "+Inf", "Inf"}, 0, 0, false},
        {"one_bucket", {"+Inf"}, 0, 0, false},
    };

    for (size_t r = 0; r < PL_ARRAY_LEN(rows); r++) {
        for (size_t j = 0; j < 2; j++) {
            for (size_t i = 0; i < 2; i++) {
                classic_series(d, &rows[r], jobs[j], instances[i], r == 0);
            }
        }
    }
}

void data_floats(struct data *d)
{
    families(d);
    odd_texts(d);
    infos(d);
    classics(d);
}
