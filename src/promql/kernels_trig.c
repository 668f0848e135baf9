#include "promql/kernels.h"

/* Sines, arcs and hyperbolic functions as Go computes them, so that answers agree with Prometheus's to the last bit. Go
 * took them from Moshier's Cephes library (sin, tan, atan, tanh), from Sun's fdlibm (asinh, acosh, atanh) and from Hart
 * and Cheney (sinh); huge arguments are reduced by K. C. Ng's method. The constants and the order of operations decide
 * the bits. */

enum { TRIG_HUGE = 1 << 29 };

/* c[0] x^(n-1) + ... + c[n-1] by Horner's rule. */
static inline double poly(double x, const double *c, size_t n)
{
    double y = c[0];

    for (size_t i = 1; i < n; i++) {
        y = y * x + c[i];
    }
    return y;
}

/* ---- sin, cos, tan ---- */

/* x as a number of eighths of a turn, rounded to an even one, and what is left, within pi/4 of zero. */
struct turned {
    uint64_t eighths;
    double rest;
};

/* The bits of 4/pi, from the one before the point. */
static const uint64_t four_over_pi[] = {0x0000000000000001, 0x45f306dc9c882a53, 0xf84eafa3ea69bb81, 0xb6c52b3278872083,
                                        0xfca2c757bd778ac3, 0x6e48dc74849ba5c0, 0x0c925dd413a32439, 0xfc3bd63962534e7d,
                                        0xd1046bea5d768909, 0xd338e04d68befc82, 0x7323ac7306a673e9, 0x3908bf177bf25076,
                                        0x3ff12fffbc0b301f, 0xde5e2316b414da3e, 0xda6cfd9e4f96136e, 0x9e8c7ecd3cbfd45a,
                                        0xea4f758fd7cbe2f6, 0x7a0e73ef14a525d4, 0xd7f6bf623f1aba10, 0xac06608df8f6d757};

/* 64 bits of 4/pi from bit `at`. */
static uint64_t digits(unsigned at)
{
    unsigned i = at / 64, shift = at % 64;

    return shift == 0 ? four_over_pi[i] : four_over_pi[i] << shift | four_over_pi[i + 1] >> (64 - shift);
}

/* Only the digits of 4/pi that matter for x's fraction times 4/pi modulo 8 are multiplied: three words of them. */
static struct turned turn_huge(double x)
{
    uint64_t bits = pl_f64_bits(x), whole = (bits & 0x000fffffffffffff) | 0x0010000000000000, hi, lo;
    unsigned at = (unsigned)((int)(bits >> 52) - 1023 - 52 + 61), zeros;
    unsigned __int128 product = (unsigned __int128)digits(at + 64) * whole;
    struct turned t;

    product += (uint64_t)((unsigned __int128)digits(at + 128) * whole >> 64);
    product += (unsigned __int128)(digits(at) * whole) << 64;
    hi = (uint64_t)(product >> 64);
    lo = (uint64_t)product;
    t.eighths = hi >> 61;
    hi = hi << 3 | lo >> 61;
    zeros = hi != 0 ? (unsigned)__builtin_clzll(hi) : 64;
    hi = (zeros + 1 >= 64 ? 0 : hi << (zeros + 1)) | (zeros >= 63 ? lo : lo >> (63 - zeros));
    t.rest = pl_f64_from_bits(hi >> 12 | (uint64_t)(1023 - (zeros + 1)) << 52);
    if ((t.eighths & 1) != 0) {
        t.eighths = (t.eighths + 1) & 7;
        t.rest--;
    }
    t.rest *= M_PI_4;
    return t;
}

static struct turned turn(double x)
{
    static const double part_a = 7.85398125648498535156e-1, part_b = 3.77489470793079817668e-8,
                        part_c = 2.69515142907905952645e-15; /* of pi/4 */
    struct turned t;
    double y;

