// A payload that was checked, written again item by item: what two encoders, or a decoder and its encoder, must agree on.
#ifndef REENCODE_H
#define REENCODE_H

#include "feagi_frame.h"

// Appends the items of `payload` to `out`. Returns false where one does not fit, or is a number below those that are ever
// written.
static inline bool reencode(feagi_frame_out_t *out, const uint8_t *payload, size_t len_bytes) {
    const uint8_t *end = payload + len_bytes;
    feagi_frame_item_t item;
    while (feagi_frame_next(&payload, end, &item) > 0) {
        if (item.major == 0) {
            feagi_frame_put_uint(out, item.value);
        } else if (item.major == 1 && item.value <= INT32_MAX) {
            feagi_frame_put_int(out, ~(int32_t)item.value);
        } else if (item.major == 2) {
            feagi_frame_put_bytes(out, item.bytes, item.len);
        } else if (item.major == 3) {
            feagi_frame_put_text(out, item.bytes, item.len);
        } else {
            return false;
        }
    }
    return payload == end && !out->full;
}

#endif
