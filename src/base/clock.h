/* base/clock.h - the only place that reads the clock.
 *
 * Pure code takes `now` as a parameter; loops, roles and main read it here. Durations and monotonic times are int64
 * nanoseconds (..._ns), sample and Unix times int64 milliseconds (..._ms).
 */
#ifndef PL_BASE_CLOCK_H
#define PL_BASE_CLOCK_H

#include "base/base.h"
#include "base/buf.h"

#define PL_NS_PER_MS INT64_C(1000000)
#define PL_NS_PER_S  INT64_C(1000000000)

int64_t pl_now_unix_ms(void);
int64_t pl_now_unix_ns(void);
int64_t pl_now_mono_ns(void);
int64_t pl_cpu_process_ns(void); /* user + system CPU time of the process */
void pl_sleep_ns(int64_t ns);    /* PL_BLOCKING */

/* RFC 3339 in UTC as Go's time.RFC3339Nano prints it (trailing zeros of the fraction cut, "Z"). */
void pl_buf_rfc3339_ms(struct pl_buf *b, int64_t unix_ms);

/* A calendar date in UTC, proleptic Gregorian, for any int64 of seconds that fits a year in int64. */
struct pl_date {
    int64_t year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
    int hour, minute, second;
    int weekday;    /* 0 = Sunday */
    int yearday;    /* 1..366 */
    int month_days; /* days in this month */
};
struct pl_date pl_date_from_unix(int64_t unix_s);
int64_t pl_date_to_unix(int64_t year, int month, int day); /* midnight UTC */

#endif
