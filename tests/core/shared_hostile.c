// A shared region's memory with anything in it: attach refuses it, or every operation on it ends and touches nothing outside of
// it.
//
// The memory lies alternately in a block whose ends the address sanitizer watches, and at the end of pages behind which there is
// none; there readers run while it is mapped read-only. An operation that does not end is ended by an alarm.
// `shared_hostile RUNS SEED`.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared_common.h"

#define PAGE 4096u
#define RUN_S 10 // no run takes a hundredth of it

static uint64_t seed;
static uint32_t runs, attached, recovered;

static void took_too_long(int number) {
    (void)number;
    static const char text[] = "FAILED: an operation does not end\n";
    (void)!write(1, text, sizeof text - 1);
    _exit(1);
}

static int wait_for(void *context, uint64_t owner, uint32_t tries) {
    (void)context;
    return owner == 1 && tries != UINT32_MAX ? FEAGI_SHARED_GIVE_UP : FEAGI_SHARED_GONE;
}

static uint32_t below(uint32_t limit) {
    return random_of(&seed) % limit;
}

// ---------------------------------------------------------------------------------------------------------- the bytes

// A header of capacities that no profile has. Returns the region's length.
static uint32_t make_header(feagi_header_t *h) {
    const feagi_section_t sections[] = {
        {0, 1, sizeof(feagi_core_t)},
        {0, 1, sizeof(feagi_hashes_t)},
        {0, (uint16_t)(1u << below(8)), (uint16_t)(sizeof(feagi_agent_t) + 8 * below(20))},
        {0, (uint16_t)(1u << below(8)), sizeof(feagi_lock_t)},
        {0, (uint16_t)(1u << below(8)), sizeof(feagi_window_t)},
        {0, (uint16_t)(1u << below(8)), sizeof(feagi_stat_t)},
        {0, (uint16_t)(1u << (2 + below(6))), sizeof(feagi_event_t)},
    };
    uint32_t at = FEAGI_HEADER_LEN_BYTES;
    for (unsigned i = 0; i < COUNT(sections); i++) {
        const uint32_t head = i == FEAGI_SECTION_FCL_WINDOWS ? sizeof(feagi_windows_t)
                              : i == FEAGI_SECTION_EVENTS    ? sizeof(feagi_ring_t)
                                                             : 0;
        h->sections[i] = sections[i];
        h->sections[i].offset = at;
        at += head + sections[i].capacity * sections[i].entry_len;
        at = i == FEAGI_SECTION_EVENTS ? at : (at + 63) / 64 * 64;
    }
    h->region_len = at;
    return at;
}

