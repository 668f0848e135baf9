/* Writes a data directory with known samples, for tests that let other programs read it:
 *   head_tool DIR SERIES SAMPLES [cut|flush|none] [snappy]
 *   head_tool DIR hist SAMPLES [cut|flush|none] [snappy]      series of native histograms: whole, floats, custom, gauge
 * Series i has the sample kit_value(i, t) every 15 s from KIT_T0 on. `head_tool DIR dump` prints all samples
 * (read-only; `dump-repair` opens it for writing). */
#include "tsdb_kit.h"

#include "hist_kit.h"

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

static void push_hists(struct tsdb *db, int i, struct pl_arena *a)
{
    static const char *const kinds[] = {"whole", "floats", "custom", "gauge"};

    for (int k = 0; k < 4; k++) {
        struct label l[] = {{LABEL_METRIC_NAME, PL_STR("h")}, {PL_STR("kind"), pl_str_c(kinds[k])}};
        struct tsdb_append_series s = {.labels = {.v = l, .n = 2}, .hist_count = 1};
        struct hist *h = hist_kit_make(a, i % 500 + 1 + (k % 2) * 0.5, k == 2);
        const struct hist *column = h;
        int64_t t = KIT_T0 + i * INT64_C(15000);
        bool whole = k % 2 == 0;
        struct tsdb_append_batch b = {
            .series = &s, .series_count = 1, .hist_t = &t, .hist = &column, .hist_whole = &whole};
        struct tsdb_append_result r;
        struct pl_err err = {.msg = ""};
        h->hint = k == 3 ? HIST_HINT_GAUGE : HIST_HINT_UNKNOWN;
        tsdb_append_begin(db);
        if (tsdb_append(db, &b, a, &r, &err) != PL_OK || r.appended != 1) {
            (void)fprintf(stderr, "push: %s\n", err.msg);
            exit(1);
        }
        tsdb_append_end(db);
    }
    pl_arena_reset(a);
}

int main(int argc, char **argv)
{
    struct tsdb_options o = kit_options();
    struct tsdb *db;
    struct pl_err err = {.msg = ""};
    struct pl_arena a;
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
    pl_arena_init(&a, 0);
    for (int k = 0; k < atoi(argv[3]); k++) {
        if (strcmp(argv[2], "hist") == 0) {
            push_hists(db, k, &a);
        } else {
            kit_push_ok(db, 0, series, KIT_T0 + k * INT64_C(15000));
        }
    }
    pl_arena_fini(&a);
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
