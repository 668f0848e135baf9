/* querier/messages.h - every text a client of the query API can see from this folder, each with its test.
 *
 * COMPAT: query and query_range are Cortex's own handlers, which write `invalid parameter "x"; cause`; the label,
 * series and format endpoints are Prometheus's code inside Cortex, which writes `invalid parameter "x": cause`.
 */
#ifndef PL_QUERIER_MESSAGES_H
#define PL_QUERIER_MESSAGES_H

#define MSG_BAD_EXPLAIN                "explain is plan or analyze"
#define MSG_PARAM_QUERY                "invalid parameter \"%s\"; "
#define MSG_BAD_TIME                   "cannot parse %.*s to a valid timestamp"
#define MSG_BAD_DURATION               "cannot parse %.*s to a valid duration"
#define MSG_DURATION_OVERFLOW          "cannot parse %.*s to a valid duration. It overflows int64"
#define MSG_END_BEFORE_START           "end timestamp must not be before start time"
#define MSG_EXEMPLARS_END_BEFORE_START "end timestamp must not be before start timestamp"
#define MSG_STEP_NOT_POSITIVE          "zero or negative query resolution step widths are not accepted. Try a positive integer"
#define MSG_TOO_MANY_POINTS \
    "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
#define MSG_SUBQUERY_POINTS                                                                                        \
    "exceeded maximum resolution of %llu points per timeseries in subquery. Try increasing the step size of your " \
    "subquery"
#define MSG_LOOKBACK                  "error parsing lookback delta duration: "
#define MSG_LIMIT_NEGATIVE            "limit must be non-negative"
#define MSG_LIMIT_SYNTAX              "strconv.Atoi: parsing %.*s: invalid syntax"
#define MSG_LIMIT_RANGE               "strconv.Atoi: parsing %.*s: value out of range"
#define MSG_METADATA_LIMIT            "limit must be a number"
#define MSG_METADATA_LIMIT_PER_METRIC "limit_per_metric must be a number"
#define MSG_TSDB_LIMIT                "limit must be a positive number"
#define MSG_TSDB_LIMIT_MAX            "limit must not exceed %d"
#define MSG_NO_MATCH                  "no match[] parameter provided"
#define MSG_EMPTY_MATCH               "match[] must contain at least one non-empty matcher"
#define MSG_NAME_MEMORY               "the label's name needs more memory than the query may use"
#define MSG_LABEL_NAME                "invalid label name: %.*s"
#define MSG_DELETE_SERIES             "not implemented"
#define MSG_TRUNCATED                 "results truncated due to limit"
#define MSG_MORE_WARNINGS             " more warning annotations omitted" /* after their number */
#define MSG_MORE_INFOS                " more info annotations omitted"
#define MSG_QUERY_TOO_LONG            "the query time range exceeds the limit (query length: %.*s, limit: %.*s)"
#define MSG_RESPONSE_LIMIT            "the query response size exceeds limit (limit: %llu bytes)"
#define MSG_MEMORY_LIMIT \
    "the query needs more memory than one query may take (limit: %llu bytes, -querier.max-query-memory-bytes)"
#define MSG_QUEUE_TIMEOUT     "query timed out in query queue"
#define MSG_QUEUE_TENANT_FULL "too many outstanding requests"
#define MSG_QUEUE_FULL        "server overloaded: %d requests of the query API wait already"
#define MSG_CANCELED          "context canceled"
#define MSG_BODY_TOO_LARGE    "http: request body too large"

#endif
