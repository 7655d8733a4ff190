#include "feagi_crc.h"

// What four bits make of 0. Of eight would be twice as fast, and 16 times as long.
static const uint32_t of_nibble[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t feagi_crc_update(uint32_t crc, const uint8_t *data, size_t len_bytes) {
    crc = ~crc;
    if (len_bytes) {
        const uint8_t *end = data + len_bytes;
        do {
            crc ^= *data++;
            crc = crc >> 4 ^ of_nibble[crc & 15];
            crc = crc >> 4 ^ of_nibble[crc & 15];
        } while (data < end);
    }
    return ~crc;
}
