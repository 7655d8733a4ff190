// Times of the C core on a host: `core [ROUNDS]` prints NAME NANOSECONDS a line, the least of all rounds.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_locks.h"
#include "feagi_state.h"
#include "feagi_windows.h"

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static unsigned rounds = 20;

// The least time of COUNT repetitions of CODE, in ns for one. `i` counts them.
#define TIME(name, count, code)                                                                                                  \
    do {                                                                                                                         \
        double least = 1e18;                                                                                                     \
        for (unsigned round = 0; round < rounds; round++) {                                                                      \
            const double start = now_ns();                                                                                       \
            for (uint32_t i = 0; i < (count); i++) {                                                                             \
                code;                                                                                                            \
                __asm volatile("" ::: "memory");                                                                                 \
            }                                                                                                                    \
            const double each = (now_ns() - start) / (count);                                                                    \
            least = each < least ? each : least;                                                                                 \
        }                                                                                                                        \
        printf("%s %.3f\n", name, least);                                                                                        \
    } while (0)

static uint64_t self = 1ull << 63 | 1;
static int never_waits(void *context, uint64_t owner, uint32_t tries) {
    (void)context, (void)owner, (void)tries;
    return FEAGI_SHARED_GIVE_UP;
}

#define NEURON_COUNT ((uint32_t)offsetof(feagi_core_t, neuron_count))
static const uint8_t agent[] = "video_agent_01";
#define AGENT_LEN (sizeof agent - 1)

static void measure(feagi_region_t *r, uint32_t handle, const char *clock) {
    char name[64];
#define NAMED(what) (snprintf(name, sizeof name, "%s.%s", what, clock), name)
    TIME(NAMED("write"), 400000, feagi_state_store_u32(r, NEURON_COUNT, i));
    TIME(NAMED("set"), 200000, feagi_state_set(r, FEAGI_FIELD_NEURON_COUNT, i, NULL));
    TIME(NAMED("add"), 200000, feagi_state_add(r, FEAGI_FIELD_NEURON_COUNT, 1, NULL));
    TIME(NAMED("set_with_event"), 50000, feagi_state_set(r, FEAGI_FIELD_BURST_ENGINE_STATE, i & 3, NULL));
    TIME(NAMED("register_deregister"), 20000, {
        feagi_agents_register(r, agent, AGENT_LEN, 0, NULL, 0, NULL);
        feagi_agents_deregister(r, agent, AGENT_LEN);
    });
    TIME(NAMED("heartbeat_by_handle"), 200000, feagi_agents_heartbeat_handle(r, handle));
    TIME(NAMED("heartbeat_by_id"), 100000, feagi_agents_heartbeat(r, (const uint8_t *)"beat", 4));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        rounds = (unsigned)strtoul(argv[1], NULL, 10);
    }
    const uint32_t len = feagi_shared_len(feagi_region_len(feagi_region_profile(FEAGI_PROFILE_HOST)));
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    feagi_region_t r;
    feagi_share_t share = {.self = &self, .wait = never_waits};
    uint32_t handle;
    if (memory == MAP_FAILED || feagi_shared_init(&r, &share, memory, len, FEAGI_PROFILE_HOST, 1, 0) ||
        feagi_agents_register(&r, (const uint8_t *)"beat", 4, 0, NULL, 0, &handle)) {
        fprintf(stderr, "the region cannot be made\n");
        return 2;
    }
    uint64_t *copy = calloc(1, r.events_at);
    TIME("clock", 200000, {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
    });
    TIME("read", 1000000, {
        volatile uint32_t value = feagi_state_load_u32(&r, NEURON_COUNT);
        (void)value;
    });
    measure(&r, handle, "coarse");
    TIME("lock_unlock", 100000, {
        feagi_locks_try_lock(&r, 5, self);
        feagi_locks_unlock(&r, 5, self);
    });
    TIME("fcl_window", 400000, {
        volatile uint32_t window = feagi_windows_get(&r, 5);
        (void)window;
    });
    TIME("emit", 50000, feagi_events_push(&r, FEAGI_USER_EVENT_BASE, i));
    TIME("snapshot_core", 20000, feagi_shared_snapshot(&r, copy, FEAGI_HEADER_LEN_BYTES, sizeof(feagi_core_t), 10));
    TIME("snapshot_region", 50, feagi_shared_snapshot(&r, copy, 0, r.events_at, 10));
    r.cached_clock = true;
    measure(&r, handle, "cached");
    free(copy);
    return 0;
}
