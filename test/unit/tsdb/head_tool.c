/* Writes a data directory with known samples, for tests that let other programs read it:
 *   head_tool DIR SERIES SAMPLES [cut|flush|none] [snappy]
 * Series i has the sample kit_value(i, t) every 15 s from KIT_T0 on. `head_tool DIR dump` prints all samples
 * (read-only; `dump-repair` opens it for writing). */
#include "tsdb_kit.h"

/* Every sample as `promtool tsdb dump` prints it (values as %.17g). */
static int dump(const char *dir, bool read_only)
{
    struct tsdb_options o = kit_options();
    struct tsdb *db;
    struct pl_arena a;
    struct series_list l;
    struct samples s = {.n = 0};
    struct pl_buf text = {.p = NULL};
    struct pl_err err = {.msg = ""};
    size_t cap = 0;

    o.read_only = read_only;
    db = kit_open_with(dir, o);
    pl_arena_init(&a, 0);
    kit_select(db, &a, NULL, 0, INT64_MIN, INT64_MAX, &l);
    for (size_t i = 0; i < l.n; i++) {
        pl_buf_reset(&text);
        labels_text(&text, l.v[i].labels);
        if (series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err) != PL_OK) {
            (void)fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        for (size_t k = 0; k < s.n; k++) {
            size_t labels_end = text.n;
            if (s.h != NULL && s.h[k] != NULL) {
                hist_text(&text, s.h[k]);
                printf("%.*s %.*s %lld\n", (int)labels_end, text.p, (int)(text.n - labels_end), text.p + labels_end,
                       (long long)s.t[k]);
                text.n = labels_end;
            } else {
                printf("%.*s %.17g %lld\n", (int)text.n, text.p, s.v[k], (long long)s.t[k]);
            }
        }
    }
    pl_arena_fini(&a);
    pl_buf_fini(&text);
    tsdb_close(db);
    return 0;
}

int main(int argc, char **argv)
{
    struct tsdb_options o = kit_options();
    struct tsdb *db;
    struct pl_err err = {.msg = ""};
    uint32_t series, written = 0;

    if (argc == 3) {
        return dump(argv[1], strcmp(argv[2], "dump") == 0);
    }
    if (argc < 4) {
        (void)fprintf(stderr, "usage: head_tool DIR SERIES SAMPLES [cut|flush|none] [snappy]\n");
        return 2;
    }
    o.wal_snappy = argc > 5;
    db = kit_open_with(argv[1], o);
    series = (uint32_t)atoi(argv[2]);
    for (int k = 0; k < atoi(argv[3]); k++) {
        kit_push_ok(db, 0, series, KIT_T0 + k * 15000);
    }
    if (argc > 4 && strcmp(argv[4], "none") != 0) {
        if (tsdb_compact(db, strcmp(argv[4], "flush") == 0, KIT_T0, &written, &err) != PL_OK) {
            (void)fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        printf("%u blocks\n", written);
    }
    if (argc > 4 && strcmp(argv[4], "none") == 0) {
        printf("killed\n");
        (void)fflush(stdout);
        (void)raise(9); /* as after a crash */
    }
    tsdb_close(db);
    return 0;
}