// A region with something in each section, and in half of the cases the journal of somebody who died.
static uint32_t make_region(uint8_t *memory, uint32_t room) {
    handle_t h;
    memset(&h, 0, sizeof h);
    memset(memory, 0, room);
    h.self = 1;
    h.share.self = &h.self;
    h.share.wait = wait_for;
    const uint8_t profile = below(2) ? FEAGI_PROFILE_TINY : FEAGI_PROFILE_MICRO;
    CHECK(feagi_shared_init(&h.region, &h.share, memory, room, profile, 1, 0) == 0);
    if (below(2)) {
        const uint32_t region_len = make_header((feagi_header_t *)(void *)memory);
        CHECK(feagi_shared_len(region_len) <= room);
        memset(memory + FEAGI_HEADER_LEN_BYTES, 0, room - FEAGI_HEADER_LEN_BYTES);
        feagi_shared_t *t = (feagi_shared_t *)(void *)(memory + region_len);
        t->magic = FEAGI_MAGIC_SHARED;
        t->shared_version = FEAGI_SHARED_VERSION;
        CHECK(feagi_shared_attach(&h.region, &h.share, memory, room) == 0);
    }
    feagi_region_t *r = &h.region;
    (void)feagi_agents_register(r, TEXT("cam"), 1, TEXT(""), NULL);
    (void)feagi_agents_register(r, TEXT("motor"), 1, TEXT(""), NULL);
    (void)feagi_agents_deregister(r, TEXT("cam"));
    (void)feagi_locks_try_lock(r, 5, 7);
    (void)feagi_windows_set(r, 5, 7);
    (void)feagi_stats_init(r, TEXT("v1"));
    (void)feagi_events_push(r, 300, 1);
    const uint32_t len = feagi_shared_len(r->len_bytes);
    memcpy(h.share.staging, memory, r->events_at);
    if (below(2)) {
        feagi_shared_t *t = h.share.trailer;
        t->lock = 2 + below(3);
        t->gate = below(2);
        t->done = below(4) ? below(FEAGI_JOURNAL_CHANGES + 2) : random_of(&seed);
        t->commit = (uint64_t)random_of(&seed) << 32 | (below(4)   ? below(FEAGI_JOURNAL_CHANGES + 2)
                                                        : below(2) ? UINT32_MAX
                                                                   : random_of(&seed));
        static const uint8_t sizes[] = {1, 4, 8, 8, 8, 2, 0, 16};
        for (unsigned i = 0; i < FEAGI_JOURNAL_CHANGES; i++) {
            feagi_change_t *c = &h.share.journal[i];
            c->kind = (uint16_t)below(FEAGI_SHARED_KINDS + 1);
            c->size = sizes[below(COUNT(sizes))];
            c->where = below(8) ? below(r->len_bytes + 64) : random_of(&seed);
            if (below(2)) {
                c->where &= ~7u;
            }
            c->value = (uint64_t)random_of(&seed) << 32 | random_of(&seed);
            c->more = (uint64_t)random_of(&seed) << 32 | random_of(&seed);
            c->known = below(3);
        }
    }
    return len;
}

static void mutate(uint8_t *memory, uint32_t len, uint32_t from, uint32_t to) {
    static const uint64_t numbers[] = {0,       1,          2,          3,          0x7f,       0x80,       0xff, 0x100, 0xffff,
                                       0x10000, 0x7fffffff, 0x80000000, UINT32_MAX, 1ull << 32, UINT64_MAX, 63,   64,    65};
    for (uint32_t n = below(8) ? below(12) : below(2000); n; n--) {
        const uint32_t at = from + below(to - from);
        const uint64_t number = below(3) ? numbers[below(COUNT(numbers))] : (uint64_t)random_of(&seed) << 32 | random_of(&seed);
        const uint32_t size = 1u << below(4);
        switch (below(3)) {
            case 0:
                memory[at] ^= (uint8_t)(1u << below(8));
                break;
            case 1:
                if (at / size * size + size <= len) {
                    memcpy(memory + at / size * size, &number, size);
                }
                break;
            default: { // from elsewhere
                const uint32_t source = below(len), most = len - (at > source ? at : source);
                memmove(memory + at, memory + source, below(64) % (most + 1));
            }
        }
    }
}

// ------------------------------------------------------------------------------------------------------- everything

static uint64_t *entry; // a block of an agent's length and not a byte more

