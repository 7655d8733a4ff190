#include "feagi_frame.h"

#include "feagi_crc.h"
#include "feagi_port.h"
#include "feagi_text.h"

// ---- Building

void feagi_frame_start(feagi_frame_out_t *out, uint8_t *wire, uint16_t body_len_bytes, uint8_t kind, uint8_t seq) {
    out->wire = wire;
    out->limit = (uint16_t)(FEAGI_FRAME_BODY_AT + body_len_bytes);
    out->full = false;
    wire[FEAGI_FRAME_BODY_AT] = kind;
    wire[FEAGI_FRAME_BODY_AT + 1] = seq;
    out->len = FEAGI_FRAME_BODY_AT + 2;
}

// Head in preferred serialization: the shortest that holds n. Nothing is written unless `more` bytes fit behind it as well.
static bool put_head(feagi_frame_out_t *out, uint8_t major, uint64_t n, uint32_t more) {
    unsigned extra = n < 24 ? 0 : n <= 0xff ? 1 : n <= 0xffff ? 2 : n <= 0xffffffff ? 4 : 8;
    if (out->full || out->len + 1u + extra + more > out->limit) {
        out->full = true;
        return false;
    }
    uint8_t *p = out->wire + out->len;
    uint8_t info = (uint8_t)(extra == 0 ? n : extra == 1 ? 24 : extra == 2 ? 25 : extra == 4 ? 26 : 27);
    *p = (uint8_t)(major << 5 | info);
    for (unsigned i = extra; i; i--) {
        p[i] = (uint8_t)n;
        n >>= 8;
    }
    out->len = (uint16_t)(out->len + 1 + extra);
    return true;
}

void feagi_frame_put_uint(feagi_frame_out_t *out, uint64_t value) {
    (void)put_head(out, 0, value, 0);
}

void feagi_frame_put_int(feagi_frame_out_t *out, int64_t value) {
    (void)put_head(out, value < 0, (uint64_t)(value < 0 ? ~value : value), 0);
}

static void put_string(feagi_frame_out_t *out, uint8_t major, const uint8_t *data, uint16_t len_bytes) {
    if (put_head(out, major, len_bytes, len_bytes)) {
        feagi_port_copy(out->wire + out->len, data, len_bytes);
        out->len = (uint16_t)(out->len + len_bytes);
    }
}

void feagi_frame_put_bytes(feagi_frame_out_t *out, const uint8_t *data, uint16_t len_bytes) {
    put_string(out, 2, data, len_bytes);
}

void feagi_frame_put_text(feagi_frame_out_t *out, const uint8_t *text, uint16_t len_bytes) {
    put_string(out, 3, text, len_bytes);
}

void feagi_frame_put_raw(feagi_frame_out_t *out, const uint8_t *items, uint16_t len_bytes) {
    if (out->full || out->len + len_bytes > out->limit) {
        out->full = true;
        return;
    }
    feagi_port_copy(out->wire + out->len, items, len_bytes);
    out->len = (uint16_t)(out->len + len_bytes);
}

uint16_t feagi_frame_finish(feagi_frame_out_t *out, uint32_t seed) {
    uint8_t *body = out->wire + FEAGI_FRAME_BODY_AT;
    uint32_t crc = feagi_crc_update(seed, body, out->len - FEAGI_FRAME_BODY_AT);
    for (unsigned i = 0; i < 4; i++) {
        out->wire[out->len++] = (uint8_t)(crc >> 8 * i);
    }
    // COBS in place: each zero becomes the distance to the next, and one code in front holds the first. At most 253 bytes, so
    // no distance exceeds 254 and no further code is needed.
    uint16_t code_at = FEAGI_FRAME_BODY_AT - 1;
    for (uint16_t i = FEAGI_FRAME_BODY_AT; i < out->len; i++) {
        if (out->wire[i] == 0) {
            out->wire[code_at] = (uint8_t)(i - code_at);
            code_at = i;
        }
    }
    out->wire[code_at] = (uint8_t)(out->len - code_at);
    out->wire[0] = 0;
    out->wire[out->len++] = 0;
    return out->len;
}

// ---- Taking apart

static void restart(feagi_frame_in_t *in) {
    in->len = 0;
    in->left = 0;
    in->started = false;
    in->bad = false;
}

void feagi_frame_in_init(feagi_frame_in_t *in, uint8_t *buf, uint16_t capacity) {
    in->buf = buf;
    in->capacity = capacity < FEAGI_FRAME_LEN_BYTES ? capacity : FEAGI_FRAME_LEN_BYTES;
    restart(in);
}

static void store(feagi_frame_in_t *in, uint8_t byte) {
    if (in->len == in->capacity) {
        in->bad = true;
    } else {
        in->buf[in->len++] = byte;
    }
}

