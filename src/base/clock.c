#include "base/clock.h"

#include <errno.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    PL_ASSERT(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * PL_NS_PER_S + ts.tv_nsec;
}

int64_t pl_now_unix_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t pl_now_unix_ms(void)
{
    return read_clock(CLOCK_REALTIME) / PL_NS_PER_MS;
}

int64_t pl_now_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t pl_cpu_process_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void pl_sleep_ns(int64_t ns)
{
    struct timespec ts = {.tv_sec = ns / PL_NS_PER_S, .tv_nsec = ns % PL_NS_PER_S};

    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {
    }
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static const int month_len[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool is_leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Days-from-civil and back, by 400-year eras (the usual public-domain arithmetic). */
int64_t pl_date_to_unix(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return (era * 146097 + doe - 719468) * 86400;
}

/* COMPAT: seconds from 1 March of the year before which Go knows no time, modulo 2^64: the few seconds below it (and so
 * INT64_MIN, which a NaN becomes) are in the far future. */
struct pl_date pl_date_from_unix(int64_t unix_s)
{
    static const int64_t years = 292277022400, eras = years / 400;
    uint64_t s = (uint64_t)unix_s + ((uint64_t)eras * 146097 + 719468) * 86400;
    uint64_t days = s / 86400, secs = s % 86400;
    int64_t doe = (int64_t)(days % 146097);
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct pl_date d = {
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .month = (int)(mp < 10 ? mp + 3 : mp - 9),
        .hour = (int)(secs / 3600),
        .minute = (int)(secs / 60 % 60),
        .second = (int)(secs % 60),
        .weekday = (int)((days + 3) % 7),
    };

    d.year = yoe + ((int64_t)(days / 146097) - eras) * 400 + (d.month <= 2);
    d.month_days = month_len[d.month - 1] + (d.month == 2 && is_leap(d.year));
    d.yearday = d.day;
    for (int m = 1; m < d.month; m++) {
        d.yearday += month_len[m - 1] + (m == 2 && is_leap(d.year));
    }
    return d;
}

void pl_buf_rfc3339_ms(struct pl_buf *b, int64_t unix_ms)
{
    int64_t s = floor_div(unix_ms, 1000);
    int ms = (int)(unix_ms - s * 1000);
    struct pl_date d = pl_date_from_unix(s);

    pl_buf_printf(b, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)d.year, d.month, d.day, d.hour, d.minute, d.second);
    if (ms != 0) {
        char frac[5] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), '\0'};
        size_t n = 4;
        while (frac[n - 1] == '0') {
            n--;
        }
        pl_buf_add(b, frac, n);
    }
    pl_buf_byte(b, 'Z');
}
