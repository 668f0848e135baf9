/* block_tool - makes and reads blocks for test/e2e/test_blocks.py.
 *
 *   block_tool generate DIR SERIES SAMPLES   writes one block into DIR, prints its ULID, then its samples
 *   block_tool rewrite BLOCK DIR             reads a block and writes it again into DIR, prints the new ULID
 *   block_tool dump BLOCK [MATCHER...]       prints the samples as promtool tsdb dump does
 *   block_tool series BLOCK [MATCHER...]     prints the label sets that match
 *   block_tool names BLOCK [MATCHER...]      prints label names
 *   block_tool values BLOCK NAME [MATCHER...]
 * A MATCHER is name=value, name!=value, name=~regex or name!~regex.
 */
#include "codec/float_text.h"
#include "made.h"
#include "tsdb/block.h"

#include <stdio.h>
#include <stdlib.h>

static struct pl_arena arena;
static struct pl_err err;

static void check(pl_status st)
{
    if (st != PL_OK) {
        fprintf(stderr, "block_tool: %s: %s\n", pl_status_name(st), err.msg);
        exit(1);
    }
}

static void print_labels(struct labels ls)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    labels_text(&b, ls);
    (void)fwrite(b.p, 1, b.n, stdout);
    pl_buf_fini(&b);
}

static void print_samples(const struct series_view *s, int64_t mint, int64_t maxt)
{
    struct samples buf = {.n = 0};
    size_t cap = 0;

    check(series_decode(s, mint, maxt, &arena, &buf, &cap, &err));
    for (size_t i = 0; i < buf.n; i++) {
        struct pl_buf b;
        pl_buf_init(&b, 0);
        if (buf.h != NULL && buf.h[i] != NULL) {
            hist_text(&b, buf.h[i]);
        } else {
            pl_buf_f64_g(&b, buf.v[i]);
        }
        print_labels(s->labels);
        printf(" %.*s %lld\n", (int)b.n, b.p, (long long)buf.t[i]);
        pl_buf_fini(&b);
    }
}

/* ---- generate ---- */

static void print_id(const struct ulid *id)
{
    char text[ULID_TEXT + 1];

    ulid_text(text, id);
    printf("%s\n", text);
}

static void generate(const char *dir, int series, int samples, bool quiet)
{
    struct block_writer *w;
    struct ulid id;

    check(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, START_MS, &err));
    for (int i = 0; i < series; i++) {
        struct series_view s = made_series(&arena, i, samples);
        check(block_writer_add(w, s.labels, s.chunks, s.chunk_count, &err));
        if (quiet) {
            pl_arena_reset(&arena);
        }
    }
    check(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    print_id(&id);
    for (int i = 0; i < series && !quiet; i++) {
        struct series_view s = made_series(&arena, i, samples);
        print_samples(&s, INT64_MIN, INT64_MAX);
    }
}

static void rewrite(const char *from, const char *dir)
{
    struct series_select q = {.mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};
    const struct block_meta *m;
    struct block_writer *w;
    struct series_list list;
    struct block *b;
    struct ulid id;

    check(block_open(&b, pl_str_c(from), &err));
    m = block_meta_get(b);
    check(block_source(b)->ops->select(block_source(b), &arena, &q, &list, &err));
    check(block_writer_create(&w, pl_str_c(dir), m->mint_ms, m->maxt_ms, START_MS, &err));
    for (size_t i = 0; i < list.n; i++) {
        check(block_writer_add(w, list.v[i].labels, list.v[i].chunks, list.v[i].chunk_count, &err));
    }
    check(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    block_unref(b);
    print_id(&id);
}

/* ---- reading ---- */

static struct matcher parse_matcher(const char *text)
{
    static const struct {
        const char *op;
        enum matcher_type type;
    } ops[] = {{"!=", MATCH_NEQ}, {"=~", MATCH_RE}, {"!~", MATCH_NRE}, {"=", MATCH_EQ}};
    const char *at = text + strcspn(text, "=!");
    struct matcher m;

    for (size_t i = 0; i < PL_ARRAY_LEN(ops); i++) {
        size_t n = strlen(ops[i].op);
        if (strncmp(at, ops[i].op, n) == 0) {
            check(matcher_make(&m, &arena, ops[i].type, pl_str_of(text, (size_t)(at - text)), pl_str_c(at + n), &err));
            return m;
        }
    }
    fprintf(stderr, "block_tool: %s is no matcher\n", text);
    exit(2);
}

static struct series_select make_select(char **args, int n)
{
    struct matcher *ms = pl_arena_zero(&arena, (size_t)(n + 1) * sizeof(*ms));

    for (int i = 0; i < n; i++) {
        ms[i] = parse_matcher(args[i]);
    }
    return (struct series_select){
        .matchers = ms, .matcher_count = (size_t)n, .mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};
}

static void print_list(struct str_list l)
{
    for (size_t i = 0; i < l.n; i++) {
        printf("%.*s\n", PL_STR_ARG(l.v[i]));
    }
}

static void read_block(const char *command, const char *dir, char **args, int n)
{
    struct series_source *s;
    struct series_select q;
    struct series_list list;
    struct str_list strings;
    struct block *b;

    check(block_open(&b, pl_str_c(dir), &err));
    s = block_source(b);
    if (strcmp(command, "names") == 0) {
        q = make_select(args, n);
        check(s->ops->label_names(s, &arena, &q, 0, &strings, &err));
        print_list(strings);
    } else if (strcmp(command, "values") == 0) {
        q = make_select(args + 1, n - 1);
        check(s->ops->label_values(s, &arena, pl_str_c(args[0]), &q, 0, &strings, &err));
        print_list(strings);
    } else {
        q = make_select(args, n);
        q.labels_only = strcmp(command, "series") == 0;
        check(s->ops->select(s, &arena, &q, &list, &err));
        for (size_t i = 0; i < list.n; i++) {
            if (q.labels_only) {
                print_labels(list.v[i].labels);
                printf("\n");
            } else {
                print_samples(&list.v[i], q.mint_ms, q.maxt_ms);
            }
        }
    }
    block_unref(b);
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "generate") == 0) {
        pl_arena_init(&arena, 0);
        generate(argv[2], atoi(argv[3]), atoi(argv[4]), argc > 5);
    } else if (argc == 4 && strcmp(argv[1], "rewrite") == 0) {
        pl_arena_init(&arena, 0);
        rewrite(argv[2], argv[3]);
    } else if (argc >= 3) {
        pl_arena_init(&arena, 0);
        read_block(argv[1], argv[2], argv + 3, argc - 3);
    } else {
        fprintf(stderr, "usage: block_tool generate DIR SERIES SAMPLES | dump|series|names|values BLOCK ...\n");
        return 2;
    }
    pl_arena_fini(&arena);
    return 0;
}
