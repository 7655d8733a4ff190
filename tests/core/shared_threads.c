// Threads that do everything at once to one shared region, some of them through one handle as threads of one process do, the
// others with a handle each as processes have. Built with the thread sanitizer, and with those for addresses and undefined
// behaviour. The number of operations is fixed: `shared_threads OPERATIONS SEED`.
#include <pthread.h>
#include <sched.h>

#include "shared_common.h"

#define WRITERS 4
#define READERS 2
#define AREAS 3
#define IDS 6

static uint8_t *memory;
static size_t length;
static uint8_t *image;
static uint32_t operations;
static uint64_t first_seed;

static handle_t handles[WRITERS + READERS];
static uint64_t guarded[AREAS]; // plain: only whoever has the area's lock touches it
static int running;             // writers

static int wait_for(void *context, uint64_t owner, uint32_t tries) {
    (void)context, (void)owner, (void)tries;
    sched_yield();
    return FEAGI_SHARED_WAIT;
}
// What a writer has done, for the sums at the end.
typedef struct {
    unsigned number;
    bool restores;
    uint64_t added, subtracted, counted, events, locked[AREAS];
    int32_t registered;
} writer_t;

static void id_of(char *id, uint32_t number) {
    sprintf(id, "agent number %u", number);
}

// Three values that every snapshot finds equal, and an add.
static void make_group(feagi_region_t *r, uint32_t value) {
    const feagi_state_write_t writes[] = {
        {FEAGI_STATE_SET, FEAGI_FIELD_SYNAPSE_COUNT, value},
        {FEAGI_STATE_ADD, FEAGI_FIELD_NEURON_COUNT, 2},
        {FEAGI_STATE_SET, FEAGI_FIELD_MEMORY_USAGE, value},
        {FEAGI_STATE_SET, FEAGI_STATE_HASH + FEAGI_HASHES_CORTICAL_AREAS, value},
    };
    CHECK(feagi_state_update(r, writes, COUNT(writes)) == 0);
}

static void one_operation(writer_t *w, feagi_region_t *r, uint64_t *seed, uint32_t i) {
    const uint32_t choice = random_of(seed) % 16, some = random_of(seed);
    char id[32], metadata[64];
    switch (choice) {
        case 0:
        case 1:
            CHECK(feagi_state_add(r, FEAGI_FIELD_NEURON_COUNT, 1, NULL) == 0);
            w->added++;
            break;
        case 2:
            CHECK(feagi_state_subtract(r, FEAGI_FIELD_GENOME_TIMESTAMP, 3, NULL) == 0);
            w->subtracted += 3;
            break;
        case 3:
            make_group(r, some);
            w->added += 2;
            break;
        case 4:
            CHECK(feagi_state_set(r, FEAGI_FIELD_FATIGUE_INDEX, some % 100, NULL) == 0);
            break;
        case 5:
        case 6: {
            const uint32_t number = some % IDS;
            id_of(id, number);
            sprintf(metadata, "%s, told by %u", id, w->number);
            metadata[23] = 0;
            const int status = feagi_agents_register(r, TEXT(id), (uint8_t)(number % 5), TEXT(metadata), NULL);
            CHECK(status == 0 || status == FEAGI_ERR_EXISTS);
            w->registered += status == 0;
            w->events += status == 0;
            break;
        }
        case 7:
        case 8: {
            id_of(id, some % IDS);
            const int status = feagi_agents_deregister(r, TEXT(id));
            CHECK(status == 0 || status == FEAGI_ERR_NOT_FOUND);
            w->registered -= status == 0;
            w->events += status == 0;
            break;
        }
        case 9:
            id_of(id, some % IDS);
            (void)feagi_agents_heartbeat(r, TEXT(id));
            break;
        case 10: {
            const uint32_t area = some % AREAS;
            if (feagi_locks_try_lock(r, area, 100 + w->number) == 0) {
                guarded[area]++;
                w->locked[area]++;
                CHECK(feagi_locks_owner(r, area) == 100 + w->number);
                CHECK(feagi_locks_unlock(r, area, 99) == FEAGI_ERR_NOT_OWNER);
                CHECK(feagi_locks_unlock(r, area, 100 + w->number) == 0);
            }
            break;
        }
        case 11: {
            const uint32_t area = some % 12;
            if (some >> 16 & 1) {
                CHECK(feagi_windows_set(r, area, 1000 * area + some % 1000) == 0);
            } else {
                (void)feagi_windows_remove(r, area);
            }
            break;
        }
        case 12: {
            const int slot = feagi_stats_find(r, TEXT("v1"));
            CHECK(slot >= 0);
            (void)feagi_stats_add(r, (uint32_t)slot, FEAGI_STATS_NEURONS, 1);
            w->counted++;
            break;
        }
        case 13:
            sprintf(id, "area %u", some % 8);
            CHECK(feagi_stats_init(r, TEXT(id)) >= 0);
            break;
        case 14:
            CHECK(feagi_events_push(r, 300, w->number << 24 | i) == 0);
            w->events++;
            break;
        default:
            feagi_hashes_set(r, 4, some);
            if (w->restores) {
                CHECK(feagi_shared_restore(r, image) == 0);
            }
    }
}

