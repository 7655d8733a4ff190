#include "feagi_frame.h"

#include "feagi_crc.h"
#include "feagi_port.h"
#include "feagi_text.h"

// What a CRC becomes over bytes and their own CRC behind them, whatever it started with.
#define CRC_OF_WHOLE 0x2144df1cu

// Bytes behind an item's head that hold n, in preferred serialization: the fewest.
static __attribute__((noinline)) unsigned extra_bytes(uint64_t n) {
    const uint32_t low = (uint32_t)n;
    return n >> 32 ? 8 : low > UINT16_MAX ? 4 : low > UINT8_MAX ? 2 : low >= 24;
}

// ---- Building

void feagi_frame_start(feagi_frame_out_t *out, uint8_t *wire, size_t body_len_bytes, uint8_t kind, uint8_t seq) {
    out->wire = wire;
    out->limit = FEAGI_FRAME_BODY_AT + body_len_bytes;
    out->full = false;
    wire[FEAGI_FRAME_BODY_AT] = kind;
    wire[FEAGI_FRAME_BODY_AT + 1] = seq;
    out->len = FEAGI_FRAME_BODY_AT + 2;
}

// Room for so many bytes more, or NULL.
static uint8_t *take_room(feagi_frame_out_t *out, size_t len_bytes) {
    uint8_t *at = out->wire + out->len;
    if (out->len + len_bytes > out->limit) {
        out->full = true;
        out->limit = 0; // nor does what comes later
        return NULL;
    }
    out->len += len_bytes;
    return at;
}

// Major types, where a head has them.
#define UINT 0x00u
#define NEGATIVE 0x20u
#define BYTES 0x40u
#define TEXT 0x60u

// An item of at most 32 bits: its head, and the bytes of a string behind it.
static void put_item(feagi_frame_out_t *out, unsigned major, uint32_t n, const uint8_t *bytes, size_t len_bytes) {
    const unsigned extra = n < 24 ? 0 : extra_bytes(n);
    uint8_t *p = take_room(out, 1 + extra + len_bytes);
    if (p) {
        *p++ = (uint8_t)(major | (extra ? 24 + extra / 2 : n)); // 24 to 26 for 1, 2, 4
        for (unsigned shift = 8 * extra; shift;) {
            shift -= 8;
            *p++ = (uint8_t)(n >> shift);
        }
        for (; len_bytes; len_bytes--) {
            *p++ = *bytes++;
        }
    }
}

void feagi_frame_put_uint(feagi_frame_out_t *out, uint64_t value) {
    if (value >> 32) {
        uint8_t bytes[8];
        const uint8_t *from = (const uint8_t *)&value + 8; // little-endian, as every region
        for (unsigned i = 0; i < 8; i++) {
            bytes[i] = *--from;
        }
        put_item(out, UINT | 27, 0, bytes, 8); // a head that says 8 bytes
    } else {
        put_item(out, UINT, (uint32_t)value, NULL, 0);
    }
}

void feagi_frame_put_int(feagi_frame_out_t *out, int32_t value) {
    const uint32_t sign = value < 0 ? UINT32_MAX : 0;
    put_item(out, NEGATIVE & sign, (uint32_t)value ^ sign, NULL, 0);
}

void feagi_frame_put_bytes(feagi_frame_out_t *out, const uint8_t *data, size_t len_bytes) {
    put_item(out, BYTES, (uint32_t)len_bytes, data, len_bytes);
}

void feagi_frame_put_text(feagi_frame_out_t *out, const uint8_t *text, size_t len_bytes) {
    put_item(out, TEXT, (uint32_t)len_bytes, text, len_bytes);
}

void feagi_frame_put_raw(feagi_frame_out_t *out, const uint8_t *items, size_t len_bytes) {
    uint8_t *p = take_room(out, len_bytes);
    if (p) {
        feagi_port_copy(p, items, len_bytes);
    }
}

size_t feagi_frame_finish(feagi_frame_out_t *out, uint32_t seed) {
    uint8_t *wire = out->wire, *code = wire + FEAGI_FRAME_BODY_AT - 1, *end = wire + out->len;
    const uint32_t crc = feagi_crc_update(seed, code + 1, (size_t)(end - code) - 1);
    end[0] = (uint8_t)crc;
    end[1] = (uint8_t)(crc >> 8);
    end[2] = (uint8_t)(crc >> 16);
    end[3] = (uint8_t)(crc >> 24);
    end += 4;
    // COBS in place: each zero becomes the distance to the next, and one code in front holds the first. At most 253 bytes, so
    // no distance exceeds 254 and no further code is needed. The closing delimiter is the last zero.
    *end = 0;
    do {
        uint8_t *p = code;
        while (*++p) {
        }
        *code = (uint8_t)(p - code);
        code = p;
    } while (code < end);
    wire[0] = 0;
    return (size_t)(end - wire) + 1;
}

// ---- Taking apart

static void restart(feagi_frame_in_t *in) {
    in->len = 0;
    in->left = in->rest = 0;
    in->started = false;
    in->bad = false;
}

