// Text as it lies in regions and frames.
#ifndef FEAGI_TEXT_H
#define FEAGI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether the bytes are well-formed UTF-8 (no overlong form, no surrogate, nothing beyond U+10FFFF). Any context.
bool feagi_text_valid(const uint8_t *text, size_t len_bytes);

// FNV-1a, 32 bits: where a text's search in a table begins. Any context.
uint32_t feagi_text_hash(const uint8_t *text, size_t len_bytes);

#endif
