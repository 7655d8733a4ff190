// How the core's own files write, the same text for every target.
//
// One word: feagi_write_change or feagi_write_exchange. More than one: feagi_write_open, feagi_write_put for each word,
// feagi_write_close. On a board, and in a region that one thread writes, interrupts are the other writers: a word is written in a
// section that keeps them out, and who puts several words makes one section of these. In a shared region writers of one word look
// at the gate, and an opened group holds the lock and is made as a whole when it is closed.
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

// ---- One word

// A word of 1, 4 or 8 bytes at an aligned offset.
static inline uint64_t feagi_write_load(const feagi_region_t *r, uint32_t offset, uint32_t size_bytes) {
    return size_bytes == 1   ? feagi_port_load_u8(r->base + offset)
           : size_bytes == 4 ? feagi_port_load_u32(feagi_region_u32(r, offset))
                             : feagi_port_load_u64(feagi_region_u64(r, offset));
}

// Begins and ends a write of one word: its section, or a look at the gate.
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

// Stores a word, in a section, or where nobody looks yet.
static inline void feagi_write_word(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t value) {
    if (size_bytes == 1) {
        feagi_port_store_u8(r->base + offset, (uint8_t)value);
    } else if (size_bytes == 4) {
        feagi_port_store_u32(feagi_region_u32(r, offset), (uint32_t)value);
    } else {
#if FEAGI_PORT_SHARED
        feagi_port_store_u64(feagi_region_u64(r, offset), value);
#else
        *feagi_region_u64(r, offset) = value;
#endif
    }
}

// Counts a write of the core block, in its section: version and last_modified. Their page needs no mark: the link compares it
// with what it sent.
static inline void feagi_write_count_core(feagi_region_t *r) {
    const uint64_t now = feagi_write_now(r); // before the add, which on some targets waits for all that came before it
#if FEAGI_PORT_SHARED
    feagi_port_add_u64(feagi_region_u64(r, FEAGI_WRITE_VERSION_AT), 1);
    feagi_write_word(r, FEAGI_WRITE_LAST_MODIFIED_AT, 8, now);
#else
    feagi_core_t *core = (feagi_core_t *)(void *)(r->base + FEAGI_HEADER_LEN_BYTES);
    core->version++;
    core->last_modified = now;
#endif
}

// Counts a write of the word at `offset`, in its section. Snapshots of shared regions look at writes outside of the core block
// too.
static inline void feagi_write_count(feagi_region_t *r, uint32_t offset) {
    if (offset < FEAGI_HASHES_AT) {
        feagi_write_count_core(r);
    }
#if FEAGI_PORT_SHARED
    else if (r->share) {
        feagi_port_add_u64(&r->share->trailer->changes, 1);
    }
#endif
}

// How a word changes.
enum { FEAGI_WRITE_SET, FEAGI_WRITE_ADD, FEAGI_WRITE_SUBTRACT };

// What a word holds after a change: a sum of 4 or 8 bytes stays at the largest number, a difference at 0.
static inline uint64_t feagi_write_after(unsigned how, uint32_t size_bytes, uint64_t before, uint64_t value) {
    if (how == FEAGI_WRITE_SUBTRACT) {
        return value < before ? before - value : 0;
    }
    if (how == FEAGI_WRITE_ADD) {
        value += before;
        if (value < before || (size_bytes != 8 && value >> 32)) {
            value = size_bytes == 8 ? UINT64_MAX : UINT32_MAX;
        }
    }
    return value;
}

#if !FEAGI_PORT_SHARED
// Stores a word and marks it, in a section.
void feagi_write_store(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t value);
#else
static inline void feagi_write_mark(const feagi_region_t *r, uint32_t offset, uint32_t len_bytes) {
    if (r->dirty) {
        feagi_region_mark(r, offset, len_bytes);
    }
}

static inline void feagi_write_store(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t value) {
    feagi_write_word(r, offset, size_bytes, value);
    feagi_write_mark(r, offset, size_bytes);
}

static inline bool feagi_write_cas(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t from, uint64_t to) {
    return size_bytes == 8 ? feagi_port_cas_u64(feagi_region_u64(r, offset), from, to)
                           : feagi_port_cas_u32(feagi_region_u32(r, offset), (uint32_t)from, (uint32_t)to);
}

static inline uint64_t feagi_write_do_change(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, unsigned how,
                                             uint64_t value) {
    for (;;) {
        // Read before begin looks at the gate: if a group changes the word after that, the exchange fails.
        const uint64_t before = how == FEAGI_WRITE_SET ? 0 : feagi_write_load(r, offset, size_bytes);
        const uint64_t after = feagi_write_after(how, size_bytes, before, value);
        bool done = true;
        const feagi_port_key_t key = feagi_write_begin(r);
        if (how == FEAGI_WRITE_SET) {
            feagi_write_word(r, offset, size_bytes, after);
        } else {
            done = feagi_write_cas(r, offset, size_bytes, before, after);
        }
        if (done) {
            feagi_write_mark(r, offset, size_bytes);
            feagi_write_count(r, offset);
        }
        feagi_write_end(r, key);
        if (done) {
            return after;
        }
    }
}

static inline bool feagi_write_do_exchange(feagi_region_t *r, uint32_t offset, uint64_t from, uint64_t to) {
    const feagi_port_key_t key = feagi_write_begin(r);
    const bool done = feagi_write_cas(r, offset, 8, from, to);
    if (done) {
        feagi_write_mark(r, offset, 8);
        feagi_write_count(r, offset);
    }
    feagi_write_end(r, key);
    return done;
}
#endif

#if FEAGI_PORT_FAST
#define feagi_write_change feagi_write_do_change
#define feagi_write_exchange feagi_write_do_exchange
#else
// Changes a word, marks and counts it. Returns what it then holds. Any context, ISR-safe.
uint64_t feagi_write_change(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, unsigned how, uint64_t value);

// Changes a word of 8 bytes from one value to another, marks and counts it; false if it holds something else. Any context,
// ISR-safe.
bool feagi_write_exchange(feagi_region_t *r, uint32_t offset, uint64_t from, uint64_t to);
#endif

// ---- Groups

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
