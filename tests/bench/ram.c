// What a link of a device takes of its memory: size.py reads the lengths of these, and runs nothing.
#include "feagi_link.h"

feagi_link_t link;
uint32_t dirty_micro[FEAGI_DIRTY_WORDS_MICRO];
uint32_t dirty_tiny[FEAGI_DIRTY_WORDS_TINY];
