/* codec/remote_write.h - a walk over the bytes of prometheus.WriteRequest (remote write 1.0) without copying them.
 *
 * Promise: one pass yields, per series, the raw bytes of its labels (whose hash names a known sender's series without
 * parsing them) and its samples as columns. Nothing is allocated per label or sample: the arrays grow in the caller's
 * arena. Every byte is treated as hostile: wrong wire types, lengths past the end, groups, overlong integers; unknown
 * fields are skipped. Error texts are those that Cortex's decoder gives for the same bytes. Native histograms come as
 * values, checked as Prometheus checks them. Not here: what a valid label or sample is (distributor/), exemplars
 * (counted only).
 */
#ifndef PL_CODEC_REMOTE_WRITE_H
#define PL_CODEC_REMOTE_WRITE_H

#include "base/arena.h"
#include "base/base.h"
#include "histogram/histogram.h"

struct remote_write_series {
    pl_str labels;        /* the label fields with tags and lengths, in the message (or gathered in the arena) */
    uint32_t label_count; /* fields; several may have one name */
    uint32_t sample_first, sample_count;
    uint32_t histogram_first, histogram_count;
    uint32_t exemplar_count;
    bool gathered; /* the label fields did not lie side by side */
};

struct remote_write_histogram {
    int64_t t;
    const struct hist *h; /* NULL: not valid */
    char *problem;        /* Prometheus's text of what is not, or NULL: the schema */
    uint32_t bytes;       /* of its message */
    int32_t schema;       /* as it came; 9..52 became 8 */
    bool schema_known;    /* -4..52 or custom */
    bool whole;           /* of integer counts */
};

struct remote_write_metadata {
    int32_t type;
    pl_str metric, help, unit;
};

struct remote_write {
    struct remote_write_series *series;
    uint32_t series_count;
    uint64_t
        unlabelled_count; /* series without any label: not listed, nor are their samples; the caller refuses them */
    int64_t *t;
    double *v;
    uint32_t sample_count;
    struct remote_write_histogram *histograms;
    uint32_t histogram_count;
    uint64_t exemplar_count;
    struct remote_write_metadata *metadata;
    uint32_t metadata_count;
    int32_t source; /* WriteRequest.Source: 0 API, 1 RULE */
};

struct remote_write_label {
    pl_str name, value;
};

/* Walks the whole message; all text stays in it. PL_INVALID when it is not one, PL_LIMIT when the arena is too small.
 */
PL_MUST_USE pl_status remote_write_walk(struct remote_write *out, pl_str message, struct pl_arena *a,
                                        struct pl_err *err);
/* Reads the label fields of one series into out, which has room for its label_count. */
PL_MUST_USE pl_status remote_write_labels(struct remote_write_label *out, const struct remote_write_series *s,
                                          struct pl_err *err);

#endif
