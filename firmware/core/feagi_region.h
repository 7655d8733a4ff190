// The region: one block of memory that holds a node's whole state, laid out as feagi_spec.h says.
//
// The caller owns all memory. A feagi_region_t is a handle: it caches where the sections lie, so that no access trusts
// the block's own header after it was checked once.
//
// Calls name the contexts that may make them. "ISR-safe" is any interrupt that feagi_port_lock keeps out as well: such a call
// waits for nobody, allocates nothing, and has critical sections as long as the port's header says.
#ifndef FEAGI_REGION_H
#define FEAGI_REGION_H

#include "feagi_port.h"
#include "feagi_spec.h"

// Where a section lies that is more than one entry.
typedef struct {
    uint32_t at;        // offset of its first entry in the region
    uint16_t capacity;  // entries
    uint16_t entry_len; // bytes
} feagi_place_t;

struct feagi_share;

typedef struct {
    uint8_t *base;        // first byte of the region, aligned to 8
    uint32_t *dirty;      // bit i % 32 of word i / 32 says that the region's i-th word changed. NULL: changes are not tracked
    uint64_t now_ms;      // the region's clock, for last_modified, agents and events
    uint64_t epoch_ms;    // what it is ahead of the time since the owner's start: feagi_clock.h
    uint32_t len_bytes;   // of the region
    uint32_t events_at;   // offset of the events section
    uint32_t events_mask; // capacity of the ring - 1
    uint32_t pages;       // pages of the region
    union {
        feagi_place_t tables[FEAGI_TABLES]; // by section - FEAGI_SECTION_AGENTS
        struct {
            feagi_place_t agents;  // an agent's entry is longer than feagi_agent_t by its metadata
            feagi_place_t locks;   // feagi_lock_t
            feagi_place_t windows; // feagi_window_t, behind one feagi_windows_t
            feagi_place_t stats;   // feagi_stat_t
            feagi_place_t events;  // feagi_event_t, behind one feagi_ring_t
        };
    };
#if FEAGI_PORT_SHARED
    struct feagi_share *share; // feagi_shared.h; NULL: one thread writes this region
    const uint32_t *gate;      // its trailer's; NULL if it is not shared
    bool cached_clock;         // the time is what feagi_region_set_time said, else the system's
#endif
} feagi_region_t;

// The profile with this id (FEAGI_PROFILE_*), or NULL. Any context.
const feagi_profile_t *feagi_region_profile(uint8_t id);

// Bytes of a region of this profile. Any context.
uint32_t feagi_region_len(const feagi_profile_t *profile);

// Makes a new region in `mem` (aligned to 8, at least feagi_region_len bytes) and a handle to it. Everything is zero but the
// header. `boot_id` should differ at every start of the owner; 0 is taken as 1. Set-up only.
// Returns 0, FEAGI_ERR_LAYOUT (no such profile) or FEAGI_ERR_LENGTH (too small or misaligned).
int feagi_region_init(feagi_region_t *r, void *mem, uint32_t len_bytes, uint8_t profile, uint32_t boot_id);

// Makes a handle to a region that is there already, and checks all of its header: nothing that it says can lead an access
// outside of mem[0, len_bytes). Set-up only.
// Returns 0, FEAGI_ERR_LAYOUT (no region, or one of another layout) or FEAGI_ERR_LENGTH (too small or misaligned).
int feagi_region_attach(feagi_region_t *r, void *mem, uint32_t len_bytes);

// Words of `dirty` that tracking a region takes, a bit for each word in front of its events and more (FEAGI_DIRTY_WORDS_*). Any
// context.
static inline uint32_t feagi_region_dirty_words(const feagi_region_t *r) {
    return r->events_at / 128 + 2;
}

// Sets the region's clock: to how long ago the owner started [ms], and what feagi_clock.h adds to that. A clock that hosts set
// stands still rather than go back by up to FEAGI_CLOCK_STEP_MS. Main context; the interrupts that write state may preempt it.
void feagi_region_set_time(feagi_region_t *r, uint64_t uptime_ms);

// Where page `page` (< r->pages) lies: its offset in the region and its length in bytes, a multiple of 4. Any context.
uint32_t feagi_region_page(const feagi_region_t *r, uint32_t page, uint32_t *len_bytes);

// The page that holds the byte at `offset` of the region, or a negative number where no page does. Any context.
int feagi_region_page_of(const feagi_region_t *r, uint32_t offset);

// CRC-32 of all pages in order (LINK.md, DIGEST). About 15 instructions a byte. Not atomic. Main context.
uint32_t feagi_region_digest(const feagi_region_t *r);

// Entries that a table of so many slots takes: a large one is at most half full, so that no look-up walks far. Any context.
static inline uint32_t feagi_region_limit(uint32_t slots) {
    return slots > FEAGI_SMALL_TABLE_SLOTS ? slots / 2 : slots;
}

// Address of a typed place in the region; the offset must be within it and aligned.
static inline uint32_t *feagi_region_u32(const feagi_region_t *r, uint32_t offset) {
    return (uint32_t *)(void *)(r->base + offset);
}
static inline uint64_t *feagi_region_u64(const feagi_region_t *r, uint32_t offset) {
    return (uint64_t *)(void *)(r->base + offset);
}

// Marks the word at `offset` as changed, if changes are tracked. In a section (feagi_port_lock). Any context, ISR-safe.
static inline void feagi_region_mark_word(const feagi_region_t *r, uint32_t offset) {
    if (r->dirty) {
        r->dirty[offset / 128] |= 1u << offset / 4 % 32;
    }
}

// Marks the words that hold these bytes, each in a section. Any context, ISR-safe.
void feagi_region_mark(const feagi_region_t *r, uint32_t offset, uint32_t len_bytes);

#endif
