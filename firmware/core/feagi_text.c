#include "feagi_text.h"

bool feagi_text_valid(const uint8_t *text, size_t len_bytes) {
    const uint8_t *end = text + len_bytes;
    while (text < end) {
        // ASCII, four bytes at a time.
        uint32_t word;
        if (end - text >= 4 && (feagi_port_copy(&word, text, 4), !(word & FEAGI_TEXT_NOT_ASCII))) {
            text += 4;
            continue;
        }
        uint8_t lead = *text++;
        if (lead < 0x80) {
            continue;
        }
        int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || end - text < more) {
            return false;
        }
        // The second byte's range is what excludes overlong forms, surrogates and numbers beyond Unicode.
        uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (*text < low || *text > high) {
            return false;
        }
        while (more--) {
            if ((*text++ & 0xc0) != 0x80) {
                return false;
            }
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
