/* config/config.h - every option of Pallium, as plain struct fields that code reads.
 *
 * Promise: one row (a line of a .def file in src/config/options) declares an option once and yields its struct field, YAML key, flag,
 * default, type check, help, /config, the reference page and its errors. Field names are the YAML keys (in blocks of the same names);
 * durations are int64 nanoseconds and end in _ns; text is pl_str kept by the config; numbers are int64_t or double; lists are
 * struct opt_list.
 * Order, env expansion, secrets, error texts, exit codes: spec http-api-and-config.md 2.1.
 * Threads: read-only after config_load.
 */
#ifndef PL_CONFIG_CONFIG_H
#define PL_CONFIG_CONFIG_H

#include "base/base.h"
#include "base/buf.h"

/* Completed by the config module: struct opt_list, struct limits, struct config and the sections. */

#endif
