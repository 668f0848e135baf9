/* config/internal.h - shared by the files of this folder only. */
#ifndef PL_CONFIG_INTERNAL_H
#define PL_CONFIG_INTERNAL_H

#include "config/section.h"

/* What a config knows besides its values. */
struct config_state {
    struct pl_arena arena;
    struct config_issues warnings;                   /* of decoding */
    const char *empty_section;                       /* first top-level section that the file gave without content */
    uint8_t set[(sizeof(struct config) + 7) / 8];    /* see struct opt_decoder */
    uint8_t preset[(sizeof(struct config) + 7) / 8]; /* those that a preset set: nobody needs to be warned of them */
    const char *deprecated[64];                      /* flags that were used; texts of the tables, or on the arena */
    size_t deprecated_count;
};

static inline bool config__was_set(const struct config *cfg, size_t offset)
{
    return (cfg->state->set[offset / 8] >> (offset % 8) & 1) != 0;
}

/* Parses text over cfg; adds errors and warnings. PL_INVALID: no YAML at all. */
PL_MUST_USE pl_status config__decode(struct config *cfg, pl_str text, struct config_issues *issues, struct pl_err *err);
/* Replaces $VAR, ${VAR} and ${VAR:default}. */
void config__expand(struct pl_buf *out, pl_str text);
/* Values of options that moved since Cortex 1.9 go to their new place, unless that was set too. */
void config__move_v19(struct config *cfg);
/* Sets one option by flag. Fails with PL_INVALID and the message of Go's flag package, and names the nearest flag when
 * unknown. */
PL_MUST_USE pl_status config__set_flag(struct config *cfg, pl_str name, const pl_str *value, struct pl_err *err);
/* True when the flag takes no value on its own (bools). False when unknown too. */
bool config__flag_is_bool(pl_str name);
/* Whether something acts on it (acted_on.def); a path or a flag. */
bool config__acted_on(const struct opt_place *p);

#endif
