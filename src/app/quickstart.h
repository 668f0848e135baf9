/* app/quickstart.h - the profile that `pallium` without any argument runs: a durable node for one user on this machine.
 */
#ifndef PL_APP_QUICKSTART_H
#define PL_APP_QUICKSTART_H

#include "base/base.h"
#include "config/config.h"

/* Sets the profile's options over the defaults. */
PL_MUST_USE pl_status quickstart_apply(struct config *cfg, struct pl_err *err);
/* The same options, for a load that has file and flags over them. */
const struct config_preset *quickstart_profile(size_t *n);
/* Says on the log what runs, where the data are, what to paste into prometheus.yml, and what is not safe. `changed`:
 * the profile was asked for by -quick-start, so file or flags may have changed it. */
void quickstart_announce(const struct config *cfg, const char *url, bool changed);

#endif
