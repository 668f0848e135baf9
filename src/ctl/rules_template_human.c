/* Numbers for people, as Prometheus's template functions write them (template/template.go). */
#include "ctl/rules_template_internal.h"

#include "base/clock.h"
#include "codec/float_text.h"

#include <math.h>

/* Go's %.4g */
static void put_4g(struct pl_buf *b, double v)
{
    if (isnan(v) || isinf(v)) {
        pl_buf_f64_g(b, v);
    } else {
        pl_buf_printf(b, "%.4g", v);
    }
}

static void put_scaled(struct pl_buf *b, double v, double factor, const char *const *prefixes, size_t n)
{
    const char *prefix = "";

    for (size_t i = 0; i < n && fabs(v) >= factor; i++) {
        v /= factor;
        prefix = prefixes[i];
    }
    put_4g(b, v);
    pl_buf_cstr(b, prefix);
}

static void put_small(struct pl_buf *b, double v)
{
    static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    const char *prefix = "";

    for (size_t i = 0; i < PL_ARRAY_LEN(prefixes) && fabs(v) < 1; i++) {
        v *= 1000;
        prefix = prefixes[i];
    }
    put_4g(b, v);
    pl_buf_cstr(b, prefix);
}

pl_status template__humanize(struct call *c)
{
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    struct pl_buf b;
    double v;

    PL_TRY(template__number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (v == 0 || isnan(v) || isinf(v)) {
        put_4g(&b, v);
    } else if (fabs(v) >= 1) {
        put_scaled(&b, v, 1000, prefixes, PL_ARRAY_LEN(prefixes));
    } else {
        put_small(&b, v);
    }
    return template__give_text(c, &b);
}

pl_status template__humanize1024(struct call *c)
{
    static const char *const prefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
    struct pl_buf b;
    double v;

    PL_TRY(template__number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (fabs(v) <= 1 || isnan(v) || isinf(v)) {
        put_4g(&b, v);
    } else {
        put_scaled(&b, v, 1024, prefixes, PL_ARRAY_LEN(prefixes));
    }
    return template__give_text(c, &b);
}

pl_status template__humanize_duration(struct call *c)
{
    struct pl_buf b;
    const char *sign;
    double v;
    int64_t s;

    PL_TRY(template__number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (isnan(v) || isinf(v)) {
        put_4g(&b, v);
        return template__give_text(c, &b);
    }
    if (v == 0 || fabs(v) < 1) {
        if (v == 0) {
            put_4g(&b, v);
        } else {
            put_small(&b, v);
        }
        pl_buf_byte(&b, 's');
        return template__give_text(c, &b);
    }
    sign = v < 0 ? "-" : "";
    v = fabs(v);
    s = pl_f64_to_i64(v);
    if (s >= 86400) {
        pl_buf_printf(&b, "%s%lldd %lldh %lldm %llds", sign, (long long)(s / 86400), (long long)(s / 3600 % 24),
                      (long long)(s / 60 % 60), (long long)(s % 60));
    } else if (s >= 3600) {
        pl_buf_printf(&b, "%s%lldh %lldm %llds", sign, (long long)(s / 3600), (long long)(s / 60 % 60),
                      (long long)(s % 60));
    } else if (s >= 60) {
        pl_buf_printf(&b, "%s%lldm %llds", sign, (long long)(s / 60), (long long)(s % 60));
    } else {
        pl_buf_cstr(&b, sign);
        put_4g(&b, v);
        pl_buf_byte(&b, 's');
    }
    return template__give_text(c, &b);
}

pl_status template__humanize_percentage(struct call *c)
{
    struct pl_buf b;
    double v;

    PL_TRY(template__number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    put_4g(&b, v * 100);
    pl_buf_byte(&b, '%');
    return template__give_text(c, &b);
}

pl_status template__humanize_timestamp(struct call *c)
{
    struct pl_buf b, t;
    double v;

    PL_TRY(template__number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (isnan(v) || isinf(v) || fabs(v) > 1e11) {
        put_4g(&b, v);
        return template__give_text(c, &b);
    }
    pl_buf_init(&t, 0);
    pl_buf_rfc3339_ms(&t, pl_f64_to_i64(v * 1000)); /* 2006-01-02T15:04:05.999Z */
    for (size_t i = 0; i < t.n; i++) {
        pl_buf_byte(&b, t.p[i] == 'T' ? ' ' : (uint8_t)t.p[i]);
    }
    while (b.n > 0 && b.p[b.n - 1] == 'Z') {
        b.n--;
    }
    if (pl_str_find(pl_buf_view(&b), '.') != SIZE_MAX) {
        while (b.p[b.n - 1] == '0') {
            b.n--;
        }
        b.n -= b.p[b.n - 1] == '.';
    }
    pl_buf_cstr(&b, " +0000 UTC");
    pl_buf_fini(&t);
    return template__give_text(c, &b);
}
