#include "feagi_text.h"

bool feagi_text_valid(const uint8_t *text, size_t len_bytes) {
    const uint8_t *end = text + len_bytes;
    while (text < end) {
        const uint8_t lead = *text++;
        if (lead < 0x80) {
            continue;
        }
        const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || end - text < more) {
            return false;
        }
        uint32_t point = lead & (0x3fu >> more);
        for (int i = 0; i < more; i++) {
            if ((*text & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | (*text++ & 0x3fu);
        }
        // No longer than need be, no surrogate, nothing beyond Unicode.
        if ((more > 1 && point >> (5 * more + 1) == 0) || point >> 11 == 0xd800 >> 11 || point > 0x10ffff) {
            return false;
        }
    }
    return true;
}

uint32_t feagi_text_hash(const uint8_t *text, size_t len_bytes) {
    uint32_t hash = FEAGI_TEXT_HASH;
    while (len_bytes) {
        const size_t part = len_bytes < 4 ? len_bytes : 4;
        uint32_t word = 0;
        feagi_port_copy(&word, text, part);
        hash = feagi_text_hash_word(hash, word);
        text += part;
        len_bytes -= part;
    }
    return hash;
}
