// Text as it lies in regions and frames.
#ifndef FEAGI_TEXT_H
#define FEAGI_TEXT_H

#include "feagi_port.h"

// Whether the bytes are well-formed UTF-8 (no overlong form, no surrogate, nothing beyond U+10FFFF). Any context.
bool feagi_text_valid(const uint8_t *text, size_t len_bytes);

// Where a text's search in a table begins: from FEAGI_TEXT_HASH over its little-endian words of 32 bits, the last one filled with
// zeros. Any context.
uint32_t feagi_text_hash(const uint8_t *text, size_t len_bytes);

#if FEAGI_PORT_SHARED
// The first eight bytes of a text as a little-endian word, zero-filled if it has fewer. Any context.
static inline uint64_t feagi_text_word(const uint8_t *text, size_t len_bytes) { // inline and without loops
    uint64_t word = 0;
    if (len_bytes >= 8) {
        feagi_port_copy(&word, text, 8);
    } else if (len_bytes >= 4) {
        uint32_t first, last; // these overlap
        feagi_port_copy(&first, text, 4);
        feagi_port_copy(&last, text + len_bytes - 4, 4);
        word = first | (uint64_t)last << 8 * (len_bytes - 4);
    } else {
        for (size_t i = 0; i < len_bytes; i++) {
            word |= (uint64_t)text[i] << 8 * i;
        }
    }
    return word;
}
#endif

// Of four bytes as a word: none of these bits is set if all are ASCII.
#define FEAGI_TEXT_NOT_ASCII 0x80808080u

#define FEAGI_TEXT_HASH 0x811c9dc5u
static inline uint32_t feagi_text_hash_word(uint32_t hash, uint32_t word) {
    hash = (hash ^ word) * 0x9e3779b1u;
    return hash ^ hash >> 15;
}

#endif