int feagi_frame_feed(feagi_frame_in_t *in, uint8_t byte) {
    if (byte == 0) {
        int result = !in->started ? 0 : in->bad || in->left ? FEAGI_ERR_FRAME : in->len;
        restart(in);
        return result;
    }
    if (in->bad) {
        return 0;
    }
    if (in->left) {
        in->left--;
        store(in, byte);
        return 0;
    }
    // A code: the block before it, if there was one, ended with the zero that it stands for.
    if (in->started) {
        store(in, 0);
    }
    in->started = true;
    in->left = (uint8_t)(byte - 1);
    // A block of 254 bytes without a zero is longer than any frame.
    in->bad = in->bad || byte == 0xff;
    return 0;
}

// Whether a number fits into so many bytes, 1, 2, 4 or 8. Not every target shifts 64 bits.
static bool fits_into(uint64_t value, unsigned len_bytes) {
    return len_bytes == 8 || value <= (len_bytes == 4 ? UINT32_MAX : (1u << 8 * len_bytes) - 1);
}

int feagi_frame_next(const uint8_t **at, const uint8_t *end, feagi_frame_item_t *item) {
    const uint8_t *p = *at;
    if (p >= end) {
        return 0;
    }
    uint8_t first = *p++;
    unsigned info = first & 31;
    item->major = first >> 5;
    item->value = info;
    if (item->major > 3 || info > 27) {
        return FEAGI_ERR_FRAME;
    }
    if (info >= 24) {
        unsigned extra = 1u << (info - 24);
        if ((size_t)(end - p) < extra) {
            return FEAGI_ERR_FRAME;
        }
        item->value = 0;
        for (unsigned i = 0; i < extra; i++) {
            item->value = item->value << 8 | *p++;
        }
        // Preferred serialization: the head one size smaller (or none) must not have held it.
        if (extra == 1 ? item->value < 24 : fits_into(item->value, extra / 2)) {
            return FEAGI_ERR_FRAME;
        }
    }
    item->bytes = p;
    if (item->major >= 2) {
        if ((uint64_t)(end - p) < item->value) {
            return FEAGI_ERR_FRAME;
        }
        p += item->value;
    }
    *at = p;
    return 1;
}

// Whether an item is of the type at shape[0..2] = {type, lo, hi}.
static bool fits(const feagi_frame_item_t *item, const uint8_t *shape) {
    bool string = item->value >= shape[1] && item->value <= shape[2];
    switch (shape[0]) {
        case 'U':
            return item->major == 0 && fits_into(item->value, shape[2]);
        case 'I':
            return item->major <= 1;
        case 'B':
            return item->major == 2 && string;
        case 'T':
            return item->major == 3 && string && feagi_text_valid(item->bytes, (size_t)item->value);
        default: // 'V'
            return item->major <= 1 || (item->major == 2 && string);
    }
}

static bool has_shape(uint8_t kind, const uint8_t *at, const uint8_t *end) {
    const uint8_t *shape = feagi_shapes;
    for (; *shape != kind || kind == 0; shape += 6 + 3 * (shape[1] + shape[3])) {
        if (*shape == 0) {
            return false; // no such kind
        }
    }
    unsigned items = shape[1], required = shape[2], group = shape[3], least = shape[4], most = shape[5];
    const uint8_t *type = shape + 6;
    const uint8_t *const group_at = type + 3 * items, *const group_end = group_at + 3 * group;
    feagi_frame_item_t item;
    unsigned count = 0; // items read
    for (;;) {
        int got = feagi_frame_next(&at, end, &item);
        if (got < 0) {
            return false;
        }
        if (got == 0) {
            break;
        }
        if (count >= items && (!group || (most && count >= items + group * most))) {
            return false;
        }
        if (!fits(&item, type)) {
            return false;
        }
        count++;
        type += 3;
        if (type == group_end) {
            type = group_at;
        }
    }
    return count >= required + group * least && (count <= items || type == group_at);
}

int feagi_frame_check(const uint8_t *buf, uint16_t len_bytes, uint32_t seed, feagi_frame_t *frame) {
    if (len_bytes < 6) {
        return FEAGI_ERR_FRAME;
    }
    uint16_t body = (uint16_t)(len_bytes - 4);
    uint32_t crc = feagi_crc_update(seed, buf, body);
    for (unsigned i = 0; i < 4; i++) {
        if (buf[body + i] != (uint8_t)(crc >> 8 * i)) {
            return FEAGI_ERR_FRAME;
        }
    }
    frame->kind = buf[0];
    frame->seq = buf[1];
    frame->payload = buf + 2;
    frame->len = (uint16_t)(body - 2);
    return has_shape(frame->kind, frame->payload, frame->payload + frame->len) ? 0 : FEAGI_ERR_FRAME;
}