static void read_everything(feagi_region_t *r) {
    static const char *const ids[] = {"cam", "motor", "nobody", "v1"};
    for (unsigned i = 0; i < FEAGI_FIELDS; i++) {
        (void)feagi_state_get(r, i);
    }
    for (unsigned i = 0; i < FEAGI_HASHES_COUNT; i++) {
        (void)feagi_hashes_get(r, i);
    }
    for (unsigned i = 0; i < COUNT(ids); i++) {
        (void)feagi_agents_find(r, TEXT(ids[i]));
        (void)feagi_stats_find(r, TEXT(ids[i]));
    }
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *a = (const void *)entry;
        if (feagi_agents_read(r, slot, entry)) {
            CHECK(a->id_len <= FEAGI_AGENT_ID_LEN_BYTES && a->metadata_len <= r->agents.entry_len - sizeof *a);
            (void)feagi_text_valid(feagi_agents_metadata(a), a->metadata_len);
        }
        (void)feagi_agents_handle(r, slot);
    }
    uint32_t area, window, lost;
    uint64_t owner;
    for (uint32_t slot = 0; slot < r->locks.capacity; slot++) {
        (void)feagi_locks_at(r, slot, &area, &owner);
        (void)feagi_locks_owner(r, area);
    }
    for (uint32_t slot = 0; slot < r->windows.capacity; slot++) {
        (void)feagi_windows_at(r, slot, &area, &window);
        (void)feagi_windows_get(r, area);
    }
    for (uint32_t slot = 0; slot < r->stats.capacity; slot++) {
        (void)feagi_stats_get(r, slot, slot % FEAGI_STATS_COUNTS);
        (void)feagi_stats_at(r, slot)->state;
    }
    feagi_event_t event;
    const uint32_t head = feagi_events_head(r);
    for (uint32_t i = 0; i < 2 * r->events_mask + 4; i++) {
        (void)feagi_events_read(r, head - r->events_mask - 2 + i, &event, &lost);
    }
    (void)feagi_events_read(r, random_of(&seed), &event, &lost);
    uint64_t *out = malloc(r->events_at);
    (void)feagi_shared_snapshot(r, out, 0, r->events_at, 3);
    const uint32_t from = below(r->events_at / 8) * 8, len = below((r->events_at - from) / 8 + 1) * 8;
    uint64_t *part = malloc(len + 8);
    (void)feagi_shared_snapshot(r, part, from, len, 3);
    free(part);
    free(out);
    (void)feagi_region_digest(r);
}

static void write_something(feagi_region_t *r) {
    static const char *const ids[] = {"cam", "motor", "another one with a longer id.", "v1"};
    const char *id = ids[below(COUNT(ids))];
    const uint32_t some = random_of(&seed);
    uint64_t *out;
    uint8_t *image;
    feagi_state_write_t writes[FEAGI_STATE_UPDATE_WRITES];
    switch (below(19)) {
        case 0:
            (void)feagi_state_set(r, below(FEAGI_FIELDS), below(8), NULL);
            break;
        case 1:
            (void)feagi_state_add(r, below(FEAGI_FIELDS), some, NULL);
            break;
        case 2:
            (void)feagi_state_subtract(r, below(FEAGI_FIELDS), some, NULL);
            break;
        case 3: {
            uint32_t count = 0;
            for (uint32_t i = 0; i < COUNT(writes); i++) {
                uint64_t value = below(9);
                const uint8_t field = (uint8_t)below(FEAGI_FIELDS), kind = (uint8_t)below(3);
                if (feagi_state_check(field, kind, &value) == 0) {
                    writes[count++] = (feagi_state_write_t){kind, field, value};
                }
            }
            (void)feagi_state_update(r, writes, count);
            break;
        }
        case 4:
            feagi_hashes_set(r, below(FEAGI_HASHES_COUNT), some);
            break;
        case 5:
        case 6:
            (void)feagi_agents_register(r, TEXT(id), 1, TEXT("text that is longer than some have room for"), NULL);
            (void)feagi_agents_register(r, TEXT(id), 1, TEXT(""), NULL);
            break;
        case 7:
            (void)feagi_agents_deregister(r, TEXT(id));
            break;
        case 8:
            (void)feagi_agents_heartbeat(r, TEXT(id));
            (void)feagi_agents_heartbeat_handle(r, some);
            (void)feagi_agents_heartbeat_handle(r, feagi_agents_handle(r, below(r->agents.capacity)));
            break;
        case 9:
            (void)feagi_agents_evict(r, below(2) ? 0 : some);
            break;
        case 10:
            (void)feagi_locks_try_lock(r, some % 300, 9);
            break;
        case 11:
            (void)feagi_locks_unlock(r, some % 300, 9);
            (void)feagi_locks_take_over(r, 5, 7, 8);
            break;
        case 12:
            (void)feagi_windows_set(r, some % 300, some);
            (void)feagi_windows_set_default(r, some);
            break;
        case 13:
            (void)feagi_windows_remove(r, some % 300);
            (void)feagi_windows_remove(r, 5);
            break;
        case 14:
            (void)feagi_stats_init(r, TEXT(below(2) ? "v1" : "w2"));
            break;
        case 15:
            (void)feagi_stats_add(r, below(r->stats.capacity), below(FEAGI_STATS_COUNTS), some);
            (void)feagi_stats_subtract(r, below(r->stats.capacity), below(FEAGI_STATS_COUNTS), some);
            feagi_stats_set(r, below(r->stats.capacity), below(FEAGI_STATS_COUNTS), some);
            break;
        case 16:
            (void)feagi_events_push(r, 300, some);
            break;
        case 17:
            out = malloc(r->events_at);
            (void)feagi_shared_snapshot_locked(r, out, 0, r->events_at);
            free(out);
            break;
        default: // of an image that is as damaged as the region
            image = malloc(r->events_at);
            memcpy(image, r->base, r->events_at);
            mutate(image, r->events_at, 0, r->events_at);
            (void)feagi_shared_restore(r, image);
            free(image);
    }
}

