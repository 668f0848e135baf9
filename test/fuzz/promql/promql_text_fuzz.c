/* A text either fails with a message that begins with a position, or its canonical text parses to the same canonical
 * text; the formatted text too. */
#include "promql/ast.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pq_parse_options options = {true, true, true};

/* COMPAT: lengths below a millisecond print as 0s, which does not parse. */
static bool may_not_parse(pl_str text)
{
    return pl_str_find_str(text, PL_STR("[0s")) != SIZE_MAX || pl_str_find_str(text, PL_STR(":0s]")) != SIZE_MAX;
}

static void check_same(struct pl_arena *a, pl_str text, pl_str want)
{
    struct pq_node *n = NULL;
    struct pl_buf again;
    struct pl_err err;

    if (pq_parse(&n, a, text, &options, &err) != PL_OK) {
        PL_ASSERT(may_not_parse(want));
        return;
    }
    pl_buf_init(&again, 0);
    pq_print(&again, n);
    PL_ASSERT(pl_str_eq(pl_buf_view(&again), want));
    pl_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_arena a;
    struct pl_err err = {.msg = ""};
    struct pl_buf canonical, pretty, json;
    struct pq_node *n = NULL;
    pl_status st;

    pl_arena_init(&a, 64 << 20);
    st = pq_parse(&n, &a, pl_str_of((const char *)data, size), &options, &err);
    if (st != PL_OK) {
        PL_ASSERT(st == PL_INVALID || st == PL_LIMIT);
        PL_ASSERT(st != PL_INVALID || size > PROMQL_TEXT_MAX || strstr(err.msg, ": parse error: ") != NULL);
        pl_arena_fini(&a);
        return 0;
    }
    pl_buf_init(&canonical, 0);
    pl_buf_init(&pretty, 0);
    pl_buf_init(&json, 0);
    pq_print(&canonical, n);
    pq_print_pretty(&pretty, n);
    pq_print_json(&json, n);
    if (canonical.n <= PROMQL_TEXT_MAX && pretty.n <= PROMQL_TEXT_MAX) {
        check_same(&a, pl_buf_view(&canonical), pl_buf_view(&canonical));
        check_same(&a, pl_buf_view(&pretty), pl_buf_view(&canonical));
    }
    pl_buf_fini(&canonical);
    pl_buf_fini(&pretty);
    pl_buf_fini(&json);
    pl_arena_fini(&a);
    return 0;
}
