/* Durations as text: 1h30m. */
#include "promql/duration.h"

#include "codec/float_text.h"
#include "model/labels.h"

#define MS     INT64_C(1000000)
#define SECOND (1000 * MS)

static const struct {
    const char *unit;
    uint64_t ns;
    bool exact; /* printed only where nothing is left over */
} units[] = {
    {"y", UINT64_C(365) * 24 * 3600 * SECOND, true},
    {"w", UINT64_C(7) * 24 * 3600 * SECOND, true},
    {"d", UINT64_C(24) * 3600 * SECOND, false},
    {"h", UINT64_C(3600) * SECOND, false},
    {"m", UINT64_C(60) * SECOND, false},
    {"s", SECOND, false},
    {"ms", MS, false},
};

static pl_status bad_text(pl_str text, struct pl_err *err)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    pl_buf_quoted(&b, text);
    (void)pl_fail(err, PL_INVALID, "not a valid duration string: %.*s", PL_STR_ARG(pl_buf_view(&b)));
    pl_buf_fini(&b);
    return PL_INVALID;
}

static pl_status bad_unit(pl_str unit, pl_str text, struct pl_err *err)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    PL_BUF_LIT(&b, "unknown unit ");
    pl_buf_quoted(&b, unit);
    PL_BUF_LIT(&b, " in duration ");
    pl_buf_quoted(&b, text);
    (void)pl_fail(err, PL_INVALID, "%.*s", PL_STR_ARG(pl_buf_view(&b)));
    pl_buf_fini(&b);
    return PL_INVALID;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

pl_status pq__duration_ns(int64_t *out_ns, pl_str text, struct pl_err *err)
{
    size_t at = 0;
    size_t next_unit = 0; /* units go from large to small, each at most once */
    uint64_t sum = 0;

    if (pl_str_eq(text, PL_STR("0"))) {
        *out_ns = 0;
        return PL_OK;
    }
    if (text.n == 0) {
        return pl_fail(err, PL_INVALID, "empty duration string");
    }
    while (at < text.n) {
        size_t digits = at;
        size_t unit;
        size_t i = 0;
        uint64_t v;
        pl_str name;

        while (at < text.n && is_digit(text.p[at])) {
            at++;
        }
        unit = at;
        while (at < text.n && !is_digit(text.p[at])) {
            at++;
        }
        name = pl_str_sub(text, unit, at);
        if (unit == digits || name.n == 0 || !pl_str_to_u64(pl_str_sub(text, digits, unit), &v)) {
            return bad_text(text, err);
        }
        while (i < PL_ARRAY_LEN(units) && !pl_str_eq(name, pl_str_c(units[i].unit))) {
            i++;
        }
        if (i == PL_ARRAY_LEN(units)) {
            return bad_unit(name, text, err);
        }
        if (i < next_unit) {
            return bad_text(text, err);
        }
        next_unit = i + 1;
        if (v > (UINT64_C(1) << 63) / units[i].ns || sum + v * units[i].ns > INT64_MAX) {
            return pl_fail(err, PL_INVALID, "duration out of range");
        }
        sum += v * units[i].ns;
    }
    *out_ns = (int64_t)sum;
    return PL_OK;
}

static pl_status bad_parameter(pl_str text, const char *after, struct pl_err *err)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    pl_buf_quoted(&b, text);
    (void)pl_fail(err, PL_INVALID, "cannot parse %.*s to a valid duration%s", PL_STR_ARG(pl_buf_view(&b)), after);
    pl_buf_fini(&b);
    return PL_INVALID;
}

pl_status pq_parse_duration(int64_t *out_ms, pl_str text, struct pl_err *err)
{
    double seconds;
    int64_t ns;

    if (float_parse(text, &seconds)) {
        double wide = seconds * 1e9;
        if (!(wide < 9223372036854775808.0 && wide >= -9223372036854775808.0)) {
            return bad_parameter(text, ". It overflows int64", err);
        }
        *out_ms = (int64_t)wide / MS;
        return PL_OK;
    }
    if (pq__duration_ns(&ns, text, NULL) != PL_OK) {
        return bad_parameter(text, "", err);
    }
    *out_ms = ns / MS;
    return PL_OK;
}

void pq_print_duration(struct pl_buf *b, int64_t ms)
{
    uint64_t left;

    if (ms == 0) {
        PL_BUF_LIT(b, "0s");
        return;
    }
    if (ms < 0) {
        pl_buf_byte(b, '-');
    }
    left = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    for (size_t i = 0; i < PL_ARRAY_LEN(units); i++) {
        uint64_t unit_ms = units[i].ns / MS;
        if ((!units[i].exact || left % unit_ms == 0) && left >= unit_ms) {
            pl_buf_u64(b, left / unit_ms);
            pl_buf_cstr(b, units[i].unit);
            left %= unit_ms;
        }
    }
}
