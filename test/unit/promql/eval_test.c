/* The evaluator against Prometheus's own test files, in process, over an in-memory source. */
#include "promqltest.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Queries with these parts may be answered "not implemented yet". */
static const char *const unimplemented[] = {NULL};

static char *file_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    p = pl_alloc(*n + 1);
    assert_int_equal(fread(p, 1, *n, f), *n);
    (void)fclose(f);
    return p;
}

static int name_cmp(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_test_file(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    const char *only = getenv("PROMQLTEST_FILE");

    return n > 5 && strcmp(d->d_name + n - 5, ".test") == 0 && (only == NULL || strcmp(only, d->d_name) == 0);
}

static void prometheus_files(void **state)
{
    const char *shared = getenv("SHARED");
    char dir[1024], path[2048];
    struct dirent **files;
    struct promqltest_result sum = {0};
    int n;

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s/testdata/promql", shared != NULL ? shared : "../shared");
    n = scandir(dir, &files, is_test_file, name_cmp);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        struct promqltest_result r;
        size_t size;
        char *text;

        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]->d_name);
        text = file_read(path, &size);
        promqltest_run(&r, pl_str_c(files[i]->d_name), pl_str_of(text, size),
                       &(struct promqltest_options){.unimplemented = unimplemented});
        printf(
            "%-28s %3u evals: %3u passed, %3u failed, %3u need histograms, %2u need start times, %2u unimplemented\n",
            files[i]->d_name, r.evals, r.passed, r.failed, r.skipped_histogram, r.skipped_start_time, r.unimplemented);
        sum.evals += r.evals;
        sum.passed += r.passed;
        sum.failed += r.failed;
        sum.skipped_histogram += r.skipped_histogram;
        sum.skipped_start_time += r.skipped_start_time;
        sum.unimplemented += r.unimplemented;
        sum.extra_checks += r.extra_checks;
        pl_free(text);
        free(files[i]);
    }
    free(files);
    printf("%-28s %3u evals: %3u passed, %3u failed, %3u need histograms, %2u need start times, %2u unimplemented; %u "
           "further checks\n",
           "all", sum.evals, sum.passed, sum.failed, sum.skipped_histogram, sum.skipped_start_time, sum.unimplemented,
           sum.extra_checks);
    assert_int_equal(sum.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(prometheus_files)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
