/* ingester/messages.h - what a sender reads when its samples cannot be stored, as Cortex words it, spelling included
 * (spec http-api-and-config.md 1.3.1, 3.3; ring-distributor-ingester.md 5.3). */
#ifndef PL_INGESTER_MESSAGES_H
#define PL_INGESTER_MESSAGES_H

#define MSG_STOPPING    "ingester stopping"
#define MSG_NOT_RUNNING "ingester not ready: %s"
#define MSG_INFLIGHT    "cannot push: too many inflight push requests in ingester"
#define MSG_RATE        "cannot push more samples: ingester's samples push rate limit reached"
#define MSG_TENANTS     "cannot create TSDB: ingesters's max tenants limit reached"
#define MSG_SERIES      "cannot add series: ingesters's max series limit reached"
#define MSG_BROKEN \
    "the store of tenant %.*s could not be opened, so nothing is written to it (other tenants are not touched): %s"
/* What follows "user=TENANT: ". */
#define MSG_OUT_OF_BOUNDS "err: out of bounds. timestamp=%s, tsdbHeadMaxTimestamp=%s, series=%s"
#define MSG_OUT_OF_ORDER  "err: out of order sample. timestamp=%s, series=%s"
#define MSG_DUPLICATE \
    "err: duplicate sample for timestamp %" PRId64 "; overrides not allowed: existing %s, new value %s. series=%s"
#define MSG_DUPLICATE_HIST "err: duplicate sample for timestamp. timestamp=%s, series=%s"
#define MSG_DUPLICATE_OF_HIST                                                                                         \
    "err: duplicate sample for timestamp %" PRId64 "; overrides not allowed: existing is a histogram, new value %s. " \
    "series=%s"
#define MSG_USER_SERIES                                                                                    \
    "per-user series limit of %" PRId64 " exceeded, %.*s (local limit: %" PRId64 " global limit: %" PRId64 \
    " actual local limit: %" PRId64 ")"
#define MSG_METRIC_SERIES                                                                          \
    "per-metric series limit of %" PRId64 " exceeded for metric %.*s, %.*s (local limit: %" PRId64 \
    " global limit: %" PRId64 " actual local limit: %" PRId64 ") for series %s"

#endif
