/* codec/remote_write_internal.h - private to remote_write.c and remote_write_hist.c: protobuf fields. */
#ifndef PL_CODEC_REMOTE_WRITE_INTERNAL_H
#define PL_CODEC_REMOTE_WRITE_INTERNAL_H

#include "codec/remote_write.h"

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_FIXED32 = 5 };

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t varint;    /* WIRE_VARINT, WIRE_FIXED64 */
    const uint8_t *p;   /* WIRE_BYTES: content */
    const uint8_t *end; /* WIRE_BYTES: end of the content; all: next field */
};

/* Reads one field whole; groups are skipped and reported with their number. */
PL_MUST_USE pl_status remote_write__field(struct field *f, const uint8_t *p, const uint8_t *end, const char *message,
                                          struct pl_err *err);
PL_MUST_USE pl_status remote_write__fail_memory(struct pl_err *err, const struct pl_arena *a);
PL_MUST_USE pl_status remote_write__fail_wire(struct pl_err *err, enum wire wire, const char *field);

/* Histogram (spec prometheus.md 7.1). */
PL_MUST_USE pl_status remote_write__histogram(struct remote_write_histogram *out, const uint8_t *p, const uint8_t *end,
                                              struct pl_arena *a, struct pl_err *err);

#endif