static void *write_all(void *argument) {
    writer_t *w = argument;
    feagi_region_t *r = &handles[w->number < 2 ? 0 : w->number].region; // the first two are one process
    uint64_t seed = first_seed + 977 * w->number;
    for (uint32_t i = 0; i < operations; i++) {
        one_operation(w, r, &seed, i);
    }
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void check_snapshot(const feagi_region_t *r, const uint8_t *base) {
    const feagi_core_t *core = (const void *)(base + FEAGI_HEADER_LEN_BYTES);
    const feagi_hashes_t *hashes = (const void *)(base + FEAGI_HASHES_AT);
    CHECK(core->synapse_count == core->memory_usage && core->synapse_count == hashes->cortical_areas);
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        count += base[r->agents.at + slot * r->agents.entry_len] == FEAGI_AGENT_SLOT_STATE_REGISTERED;
    }
    CHECK(count == core->agent_count);
}

static void check_agents(const feagi_region_t *r) {
    uint64_t entry[16];
    const feagi_agent_t *a = (const void *)entry;
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        if (feagi_agents_read(r, slot, entry)) {
            uint32_t number = 0;
            char id[32];
            CHECK(sscanf((const char *)a->id, "agent number %u", &number) == 1);
            id_of(id, number);
            CHECK(a->id_len == strlen(id) && memcmp(a->id, id, a->id_len + 1u) == 0 && a->agent_type == number % 5);
            CHECK(memcmp(feagi_agents_metadata(a), id, strlen(id)) == 0 && a->id_hash == feagi_text_hash(a->id, a->id_len));
        }
    }
}

// Reads events from `*position` on: each writer's in its order, none twice, and those that are lost are counted.
static void read_events(const feagi_region_t *r, uint32_t *position, uint64_t *read, uint64_t *lost, int64_t last[WRITERS]) {
    feagi_event_t event;
    uint32_t count;
    for (;;) {
        switch (feagi_events_read(r, *position, &event, &count)) {
            case FEAGI_EVENTS_NONE:
                return;
            case FEAGI_EVENTS_LOST:
                CHECK(count >= 1);
                *lost += count;
                *position += count;
                break;
            default:
                CHECK(event.sequence == *position + 1);
                ++*position;
                ++*read;
                if (event.kind == 300) {
                    const unsigned writer = event.arg >> 24;
                    CHECK(writer < WRITERS && last[writer] < (event.arg & 0xffffff));
                    last[writer] = event.arg & 0xffffff;
                } else {
                    CHECK(event.kind == FEAGI_EVENT_KIND_AGENT_REGISTERED || event.kind == FEAGI_EVENT_KIND_AGENT_DEREGISTERED ||
                          event.kind == FEAGI_EVENT_KIND_BURST_ENGINE_STATE_CHANGED);
                }
        }
    }
}

