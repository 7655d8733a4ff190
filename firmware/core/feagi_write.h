// How the core's own files write, the same text for every target.
//
// One word: feagi_write_begin, the store, feagi_write_end. More than one: feagi_write_open, feagi_write_put for each word,
// feagi_write_close. On a board, and in a region that one thread writes, puts are made at once and interrupts are the other
// writers: begin masks them, and who puts several words masks them around these. In a shared region a begin looks at the gate,
// and an opened group holds the lock and is made as a whole when it is closed.
#ifndef FEAGI_WRITE_H
#define FEAGI_WRITE_H

#include "feagi_region.h"
#include "feagi_shared.h"

#define FEAGI_WRITE_VERSION_AT (FEAGI_HEADER_LEN_BYTES + (uint32_t)offsetof(feagi_core_t, version))
#define FEAGI_WRITE_LAST_MODIFIED_AT (FEAGI_HEADER_LEN_BYTES + (uint32_t)offsetof(feagi_core_t, last_modified))

// Whether other threads or processes write the region.
static inline bool feagi_write_is_shared(const feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    return r->share != NULL;
#else
    (void)r;
    return false;
#endif
}

// The region's time [ms].
static inline uint64_t feagi_write_now(const feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    return r->cached_clock ? feagi_port_load_u64(&r->now_ms) : feagi_port_now_ms(); // another thread may set it
#else
    return r->now_ms;
#endif
}

// The same within a group, whose changes all have one time.
static inline uint64_t feagi_write_group_now(const feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        return r->share->group_ms;
    }
#endif
    return feagi_port_load_u64(&r->now_ms); // the task that serves the link sets it, while another one is here
}

static inline feagi_port_key_t feagi_write_begin(feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    if (r->gate) {
        // Whoever does not go on for long may be passed: then this write is as one that passed the gate before.
        return __builtin_expect(feagi_port_load_u32(r->gate) != 0, 0) && feagi_shared_lock(r) == 0;
    }
#endif
    (void)r;
    return feagi_port_lock();
}
static inline void feagi_write_end(feagi_region_t *r, feagi_port_key_t key) {
#if FEAGI_PORT_SHARED
    if (r->gate) {
        if (__builtin_expect(key != 0, 0)) {
            feagi_shared_abort(r);
        }
        return;
    }
#endif
    (void)r;
    feagi_port_unlock(key);
}

// Counts a write of one word outside of the core block, which has its version. Snapshots look at it.
static inline void feagi_write_count(feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        feagi_port_add_u64(&r->share->trailer->changes, 1);
    }
#endif
    (void)r;
}

// Counts a write of the core block: version and last_modified. Their page needs no mark: the link compares it with what it sent.
static inline void feagi_write_count_core(feagi_region_t *r) {
    const uint64_t now = feagi_write_now(r); // before the add, which on some targets waits for all that came before it
    feagi_port_add_u64(feagi_region_u64(r, FEAGI_WRITE_VERSION_AT), 1);
    feagi_port_store_u64(feagi_region_u64(r, FEAGI_WRITE_LAST_MODIFIED_AT), now);
}

// Marks words that were written; see feagi_region_mark_bytes.
static inline void feagi_write_mark(const feagi_region_t *r, uint32_t offset, uint32_t len_bytes) {
#if FEAGI_PORT_SHARED
    if (!r->dirty) {
        return; // a call less, where most regions are not tracked
    }
#endif
    feagi_region_mark_bytes(r, offset, len_bytes);
}

// Stores 1, 4 or 8 bytes at an aligned offset and marks them.
static inline void feagi_write_store(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t value) {
    if (size_bytes == 1) {
        __atomic_store_n(r->base + offset, (uint8_t)value, __ATOMIC_RELEASE);
    } else if (size_bytes == 4) {
        feagi_port_store_u32(feagi_region_u32(r, offset), (uint32_t)value);
    } else {
        feagi_port_store_u64(feagi_region_u64(r, offset), value);
    }
    feagi_write_mark(r, offset, size_bytes);
}

// Begins a group. Returns 0 or FEAGI_ERR_BUSY; never the latter on a board.
static inline int feagi_write_open(feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        return feagi_shared_lock(r);
    }
#endif
    (void)r;
    return 0;
}

// Keeps writers of one word waiting until the group is closed: before the group puts words that they write as well.
static inline void feagi_write_keep_out(feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        feagi_shared_close_gate(r);
    }
#endif
    (void)r;
}

// A word of the group; offset and size as feagi_write_store's.
static inline void feagi_write_put(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t value) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        feagi_shared_put(r, FEAGI_SHARED_STORE, offset, size_bytes, value, 0);
        return;
    }
#endif
    feagi_write_store(r, offset, size_bytes, value);
}

// The group has a write of the core block in it.
static inline void feagi_write_put_count_core(feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        r->share->written++;
        return;
    }
#endif
    feagi_write_count_core(r);
}

// Ends the group; all of it happens.
static inline void feagi_write_close(feagi_region_t *r) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        feagi_shared_commit(r);
    }
#endif
    (void)r;
}

// Ends a group that put nothing, and gives `status` back.
static inline int feagi_write_refuse(feagi_region_t *r, int status) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        feagi_shared_abort(r);
    }
#endif
    (void)r;
    return status;
}

#endif