void feagi_frame_in_init(feagi_frame_in_t *in, uint8_t *buf, uint16_t capacity) {
    in->buf = buf;
    in->capacity = capacity < FEAGI_FRAME_LEN_BYTES ? capacity : FEAGI_FRAME_LEN_BYTES;
    in->text = false;
    restart(in);
}

static void store(feagi_frame_in_t *in, uint8_t byte) {
    if (in->len < in->capacity) {
        in->buf[in->len++] = byte;
    } else {
        in->bad = true;
    }
}

// Six bits of base64, or more than 63 for a character of another kind.
static unsigned bits_of(uint8_t c) {
    const unsigned letter = (c | 0x20u) - 'a', digit = c - (unsigned)'0';
    return letter < 26 ? letter + (c & 0x20 ? 26 : 0) : digit < 10 ? digit + 52 : c == '+' ? 62 : c == '/' ? 63 : 64;
}

// What stands before a frame's beginning is somebody's typing.
static int feed_text(feagi_frame_in_t *in, uint8_t byte) {
    if (byte == FEAGI_TEXT_BEGIN) {
        restart(in);
        in->started = true;
    } else if (byte == FEAGI_TEXT_END) {
        const int result = !in->started ? 0 : in->bad || in->left >= 6 ? FEAGI_ERR_FRAME : in->len;
        restart(in);
        return result;
    } else if (in->started) {
        const unsigned bits = bits_of(byte), all = (unsigned)in->rest << 6 | bits;
        in->bad |= bits > 63;
        in->left = (uint8_t)(in->left + 6);
        if (in->left >= 8) {
            in->left = (uint8_t)(in->left - 8);
            store(in, (uint8_t)(all >> in->left));
        }
        in->rest = (uint8_t)(all & ((1u << in->left) - 1));
    }
    return 0;
}

int feagi_frame_feed_mark(feagi_frame_in_t *in, uint8_t byte) {
    if (in->text) {
        return feed_text(in, byte);
    }
    if (byte == 0) {
        const int result = !in->started ? 0 : in->bad || in->left ? FEAGI_ERR_FRAME : in->len;
        restart(in);
        return result;
    }
    if (in->left) {
        in->left--;
    } else {
        // A code. The block before it, if there was one, ended with the zero that it stands for. A block of 254 bytes without a
        // zero is longer than any frame.
        in->left = (uint8_t)(byte - 1);
        in->bad |= byte == 0xff;
        byte = 0;
        if (!in->started) {
            in->started = true;
            return 0;
        }
    }
    store(in, byte);
    return 0;
}

int feagi_frame_next(const uint8_t **at, const uint8_t *end, feagi_frame_item_t *item) {
    const uint8_t *p = *at;
    if (p == end) {
        return 0;
    }
    const unsigned first = *p++, info = first & 31;
    const unsigned extra = info < 24 ? 0 : 1u << (info - 24);
    uint32_t low = extra ? 0 : info, high = 0;
    if ((size_t)(end - p) < extra || info > 27) {
        return FEAGI_ERR_FRAME;
    }
    for (unsigned i = extra; i; i--) {
        high = high << 8 | low >> 24;
        low = low << 8 | *p++;
    }
    item->value = (uint64_t)high << 32 | low;
    item->bytes = p;
    item->len = extra;
    item->major = (uint8_t)(first >> 5);
    if (item->major >= 2) {
        item->len = low;
        if (item->major > 3 || high || low > (size_t)(end - p)) {
            return FEAGI_ERR_FRAME;
        }
        p += low;
    }
    *at = p;
    return extra_bytes(item->value) == extra ? 1 : FEAGI_ERR_FRAME;
}

static bool is_of(const feagi_frame_item_t *item, const feagi_item_t *kind) {
    return kind->majors >> item->major & 1 && item->len >= kind->least && item->len <= kind->most &&
           (item->major != 3 || feagi_text_valid(item->bytes, item->len));
}

static bool has_shape(const feagi_frame_t *frame) {
    const uint8_t *shape = feagi_shapes, *at = frame->payload;
    for (; *shape != frame->kind || !*shape; shape++) {
        if (!*shape) {
            return false; // no such kind
        }
        while (*++shape < FEAGI_SHAPE_END) {
        }
    }
    feagi_frame_item_t item;
    int got;
    while ((got = feagi_frame_next(&at, frame->payload + frame->len, &item)) > 0) {
        shape++;
        if (*shape > FEAGI_SHAPE_END) {
            shape -= *shape - FEAGI_SHAPE_END;
        }
        if (*shape == FEAGI_SHAPE_END || !is_of(&item, &feagi_items[*shape & ~FEAGI_SHAPE_MAY_END])) {
            return false;
        }
    }
    return got == 0 && shape[1] >= FEAGI_SHAPE_MAY_END;
}

int feagi_frame_check(const uint8_t *buf, size_t len_bytes, uint32_t seed, feagi_frame_t *frame) {
    if (len_bytes < 6 || feagi_crc_update(seed, buf, len_bytes) != CRC_OF_WHOLE) {
        return FEAGI_ERR_FRAME;
    }
    frame->kind = buf[0];
    frame->seq = buf[1];
    frame->payload = buf + 2;
    frame->len = len_bytes - 6;
    return has_shape(frame) ? 0 : FEAGI_ERR_FRAME;
}
