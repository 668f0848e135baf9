/* config/messages.h - texts that an operator may know from Cortex, byte for byte. */
#ifndef PL_CONFIG_MESSAGES_H
#define PL_CONFIG_MESSAGES_H

#define MSG_NO_CONFIG                              \
    "please set configuration file. For example: " \
    "-config.file=./docs/configuration/single-process-config-blocks-local.yaml"
#define MSG_RUN_HELP       "Run with -help to get list of available parameters\n"
#define MSG_EMPTY_NODE     "the %s configuration in YAML has been specified as an empty YAML node"
#define MSG_NAME_SCHEME    "unsupported name validation scheme: %.*s"
#define MSG_HTTP_PREFIX    "HTTP prefix should be empty or start with /"
#define MSG_UNKNOWN_MODULE "unrecognised module name: %.*s"
#define MSG_CODEC          "invalid api config: unsupported default codec type. Supported types are 'json' and 'protobuf'"
#define MSG_LOG_LEVEL      "unrecognized log level \"%.*s\""
#define MSG_LOG_FORMAT     "unrecognized log format \"%.*s\""
#define MSG_BACKEND        "%s: unsupported storage backend"
#define MSG_SHARDING       "%s: invalid sharding strategy"
#define MSG_GLOBAL_SERIES                                                                     \
    "invalid limits config: the ingester.max-global-series-per-user limit is unsupported if " \
    "distributor.shard-by-all-labels is disabled"
#define MSG_HA_FAILOVER                                                                                                \
    "invalid limits config: HA Tracker failover timeout (%.*s) must be at least 1s greater than update timeout - max " \
    "jitter (%.*s)"
#define MSG_INGESTERS_WITHIN \
    "%stenant %.*s: query_ingesters_within (%.*s) must be less than close_idle_tsdb_timeout (%.*s)"
#define MSG_STORE_AFTER "%stenant %.*s: query_store_after (%.*s) must be less than query_ingesters_within (%.*s)"
#define MSG_LOOKBACK \
    "%stenant %.*s: shuffle_sharding_ingesters_lookback_period (%.*s) is less than query_store_after (%.*s)"
#define MSG_HA_STORE       "invalid distributor config: invalid HATracker KV store type: %.*s"
#define MSG_HA_JITTER      "invalid distributor config: HA tracker max update timeout jitter shouldn't be negative"
#define MSG_COMPACTOR_ZERO "invalid compactor config: compactor block range period cannot be zero"
#define MSG_COMPACTOR_RANGES                                                                                        \
    "invalid compactor config: compactor block range periods should be divisible by the previous one, but %.*s is " \
    "not divisible by %.*s"
#define MSG_MUTUALLY                                                                                                  \
    "invalid frontend_worker config: frontend address and scheduler address are mutually exclusive, please use only " \
    "one"
#define MSG_CACHE_SPLIT                                                                          \
    "invalid query_range config: querier.cache-results may only be enabled in conjunction with " \
    "querier.split-queries-by-interval. Please set the latter"

#endif
