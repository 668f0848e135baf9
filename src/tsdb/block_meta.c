/* meta.json of a block, spec prometheus.md 10.1. The one file of this folder that knows jansson. */
#include "tsdb/block_internal.h"

#include <jansson.h>

enum { META_BYTES_MAX = 64 << 20, META_VERSION = 1 };

static pl_status bad_field(const char *path, const char *field, struct pl_err *err)
{
    return pl_fail(err, PL_CORRUPT, "%s: \"%s\" is missing or not what it should be", path, field);
}

static uint64_t stat_get(const json_t *stats, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(stats, name));

    return v > 0 ? (uint64_t)v : 0;
}

static pl_status meta_fill(struct block_meta *m, const json_t *root, const char *path, struct pl_err *err)
{
    const json_t *version = json_object_get(root, "version"), *id = json_object_get(root, "ulid");
    const json_t *mint = json_object_get(root, "minTime"), *maxt = json_object_get(root, "maxTime");
    const json_t *stats = json_object_get(root, "stats");

    if (!json_is_object(root)) {
        return pl_fail(err, PL_CORRUPT, "%s: not a JSON object", path);
    }
    if (json_integer_value(version) != META_VERSION) {
        return pl_fail(err, PL_CORRUPT, "%s: unexpected meta file version %lld", path,
                       (long long)json_integer_value(version));
    }
    if (!json_is_string(id) || !ulid_parse(&m->id, pl_str_of(json_string_value(id), json_string_length(id)))) {
        return bad_field(path, "ulid", err);
    }
    if (!json_is_integer(mint)) {
        return bad_field(path, "minTime", err);
    }
    if (!json_is_integer(maxt) || json_integer_value(maxt) < json_integer_value(mint)) {
        return bad_field(path, "maxTime", err);
    }
    m->mint_ms = json_integer_value(mint);
    m->maxt_ms = json_integer_value(maxt);
    m->sample_count = stat_get(stats, "numSamples");
    m->series_count = stat_get(stats, "numSeries");
    m->chunk_count = stat_get(stats, "numChunks");
    m->tombstone_count = stat_get(stats, "numTombstones");
    m->level = (int)json_integer_value(json_object_get(json_object_get(root, "compaction"), "level"));
    return PL_OK;
}

pl_status block__meta_read(struct block_meta *m, const char *path, struct pl_err *err)
{
    struct file_map map;
    json_error_t why;
    json_t *root;
    pl_status st;

    PL_TRY(file_map_open(&map, path, err));
    if (map.n > META_BYTES_MAX) {
        file_map_close(&map);
        return pl_fail(err, PL_CORRUPT, "%s: %zu bytes are too many", path, map.n);
    }
    root = json_loadb(map.p != NULL ? (const char *)map.p : "", map.n, JSON_REJECT_DUPLICATES, &why);
    file_map_close(&map);
    if (root == NULL) {
        return pl_fail(err, PL_CORRUPT, "%s: line %d: %s", path, why.line, why.text);
    }
    *m = (struct block_meta){.level = 0};
    st = meta_fill(m, root, path, err);
    json_decref(root);
    return st;
}

/* One counter of the stats object; zeros are left out, as Go's omitempty does. */
static void put_stat(struct pl_buf *b, const char *name, uint64_t v, bool *first)
{
    if (v > 0) {
        pl_buf_printf(b, "%s\n\t\t\"%s\": %llu", *first ? "" : ",", name, (unsigned long long)v);
        *first = false;
    }
}

void block__meta_text(struct pl_buf *b, const struct block_meta *m, const struct block_meta_stats *stats)
{
    char id[ULID_TEXT + 1];
    bool first = true;

    ulid_text(id, &m->id);
    pl_buf_printf(b, "{\n\t\"ulid\": \"%s\",\n\t\"minTime\": %lld,\n\t\"maxTime\": %lld,\n\t\"stats\": {", id,
                  (long long)m->mint_ms, (long long)m->maxt_ms);
    put_stat(b, "numSamples", m->sample_count, &first);
    put_stat(b, "numFloatSamples", stats->float_samples, &first);
    put_stat(b, "numHistogramSamples", stats->histogram_samples, &first);
    put_stat(b, "numSeries", m->series_count, &first);
    put_stat(b, "numChunks", m->chunk_count, &first);
    put_stat(b, "numTombstones", m->tombstone_count, &first);
    pl_buf_printf(b,
                  "%s},\n\t\"compaction\": {\n\t\t\"level\": %d,\n\t\t\"sources\": [\n\t\t\t\"%s\"\n\t\t]\n\t},\n"
                  "\t\"version\": %d\n}",
                  first ? "" : "\n\t", m->level, id, META_VERSION);
}