    if (x >= TRIG_HUGE) {
        return turn_huge(x);
    }
    t.eighths = (uint64_t)(x * (4 / M_PI));
    t.eighths += t.eighths & 1;
    y = (double)t.eighths;
    t.eighths &= 7;
    t.rest = ((x - y * part_a) - y * part_b) - y * part_c;
    return t;
}

static double sin_near(double z)
{
    static const double c[] = {1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
                               -1.98412698295895385996e-4, 8.33333333332211858878e-3,  -1.66666666666666307295e-1};
    double zz = z * z;

    return z + z * zz * poly(zz, c, PL_ARRAY_LEN(c));
}

static double cos_near(double z)
{
    static const double c[] = {-1.13585365213876817300e-11, 2.08757008419747316778e-9,  -2.75573141792967388112e-7,
                               2.48015872888517045348e-5,   -1.38888888888730564116e-3, 4.16666666666665929218e-2};
    double zz = z * z;

    return 1.0 - 0.5 * zz + zz * zz * poly(zz, c, PL_ARRAY_LEN(c));
}

double pq__sin(double x)
{
    struct turned t;
    double y;

    if (x == 0 || !isfinite(x)) {
        return isinf(x) ? pq_nan() : x;
    }
    t = turn(fabs(x));
    y = (t.eighths & 3) == 2 ? cos_near(t.rest) : sin_near(t.rest);
    return (x < 0) != (t.eighths > 3) ? -y : y;
}

double pq__cos(double x)
{
    struct turned t;
    double y;

    if (!isfinite(x)) {
        return pq_nan();
    }
    t = turn(fabs(x));
    y = (t.eighths & 3) == 2 ? sin_near(t.rest) : cos_near(t.rest);
    return t.eighths == 2 || t.eighths == 4 ? -y : y;
}

double pq__tan(double x)
{
    static const double p[] = {-1.30936939181383777646e4, 1.15351664838587416140e6, -1.79565251976484877988e7},
                        q[] = {1, 1.36812963470692954678e4, -1.32089234440210967447e6, 2.50083801823357915839e7,
                               -5.38695755929454629881e7};
    struct turned t;
    double y, zz;

    if (x == 0 || !isfinite(x)) {
        return isinf(x) ? pq_nan() : x;
    }
    t = turn(fabs(x));
    zz = t.rest * t.rest;
    y = zz > 1e-14 ? t.rest + t.rest * (zz * poly(zz, p, PL_ARRAY_LEN(p)) / poly(zz, q, PL_ARRAY_LEN(q))) : t.rest;
    if ((t.eighths & 2) != 0) {
        y = -1 / y;
    }
    return x < 0 ? -y : y;
}

/* ---- arcs ---- */

/* Up to 0.66. */
static double atan_small(double x)
{
    static const double p[] = {-8.750608600031904122785e-01, -1.615753718733365076637e+01, -7.500855792314704667340e+01,
                               -1.228866684490136173410e+02, -6.485021904942025371773e+01},
                        q[] = {1,
                               2.485846490142306297962e+01,
                               1.650270098316988542046e+02,
                               4.328810604912902668951e+02,
                               4.853903996359136964868e+02,
                               1.945506571482613964425e+02};
    double z = x * x;

    z = z * poly(z, p, PL_ARRAY_LEN(p)) / poly(z, q, PL_ARRAY_LEN(q));
    return x * z + x;
}

static double atan_positive(double x)
{
    static const double tan_3pi_8 = 2.41421356237309504880, pi_2_rest = 6.123233995736765886130e-17;

    if (x <= 0.66) {
        return atan_small(x);
    }
    if (x > tan_3pi_8) {
        return M_PI_2 - atan_small(1 / x) + pi_2_rest;
    }
    return M_PI_4 + atan_small((x - 1) / (x + 1)) + 0.5 * pi_2_rest;
}

double pq__atan(double x)
{
    return x == 0 ? x : x > 0 ? atan_positive(x) : -atan_positive(-x);
}

