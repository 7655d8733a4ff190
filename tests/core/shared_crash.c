// Every way to die in an operation on a shared region, and every way to be interrupted in one, one after the other.
//
// The core is compiled so that each of its accesses to shared memory asks the test first (shared_steps.h). So the test ends a
// writer between any two of its stores, or lets another one run there, and compares what is left with what the operations leave
// one after the other. Nothing here depends on time or chance. `shared_crash WHAT`, WHAT being crash, large, pairs, flight or
// readers.
#include <setjmp.h>

#include "shared_common.h"

#define NOW 9000u

static uint8_t *memory;
static size_t length;
static uint64_t checks;

// ------------------------------------------------------------------------------------------------------------- steps

#define NEVER UINT32_MAX
static struct {
    bool on;
    uint32_t accesses, writes; // counted
    uint32_t die_at;           // in front of the write with this number
    uint32_t act_at;           // in front of the access with this number...
    void (*act)(void);         // ...this is done
} step;
static jmp_buf death;

void steps_access(const volatile void *at, int writes) {
    if (!step.on || (const uint8_t *)at < memory || (const uint8_t *)at >= memory + length) {
        return;
    }
    if (writes && step.writes == step.die_at) {
        step.on = false;
        longjmp(death, 1);
    }
    if (step.accesses == step.act_at) {
        const uint32_t accesses = step.accesses, word = step.writes;
        void (*act)(void) = step.act;
        step.on = false;
        act();
        step.on = true;
        step.accesses = accesses;
        step.writes = word;
        step.die_at = step.act_at = NEVER;
    }
    step.accesses++;
    step.writes += writes != 0;
}

typedef int64_t (*run_t)(handle_t *h);

// Runs it until write number `die_at`. Returns whether it came to its end, with *result.
static bool run_until(run_t run, handle_t *h, uint32_t die_at, int64_t *result) {
    step.accesses = step.writes = 0;
    step.die_at = die_at;
    step.act_at = NEVER;
    if (setjmp(death)) {
        return false;
    }
    step.on = true;
    *result = run(h);
    step.on = false;
    return true;
}

// Runs it to its end and does `act` in front of access number `act_at`. Returns whether it came there.
static bool run_with(run_t run, handle_t *h, uint32_t act_at, void (*act)(void), int64_t *result) {
    step.accesses = step.writes = 0;
    step.die_at = NEVER;
    step.act_at = act_at;
    step.act = act;
    step.on = true;
    *result = run(h);
    step.on = false;
    return step.act_at == NEVER;
}

static int64_t run_whole(run_t run, handle_t *h) {
    int64_t result = 0;
    CHECK(run_until(run, h, NEVER, &result));
    return result;
}

// ----------------------------------------------------------------------------------------------------------- handles

static uint64_t dead; // bit n: process n
static int wait_for(void *context, uint64_t owner, uint32_t tries) {
    (void)context, (void)tries;
    return owner < 64 && dead >> owner & 1 ? FEAGI_SHARED_GONE : FEAGI_SHARED_GIVE_UP;
}
// Processes: 1 is the one that dies, 2 and 3 come after it.
static handle_t process[4];
static void attach_all(void) {
    dead = 0;
    for (uint64_t i = 1; i < COUNT(process); i++) {
        attach(&process[i], memory, length, i, wait_for, NOW);
    }
}

static uint8_t *start, *work; // the memory before the operations, and room for another copy

static void make(uint8_t profile) {
    length = length_of(profile);
    memory = aligned_alloc(64, (length + 63) / 64 * 64);
    memset(memory, 0, length);
    start = malloc(length);
    work = malloc(length);
    handle_t h;
    memset(&h, 0, sizeof h);
    h.self = 1;
    h.share.self = &h.self;
    CHECK(feagi_shared_init(&h.region, &h.share, memory, length, profile, 1, 0) == 0);
    attach_all();
}

// -------------------------------------------------------------------------------------------------------- operations