int main(int count, char **args) {
    if (count != 3) {
        return 2;
    }
    const uint32_t wanted = (uint32_t)strtoul(args[1], NULL, 10);
    const uint32_t room = 256 * 1024;
    seed = strtoull(args[2], NULL, 10);
    signal(SIGALRM, took_too_long);
    uint8_t *made = aligned_alloc(64, room);
    // A hole in front, pages, a hole behind.
    uint8_t *pages = mmap(NULL, room + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    pages += PAGE;
    for (runs = 0; runs < wanted; runs++) {
        at_place("run %u", runs);
        alarm(RUN_S);
        uint32_t len = make_region(made, room);
        const uint32_t region_len = ((const feagi_header_t *)(const void *)made)->region_len;
        switch (below(6)) { // where
            case 0:
                mutate(made, len, 0, FEAGI_HEADER_LEN_BYTES);
                break;
            case 1:
                mutate(made, len, FEAGI_HEADER_LEN_BYTES, region_len);
                break;
            case 2:
                mutate(made, len, region_len, len);
                break;
            case 3:
                mutate(made, len, FEAGI_HEADER_LEN_BYTES, len);
                break;
            case 4:
                mutate(made, len, 0, len);
                break;
            default:
                break;
        }
        len -= below(20) ? 0 : 1 + below(len - 1); // a truncated file
        const bool watched = below(2);
        uint8_t *memory;
        if (watched) {
            void *block;
            CHECK(posix_memalign(&block, 64, len) == 0);
            memory = block;
        } else {
            CHECK(mprotect(pages, room, PROT_READ | PROT_WRITE) == 0);
            memory = pages + room - len;
            memory -= (uintptr_t)memory % 8; // attach tells it where it is not aligned to more
        }
        memcpy(memory, made, len);
        handle_t h;
        memset(&h, 0, sizeof h);
        h.self = 1;
        h.share.self = &h.self;
        h.share.wait = wait_for;
        if (!watched) {
            CHECK(mprotect(pages, room, PROT_READ) == 0);
        }
        if (feagi_shared_attach(&h.region, &h.share, memory, len) == 0) {
            attached++;
            recovered += (uint32_t)h.share.trailer->commit != 0;
            entry = malloc(h.region.agents.entry_len);
            read_everything(&h.region);
            if (!watched) {
                CHECK(mprotect(pages, room, PROT_READ | PROT_WRITE) == 0);
            }
            for (unsigned i = 0; i < 12; i++) {
                write_something(&h.region);
            }
            read_everything(&h.region);
            free(entry);
        }
        if (watched) {
            free(memory);
        }
    }
    printf("%u runs, %u of them attached, %u of these with a group to make\n", runs, attached, recovered);
    free(made);
    return attached < runs / 2 || recovered < runs / 8;
}
