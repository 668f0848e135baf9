// base.h is C; its compound literals are an extension in C++ that gcc and clang both have.
#pragma GCC diagnostic ignored "-Wpedantic"
#include "shim/charconv.h"

#include <charconv>
#include <cmath>

extern "C" size_t shim_f64_fixed(char out[SHIM_FIXED_MAX], double v)
{
    const std::to_chars_result r = std::to_chars(out, out + SHIM_FIXED_MAX, v, std::chars_format::fixed);

    PL_ASSERT(r.ec == std::errc());
    return static_cast<size_t>(r.ptr - out);
}

extern "C" size_t shim_f64_digits(char digits[SHIM_DIGITS_MAX], int *point, double v)
{
    char text[32]; // d.dddddddddddddddde-ddd
    const std::to_chars_result r =
        std::to_chars(text, text + sizeof(text), std::fabs(v), std::chars_format::scientific);
    const char *p = text;
    size_t n = 0;
    int exponent = 0;

    PL_ASSERT(r.ec == std::errc());
    for (; p < r.ptr && *p != 'e'; p++) {
        if (*p != '.') {
            PL_ASSERT(n < SHIM_DIGITS_MAX);
            digits[n++] = *p;
        }
    }
    p++; // past the 'e'
    if (p < r.ptr && *p == '+') {
        p++; // from_chars takes no plus sign
    }
    std::from_chars(p, r.ptr, exponent);
    *point = exponent + 1;
    return n;
}

extern "C" enum shim_read shim_f64_read(double *out, const char *p, size_t n, bool hex)
{
    double v = 0;
    const std::from_chars_result r =
        std::from_chars(p, p + n, v, hex ? std::chars_format::hex : std::chars_format::general);

    if (r.ptr != p + n || r.ec == std::errc::invalid_argument) {
        return SHIM_READ_BAD;
    }
    if (r.ec == std::errc::result_out_of_range || std::isinf(v)) {
        return SHIM_READ_RANGE;
    }
    *out = v;
    return SHIM_READ_OK;
}
