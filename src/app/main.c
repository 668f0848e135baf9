/* app/main.c - the program: options, node, signals. */
#include "app/node.h"
#include "app/process_metrics.h"
#include "app/quickstart.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void write_all(int fd, pl_str s)
{
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno != EINTR) {
            return;
        }
        if (n > 0) {
            s = pl_str_sub(s, (size_t)n, s.n);
        }
    }
}

static void setup_log(const struct config *cfg)
{
    pl_str l = cfg->server.log_level;
    enum pl_log_level level = PL_LOG_INFO;

    if (pl_str_eq_nocase(l, PL_STR("debug"))) {
        level = PL_LOG_DEBUG;
    } else if (pl_str_eq_nocase(l, PL_STR("warn")) || pl_str_eq_nocase(l, PL_STR("warning"))) {
        level = PL_LOG_WARN;
    } else if (pl_str_eq_nocase(l, PL_STR("error"))) {
        level = PL_LOG_ERROR;
    }
    pl_log_setup(level, pl_str_eq(cfg->server.log_format, PL_STR("json")));
}

/* As many descriptors as the system lets us have: connections, segments and blocks each take one. */
static void raise_fd_limit(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &lim);
    }
}

/* Signals are taken by main alone, with sigwait; every thread started later inherits the mask. */
static void block_signals(sigset_t *set)
{
    PL_ASSERT(sigemptyset(set) == 0);
    PL_ASSERT(sigaddset(set, SIGTERM) == 0);
    PL_ASSERT(sigaddset(set, SIGINT) == 0);
    PL_ASSERT(sigaddset(set, SIGHUP) == 0);
    PL_ASSERT(pthread_sigmask(SIG_BLOCK, set, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    /* A file that would grow past RLIMIT_FSIZE is a failed write like a full disk, not the end of the process. */
    (void)signal(SIGXFSZ, SIG_IGN);
}

/* The process's config: the quick-start profile without any argument, else file and flags, over that profile with
 * -quick-start. False: exit with *code. */
static bool load_config(struct config **out, int argc, char **argv, struct config_result *res, int *code)
{
    const struct config_preset *profile;
    size_t profile_n;
    struct pl_err err;

    if (argc <= 1) {
        config_default(out);
        if (quickstart_apply(*out, &err) != PL_OK) {
            (void)fprintf(stderr, "quick-start profile: %s\n", err.msg);
            *code = 1;
            return false;
        }
        return true;
    }
    profile = quickstart_profile(&profile_n);
    if (config_load_over(out, profile, profile_n, argc, argv, res, &err) != PL_OK || res->exit) {
        write_all(STDOUT_FILENO, pl_buf_view(&res->out));
        write_all(STDERR_FILENO, pl_buf_view(&res->err));
        *code = res->exit_code;
        return false;
    }
    return true;
}

static int run(struct node *n, const sigset_t *signals)
{
    struct pl_err err;
    int sig = SIGHUP;

    while (sig == SIGHUP) { /* the runtime config is re-read on its own; a hang-up is no reason to stop */
        if (sigwait(signals, &sig) != 0) {
            sig = SIGTERM;
        }
    }
    if (node_failed(n, &err)) {
        pl_error("stopping: a part of the node failed", PL_KV_ERR(&err));
        return 1;
    }
    pl_info("stopping: draining requests and closing stores", PL_KV_C("signal", sig == SIGINT ? "SIGINT" : "SIGTERM"));
    return 0;
}

int main(int argc, char **argv)
{
    struct config_result res = {0};
    struct config *cfg = NULL;
    struct node *n = NULL;
    struct pl_err err;
    sigset_t signals;
    int64_t begin_ns = pl_now_mono_ns();
    int code = 0;
    bool quick;

    if (!load_config(&cfg, argc, argv, &res, &code)) {
        goto out;
    }
    setup_log(cfg);
    block_signals(&signals);
    raise_fd_limit();
    process_metrics_register(pl_str_c(res.file_sha256));
    pl_info("starting Pallium", PL_KV_C("version", PL_VERSION));
    quick = argc <= 1 || cfg->process.quick_start;
    if (argc > 1) {
        config_warn_ignored(cfg);
    }
    if (node_start(&n, cfg, &err) != PL_OK) {
        pl_error("cannot start", PL_KV_ERR(&err));
        code = 1;
        goto out;
    }
    pl_info("listening", PL_KV_C("url", node_url(n)), PL_KV_C("address", node_address(n)),
            PL_KV_DUR_NS("start", pl_now_mono_ns() - begin_ns));
    if (quick) {
        quickstart_announce(cfg, node_url(n), argc > 1);
    }
    code = run(n, &signals);
    node_stop(n);
    pl_info("stopped");

out:
    config_destroy(cfg);
    config_result_fini(&res);
    return code;
}
