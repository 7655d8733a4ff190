// Writes of one word where interrupts are the other writers: in a section. Those of shared regions are in feagi_write.h.
#include "feagi_write.h"

#if !FEAGI_PORT_SHARED

void feagi_write_store(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t value) {
    feagi_write_word(r, offset, size_bytes, value);
    feagi_region_mark(r, offset, size_bytes);
}

uint64_t feagi_write_change(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, unsigned how, uint64_t value) {
    const feagi_port_key_t key = feagi_port_lock();
    const uint32_t *word = feagi_region_u32(r, offset); // of a byte, which is only set, this is not used
    const uint64_t before = how == FEAGI_WRITE_SET ? 0 : word[0] | (uint64_t)(size_bytes == 8 ? word[1] : 0) << 32;
    value = feagi_write_after(how, size_bytes, before, value);
    feagi_write_store(r, offset, size_bytes, value);
    feagi_write_count(r, offset);
    feagi_port_unlock(key);
    return value;
}

bool feagi_write_exchange(feagi_region_t *r, uint32_t offset, uint64_t from, uint64_t to) {
    const feagi_port_key_t key = feagi_port_lock();
    const bool done = *feagi_region_u64(r, offset) == from;
    if (done) {
        feagi_write_store(r, offset, 8, to);
        feagi_write_count(r, offset);
    }
    feagi_port_unlock(key);
    return done;
}

#elif !FEAGI_PORT_FAST

uint64_t feagi_write_change(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, unsigned how, uint64_t value) {
    return feagi_write_do_change(r, offset, size_bytes, how, value);
}

bool feagi_write_exchange(feagi_region_t *r, uint32_t offset, uint64_t from, uint64_t to) {
    return feagi_write_do_exchange(r, offset, from, to);
}

#endif
