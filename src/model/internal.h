/* model/internal.h - shared inside src/model only. */
#ifndef PL_MODEL_INTERNAL_H
#define PL_MODEL_INTERNAL_H

#include "base/base.h"

bool model__is_print(uint32_t c); /* Go's unicode.IsPrint, for any code point */

#endif
