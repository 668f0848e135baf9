/* palliumctl promql fmt: a query as the pretty printer lays it out. */
#include "ctl/ctl.h"
#include "ctl/file.h"

#include "promqltest/promqltest.h"

#include <stdio.h>

static const char usage[] =
    "Usage: palliumctl promql fmt [flags] [FILE|-]\n"
    "\n"
    "Reads one PromQL expression from a file or, without one, from standard input, and prints it laid out over lines "
    "as\n"
    "Prometheus's format_query does: parts of more than 100 characters are broken, two blanks a level. Comments are "
    "lost.\n"
    "All of the language's experimental parts are accepted.\n"
    "\n"
    "Examples:\n"
    "  echo 'sum by(job)(rate(http_requests_total{code=~\"5..\"}[5m]))' | palliumctl promql fmt\n"
    "  palliumctl promql fmt --expr 'up==1'\n"
    "\n"
    "Flags:\n";

static int format(pl_str text, const char *name)
{
    struct pl_err err = {.status = PL_OK};
    struct pl_arena a;
    struct pl_buf out;
    struct pq_node *expr;
    int code = 1;

    pl_arena_init(&a, 0);
    pl_buf_init(&out, 0);
    if (pq_parse(&expr, &a, text, &ptest_parse_options, &err) != PL_OK) {
        fprintf(stderr, "palliumctl promql fmt: %s: %s\n", name, err.msg);
    } else {
        pq_print_pretty(&out, expr);
        pl_buf_byte(&out, '\n');
        (void)fwrite(out.p, 1, out.n, stdout);
        code = 0;
    }
    pl_buf_fini(&out);
    pl_arena_fini(&a);
    return code;
}

int ctl_promql_fmt(int argc, char **argv)
{
    const char *expr = NULL;
    const struct ctl_flag flags[] = {
        {"expr", CTL_FLAG_TEXT, &expr, "EXPR", "format this expression instead of a file"},
    };
    struct pl_err err = {.status = PL_OK};
    struct pl_buf text;
    bool help = false;
    int code = 1;

    if (ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err) != PL_OK) {
        fprintf(stderr, "palliumctl promql fmt: %s\n", err.msg);
        return 2;
    }
    if (help) {
        return ctl_help(usage, flags, PL_ARRAY_LEN(flags),
                        "\nExit code 0: printed; 1: it cannot be parsed or read; 2: wrong usage.\n");
    }
    if (argc > 2 || (argc == 2 && expr != NULL)) {
        fputs("palliumctl promql fmt: one expression at a time\n", stderr);
        return 2;
    }
    if (expr != NULL) {
        return format(pl_str_c(expr), "--expr");
    }
    pl_buf_init(&text, 0);
    if (ctl_file_read(&text, argc == 2 ? argv[1] : "-", &err) != PL_OK) {
        fprintf(stderr, "palliumctl promql fmt: %s\n", err.msg);
    } else {
        code = format(pl_buf_view(&text), argc == 2 && strcmp(argv[1], "-") != 0 ? argv[1] : "standard input");
    }
    pl_buf_fini(&text);
    return code;
}
