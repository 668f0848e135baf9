/* Mathematics to the bit as Go's (go_math.def): where libm's last bits differ, answers would differ from Prometheus's.
 */
#include "promql/functions_def.h"
#include "promql/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void functions_of_one_value(void **state)
{
    static const struct {
        int func;
        uint64_t x, y;
    } cases[] = {
#define ONE(func, x, y) {PQ_FN_##func, x, y},
#define TWO(op, x, y, z)
#include "go_math.def"
#undef ONE
#undef TWO
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        double got = pq__value_kernel(cases[i].func)(pl_f64_from_bits(cases[i].x));

        if (pl_f64_bits(got) != cases[i].y) {
            print_error("function %d of %.17g: %.17g, want %.17g\n", cases[i].func, pl_f64_from_bits(cases[i].x), got,
                        pl_f64_from_bits(cases[i].y));
        }
        assert_true(pl_f64_bits(got) == cases[i].y);
    }
}

static void operators(void **state)
{
    static const struct {
        enum pq_op op;
        uint64_t x, y, z;
    } cases[] = {
#define ONE(func, x, y)
#define TWO(op, x, y, z) {PQ_OP_##op, x, y, z},
#include "go_math.def"
#undef ONE
#undef TWO
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        double got = pq__arith(cases[i].op, pl_f64_from_bits(cases[i].x), pl_f64_from_bits(cases[i].y));

        assert_true(pl_f64_bits(got) == cases[i].z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(functions_of_one_value), cmocka_unit_test(operators)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