static void *read_all(void *argument) {
    const unsigned number = *(const unsigned *)argument;
    feagi_region_t *r = &handles[WRITERS + number].region;
    static uint64_t rooms[READERS][8 * 1024 / 8];
    uint64_t *out = rooms[number], read = 0, lost = 0;
    uint32_t position = 0;
    int64_t last[WRITERS] = {-1, -1, -1, -1};
    for (bool more = true; more;) {
        more = __atomic_load_n(&running, __ATOMIC_ACQUIRE) > 0;
        if (feagi_shared_snapshot(r, out, 0, r->events_at, 20) == 0) {
            check_snapshot(r, (const uint8_t *)out);
        }
        CHECK(feagi_shared_snapshot_locked(r, out, 0, r->events_at) == 0);
        check_snapshot(r, (const uint8_t *)out);
        check_agents(r);
        read_events(r, &position, &read, &lost, last);
        for (uint32_t slot = 0; slot < r->windows.capacity; slot++) {
            uint32_t area, window;
            if (feagi_windows_at(r, slot, &area, &window)) {
                CHECK(window / 1000 == area);
            }
        }
        for (uint32_t slot = 0; slot < r->locks.capacity; slot++) {
            uint32_t area;
            uint64_t owner;
            if (feagi_locks_at(r, slot, &area, &owner)) {
                CHECK(area < AREAS && owner >= 100 && owner < 100 + WRITERS);
            }
        }
        CHECK(feagi_stats_find(r, TEXT("v1")) >= 0 && feagi_stats_find(r, TEXT("v2")) < 0);
    }
    CHECK(read + lost == feagi_events_head(r));
    return NULL;
}

static uint64_t from_stats(const feagi_region_t *r, const char *id) {
    return feagi_stats_get(r, (uint32_t)feagi_stats_find(r, TEXT(id)), FEAGI_STATS_NEURONS);
}

// All threads, until each has done its operations.
static void round_of(bool restores) {
    static const unsigned numbers[READERS] = {0, 1};
    writer_t writers[WRITERS];
    pthread_t threads[WRITERS + READERS];
    memset(writers, 0, sizeof writers);
    memset(guarded, 0, sizeof guarded);
    memset(memory, 0, length);
    handle_t *h = &handles[0];
    h->self = 1;
    h->share.self = &h->self;
    CHECK(feagi_shared_init(&h->region, &h->share, memory, length, FEAGI_PROFILE_MICRO, 1, 0) == 0);
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        attach(&handles[i], memory, length, i + 1, wait_for, 0);
    }
    feagi_region_t *r = &h->region;
    CHECK(feagi_stats_init(r, TEXT("v1")) >= 0);
    const uint64_t stamp = 1ull << 40;
    feagi_state_set(r, FEAGI_FIELD_GENOME_TIMESTAMP, stamp, NULL);
    make_group(r, 7);
    if (restores) {
        memcpy(image, memory, r->events_at); // nobody is registered in it
    }
    running = WRITERS;
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        writers[i].restores = restores;
        CHECK(pthread_create(&threads[i], NULL, write_all, &writers[i]) == 0);
    }
    for (unsigned i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[WRITERS + i], NULL, read_all, (void *)(uintptr_t)&numbers[i]) == 0);
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    check_region(r);
    writer_t all;
    memset(&all, 0, sizeof all);
    for (unsigned i = 0; i < WRITERS; i++) {
        all.added += writers[i].added;
        all.subtracted += writers[i].subtracted;
        all.counted += writers[i].counted;
        all.events += writers[i].events;
        all.registered += writers[i].registered;
        for (unsigned area = 0; area < AREAS; area++) {
            all.locked[area] += writers[i].locked[area];
        }
    }
    for (unsigned area = 0; area < AREAS; area++) {
        CHECK(all.locked[area] == guarded[area] && feagi_locks_owner(r, area) == 0);
    }
    if (!restores) {
        CHECK(feagi_state_get(r, FEAGI_FIELD_NEURON_COUNT) == all.added + 2);
        CHECK(feagi_state_get(r, FEAGI_FIELD_GENOME_TIMESTAMP) == stamp - all.subtracted);
        CHECK(from_stats(r, "v1") == all.counted);
        CHECK((int32_t)feagi_state_get(r, FEAGI_FIELD_AGENT_COUNT) == all.registered);
        CHECK(feagi_events_head(r) == all.events);
    }
}

int main(int count, char **args) {
    if (count != 3) {
        return 2;
    }
    operations = (uint32_t)strtoul(args[1], NULL, 10);
    first_seed = strtoull(args[2], NULL, 10);
    length = length_of(FEAGI_PROFILE_MICRO);
    memory = aligned_alloc(64, (length + 63) / 64 * 64);
    image = malloc(length);
    round_of(false);
    round_of(true);
    printf("%u operations by each of %u threads, twice\n", operations, WRITERS);
    free(memory);
    free(image);
    return 0;
}
