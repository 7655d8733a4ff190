// What the tests of shared regions have in common: handles, a whole check of a region, and a region's content as bytes that can
// be compared.
#ifndef SHARED_COMMON_H
#define SHARED_COMMON_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feagi_agents.h"
#include "feagi_areas.h"
#include "feagi_events.h"
#include "feagi_hashes.h"
#include "feagi_locks.h"
#include "feagi_shared.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_text.h"
#include "feagi_windows.h"
#include "feagi_write.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TEXT(text) (const uint8_t *)(text), strlen(text)

// One process's view of the region.
typedef struct {
    feagi_region_t region;
    feagi_share_t share;
    uint64_t self;
} handle_t;

static char place_text[256]; // what the test is doing, for messages
__attribute__((format(printf, 1, 2))) static inline void at_place(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(place_text, sizeof place_text, format, args);
    va_end(args);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("FAILED: %s: ", place_text);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    exit(1);
}

#define CHECK(condition)                                                                                                         \
    do {                                                                                                                         \
        if (!(condition)) {                                                                                                      \
            fail("line %d: %s", __LINE__, #condition);                                                                           \
        }                                                                                                                        \
    } while (0)

// now_ms: the time that this process goes by; 0: the system's.
static inline void attach(handle_t *h, void *mem, size_t len, uint64_t self, int (*wait)(void *, uint64_t, uint32_t),
                          uint64_t now_ms) {
    memset(h, 0, sizeof *h);
    h->self = self;
    h->share.self = &h->self;
    h->share.wait = wait;
    h->share.cached_clock = now_ms != 0;
    const int status = feagi_shared_attach(&h->region, &h->share, mem, len);
    if (status) {
        fail("attach: %d", status);
    }
    feagi_region_set_time(&h->region, now_ms);
}

static inline uint32_t length_of(uint8_t profile) {
    return feagi_shared_len(feagi_region_len(feagi_region_profile(profile)));
}

static inline const feagi_core_t *core_of(const feagi_region_t *r) {
    return (const feagi_core_t *)(const void *)(r->base + FEAGI_HEADER_LEN_BYTES);
}

// ------------------------------------------------------------------------------------------------------- a whole check

static inline bool all_zero(const void *at, size_t len) {
    const uint8_t *bytes = at;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

static inline void check_areas(const feagi_region_t *r, const feagi_place_t *table) {
    for (uint32_t slot = 0; slot < table->capacity; slot++) {
        const uint32_t *entry = feagi_region_u32(r, table->at + slot * table->entry_len);
        CHECK(entry[1] <= 1);
        if (entry[1]) {
            CHECK(feagi_areas_find(r, table, entry[0]) == feagi_table_at(table, slot)); // no search misses it, no area has two
        } else {
            CHECK(all_zero(entry, table->entry_len));
        }
    }
}

// All that holds in a region while nobody writes it, whoever died before.
static inline void check_content(const feagi_region_t *r) {
    const feagi_core_t *core = core_of(r);
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        if (feagi_fields[field].type <= FEAGI_TYPE_BOOL) {
            CHECK(feagi_state_get(r, field) <= feagi_fields[field].limit);
        }
    }
    CHECK(all_zero(core->reserved0, sizeof core->reserved0) && all_zero(core->reserved1, sizeof core->reserved1));
    uint32_t registered = 0;
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *a = feagi_agents_slot(r, slot);
        CHECK(a->state <= FEAGI_AGENT_SLOT_STATE_DEREGISTERED);
        if (a->state != FEAGI_AGENT_SLOT_STATE_REGISTERED) {
            continue;
        }
        const uint32_t room = r->agents.entry_len - (uint32_t)sizeof *a;
        registered++;
        CHECK(a->id_len >= 1 && a->id_len <= FEAGI_AGENT_ID_LEN_BYTES && a->generation && !a->reserved[0]);
        CHECK(a->agent_type <= FEAGI_AGENT_TYPE_INFRASTRUCTURE && a->metadata_len <= room);
        CHECK(feagi_text_valid(a->id, a->id_len) && feagi_text_valid(feagi_agents_metadata(a), a->metadata_len));
        CHECK(all_zero(a->id + a->id_len, sizeof a->id - a->id_len));
        CHECK(all_zero(feagi_agents_metadata(a) + a->metadata_len, room - a->metadata_len));
        CHECK(a->id_hash == feagi_text_hash(a->id, a->id_len));
        CHECK(feagi_agents_find(r, a->id, a->id_len) == (int)slot); // reachable, and no id is there twice
    }
    CHECK(registered == core->agent_count);
    CHECK(registered <= feagi_region_limit(r->agents.capacity));
    check_areas(r, &r->locks);
    check_areas(r, &r->windows);
    for (uint32_t slot = 0; slot < r->stats.capacity; slot++) {
        const feagi_stat_t *s = feagi_stats_at(r, slot);
        CHECK(s->state <= 1);
        if (s->state) {
            CHECK(s->id_len >= 1 && s->id_len <= FEAGI_AREA_ID_LEN_BYTES && feagi_text_valid(s->id, s->id_len));
            CHECK(feagi_stats_find(r, s->id, s->id_len) == (int)slot);
        }
    }
    const uint32_t head = feagi_events_head(r), capacity = r->events_mask + 1;
    for (uint32_t position = head > capacity ? head - capacity : 0; position != head; position++) {
        feagi_event_t event;
        uint32_t lost;
        CHECK(feagi_events_read(r, position, &event, &lost) == FEAGI_EVENTS_READ && event.sequence == position + 1);
        CHECK(event.kind != 0);
    }
}

