// Processes that write one shared file until they are killed with SIGKILL, wherever they are; after each round the region is
// looked at as a whole. Every process tells, in memory of its own, which operation it has begun and which it has done: what was
// done is there. `shared_kill FILE KILLS SEED`.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared_common.h"

#define PROCESSES 3

// A value that its process sets, and how far it has come: it is one of the two.
typedef struct {
    uint64_t begun, done;
} told_t;
// A sum: between what is done and what is begun.
typedef struct {
    told_t adds, counts, events, window, own_field, last_lock, agent;
} log_t;

static uint8_t *memory;
static size_t length;
static log_t *logs; // [PROCESSES], shared with the children
static handle_t mine;

static int wait_for(void *context, uint64_t owner, uint32_t tries) {
    (void)context, (void)tries;
    if (kill((pid_t)owner, 0) && errno == ESRCH) {
        return FEAGI_SHARED_GONE;
    }
    sched_yield();
    return FEAGI_SHARED_WAIT;
}

static void begin(told_t *t, uint64_t value) {
    __atomic_store_n(&t->begun, value, __ATOMIC_SEQ_CST);
}
static void end(told_t *t) {
    __atomic_store_n(&t->done, t->begun, __ATOMIC_SEQ_CST);
}

static const unsigned own_fields[PROCESSES] = {FEAGI_FIELD_NEURON_CAPACITY, FEAGI_FIELD_SYNAPSE_CAPACITY,
                                               FEAGI_FIELD_CORTICAL_AREA_COUNT};

static void make_group(feagi_region_t *r, uint32_t value) {
    const feagi_state_write_t writes[] = {
        {FEAGI_STATE_SET, FEAGI_FIELD_SYNAPSE_COUNT, value},
        {FEAGI_STATE_ADD, FEAGI_FIELD_NEURON_COUNT, 2},
        {FEAGI_STATE_SET, FEAGI_FIELD_BURST_ENGINE_STATE, value % 8},
        {FEAGI_STATE_SET, FEAGI_FIELD_MEMORY_USAGE, value},
        {FEAGI_STATE_SET, FEAGI_STATE_HASH + FEAGI_HASHES_CORTICAL_AREAS, value},
    };
    CHECK(feagi_state_update(r, writes, COUNT(writes)) == 0);
}

static void write_on(unsigned number, uint64_t seed) {
    feagi_region_t *r = &mine.region;
    log_t *log = &logs[number];
    char id[32];
    sprintf(id, "agent of process %u", number);
    for (uint64_t turn = 1;; turn++) {
        const uint32_t some = random_of(&seed);
        switch (random_of(&seed) % 11) {
            case 0:
                begin(&log->adds, log->adds.begun + 1);
                CHECK(feagi_state_add(r, FEAGI_FIELD_NEURON_COUNT, 1, NULL) == 0);
                end(&log->adds);
                break;
            case 1:
                begin(&log->adds, log->adds.begun + 2);
                make_group(r, some);
                end(&log->adds);
                break;
            case 2: // even: not registered
                begin(&log->agent, log->agent.begun + 1);
                if (log->agent.begun % 2) {
                    CHECK(feagi_agents_register(r, TEXT(id), 0, TEXT("metadata"), NULL) == 0);
                } else {
                    CHECK(feagi_agents_deregister(r, TEXT(id)) == 0);
                }
                end(&log->agent);
                break;
            case 3: // an id that all of them use
                (void)feagi_agents_register(r, TEXT("everybody's"), 1, TEXT(""), NULL);
                (void)feagi_agents_deregister(r, TEXT("everybody's"));
                break;
            case 4: // even: not locked
                begin(&log->last_lock, log->last_lock.begun + 1);
                if (log->last_lock.begun % 2) {
                    CHECK(feagi_locks_try_lock(r, number, 100 + number) == 0);
                } else {
                    CHECK(feagi_locks_unlock(r, number, 100 + number) == 0);
                }
                end(&log->last_lock);
                break;
            case 5:
                begin(&log->window, some);
                CHECK(feagi_windows_set(r, number, some) == 0);
                end(&log->window);
                break;
            case 6:
                begin(&log->counts, log->counts.begun + 1);
                (void)feagi_stats_add(r, (uint32_t)feagi_stats_find(r, TEXT("v1")), FEAGI_STATS_NEURONS, 1);
                end(&log->counts);
                break;
            case 7:
                CHECK(feagi_stats_init(r, TEXT("w1")) >= 0);
                break;
            case 8:
                begin(&log->events, log->events.begun + 1);
                CHECK(feagi_events_push(r, (uint16_t)(300 + number), (uint32_t)log->events.begun) == 0);
                end(&log->events);
                break;
            case 9:
                begin(&log->own_field, some);
                CHECK(feagi_state_set(r, own_fields[number], some, NULL) == 0);
                end(&log->own_field);
                break;
            default:
                CHECK(feagi_agents_evict(r, 1u << 30) == 0);
                (void)feagi_agents_heartbeat(r, TEXT(id));
                feagi_hashes_set(r, number + 3, some);
        }
    }
}

static pid_t start(unsigned number, uint64_t seed) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mine.self = (uint64_t)getpid();
        write_on(number, seed);
    }
    return child;
}

static void look(void) {
    static uint64_t out[8 * 1024 / 8];
    feagi_region_t *r = &mine.region;
    const uint8_t *base = (const uint8_t *)out;
    CHECK(feagi_shared_snapshot(r, out, 0, r->events_at, 1) == 0);
    const feagi_core_t *core = (const void *)(base + FEAGI_HEADER_LEN_BYTES);
    const feagi_hashes_t *hashes = (const void *)(base + FEAGI_HASHES_AT);
    CHECK(core->synapse_count == core->memory_usage && core->synapse_count == hashes->cortical_areas);
    CHECK(core->burst_engine_state == core->synapse_count % 8);
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        count += base[r->agents.at + slot * r->agents.entry_len] == FEAGI_AGENT_SLOT_STATE_REGISTERED;
    }
    CHECK(count == core->agent_count);
}

