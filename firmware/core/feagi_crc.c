#include "feagi_crc.h"

uint32_t feagi_crc_update(uint32_t crc, const uint8_t *data, size_t len_bytes) {
    crc = ~crc;
    while (len_bytes--) {
        crc ^= *data++;
        // Bit by bit: a table would be faster, and longer than this.
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0xedb88320u & (0 - (crc & 1))); // the polynomial, reflected
        }
    }
    return ~crc;
}
