#include "base/clock.h"
#include "promql/functions_def.h"
#include "promql/kernels.h"

/* Functions of one value, and arithmetic. */

static double v_abs(double v)
{
    return fabs(v);
}
static double v_sgn(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}
static double v_rad(double v)
{
    return v * M_PI / 180;
}
static double v_deg(double v)
{
    return v * 180 / M_PI;
}
static double v_negate(double v)
{
    return -v;
}

static struct pl_date date_of(double v)
{
    return pl_date_from_unix(pl_f64_to_i64(v));
}
static double v_days_in_month(double v)
{
    return date_of(v).month_days;
}
static double v_day_of_month(double v)
{
    return date_of(v).day;
}
static double v_day_of_week(double v)
{
    return date_of(v).weekday;
}
static double v_day_of_year(double v)
{
    return date_of(v).yearday;
}
static double v_hour(double v)
{
    return date_of(v).hour;
}
static double v_minute(double v)
{
    return date_of(v).minute;
}
static double v_month(double v)
{
    return date_of(v).month;
}
static double v_year(double v)
{
    return (double)date_of(v).year;
}

value_fn pq__value_kernel(int func)
{
    switch (func) {
    case PQ_FN_COUNT:
        return v_negate; /* not a function: unary minus */
    case PQ_FN_ABS:
        return v_abs;
    case PQ_FN_CEIL:
        return ceil;
    case PQ_FN_FLOOR:
        return floor;
    case PQ_FN_EXP:
        return pq__exp;
    case PQ_FN_SQRT:
        return sqrt;
    case PQ_FN_LN:
        return pq__log;
    case PQ_FN_LOG2:
        return pq__log2;
    case PQ_FN_LOG10:
        return pq__log10;
    case PQ_FN_SGN:
        return v_sgn;
    case PQ_FN_SIN:
        return pq__sin;
    case PQ_FN_COS:
        return pq__cos;
    case PQ_FN_TAN:
        return pq__tan;
    case PQ_FN_ASIN:
        return pq__asin;
    case PQ_FN_ACOS:
        return pq__acos;
    case PQ_FN_ATAN:
        return pq__atan;
    case PQ_FN_SINH:
        return pq__sinh;
    case PQ_FN_COSH:
        return pq__cosh;
    case PQ_FN_TANH:
        return pq__tanh;
    case PQ_FN_ASINH:
        return pq__asinh;
    case PQ_FN_ACOSH:
        return pq__acosh;
    case PQ_FN_ATANH:
        return pq__atanh;
    case PQ_FN_RAD:
        return v_rad;
    case PQ_FN_DEG:
        return v_deg;
    case PQ_FN_DAYS_IN_MONTH:
        return v_days_in_month;
    case PQ_FN_DAY_OF_MONTH:
        return v_day_of_month;
    case PQ_FN_DAY_OF_WEEK:
        return v_day_of_week;
    case PQ_FN_DAY_OF_YEAR:
        return v_day_of_year;
    case PQ_FN_HOUR:
        return v_hour;
    case PQ_FN_MINUTE:
        return v_minute;
    case PQ_FN_MONTH:
        return v_month;
    case PQ_FN_YEAR:
        return v_year;
    default:
        return NULL;
    }
}

double pq__arith(enum pq_op op, double l, double r)
{
    switch (op) {
    case PQ_OP_ADD:
        return l + r;
    case PQ_OP_SUB:
        return l - r;
    case PQ_OP_MUL:
        return l * r;
    case PQ_OP_DIV:
        return l / r;
    case PQ_OP_MOD:
        return fmod(l, r);
    case PQ_OP_POW:
        return pq__pow(l, r);
    case PQ_OP_ATAN2:
        return pq__atan2(l, r);
    default:
        PL_UNREACHABLE("arithmetic operator");
    }
}

bool pq__compare(enum pq_op op, double l, double r)
{
    switch (op) {
    case PQ_OP_EQ:
        return l == r;
    case PQ_OP_NEQ:
        return l != r;
    case PQ_OP_LT:
        return l < r;
    case PQ_OP_LTE:
        return l <= r;
    case PQ_OP_GT:
        return l > r;
    case PQ_OP_GTE:
        return l >= r;
    default:
        PL_UNREACHABLE("comparison operator");
    }
}
