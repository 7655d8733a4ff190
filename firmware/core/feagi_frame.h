// Frames as bytes: COBS, CRC-32 and the CBOR that frames.cddl needs, checked against its shapes. Knows nothing of sessions.
// Any context, each with frames of its own.
#ifndef FEAGI_FRAME_H
#define FEAGI_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feagi_spec.h"

// Longest frame on the wire: delimiter, COBS code, body and CRC, delimiter.
#define FEAGI_FRAME_WIRE_BYTES (FEAGI_FRAME_LEN_BYTES + 3u)
// Where the body lies in the buffer of a frame that is being built.
#define FEAGI_FRAME_BODY_AT 2u
// Longest payload, and longest payload item's head.
#define FEAGI_FRAME_PAYLOAD_BYTES (FEAGI_FRAME_LEN_BYTES - 6u)

// ---- Building. One frame at a time, in the caller's buffer.

typedef struct {
    uint8_t *wire; // FEAGI_FRAME_WIRE_BYTES of the caller
    size_t len;    // bytes written, counted from wire
    size_t limit;  // where the body must end, counted from wire; 0 once something did not fit
    bool full;     // something did not fit: the frame must not be sent
} feagi_frame_out_t;

// Starts a frame. Its body (kind, seq, payload) may be `body_len_bytes` long, at most FEAGI_FRAME_LEN_BYTES - 4.
void feagi_frame_start(feagi_frame_out_t *out, uint8_t *wire, size_t body_len_bytes, uint8_t kind, uint8_t seq);

// Append one item, or set out->full and leave the frame as it was.
void feagi_frame_put_uint(feagi_frame_out_t *out, uint64_t value);
void feagi_frame_put_int(feagi_frame_out_t *out, int32_t value);
void feagi_frame_put_bytes(feagi_frame_out_t *out, const uint8_t *data, size_t len_bytes);
void feagi_frame_put_text(feagi_frame_out_t *out, const uint8_t *text, size_t len_bytes);
// Appends bytes that are items already.
void feagi_frame_put_raw(feagi_frame_out_t *out, const uint8_t *items, size_t len_bytes);

// Adds the CRC started with `seed` and encodes in place. Returns the bytes of wire[] to send, delimiters at both ends.
size_t feagi_frame_finish(feagi_frame_out_t *out, uint32_t seed);

// ---- Taking apart. Constant memory, whatever arrives.

typedef struct {
    uint8_t *buf;      // of the caller: the frame being collected
    uint16_t capacity; // of buf; longer frames are refused
    uint16_t len;      // bytes decoded so far
    uint8_t left;      // bytes of the present COBS block still to come; of a text frame: bits in `rest`
    uint8_t rest;      // of a text frame: bits that make no byte yet
    bool text;         // of the caller: frames come as text
    bool started;      // the segment has a first code, the text frame its beginning
    bool bad;          // the segment is no frame: wait for its end
} feagi_frame_in_t;

void feagi_frame_in_init(feagi_frame_in_t *in, uint8_t *buf, uint16_t capacity);

// feagi_frame_feed for a byte that is no plain one of a block: a delimiter, a code, one too many.
int feagi_frame_feed_mark(feagi_frame_in_t *in, uint8_t byte);

// Takes one byte of the stream. Returns 0 while a segment goes on or when it was empty, the length of the decoded body and CRC in
// in->buf when one ended, or FEAGI_ERR_FRAME when one ended that is no COBS (with in->text: no base64) or too long. About 15
// instructions.
static inline int feagi_frame_feed(feagi_frame_in_t *in, uint8_t byte) {
    // Most bytes go on with the present block.
    if (byte && in->left && !in->text && in->len < in->capacity) {
        in->left--;
        in->buf[in->len++] = byte;
        return 0;
    }
    return feagi_frame_feed_mark(in, byte);
}

typedef struct {
    uint8_t kind, seq;
    size_t len;             // of the payload
    const uint8_t *payload; // CBOR sequence of the kind's shape
} feagi_frame_t;

// Checks a decoded body and CRC: length, CRC started with `seed`, kind, shape. Returns 0 or FEAGI_ERR_FRAME.
int feagi_frame_check(const uint8_t *buf, size_t len_bytes, uint32_t seed, feagi_frame_t *frame);

// ---- Reading a payload that was checked.

typedef struct {
    uint8_t major;        // 0: value, 1: -1 - value, 2: bytes, 3: text
    uint64_t value;       // number, or length of bytes and text
    const uint8_t *bytes; // of bytes and text
    size_t len;           // of bytes and text; of a number: the bytes behind its head
} feagi_frame_item_t;

// Reads the item at *at and moves *at behind it. Returns 1, 0 at the end, or FEAGI_ERR_FRAME for what is not an item in preferred
// serialization (which a checked payload does not hold).
int feagi_frame_next(const uint8_t **at, const uint8_t *end, feagi_frame_item_t *item);

#endif
