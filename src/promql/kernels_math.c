#include "promql/kernels.h"

/* Logarithms and powers as Go computes them, so that the last bits of answers agree with Prometheus's. libm is nearer
 * to the true value, but that is not what is asked for here.
 *
 * log: the method of Sun's fdlibm (e_log.c), which Go uses on amd64: x = 2^k (1 + f), log(1 + f) by a polynomial in
 * s = f / (2 + f). The order of operations below is what decides the bits. */

double pq__log(double x)
{
    static const double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
    double f, k, s, s2, s4, odd, even, half;
    int exponent;

    if (!(x > 0) || isinf(x)) {
        return log(x);
    }
    f = frexp(x, &exponent);
    if (f < M_SQRT1_2) {
        f *= 2;
        exponent--;
    }
    f -= 1;
    k = exponent;
    s = f / (2 + f);
    s2 = s * s;
    s4 = s2 * s2;
    odd = s2 * (6.666666666666735130e-01 +
                s4 * (2.857142874366239149e-01 + s4 * (1.818357216161805012e-01 + s4 * 1.479819860511658591e-01)));
    even = s4 * (3.999999999940941908e-01 + s4 * (2.222219843214978396e-01 + s4 * 1.531383769920937332e-01));
    half = 0.5 * f * f;
    return k * ln2_hi - ((half - (s * (half + (odd + even)) + k * ln2_lo)) - f);
}

double pq__log2(double x)
{
    int exponent;
    double f;

    if (!(x > 0) || isinf(x)) {
        return log2(x);
    }
    f = frexp(x, &exponent);
    return f == 0.5 ? (double)(exponent - 1) : pq__log(f) * M_LOG2E + (double)exponent;
}

double pq__log10(double x)
{
    return !(x > 0) || isinf(x) ? log10(x) : pq__log(x) * M_LOG10E;
}

/* x^y by squaring of the fraction of x, with the exponent kept apart; the fraction of y goes through exp and log. */
double pq__pow(double x, double y)
{
    static const double int_limit = 9223372036854775808.0;
    double yi, yf, a = 1, f;
    int exponent;
    int64_t a_exponent = 0, f_exponent;

    if (x == 0 || y == 0 || x == 1 || y == 1 || !isfinite(x) || !isfinite(y) || fabs(y) >= int_limit) {
        return pow(x, y);
    }
    if (fabs(y) == 0.5) {
        return y > 0 ? sqrt(x) : 1 / sqrt(x);
    }
    yf = modf(fabs(y), &yi);
    if (yf != 0) {
        if (x < 0) {
            return pq_nan();
        }
        if (yf > 0.5) {
            yf--;
            yi++;
        }
        a = exp(yf * pq__log(x));
    }
    f = frexp(x, &exponent);
    f_exponent = exponent;
    for (int64_t i = pl_f64_to_i64(yi); i != 0; i >>= 1) {
        if (f_exponent < -4096 || f_exponent > 4096) {
            a_exponent += f_exponent; /* over- or underflow, whatever follows */
            break;
        }
        if ((i & 1) != 0) {
            a *= f;
            a_exponent += f_exponent;
        }
        f *= f;
        f_exponent *= 2;
        if (f < 0.5) {
            f += f;
            f_exponent--;
        }
    }
    if (y < 0) {
        a = 1 / a;
        a_exponent = -a_exponent;
    }
    return ldexp(a, (int)PL_MIN(PL_MAX(a_exponent, (int64_t)-100000), (int64_t)100000));
}

/* 2^x: x = k + t, 2^t = e^r with r = t ln 2 kept in two parts, and e^r by fdlibm's rational approximation (e_exp.c). */
double pq__exp2(double x)
{
    static const double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
    double t, hi, lo, r, r2, c;
    int k;

    if (!(x >= -1074 && x <= 1023.9999999999999)) {
        return isnan(x) ? x : x > 0 ? HUGE_VAL : 0;
    }
    k = (int)(x > 0 ? x + 0.5 : x - 0.5);
    t = x - k;
    hi = t * ln2_hi;
    lo = -t * ln2_lo;
    r = hi - lo;
    r2 = r * r;
    c = r - r2 * (1.66666666666666657415e-01 +
                  r2 * (-2.77777777770155933842e-03 +
                        r2 * (6.61375632143793436117e-05 +
                              r2 * (-1.65339022054652515390e-06 + r2 * 4.13813679705723846039e-08))));
    return ldexp(1 - ((lo - (r * c) / (2 - c)) - hi), k);
}