// The same, and that nobody holds anything.
static inline void check_region(const feagi_region_t *r) {
    const feagi_shared_t *t = r->share->trailer;
    CHECK(t->lock == 0);
    CHECK(t->gate == 0);
    CHECK((uint32_t)t->commit == 0);
    check_content(r);
}

// ------------------------------------------------------------------------------------------------------- the content

// What a region says, without what has no meaning: slots that nobody has, version and last_modified.
typedef struct {
    size_t len;
    size_t ring_at; // here the events begin
    uint8_t bytes[240 * 1024];
} content_t;

static inline void content_add(content_t *c, const void *from, size_t len) {
    CHECK(c->len + len <= sizeof c->bytes);
    memcpy(c->bytes + c->len, from, len);
    c->len += len;
}

// Of region[0, events_at) in `base`, which may be a snapshot's copy.
static inline void content_of_image(content_t *c, const feagi_region_t *r, const uint8_t *base) {
    static const uint8_t end[8];
    c->len = 0;
    content_add(c, base + FEAGI_HEADER_LEN_BYTES, 48);
    content_add(c, base + FEAGI_HEADER_LEN_BYTES + 64, 64);
    content_add(c, base + FEAGI_HASHES_AT, sizeof(feagi_hashes_t));
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *a = (const void *)(base + r->agents.at + slot * r->agents.entry_len);
        if (a->state == FEAGI_AGENT_SLOT_STATE_REGISTERED) {
            content_add(c, &slot, sizeof slot);
            content_add(c, a, offsetof(feagi_agent_t, sequence)); // which says how often the slot was used, even in vain
            content_add(c, a + 1, r->agents.entry_len - sizeof *a);
        }
    }
    content_add(c, end, sizeof end);
    for (uint32_t slot = 0; slot < r->locks.capacity; slot++) {
        const feagi_lock_t *lock = (const feagi_lock_t *)(const void *)(base + r->locks.at) + slot;
        if (lock->owner) {
            content_add(c, lock, sizeof *lock);
        }
    }
    content_add(c, end, sizeof end);
    content_add(c, base + r->windows.at - sizeof(feagi_windows_t), sizeof(feagi_windows_t));
    for (uint32_t slot = 0; slot < r->windows.capacity; slot++) {
        const feagi_window_t *w = (const feagi_window_t *)(const void *)(base + r->windows.at) + slot;
        if (w->present) {
            content_add(c, w, sizeof *w);
        }
    }
    content_add(c, end, sizeof end);
    for (uint32_t slot = 0; slot < r->stats.capacity; slot++) {
        const feagi_stat_t *s = (const feagi_stat_t *)(const void *)(base + r->stats.at) + slot;
        if (s->state) {
            content_add(c, &slot, sizeof slot);
            content_add(c, s, sizeof *s);
        }
    }
    c->ring_at = c->len;
}

static inline void content_of(content_t *c, const feagi_region_t *r) {
    content_of_image(c, r, r->base);
    const uint32_t head = feagi_events_head(r), capacity = r->events_mask + 1;
    content_add(c, &head, sizeof head);
    for (uint32_t position = head > capacity ? head - capacity : 0; position != head; position++) {
        feagi_event_t event;
        uint32_t lost;
        memset(&event, 0, sizeof event);
        event.kind = feagi_events_read(r, position, &event, &lost) == FEAGI_EVENTS_READ ? event.kind : 0;
        content_add(c, &event, sizeof event);
    }
}

static inline bool same(const content_t *a, const content_t *b) {
    return a->len == b->len && a->ring_at == b->ring_at && memcmp(a->bytes, b->bytes, a->len) == 0;
}
// Without the events.
static inline bool same_image(const content_t *a, const content_t *b) {
    return a->ring_at == b->ring_at && memcmp(a->bytes, b->bytes, a->ring_at) == 0;
}

// ------------------------------------------------------------------------------------------------------------- random

static inline uint32_t random_of(uint64_t *seed) { // PCG
    const uint64_t old = *seed;
    *seed = old * 6364136223846793005u + 1442695040888963407u;
    const uint32_t x = (uint32_t)(((old >> 18) ^ old) >> 27), turn = (uint32_t)(old >> 59);
    return x >> turn | x << (-turn & 31);
}

#endif
