/* palliumctl: the operator's tool. Finds the sub-command and hands over. */
#include "ctl/ctl.h"

#include <stdio.h>

static const struct command {
    const char *words[2]; /* the second may be NULL */
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {{"query", NULL}, ctl_query, "ask a server a PromQL question, for now or over a range of time"},
    {{"load", NULL}, ctl_load, "write made-up series to a server by remote write, and measure it"},
    {{"promql", "test"}, ctl_promql_test, "run files in Prometheus's test language, in process or against a server"},
    {{"promql", "fmt"}, ctl_promql_fmt, "lay a PromQL expression out over lines"},
    {{"rules", "check"}, ctl_rules_check, "find errors in rule files"},
    {{"rules", "test"}, ctl_rules_test, "run unit tests of rules"},
    {{"config", "check"}, ctl_config_check, "find errors and doubtful lines in a configuration file"},
    {{"tsdb", "verify"}, ctl_tsdb_verify, "check every checksum and count of a data folder"},
};

/* `group`: the first word of those that are listed; NULL: all. */
static void list_commands(FILE *to, const char *group)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (group != NULL && strcmp(group, c->words[0]) != 0) {
            continue;
        }
        int at = fprintf(to, "  %s%s%s", c->words[0], c->words[1] != NULL ? " " : "",
                         c->words[1] != NULL ? c->words[1] : "");
        (void)fprintf(to, "%*s%s\n", at < 18 ? 18 - at : 1, "", c->help);
    }
}

static void usage(FILE *to)
{
    (void)fputs("palliumctl - the tool beside Pallium\n\nUsage: palliumctl COMMAND [flags] [arguments]\n\nCommands:\n",
                to);
    list_commands(to, NULL);
    (void)fputs("\n`palliumctl COMMAND --help` explains one, with examples. `palliumctl --version` names the version.\n"
                "Exit codes: 0 done, 1 it failed (or problems were found), 2 wrong usage.\n"
                "Completion for bash: source tools/completion/palliumctl.bash\n",
                to);
}

static bool is(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

/* How many words of argv name this command; 0: it is another. */
static int match(const struct command *c, int argc, char **argv)
{
    if (strcmp(argv[1], c->words[0]) != 0) {
        return 0;
    }
    if (c->words[1] == NULL) {
        return 1;
    }
    return argc > 2 && strcmp(argv[2], c->words[1]) == 0 ? 2 : 0;
}

/* The first of two words, without a second that we know. */
static bool is_group(const char *word)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(commands); i++) {
        if (commands[i].words[1] != NULL && strcmp(commands[i].words[0], word) == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (is(argv[1], "--help", "-h", "help")) {
        usage(stdout);
        return 0;
    }
    if (is(argv[1], "--version", "-version", "version")) {
        (void)printf("palliumctl %s\n", PL_VERSION);
        return 0;
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(commands); i++) {
        int words = match(&commands[i], argc, argv);
        if (words > 0) {
            return commands[i].run(argc - words, argv + words);
        }
    }
    if (is_group(argv[1])) {
        const bool asked = argc > 2 && is(argv[2], "--help", "-h", "help");
        (void)fprintf(asked ? stdout : stderr, "Usage: palliumctl %s COMMAND [flags] [arguments]\n\nCommands:\n",
                      argv[1]);
        list_commands(asked ? stdout : stderr, argv[1]);
        return asked ? 0 : 2;
    }
    (void)fprintf(stderr, "palliumctl: unknown command \"%s%s%s\"\n\n", argv[1],
                  argc > 2 && argv[2][0] != '-' ? " " : "", argc > 2 && argv[2][0] != '-' ? argv[2] : "");
    usage(stderr);
    return 2;
}
