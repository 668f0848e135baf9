/* distributor/messages.h - what a sender reads, byte for byte as Cortex words it (spec
 * http-api-and-config.md 1.3.1, 3.2). Where a text says metric, series or cause, the argument is already quoted. */
#ifndef PL_DISTRIBUTOR_MESSAGES_H
#define PL_DISTRIBUTOR_MESSAGES_H

#define MSG_TOO_LARGE       "received message larger than max (%" PRIu64 " vs %" PRIu64 ")"
#define MSG_ENCODING        "%.*s encoding (compression) is not accepted by this server; only snappy is acceptable"
#define MSG_PROTO           "%.*s protobuf message is not accepted by this server; only accepts prometheus.WriteRequest"
#define MSG_INFLIGHT        "too many inflight push requests in distributor"
#define MSG_INSTANCE_RATE   "distributor's samples push rate limit reached"
#define MSG_EMPTY_LABELS    "empty labels found"
#define MSG_NAME_MISSING    "sample missing metric name"
#define MSG_NAME_INVALID    "sample invalid metric name: %s"
#define MSG_LABELS_MANY     "series has too many labels (actual: %zu, limit: %" PRId64 ") series: '%.*s'"
#define MSG_LABEL_INVALID   "sample invalid label: %s metric %s"
#define MSG_LABEL_NAME_LONG "label name too long for metric (actual: %zu, limit: %" PRId64 ") metric: %s label name: %s"
#define MSG_LABEL_VALUE_LONG \
    "label value too long for metric (actual: %zu, limit: %" PRId64 ") metric: %s label name: %s label value: %s"
#define MSG_LABEL_DUPLICATE "duplicate label name: %s metric %s"
#define MSG_LABELS_UNSORTED "labels not sorted: %s metric %s"
#define MSG_LABELS_SIZE     "labels size bytes exceeded for metric (actual: %zu, limit: %" PRId64 ") metric: %s"
#define MSG_TOO_OLD         "timestamp too old: %" PRId64 " metric: %s"
#define MSG_TOO_NEW         "timestamp too new: %" PRId64 " metric: %s"
#define MSG_HIST_SIZE \
    "native histogram sample size bytes exceeded for metric (actual: %" PRIu32 ", limit: %" PRId64 ") metric: %s"
#define MSG_HIST_BUCKETS          "native histogram bucket count exceeded for metric (limit: %" PRId64 ") metric: %s"
#define MSG_HIST_SCHEMA           "invalid native histogram schema %" PRId32 " for metric: %s. supported schema from -4 to 8"
#define MSG_HIST_INVALID          "invalid native histogram, validation err: %s, metric: %s"
#define MSG_METADATA_NAME_MISSING "metadata missing metric name"
#define MSG_METADATA_LONG         "metadata '%s' value too long: %s metric %s"
#define MSG_RATE                  "ingestion rate limit (%.*s) exceeded while adding %" PRIu64 " samples and %" PRIu64 " metadata"

#endif
