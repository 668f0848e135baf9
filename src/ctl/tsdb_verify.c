/* palliumctl tsdb verify DIR...: checks stored data without changing it. */
#include "ctl/ctl.h"

#include "base/clock.h"
#include "tsdb/verify.h"

#include <stdio.h>
#include <sys/stat.h>

static void usage(FILE *to, const struct ctl_flag *flags, size_t n)
{
    (void)fputs(
        "Usage: palliumctl tsdb verify [flags] DIR...\n\n"
        "Reads a tenant's data folder (wal/, chunks_head/ and blocks), or one block's folder, and checks every\n"
        "checksum, order and count: WAL fragments and records, head chunks, chunk segments, the index's symbols,\n"
        "series, postings and table of contents, each chunk's samples, meta.json's statistics and tombstones.\n"
        "Nothing is locked, written or repaired; of a folder in use, the end of the WAL may look cut off.\n\n"
        "Each finding is one line: FILE [at offset N]: WHAT. Exit code 0: none, 1: some, or DIR could not be read.\n"
        "The summary on standard error counts what was read: the WAL repeats samples that chunks hold.\n\n"
        "Examples:\n"
        "  palliumctl tsdb verify ./data/tsdb/fake\n"
        "  palliumctl tsdb verify --quiet ./data/tsdb/*\n\n",
        to);
    if (to == stdout) {
        ctl_flags_print(flags, n);
    }
}

static void print_problem(void *arg, pl_str where, pl_str what)
{
    (void)arg;
    (void)printf("%.*s: %.*s\n", PL_STR_ARG(where), PL_STR_ARG(what));
}

static void print_summary(const char *dir, const struct verify_report *r, double seconds)
{
    (void)fprintf(stderr, "%s: %llu problem%s, %.1f s\n", dir, (unsigned long long)r->problems,
                  r->problems == 1 ? "" : "s", seconds);
    (void)fprintf(stderr, "  WAL:         %llu segments, %llu records, %llu series, %llu samples, %llu bytes\n",
                  (unsigned long long)r->wal.files, (unsigned long long)r->wal.records,
                  (unsigned long long)r->wal.series, (unsigned long long)r->wal.samples,
                  (unsigned long long)r->wal.bytes);
    (void)fprintf(stderr, "  head chunks: %llu files, %llu chunks, %llu series, %llu samples, %llu bytes\n",
                  (unsigned long long)r->head_chunks.files, (unsigned long long)r->head_chunks.chunks,
                  (unsigned long long)r->head_chunks.series, (unsigned long long)r->head_chunks.samples,
                  (unsigned long long)r->head_chunks.bytes);
    (void)fprintf(stderr, "  blocks:      %llu blocks, %llu chunks, %llu series, %llu samples, %llu bytes\n",
                  (unsigned long long)r->blocks.files, (unsigned long long)r->blocks.chunks,
                  (unsigned long long)r->blocks.series, (unsigned long long)r->blocks.samples,
                  (unsigned long long)r->blocks.bytes);
}

static bool is_plain_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool verify_one(const char *dir, bool quiet)
{
    struct verify_report r = {.problem = print_problem};
    struct pl_err err;
    int64_t start_ns = pl_now_mono_ns();
    pl_status st = tsdb_verify(pl_str_c(dir), &r, &err);

    (void)fflush(stdout);
    if (st != PL_OK) {
        (void)fprintf(stderr, "palliumctl tsdb verify: %s\n", err.msg);
        return false;
    }
    if (!quiet) {
        print_summary(dir, &r, (double)(pl_now_mono_ns() - start_ns) / 1e9);
    }
    return r.problems == 0;
}

int ctl_tsdb_verify(int argc, char **argv)
{
    bool quiet = false, help = false, good = true;
    const struct ctl_flag flags[] = {
        {"quiet", CTL_FLAG_BOOL, &quiet, NULL, "print findings only, no summary"},
    };
    struct pl_err err;

    if (ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err) != PL_OK) {
        (void)fprintf(stderr, "palliumctl tsdb verify: %s\n", err.msg);
        return 2;
    }
    if (help) {
        usage(stdout, flags, PL_ARRAY_LEN(flags));
        return 0;
    }
    if (argc < 2) {
        usage(stderr, flags, PL_ARRAY_LEN(flags));
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (argc > 2 && is_plain_file(argv[i])) {
            continue; /* a pattern for all tenants names them too */
        }
        good = verify_one(argv[i], quiet) && good;
    }
    return good ? 0 : 1;
}
