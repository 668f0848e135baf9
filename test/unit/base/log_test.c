#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs one log call with standard error going to a pipe, and returns what it wrote. */
static char line[4096];

static void capture(void (*fn)(void))
{
    int fds[2];
    int saved = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(fds), 0);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    fn();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(fds[1]);
    n = read(fds[0], line, sizeof(line) - 1);
    (void)close(fds[0]);
    line[n > 0 ? n : 0] = '\0';
}

static void say(void)
{
    pl_warn("two words", PL_KV_C("user", "a\"b\nc"), PL_KV_INT("n", -5), PL_KV_C("plain", "x"));
}

static void say_debug(void)
{
    pl_debug("hidden");
}

static void logfmt_quotes_what_it_must(void **state)
{
    (void)state;
    pl_log_setup(PL_LOG_INFO, false);
    capture(say);
    assert_non_null(strstr(line, " level=warn msg=\"two words\" user=\"a\\\"b\\nc\" n=-5 plain=x\n"));
    assert_int_equal(strncmp(line, "ts=", 3), 0);
}

static void json_is_an_object(void **state)
{
    (void)state;
    pl_log_setup(PL_LOG_INFO, true);
    capture(say);
    assert_non_null(
        strstr(line, "\"level\":\"warn\",\"msg\":\"two words\",\"user\":\"a\\\"b\\nc\",\"n\":-5,\"plain\":\"x\"}\n"));
}

static void levels_filter(void **state)
{
    (void)state;
    pl_log_setup(PL_LOG_INFO, false);
    capture(say_debug);
    assert_string_equal(line, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_quotes_what_it_must),
        cmocka_unit_test(json_is_an_object),
        cmocka_unit_test(levels_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