double pq__atan2(double y, double x)
{
    double q;

    if (y == 0 || x == 0 || !isfinite(x) || !isfinite(y)) {
        return atan2(y, x); /* zero or a simple part of pi */
    }
    q = pq__atan(y / x);
    if (x < 0) {
        return q <= 0 ? q + M_PI : q - M_PI;
    }
    return q;
}

double pq__asin(double x)
{
    double a = x < 0 ? -x : x, y; /* keeps -0 */

    if (x == 0) {
        return x;
    }
    if (!(a <= 1)) {
        return pq_nan();
    }
    y = sqrt(1 - a * a);
    y = a > 0.7 ? M_PI_2 - atan_positive(y / a) : atan_positive(a / y);
    return x < 0 ? -y : y;
}

double pq__acos(double x)
{
    return M_PI_2 - pq__asin(x);
}

/* ---- hyperbolic functions ---- */

double pq__sinh(double x)
{
    static const double p[] = {-0.2630563213397497062819489e+2, -0.2894211355989563807284660366e+4,
                               -0.8991272022039509355398013511e+5, -0.6307673640497716991184787251e+6},
                        q[] = {1, -0.173678953558233699533450911e+3, 0.1521517378790019070696485176e+5,
                               -0.6307673640497716991212077277e+6};
    double a = x < 0 ? -x : x, y; /* keeps -0 */

    if (a > 21) {
        y = pq__exp(a) * 0.5;
    } else if (a > 0.5) {
        double e = pq__exp(a);

        y = (e - 1 / e) * 0.5;
    } else {
        y = poly(a * a, p, PL_ARRAY_LEN(p)) * a / poly(a * a, q, PL_ARRAY_LEN(q));
    }
    return x < 0 ? -y : y;
}

double pq__cosh(double x)
{
    double e = pq__exp(fabs(x));

    return fabs(x) > 21 ? e * 0.5 : (e + 1 / e) * 0.5;
}

double pq__tanh(double x)
{
    static const double max_log = 8.8029691931113054295988e+01;
    static const double p[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3},
                        q[] = {1, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
    double a = fabs(x), s, y;

    if (a > 0.5 * max_log) {
        return x < 0 ? -1 : 1;
    }
    if (a >= 0.625) {
        y = 1 - 2 / (pq__exp(2 * a) + 1);
        return x < 0 ? -y : y;
    }
    s = x * x;
    return x == 0 ? x : x + x * s * poly(s, p, PL_ARRAY_LEN(p)) / poly(s, q, PL_ARRAY_LEN(q));
}

double pq__asinh(double x)
{
    double a = x < 0 ? -x : x, y; /* keeps -0 */

    if (!isfinite(x)) {
        return x;
    }
    if (a > 0x1p28) {
        y = pq__log(a) + M_LN2;
    } else if (a > 2) {
        y = pq__log(2 * a + 1 / (sqrt(a * a + 1) + a));
    } else if (a < 0x1p-28) {
        y = a;
    } else {
        y = pq__log1p(a + a * a / (1 + sqrt(1 + a * a)));
    }
    return x < 0 ? -y : y;
}

double pq__acosh(double x)
{
    double t = x - 1;

    if (!(x >= 1)) {
        return pq_nan();
    }
    if (x >= 0x1p28) {
        return pq__log(x) + M_LN2;
    }
    if (x > 2) {
        return pq__log(2 * x - 1 / (x + sqrt(x * x - 1)));
    }
    return x == 1 ? 0 : pq__log1p(t + sqrt(2 * t + t * t));
}

double pq__atanh(double x)
{
    double a = x < 0 ? -x : x, y; /* keeps -0 */

    if (!(a <= 1)) {
        return pq_nan();
    }
    if (a == 1) {
        return x < 0 ? -HUGE_VAL : HUGE_VAL;
    }
    if (a < 0x1p-28) {
        y = a;
    } else if (a < 0.5) {
        y = a + a;
        y = 0.5 * pq__log1p(y + y * a / (1 - a));
    } else {
        y = 0.5 * pq__log1p((a + a) / (1 - a));
    }
    return x < 0 ? -y : y;
}
