/* The evaluator against files in Prometheus's test language, in process: Prometheus's own (shared/testdata/promql) and
 * the project's (test/promql and cases/). */
#include "promqltest/promqltest.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

/* PROMQLTEST_FILE=NAME.test runs that file only. */
static int is_test_file(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    const char *only = getenv("PROMQLTEST_FILE");

    return n > 5 && strcmp(d->d_name + n - 5, ".test") == 0 && (only == NULL || strcmp(only, d->d_name) == 0);
}

static void run_file(struct ptest_result *r, const char *dir, const char *name)
{
    struct ptest_target *target = ptest_local_create(&(struct ptest_local_options){.cheap = true});
    struct ptest_script script;
    struct pl_arena a;
    struct pl_buf report;
    struct pl_err err;
    char path[2048];
    size_t size;
    char *text;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    text = file_read(path, &size);
    pl_arena_init(&a, 0);
    pl_buf_init(&report, 0);
    assert_int_equal(ptest_script_parse(&script, &a, pl_str_of(text, size), &err), PL_OK);
    ptest_run(r, target, &script, &report, &(struct ptest_options){.name = pl_str_c(name), .list_skipped = true});
    printf("%.*s", (int)report.n, report.p);
    printf("%-28s %3u evals: %3u passed, %3u failed, %2u skipped; %u further checks%s\n", name, r->evals, r->passed,
           r->failed, r->skipped, r->extra_checks, r->bad > 0 ? "; WRONG COMMANDS" : "");
    pl_buf_fini(&report);
    pl_arena_fini(&a);
    pl_free(text);
    ptest_target_destroy(target);
}

static void run_folder(const char *dir, bool needed)
{
    struct dirent **files;
    struct ptest_result sum = {0};
    int n = scandir(dir, &files, is_test_file, name_cmp);

    if (n <= 0 && (!needed || getenv("PROMQLTEST_FILE") != NULL)) {
        if (n == 0) {
            free(files);
        }
        return;
    }
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        struct ptest_result r;

        run_file(&r, dir, files[i]->d_name);
        sum.evals += r.evals;
        sum.passed += r.passed;
        sum.failed += r.failed;
        sum.skipped += r.skipped;
        sum.bad += r.bad;
        sum.extra_checks += r.extra_checks;
        free(files[i]);
    }
    free(files);
    printf("%-28s %3u evals: %3u passed, %3u failed, %2u skipped; %u further checks\n", "all", sum.evals, sum.passed,
           sum.failed, sum.skipped, sum.extra_checks);
    assert_int_equal(sum.failed, 0);
    assert_int_equal(sum.bad, 0);
}

static void prometheus_files(void **state)
{
    const char *shared = getenv("SHARED");
    char dir[1024];

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s/testdata/promql", shared != NULL ? shared : "../shared");
    run_folder(dir, true);
}

static void own_files(void **state)
{
    const char *source = getenv("SOURCE");
    char dir[1024];

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s/test/promql", source != NULL ? source : ".");
    run_folder(dir, true);
    (void)snprintf(dir, sizeof(dir), "%s/test/unit/promql/cases", source != NULL ? source : ".");
    run_folder(dir, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(prometheus_files), cmocka_unit_test(own_files)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
