#include "metric/metric.h"

#include "base/sync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const double bounds[] = {0.5, 2};
METRIC_DEF_COUNTER(m_zeta, "zeta_total", "Last by name.", "user", "reason");
METRIC_DEF_GAUGE(m_alpha, "alpha", "First by name.");
METRIC_DEF_HISTOGRAM(m_lat, "lat_seconds", "A histogram.", bounds, "route");

static pl_str text(struct pl_buf *b, bool openmetrics)
{
    pl_buf_reset(b);
    metric_write_text(b, openmetrics);
    pl_buf_byte(b, 0);
    return pl_buf_view(b);
}

static void exposition_is_sorted_and_escaped(void **state)
{
    struct pl_buf b;

    (void)state;
    pl_buf_init(&b, 0);
    metric_add(METRIC_CELL(m_zeta, PL_STR("b"), PL_STR("x\"y\\z\n")), 2);
    metric_inc(METRIC_CELL(m_zeta, PL_STR("a"), PL_STR("")));
    metric_set(METRIC_CELL0(m_alpha), 1234567);
    metric_observe(&m_lat, METRIC_CELL(m_lat, PL_STR("r")), 0.5);
    metric_observe(&m_lat, METRIC_CELL(m_lat, PL_STR("r")), 3);
    assert_string_equal(text(&b, false).p, "# HELP alpha First by name.\n# TYPE alpha gauge\nalpha 1.234567e+06\n"
                                           "# HELP lat_seconds A histogram.\n# TYPE lat_seconds histogram\n"
                                           "lat_seconds_bucket{route=\"r\",le=\"0.5\"} 1\n"
                                           "lat_seconds_bucket{route=\"r\",le=\"2\"} 1\n"
                                           "lat_seconds_bucket{route=\"r\",le=\"+Inf\"} 2\n"
                                           "lat_seconds_sum{route=\"r\"} 3.5\nlat_seconds_count{route=\"r\"} 2\n"
                                           "# HELP zeta_total Last by name.\n# TYPE zeta_total counter\n"
                                           "zeta_total{user=\"a\",reason=\"\"} 1\n"
                                           "zeta_total{user=\"b\",reason=\"x\\\"y\\\\z\\n\"} 2\n");
    assert_non_null(strstr(text(&b, true).p, "# TYPE zeta counter\nzeta_total{user=\"a\",reason=\"\"} 1.0\n"));
    assert_true(pl_str_ends(pl_str_c(b.p), PL_STR("# EOF\n")));
    pl_buf_fini(&b);
}

static void a_removed_tenant_disappears_until_it_returns(void **state)
{
    struct pl_buf b;

    (void)state;
    pl_buf_init(&b, 0);
    metric_remove_label("user", PL_STR("b"));
    assert_null(strstr(text(&b, false).p, "user=\"b\""));
    metric_inc(METRIC_CELL(m_zeta, PL_STR("b"), PL_STR("x\"y\\z\n")));
    assert_non_null(strstr(text(&b, false).p, "user=\"b\""));
    pl_buf_fini(&b);
}

static void count_up(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        metric_inc(arg);
    }
}

static void cells_count_from_many_threads(void **state)
{
    struct metric_cell *c = METRIC_CELL(m_zeta, PL_STR("t"), PL_STR("t"));
    struct pl_thread t[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        pl_thread_start(&t[i], "count", count_up, c);
    }
    for (size_t i = 0; i < 4; i++) {
        pl_thread_join(&t[i]);
    }
    assert_true(metric_get(c) == 40000);
    assert_ptr_equal(c, METRIC_CELL(m_zeta, PL_STR("t"), PL_STR("t")));
}

static void walk_one(void *arg, const struct metric_sample *s)
{
    if (pl_str_eq(s->name, PL_STR("lat_seconds_bucket")) && s->label_count == 2 &&
        pl_str_eq(s->label_values[1], PL_STR("+Inf"))) {
        *(double *)arg += s->value;
    }
}

static void walk_sees_what_a_scrape_sees(void **state)
{
    double inf_bucket = 0;

    (void)state;
    metric_walk(walk_one, &inf_bucket);
    assert_true(inf_bucket == 2);
}

static void a_family_is_bounded(void **state)
{
    METRIC_DEF_COUNTER(many, "test_many_total", "Cells without end.", "user");
    char name[32];
    struct metric_cell *first, *last = NULL;

    (void)state;
    first = METRIC_CELL(many, PL_STR("user-0"));
    for (int i = 1; i < METRIC_CELLS_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "user-%d", i);
        last = METRIC_CELL(many, pl_str_c(name));
    }
    assert_string_equal(last->values[0].p, "overflow");
    assert_ptr_equal(first, METRIC_CELL(many, PL_STR("user-0")));
    assert_ptr_equal(last, METRIC_CELL(many, PL_STR("one more")));
    assert_ptr_not_equal(last, METRIC_CELL(many, PL_STR("user-77777")));
    metric_remove_label("user", PL_STR("overflow"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exposition_is_sorted_and_escaped),
        cmocka_unit_test(a_removed_tenant_disappears_until_it_returns),
        cmocka_unit_test(cells_count_from_many_threads),
        cmocka_unit_test(walk_sees_what_a_scrape_sees),
        cmocka_unit_test(a_family_is_bounded), /* last: leaves many cells */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
