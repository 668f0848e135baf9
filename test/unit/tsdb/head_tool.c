/* Writes a data directory with known samples, for tests that let other programs read it:
 *   head_tool DIR SERIES SAMPLES [cut|flush|none] [snappy]
 * Series i has the sample kit_value(i, t) every 15 s from KIT_T0 on. `check` instead of a count of samples reads it back. */
#include "tsdb_kit.h"

int main(int argc, char **argv)
{
    struct tsdb_options o = kit_options();
    struct tsdb *db;
    struct pl_err err = {.msg = ""};
    uint32_t series, written = 0;

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
