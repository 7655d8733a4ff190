// CRC-32/ISO-HDLC, the one of zlib and binascii.
#ifndef FEAGI_CRC_H
#define FEAGI_CRC_H

#include <stddef.h>
#include <stdint.h>

// CRC of `len_bytes` at `data`, going on from `crc` (0, or a session id, to start with). About 15 instructions a byte. Any
// context.
uint32_t feagi_crc_update(uint32_t crc, const uint8_t *data, size_t len_bytes);

#endif