#define SET(name, field, value)                                                                                                  \
    static int64_t name(handle_t *h) {                                                                                           \
        return feagi_state_set(&h->region, FEAGI_FIELD_##field, value, NULL);                                                    \
    }
SET(set_u32, NEURON_COUNT, 77)
SET(set_u32_again, NEURON_COUNT, 1234)
SET(set_u64, GENOME_TIMESTAMP, 0x1122334455667788)
SET(set_u8, FATIGUE_INDEX, 42)
SET(set_event, BURST_ENGINE_STATE, FEAGI_BURST_ENGINE_STATE_RUNNING)
SET(set_event_same, BURST_ENGINE_STATE, FEAGI_BURST_ENGINE_STATE_READY)
SET(set_other_event, GENOME_STATE, FEAGI_GENOME_STATE_LOADED)

#define CHANGE(name, what, field, amount)                                                                                        \
    static int64_t name(handle_t *h) {                                                                                           \
        uint64_t stored = 0;                                                                                                     \
        const int status = feagi_state_##what(&h->region, FEAGI_FIELD_##field, amount, &stored);                                 \
        return status ? status : (int64_t)stored;                                                                                \
    }
CHANGE(add_u32, add, NEURON_COUNT, 5)
CHANGE(subtract_u32, subtract, NEURON_COUNT, 3)
CHANGE(add_u64, add, GENOME_TIMESTAMP, 1u << 31)

static int64_t group(handle_t *h) {
    static const feagi_state_write_t writes[] = {
        {FEAGI_STATE_ADD, FEAGI_FIELD_NEURON_COUNT, 1},
        {FEAGI_STATE_SET, FEAGI_FIELD_SYNAPSE_COUNT, 500},
        {FEAGI_STATE_ADD, FEAGI_FIELD_SYNAPSE_COUNT, 7}, // the same field twice
        {FEAGI_STATE_SUBTRACT, FEAGI_FIELD_GENOME_TIMESTAMP, 11},
        {FEAGI_STATE_SET, FEAGI_FIELD_BURST_ENGINE_STATE, FEAGI_BURST_ENGINE_STATE_PAUSED},
        {FEAGI_STATE_SET, FEAGI_FIELD_GENOME_STATE, FEAGI_GENOME_STATE_SAVING},
        {FEAGI_STATE_SET, FEAGI_FIELD_FATIGUE_INDEX, 99},
        {FEAGI_STATE_ADD, FEAGI_FIELD_REGULAR_NEURON_COUNT, 3},         // behind stores
        {FEAGI_STATE_SUBTRACT, FEAGI_FIELD_MEMORY_USAGE, 1u << 30},     // stays at 0
        {FEAGI_STATE_ADD, FEAGI_FIELD_NEURON_CAPACITY, UINT32_MAX},     // stays at its maximum
        {FEAGI_STATE_SET, FEAGI_FIELD_NEURON_CAPACITY, UINT32_MAX - 2}, // made after it
        {FEAGI_STATE_ADD, FEAGI_FIELD_NEURON_CAPACITY, 1},
        {FEAGI_STATE_SET, FEAGI_STATE_HASH + 1, 0xabcdef},
        {FEAGI_STATE_SET, FEAGI_STATE_HASH + 5, 0xabcd},
    };
    return feagi_state_update(&h->region, writes, COUNT(writes));
}
static int64_t group_of_hashes(handle_t *h) {
    feagi_state_write_t writes[FEAGI_HASHES_COUNT];
    for (uint8_t i = 0; i < FEAGI_HASHES_COUNT; i++) {
        writes[i] = (feagi_state_write_t){FEAGI_STATE_SET, (uint8_t)(FEAGI_STATE_HASH + i), 900u + i};
    }
    return feagi_state_update(&h->region, writes, COUNT(writes));
}
static int64_t refused_group(handle_t *h) {
    const int status = feagi_shared_lock(&h->region);
    if (status) {
        return status;
    }
    feagi_shared_close_gate(&h->region);
    feagi_shared_put(&h->region, FEAGI_SHARED_STORE, FEAGI_HASHES_AT, 8, 6, 0);
    feagi_shared_abort(&h->region);
    return 0;
}

static int64_t set_hash(handle_t *h) {
    feagi_hashes_set(&h->region, 2, 0x77);
    return 0;
}
static int64_t emit(handle_t *h) {
    return feagi_events_push(&h->region, 300, 41);
}

#define METADATA "a camera, 160x120"
static int64_t enter(handle_t *h, const char *id, const char *metadata) {
    uint32_t handle = 0;
    const int status = feagi_agents_register(&h->region, TEXT(id), FEAGI_AGENT_TYPE_BOTH, TEXT(metadata), &handle);
    return status ? status : (int64_t)handle;
}
static int64_t register_new(handle_t *h) {
    return enter(h, "a new agent's id", METADATA);
}
static int64_t register_other(handle_t *h) {
    return enter(h, "other", "");
}
static int64_t register_there(handle_t *h) {
    return enter(h, "cam", METADATA);
}
static int64_t leave(handle_t *h, const char *id) {
    return feagi_agents_deregister(&h->region, TEXT(id));
}
static int64_t deregister(handle_t *h) {
    return leave(h, "cam");
}
static int64_t deregister_unknown(handle_t *h) {
    return leave(h, "nobody");
}
static int64_t motor_leaves(handle_t *h) {
    return leave(h, "motor");
}
static int64_t motor_comes(handle_t *h) {
    return enter(h, "motor", METADATA);
}
static int64_t heartbeat(handle_t *h) {
    return feagi_agents_heartbeat(&h->region, TEXT("cam"));
}
static uint32_t motor; // a handle
static int64_t heartbeat_handle(handle_t *h) {
    return feagi_agents_heartbeat_handle(&h->region, motor);
}
static int64_t evict(handle_t *h) { // one of the agents
    return feagi_agents_evict(&h->region, NOW - 1500);
}

static int slot_of_v1;
static int64_t init_stats(handle_t *h) {
    return feagi_stats_init(&h->region, TEXT("m1"));
}
// An area whose search begins where m1's does.
static int64_t init_neighbour(handle_t *h) {
    char id[17];
    const uint32_t capacity = h->region.stats.capacity, slot = feagi_text_hash(TEXT("m1")) % capacity;
    for (unsigned i = 0;; i++) {
        sprintf(id, "area %u", i);
        if (feagi_text_hash((const uint8_t *)id, strlen(id)) % capacity == slot) {
            return feagi_stats_init(&h->region, TEXT(id));
        }
    }
}
static int64_t reset_stats(handle_t *h) {
    return feagi_stats_init(&h->region, TEXT("v1"));
}
static int64_t set_stat(handle_t *h) {
    feagi_stats_set(&h->region, (uint32_t)slot_of_v1, FEAGI_STATS_OUTGOING, 999);
    return 0;
}
static int64_t add_stat(handle_t *h) {
    return feagi_stats_add(&h->region, (uint32_t)slot_of_v1, FEAGI_STATS_NEURONS, 4);
}
static int64_t subtract_stat(handle_t *h) {
    return feagi_stats_subtract(&h->region, (uint32_t)slot_of_v1, FEAGI_STATS_INCOMING, 2);
}

static int64_t update_stats(handle_t *h) {
    static const feagi_stats_change_t changes[] = {
        {FEAGI_STATS_ADD, 3}, {FEAGI_STATS_SUBTRACT, UINT32_MAX}, {FEAGI_STATS_SET, 9}};
    return feagi_stats_update(&h->region, TEXT("v1"), changes);
}
static int64_t update_unknown_stats(handle_t *h) {
    static const feagi_stats_change_t changes[FEAGI_STATS_COUNTS] = {{FEAGI_STATS_SET, 1}};
    return feagi_stats_update(&h->region, TEXT("nothing"), changes);
}

static int64_t lock_new(handle_t *h) {
    return feagi_locks_try_lock(&h->region, 500, 60);
}
static int64_t lock_free(handle_t *h) {
    return feagi_locks_try_lock(&h->region, 9, 61);
}
static int64_t lock_held(handle_t *h) {
    return feagi_locks_try_lock(&h->region, 7, 62);
}
static int64_t unlock_area(handle_t *h) {
    return feagi_locks_unlock(&h->region, 7, 50);
}
static int64_t take_over(handle_t *h) {
    return feagi_locks_take_over(&h->region, 7, 50, 51);
}

static int64_t window_new(handle_t *h) {
    return feagi_windows_set(&h->region, 600, 3);
}
static int64_t window_set(handle_t *h) {
    return feagi_windows_set(&h->region, 7, 34);
}
static int64_t window_remove(handle_t *h) {
    return feagi_windows_remove(&h->region, 7);
}
static int64_t window_default(handle_t *h) {
    feagi_windows_set_default(&h->region, 21);
    return 0;
}

static uint8_t *image; // of another region
static int64_t restore(handle_t *h) {
    return feagi_shared_restore(&h->region, image);
}
static uint64_t out[512 * 1024 / 8];
static int64_t sum_of(const void *at, size_t len) {
    const uint8_t *bytes = at;
    uint64_t sum = 14695981039346656037u;
    while (len--) {
        sum = (sum ^ *bytes++) * 1099511628211u;
    }
    return (int64_t)(sum >> 1);
}
static int64_t snapshot_locked(handle_t *h) {
    static content_t c;
    const int status = feagi_shared_snapshot_locked(&h->region, out, 0, h->region.events_at);
    if (status) {
        return status;
    }
    content_of_image(&c, &h->region, (const uint8_t *)out);
    return sum_of(c.bytes, c.len);
}

// Readers: what they return depends on all that they read.
static int64_t find(handle_t *h) {
    return feagi_agents_find(&h->region, TEXT("motor"));
}
static int64_t read_agent(handle_t *h) {
    static uint64_t entry[64];
    const uint32_t slot = FEAGI_AGENTS_SLOT(motor);
    if (!feagi_agents_read(&h->region, slot, entry)) {
        return 0;
    }
    ((feagi_agent_t *)(void *)entry)->sequence = 0; // how often the slot was used, in vain as well
    return sum_of(entry, h->region.agents.entry_len);
}
static int64_t owner(handle_t *h) {
    return (int64_t)feagi_locks_owner(&h->region, 7);
}
static int64_t window_get(handle_t *h) {
    return feagi_windows_get(&h->region, 7);
}
static int64_t find_stats(handle_t *h) {
    return feagi_stats_find(&h->region, TEXT("m1"));
}
static uint32_t cursor; // a reader's position
static int64_t read_event(handle_t *h) {
    feagi_event_t event;
    uint32_t lost = 0;
    memset(&event, 0, sizeof event);
    switch (feagi_events_read(&h->region, cursor, &event, &lost)) {
        case FEAGI_EVENTS_READ:
            return sum_of(&event, sizeof event);
        case FEAGI_EVENTS_LOST:
            return -1 - (int64_t)lost;
        default:
            return 0;
    }
}

enum {
    SINGLE = 1,  // writes one word, without the lock
    RESTORE = 2, // its events come one by one
    READS = 4,   // writes nothing
};
typedef struct {
    const char *name;
    run_t run;
    unsigned flags;
} operation_t;
static const operation_t operations[] = {
    {"set u32", set_u32, SINGLE},
    {"set u32 again", set_u32_again, SINGLE},
    {"set u64", set_u64, SINGLE},
    {"set u8", set_u8, SINGLE},
    {"set event", set_event, 0},
    {"set event, same", set_event_same, 0},
    {"set other event", set_other_event, 0},
    {"add u32", add_u32, SINGLE},
    {"subtract u32", subtract_u32, SINGLE},
    {"add u64", add_u64, SINGLE},
    {"group", group, 0},
    {"group of hashes", group_of_hashes, 0},
    {"refused group", refused_group, 0},
    {"set hash", set_hash, SINGLE},
    {"emit", emit, 0},
    {"register new", register_new, 0},
    {"register other", register_other, 0},
    {"register there", register_there, 0},
    {"deregister", deregister, 0},
    {"deregister unknown", deregister_unknown, 0},
    {"heartbeat", heartbeat, SINGLE},
    {"heartbeat by handle", heartbeat_handle, SINGLE},
    {"evict", evict, 0},
    {"init stats", init_stats, 0},
    {"init neighbour's stats", init_neighbour, 0},
    {"reset stats", reset_stats, 0},
    {"set stat", set_stat, SINGLE},
    {"add stat", add_stat, SINGLE},
    {"subtract stat", subtract_stat, SINGLE},
    {"update stats", update_stats, 0},
    {"update unknown stats", update_unknown_stats, 0},
    {"lock new area", lock_new, SINGLE},
    {"lock free area", lock_free, SINGLE},
    {"lock held area", lock_held, SINGLE},
    {"unlock area", unlock_area, SINGLE},
    {"take over area", take_over, SINGLE},
    {"window new", window_new, SINGLE},
    {"window set", window_set, SINGLE},
    {"window remove", window_remove, SINGLE},
    {"window default", window_default, SINGLE},
    {"snapshot locked", snapshot_locked, 0},
    {"restore", restore, RESTORE},
    {"find", find, READS},
    {"read agent", read_agent, READS},
    {"owner", owner, READS},
    {"window get", window_get, READS},
    {"find stats", find_stats, READS},
    {"read event", read_event, READS},
};

// Takes and gives back the lock: the least that makes what the dead had committed.
static int64_t recover(handle_t *h) {
    const int status = feagi_shared_lock(&h->region);
    if (!status) {
        feagi_shared_abort(&h->region);
    }
    return status;
}

// ------------------------------------------------------------------------------------------------------ the beginning

// A region in which something of everything has happened; start is its memory.
static void populate(bool alike) {
    handle_t *h = &process[1];
    feagi_region_t *r = &h->region;
    feagi_region_set_time(r, 1000);
    feagi_state_set(r, FEAGI_FIELD_NEURON_COUNT, alike ? 100 : 3, NULL);
    feagi_state_set(r, FEAGI_FIELD_MEMORY_USAGE, 4096, NULL);
    feagi_state_set(r, FEAGI_FIELD_GENOME_TIMESTAMP, 1u << 20, NULL);
    feagi_state_set(r, FEAGI_FIELD_BURST_ENGINE_STATE, alike ? FEAGI_BURST_ENGINE_STATE_READY : FEAGI_BURST_ENGINE_STATE_ERROR,
                    NULL);
    for (unsigned i = 0; i < FEAGI_HASHES_COUNT; i++) {
        feagi_hashes_set(r, i, 10 + i + (alike ? 0 : 1000));
    }
    CHECK(enter(h, "old", "metadata of the old one") > 0);
    // Not the same millisecond: a heartbeat that stands still while its agent's slot gets another one tells them by last_seen.
    feagi_region_set_time(r, alike ? 8000 : 8001);
    CHECK(enter(h, alike ? "cam" : "c\xc3\xa4m", METADATA) > 0);
    motor = (uint32_t)enter(h, "motor", alike ? "a motor" : "a motor, changed");
    CHECK(enter(h, "gone", "metadata of the gone") > 0 && leave(h, "gone") == 0);
    CHECK(feagi_locks_try_lock(r, 7, 50) == 0 && feagi_locks_try_lock(r, 9, 50) == 0 && feagi_locks_unlock(r, 9, 50) == 0);
    CHECK(feagi_windows_set(r, alike ? 7 : 11, 33) == 0 && feagi_windows_set(r, 8, 5) == 0 && feagi_windows_remove(r, 8) == 1);
    slot_of_v1 = feagi_stats_init(r, TEXT(alike ? "v1" : "w1"));
    for (unsigned i = 0; i < FEAGI_STATS_COUNTS; i++) {
        feagi_stats_set(r, (uint32_t)slot_of_v1, i, 10 * i + (alike ? 20 : 500));
    }
    for (uint32_t i = 0; i < r->events_mask + 3; i++) {
        CHECK(feagi_events_push(r, 256, i) == 0);
    }
    cursor = feagi_events_head(r) - r->events_mask - 1; // the oldest one
    check_region(r);
    feagi_region_set_time(r, NOW);
}

static void begin(uint8_t profile) {
    make(profile);
    populate(false);
    image = malloc(process[1].region.events_at);
    memcpy(image, memory, process[1].region.events_at);
    free(memory);
    free(start);
    free(work);
    make(profile);
    populate(true);
    memcpy(start, memory, length);
}

static void reset(const uint8_t *from) {
    memcpy(memory, from, length);
    dead = 0;
}

// ------------------------------------------------------------------------------------------------------------- crash

static content_t before, after, left, seen, then, expected;

// What a reader without the right to write sees.
static void look(content_t *c) {
    handle_t *h = &process[3];
    step.on = true;
    step.writes = 0;
    step.die_at = step.act_at = NEVER;
    CHECK(feagi_shared_snapshot(&h->region, out, 0, h->region.events_at, 1) == 0); // nobody writes: the first copy is good
    step.on = false;
    CHECK(step.writes == 0);
    content_of_image(c, &h->region, (const uint8_t *)out);
}

// One process after another dies while it makes what the one before it had committed.
static void crash_again(const operation_t *op, uint32_t writes, const uint8_t *crashed) {
    int64_t result;
    const uint32_t stride = op->flags & RESTORE ? 11 : 1;
    for (uint32_t m = 0;; m += stride) {
        reset(crashed);
        dead = 1 << 1;
        const bool whole = run_until(recover, &process[2], m, &result);
        at_place("%s, dead after %u writes, and the next one after %u", op->name, writes, m);
        dead |= 1 << 2;
        look(&seen);
        CHECK(same_image(&seen, &left));
        CHECK(run_whole(recover, &process[3]) == 0);
        check_region(&process[3].region);
        content_of(&then, &process[3].region);
        CHECK(same(&then, &left));
        checks++;
        if (whole) {
            return;
        }
    }
}

static void check_left(const operation_t *op, uint64_t version) {
    check_region(&process[2].region);
    content_of(&left, &process[2].region);
    if (op->flags & RESTORE) {
        CHECK(same_image(&left, &before) || same_image(&left, &after));
    } else {
        CHECK(same(&left, &before) || same(&left, &after));
    }
    // Whoever waits for version to change does not miss a group.
    if (!(op->flags & SINGLE) && memcmp(left.bytes, before.bytes, 48 + 64)) {
        CHECK(core_of(&process[2].region)->version > version);
    }
}

// Dies everywhere in one operation; then each of the others comes.
static void crash_with(const operation_t *op, const operation_t *next, size_t next_count) {
    uint8_t *crashed = malloc(length);
    int64_t result;
    reset(start);
    at_place("%s", op->name);
    const uint64_t version = core_of(&process[1].region)->version;
    content_of(&before, &process[1].region);
    run_whole(op->run, &process[1]);
    check_region(&process[1].region);
    content_of(&after, &process[1].region);
    bool was_after = false;
    for (uint32_t n = 0;; n++) {
        reset(start);
        const bool whole = run_until(op->run, &process[1], n, &result);
        at_place("%s, dead after %u writes", op->name, n);
        dead = 1 << 1;
        memcpy(crashed, memory, length);
        look(&seen);
        CHECK(same_image(&seen, &before) || same_image(&seen, &after));
        CHECK(run_whole(recover, &process[2]) == 0);
        check_left(op, version);
        CHECK(same_image(&left, &seen)); // who looked before saw what is there now
        CHECK(!was_after || same_image(&left, &after));
        was_after = !same_image(&left, &before);
        CHECK(!whole || same(&left, &after));
        memcpy(work, memory, length);
        // Each operation may be the next one. What it leaves is the same whether or not somebody makes the dead one's changes
        // first.
        for (size_t i = 0; i < next_count; i++) {
            at_place("%s, dead after %u writes, then %s", op->name, n, next[i].name);
            reset(work);
            dead = 1 << 1;
            const int64_t returns = run_whole(next[i].run, &process[2]);
            content_of(&expected, &process[2].region);
            reset(crashed);
            dead = 1 << 1;
            const int64_t returned = run_whole(next[i].run, &process[2]);
            CHECK(run_whole(recover, &process[3]) == 0);
            check_region(&process[3].region);
            content_of(&then, &process[3].region);
            CHECK(same(&then, &expected));
            // Without the lock one sees the region word by word, and so may come before the changes that are still to be made.
            if (returned != returns && !(next[i].flags & READS)) {
                reset(start);
                CHECK(next[i].flags & SINGLE && returned == run_whole(next[i].run, &process[2]));
            }
            checks++;
        }
        if (!(op->flags & RESTORE) || n % 23 == 0) {
            crash_again(op, n, crashed);
        }
        if (whole) {
            break;
        }
    }
    free(crashed);
}

// ------------------------------------------------------------------------------------------------------- large tables

// An id whose search begins at this slot: the `number`-th of those.
static void id_at(char *id, uint32_t slot, uint32_t capacity, unsigned number) {
    for (unsigned i = 0;; i++) {
        sprintf(id, "agent %u", i);
        if (feagi_text_hash((const uint8_t *)id, strlen(id)) % capacity == slot && number-- == 0) {
            return;
        }
    }
}

static char chain[5][32]; // four agents with the same first slot, and one of the next slot's
static int64_t leave_last(handle_t *h) {
    return leave(h, chain[3]);
}
static int64_t enter_fifth(handle_t *h) {
    return enter(h, chain[4], "");
}
static int64_t enter_second(handle_t *h) {
    return enter(h, chain[1], "back");
}

// A table in which deregistered slots are cleaned; these lie around its end.
static void large(void) {
    static const operation_t cleaning[] = {{"deregister and clean", leave_last, 0},
                                           {"register behind a chain", enter_fifth, 0},
                                           {"register in a chain", enter_second, 0},
                                           {"evict and clean", evict, 0},
                                           {"init stats", init_stats, 0}};
    begin(FEAGI_PROFILE_HOST);
    handle_t *h = &process[1];
    const uint32_t capacity = h->region.agents.capacity;
    for (unsigned i = 0; i < 4; i++) {
        id_at(chain[i], capacity - 2, capacity, i);
        CHECK(enter(h, chain[i], "") > 0);
        CHECK(feagi_agents_find(&h->region, TEXT(chain[i])) == (int)((capacity - 2 + i) % capacity));
    }
    id_at(chain[4], capacity - 1, capacity, 0);
    CHECK(leave(h, chain[1]) == 0 && leave(h, chain[2]) == 0);
    // Between two that are there nothing is cleaned.
    CHECK(feagi_agents_slot(&h->region, 0)->state == FEAGI_AGENT_SLOT_STATE_DEREGISTERED);
    memcpy(start, memory, length);
    leave_last(h);
    CHECK(feagi_agents_slot(&h->region, 0)->state == FEAGI_AGENT_SLOT_STATE_UNUSED);
    for (size_t i = 0; i < COUNT(cleaning); i++) {
        crash_with(&cleaning[i], cleaning, COUNT(cleaning));
    }
}

// ------------------------------------------------------------------------------------------------------- interruption

// What two operations leave and return in one order.
typedef struct {
    content_t content;
    int64_t returns[2];
} outcome_t;
static outcome_t orders[3]; // first one first, second one first, first one alone
static outcome_t got;

static bool is_same(const outcome_t *a, const outcome_t *b, bool images) {
    return a->returns[0] == b->returns[0] && a->returns[1] == b->returns[1] &&
           (images ? same_image(&a->content, &b->content) : same(&a->content, &b->content));
}

static void run_orders(const operation_t *a, const operation_t *b) {
    for (unsigned order = 0; order < 3; order++) {
        outcome_t *o = &orders[order];
        reset(start);
        o->returns[1] = FEAGI_ERR_BUSY;
        if (order == 1) {
            o->returns[1] = run_whole(b->run, &process[2]);
        }
        o->returns[0] = run_whole(a->run, &process[1]);
        if (order == 0) {
            o->returns[1] = run_whole(b->run, &process[2]);
        }
        content_of(&o->content, &process[1].region);
    }
}

static const operation_t *intruder;
static void intrude(void) {
    got.returns[1] = run_whole(intruder->run, &process[2]);
}

// One operation, and another one as a whole between any two of its accesses: what is left and returned is that of one of their
// orders. Who finds the lock taken gives up, and then nothing has happened.
static void pair(const operation_t *a, const operation_t *b) {
    run_orders(a, b);
    intruder = b;
    const bool images = (a->flags | b->flags) & RESTORE;
    for (uint32_t k = 0;; k++) {
        reset(start);
        if (!run_with(a->run, &process[1], k, intrude, &got.returns[0])) {
            return;
        }
        at_place("%s, in front of whose access %u: %s", a->name, k, b->name);
        check_region(&process[1].region);
        content_of(&got.content, &process[1].region);
        const bool ordered = is_same(&got, &orders[0], images) || is_same(&got, &orders[1], images);
        CHECK(ordered || (got.returns[1] == FEAGI_ERR_BUSY && is_same(&got, &orders[2], images)));
        checks++;
    }
}

static uint32_t intruder_writes;
static void intrude_and_die(void) {
    int64_t result;
    run_until(intruder->run, &process[2], intruder_writes, &result);
    dead |= 1 << 2;
}

// A writer of one word stands still anywhere in its operation; meanwhile another one dies anywhere in a group; then the first
// goes on, and a third one makes what the dead one had committed.
static void flight(const operation_t *a, const operation_t *b) {
    int64_t result;
    run_orders(a, b);
    intruder = b;
    reset(start);
    run_whole(b->run, &process[2]);
    const uint32_t writes = step.writes, stride = b->flags & RESTORE ? 5 : 1;
    for (intruder_writes = 0; intruder_writes <= writes; intruder_writes += stride) {
        for (uint32_t k = 0;; k++) {
            reset(start);
            if (!run_with(a->run, &process[1], k, intrude_and_die, &result)) {
                break;
            }
            at_place("%s, in front of whose access %u: %s, dead after %u writes", a->name, k, b->name, intruder_writes);
            CHECK(run_whole(recover, &process[3]) == 0);
            check_region(&process[3].region);
            content_of(&got.content, &process[3].region);
            got.returns[0] = result;
            bool ordered = false;
            for (unsigned order = 0; order < 3; order++) {
                got.returns[1] = orders[order].returns[1];
                ordered |= is_same(&got, &orders[order], b->flags & RESTORE);
            }
            CHECK(ordered);
            checks++;
        }
    }
}

// ------------------------------------------------------------------------------------------------------------ readers

#define MOMENTS 1200
static uint8_t *moments[MOMENTS]; // the memory before each write of some operations, and behind the last one
static uint32_t moment_count, boundaries[8], boundary_count;
static content_t boundary[8]; // what is there when so many of the operations are done
static int64_t boundary_returns[8];
static uint32_t moment_now[3]; // where the reader begins, where it goes on, and where again
static unsigned jumps;

static void record(const run_t *runs, unsigned count, run_t reader) {
    for (uint32_t i = 0; i < moment_count; i++) {
        free(moments[i]);
    }
    moment_count = boundary_count = 0;
    memcpy(work, start, length);
    for (unsigned i = 0; i <= count; i++) {
        reset(work);
        content_of(&boundary[boundary_count], &process[3].region);
        boundary_returns[boundary_count] = reader ? run_whole(reader, &process[3]) : 0;
        boundaries[boundary_count++] = moment_count;
        int64_t result;
        for (uint32_t n = 0; i < count; n++) {
            reset(work);
            const bool whole = run_until(runs[i], &process[1], n, &result);
            CHECK(moment_count < MOMENTS);
            moments[moment_count] = malloc(length);
            memcpy(moments[moment_count++], memory, length);
            if (whole) {
                memcpy(work, memory, length);
                break;
            }
        }
    }
    CHECK(moment_count);
}

static void jump(void) {
    memcpy(memory, moments[moment_now[++jumps]], length);
}

static uint32_t snapshot_from, snapshot_len;
static int64_t snapshot(handle_t *h) {
    return feagi_shared_snapshot(&h->region, out, snapshot_from, snapshot_len, 1);
}

// What it read was there at one instant between the two moments.
static void check_reader(run_t reader, int64_t result, uint32_t from, uint32_t to, bool agent) {
    unsigned first = 0, last = 0;
    for (unsigned i = 0; i < boundary_count; i++) {
        first = boundaries[i] <= from ? i : first;
        last = boundaries[i] < to ? i + 1 : last;
    }
    last = last < boundary_count ? last : boundary_count - 1;
    if (reader != snapshot) {
        bool found = agent && result == 0; // an agent that is being replaced is not there for a moment
        for (unsigned i = first; i <= last; i++) {
            found |= result == boundary_returns[i];
        }
        CHECK(found);
        return;
    }
    if (result) {
        CHECK(result == FEAGI_ERR_BUSY && from != to);
        return;
    }
    bool found = false;
    static content_t c;
    if (snapshot_from == 0) {
        content_of_image(&c, &process[3].region, (const uint8_t *)out);
    } else { // core block and hashes, as a content begins
        c.len = 0;
        content_add(&c, out, 48);
        content_add(&c, out + 8, 64 + sizeof(feagi_hashes_t));
    }
    for (unsigned i = first; i <= last; i++) {
        found |= memcmp(c.bytes, boundary[i].bytes, snapshot_from ? c.len : boundary[i].ring_at) == 0;
    }
    CHECK(found);
}

// A reader whose region changes from one moment to a later one in front of any of its accesses.
static void read_between(const run_t *runs, unsigned count, run_t reader, uint32_t stride, const char *name) {
    int64_t result = 0;
    record(runs, count, reader == snapshot ? NULL : reader);
    for (uint32_t from = 0; from < moment_count; from++) {
        for (uint32_t to = from; to < moment_count; to += stride) {
            for (uint32_t k = 0;; k += stride) {
                moment_now[1] = to;
                jumps = 0;
                reset(moments[from]);
                dead = 1 << 1;
                const bool jumped = run_with(reader, &process[3], k, jump, &result);
                at_place("%s: a reader, in front of whose access %u moment %u becomes %u", name, k, from, to);
                CHECK(step.writes == 0);
                check_reader(reader, result, from, jumped ? to : from, reader == read_agent);
                checks++;
                if (!jumped) {
                    break;
                }
            }
            if (to == from && stride > 1) {
                to = from + (from * 7 + 1) % stride;
            }
        }
    }
}

int main(int count, char **args) {
    const char *what = count > 1 ? args[1] : "";
    if (strcmp(what, "large") == 0) {
        large();
        printf("%" PRIu64 " checks\n", checks);
        return checks == 0;
    }
    begin(FEAGI_PROFILE_MICRO);
    if (strcmp(what, "crash") == 0) {
        for (size_t i = 0; i < COUNT(operations); i++) {
            if (!(operations[i].flags & READS)) {
                crash_with(&operations[i], operations, COUNT(operations));
            }
        }
    } else if (strcmp(what, "pairs") == 0 || strcmp(what, "flight") == 0) {
        for (size_t i = 0; i < COUNT(operations); i++) {
            for (size_t j = 0; j < COUNT(operations); j++) {
                const operation_t *a = &operations[i], *b = &operations[j];
                if (b->flags & READS) {
                    continue;
                }
                if (*what == 'p') {
                    // Who reads without a snapshot may see a restore's old and new.
                    if (!(a->flags & READS && b->flags & RESTORE)) {
                        pair(a, b);
                    }
                } else if (a->flags & SINGLE && !(b->flags & SINGLE)) {
                    flight(a, b);
                }
            }
        }
    } else if (strcmp(what, "readers") == 0) {
        static const run_t back_and_forth[] = {set_u32, set_u8, set_u32_again, set_hash, set_u32};
        static const run_t groups[] = {group, group_of_hashes};
        static const run_t one_agent[] = {deregister, register_new, heartbeat};
        static const run_t motor_goes[] = {motor_leaves, register_new, motor_comes};
        static const run_t events[] = {emit, set_event, emit};
        static const run_t restored[] = {restore};
        static const run_t statistics[] = {init_stats, reset_stats, set_stat};
        snapshot_from = FEAGI_HEADER_LEN_BYTES;
        snapshot_len = FEAGI_HASHES_AT + sizeof(feagi_hashes_t) - snapshot_from;
        read_between(back_and_forth, COUNT(back_and_forth), snapshot, 1, "single words");
        read_between(groups, COUNT(groups), snapshot, 1, "groups");
        read_between(motor_goes, COUNT(motor_goes), read_agent, 1, "agents");
        read_between(motor_goes, COUNT(motor_goes), find, 1, "agents");
        read_between(events, COUNT(events), read_event, 1, "events");
        read_between(statistics, COUNT(statistics), find_stats, 1, "statistics");
        read_between(restored, COUNT(restored), read_agent, 17, "restore");
        snapshot_from = 0;
        snapshot_len = process[3].region.events_at;
        read_between(one_agent, COUNT(one_agent), snapshot, 13, "agents");
        read_between(statistics, COUNT(statistics), snapshot, 13, "statistics");
        read_between(restored, COUNT(restored), snapshot, 97, "restore");
    } else {
        printf("not understood\n");
        return 2;
    }
    printf("%" PRIu64 " checks\n", checks);
    return checks == 0;
}