static bool is_told(const told_t *t, uint64_t value) {
    return value == t->done || value == t->begun;
}

// All of them are dead. What they have done is there, what they had begun may be; from now on it counts as done or as never
// begun.
static void check_all(void) {
    feagi_region_t *r = &mine.region;
    look();
    CHECK(feagi_shared_lock(r) == 0);
    feagi_shared_abort(r);
    check_region(r);
    look();
    uint64_t least = 0, most = 0, least_count = 0, most_count = 0;
    for (unsigned i = 0; i < PROCESSES; i++) {
        log_t *log = &logs[i];
        char id[32];
        sprintf(id, "agent of process %u", i);
        least += log->adds.done;
        most += log->adds.begun;
        least_count += log->counts.done;
        most_count += log->counts.begun;
        const bool there = feagi_agents_find(r, TEXT(id)) >= 0, locked = feagi_locks_owner(r, i) != 0;
        CHECK(there == log->agent.done % 2 || there == log->agent.begun % 2);
        CHECK(locked == log->last_lock.done % 2 || locked == log->last_lock.begun % 2);
        CHECK(is_told(&log->window, feagi_windows_get(r, i)));
        CHECK(is_told(&log->own_field, feagi_state_get(r, own_fields[i])));
        if (there) {
            CHECK(feagi_agents_deregister(r, TEXT(id)) == 0);
        }
        if (locked) { // the dead's locks can be had
            CHECK(feagi_locks_take_over(r, i, 100 + i, 0) == 0);
        }
        log->agent.begun = log->agent.done = log->last_lock.begun = log->last_lock.done = 0;
        log->window.begun = log->window.done = feagi_windows_get(r, i);
        log->own_field.begun = log->own_field.done = feagi_state_get(r, own_fields[i]);
    }
    // The last events are those of whoever emitted last; each process's come in its order.
    uint64_t last[PROCESSES] = {0};
    const uint32_t head = feagi_events_head(r), capacity = r->events_mask + 1;
    for (uint32_t position = head > capacity ? head - capacity : 0; position != head; position++) {
        feagi_event_t event;
        uint32_t lost;
        CHECK(feagi_events_read(r, position, &event, &lost) == FEAGI_EVENTS_READ);
        if (event.kind >= 300) {
            CHECK(event.kind < 300 + PROCESSES && event.arg > last[event.kind - 300]);
            last[event.kind - 300] = event.arg;
        }
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        CHECK(last[i] == 0 || is_told(&logs[i].events, last[i]));
        logs[i].events.begun = logs[i].events.done = last[i] > logs[i].events.done ? last[i] : logs[i].events.done;
    }
    const uint64_t sum = feagi_state_get(r, FEAGI_FIELD_NEURON_COUNT);
    const uint64_t counts = feagi_stats_get(r, (uint32_t)feagi_stats_find(r, TEXT("v1")), FEAGI_STATS_NEURONS);
    CHECK(sum >= least && sum <= most);
    CHECK(counts >= least_count && counts <= most_count);
    for (unsigned i = 0; i < PROCESSES; i++) {
        logs[i].adds.begun = logs[i].adds.done = i ? 0 : sum;
        logs[i].counts.begun = logs[i].counts.done = i ? 0 : counts;
    }
}

static void sleep_some(uint64_t *seed, uint32_t most_us) {
    const struct timespec pause = {0, (long)(random_of(seed) % most_us) * 1000};
    nanosleep(&pause, NULL);
}

int main(int count, char **args) {
    if (count != 4) {
        return 2;
    }
    const uint32_t kills = (uint32_t)strtoul(args[2], NULL, 10);
    uint64_t seed = strtoull(args[3], NULL, 10), made_by_others = 0;
    length = length_of(FEAGI_PROFILE_MICRO);
    const int file = open(args[1], O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(file >= 0 && ftruncate(file, (off_t)length) == 0);
    memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    logs = mmap(NULL, PROCESSES * sizeof *logs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && logs != MAP_FAILED);
    mine.share.self = &mine.self;
    CHECK(feagi_shared_init(&mine.region, &mine.share, memory, length, FEAGI_PROFILE_MICRO, 1, 0) == 0);
    attach(&mine, memory, length, (uint64_t)getpid(), wait_for, 0);
    CHECK(feagi_stats_init(&mine.region, TEXT("v1")) >= 0);
    make_group(&mine.region, 8);
    for (unsigned i = 0; i < PROCESSES; i++) {
        CHECK(feagi_windows_set(&mine.region, i, 0) == 0);
    }
    logs[0].adds.begun = logs[0].adds.done = 2;
    for (uint32_t killed = 0; killed < kills;) {
        pid_t children[PROCESSES];
        at_place("after %u kills", killed);
        for (unsigned i = 0; i < PROCESSES; i++) {
            children[i] = start(i, random_of(&seed));
        }
        sleep_some(&seed, 3000);
        for (unsigned i = 0; i < PROCESSES; i++) {
            CHECK(kill(children[i], SIGKILL) == 0);
            int status;
            CHECK(waitpid(children[i], &status, 0) == children[i]);
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); // and has found no fault before
            made_by_others += mine.share.trailer->lock == (uint64_t)children[i];
            killed++;
            sleep_some(&seed, 300); // those who are left meet what the dead one held
        }
        check_all();
    }
    printf("%u kills, %" PRIu64 " of them with the lock\n", kills, made_by_others);
    unlink(args[1]);
    return made_by_others == 0;
}
