#include "promql/kernels.h"

/* Logarithms and powers as Go computes them on amd64, so that the last bits of answers agree with Prometheus's. libm is
 * nearer to the true value, but that is not what is asked for here. Trigonometry: kernels_trig.c.
 *
 * log: the method of Sun's fdlibm (e_log.c): x = 2^k (1 + f), log(1 + f) by a polynomial in s = f / (2 + f). The order
 * of operations below is what decides the bits. COMPAT: Go takes exponent and fraction from the bits as they are, so
 * that for denormal x the logarithm is that of another number. */

static const double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;

enum { EXPONENT_MASK = 0x7ff, EXPONENT_OF_HALF = 0x3fe, FRACTION_BITS = 52 };

double pq__log(double x)
{
    uint64_t bits = pl_f64_bits(x), fraction = (UINT64_C(1) << FRACTION_BITS) - 1;
    double f, k, s, s2, s4, odd, even, half;

    if (!(x > 0) || isinf(x)) {
        return log(x);
    }
    f = pl_f64_from_bits((bits & fraction) | (uint64_t)EXPONENT_OF_HALF << FRACTION_BITS);
    k = (double)((int)(bits >> FRACTION_BITS & EXPONENT_MASK) - EXPONENT_OF_HALF);
    if (f <= M_SQRT1_2) {
        f *= 2;
        k--;
    }
    f -= 1;
    s = f / (2 + f);
    s2 = s * s;
    s4 = s2 * s2;
    odd = s2 * (6.666666666666735130e-01 +
                s4 * (2.857142874366239149e-01 + s4 * (1.818357216161805012e-01 + s4 * 1.479819860511658591e-01)));
    even = s4 * (3.999999999940941908e-01 + s4 * (2.222219843214978396e-01 + s4 * 1.531383769920937332e-01));
    half = 0.5 * f * f;
    return k * ln2_hi - ((half - (s * (half + (odd + even)) + k * ln2_lo)) - f);
}

/* log(1 + x) by fdlibm's s_log1p.c: 1 + x is rounded to u, c makes up for that. */
double pq__log1p(double x)
{
    static const double sqrt2_fraction = 0x1.6a09e667f3bcdp0;
    double f = x, c = 0, half, s, z, r;
    int k = 0;

    if (!(x > -1) || isinf(x)) {
        return log1p(x);
    }
    if (fabs(x) < 0x1p-29) {
        return fabs(x) < 0x1p-54 ? x : x - x * x * 0.5;
    }
    if (!(x > -2.928932188134524755992e-01 && x < 4.142135623730950488017e-01)) {
        double u = x < 0x1p53 ? 1 + x : x;

        (void)frexp(u, &k);
        k--;
        c = x < 0x1p53 ? (k > 0 ? 1 - (u - x) : x - (u - 1)) / u : 0;
        u = ldexp(u, -k);
        if (u >= sqrt2_fraction) {
            u *= 0.5;
            k++;
        }
        f = u - 1;
    }
    half = 0.5 * f * f;
    if (k != 0 && f > -0x1p-51 && f <= 0) { /* 1 + x is a power of two, or just below */
        if (f == 0) {
            c += k * ln2_lo;
            return k * ln2_hi + c;
        }
        r = half * (1.0 - 0.66666666666666666 * f);
        return k * ln2_hi - ((r - (k * ln2_lo + c)) - f);
    }
    s = f / (2 + f);
    z = s * s;
    r = z * (6.666666666666735130e-01 +
             z * (3.999999999940941908e-01 +
                  z * (2.857142874366239149e-01 +
                       z * (2.222219843214978396e-01 +
                            z * (1.818357216161805012e-01 +
                                 z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01))))));
    if (k == 0) {
        return f - (half - s * (half + r));
    }
    return k * ln2_hi - ((half - (s * (half + r) + (k * ln2_lo + c))) - f);
}

/* e^x by N. Shibata's method ("Efficient evaluation methods of elementary functions suitable for SIMD computation"):
 * the argument less k ln 2 is divided by 16, a Taylor series gives e^r - 1, which is squared four times as (y + 1)^2 -
 * 1 = y (y + 2). Multiplications and additions are fused where Go fuses them on any machine of today. COMPAT: where k
 * rounds up to 1024 the result is infinite, though e^x would still fit. */
double pq__exp(double x)
{
    static const double ln2_upper = 0.69314718055966295651160180568695068359375,
                        ln2_lower = 0.28235290563031577122588448175013436025525412068e-12;
    static const double series[] = {2.4801587301587301587e-5,
                                    1.9841269841269841270e-4,
                                    1.3888888888888888889e-3,
                                    8.3333333333333333333e-3,
                                    4.1666666666666666667e-2,
                                    1.6666666666666666667e-1,
                                    0.5,
                                    1.0};
    double k, y;

    if (!isfinite(x) || x > 7.09782712893384e+02) {
        return x < 0 ? 0 : isnan(x) ? x : HUGE_VAL;
    }
    if (x < -800) {
        return 0;
    }
    k = nearbyint(x * M_LOG2E);
    if (k >= 1024) {
        return HUGE_VAL;
    }
    x = fma(-k, ln2_upper, x);
    x = fma(-k, ln2_lower, x);
    x *= 0.0625;
    y = series[0];
    for (size_t i = 1; i < PL_ARRAY_LEN(series); i++) {
        y = fma(y, x, series[i]);
    }
    x *= y;
    for (int i = 0; i < 3; i++) {
        x *= x + 2;
    }
    return k < -1075 ? 0 : ldexp(fma(x, x + 2, 1), (int)k);
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
        a = pq__exp(yf * pq__log(x));
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
