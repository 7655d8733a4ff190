// Histories of small concurrent programs on a shared region, each checked for an order of its operations that explains what they
// returned (Wing and Gong's search, with a memory of what it has tried).
//
// The threads are the test's own: the core asks before every access to shared memory (shared_steps.h), and there the test may go
// on with another thread, as a seed says. So a history is the same in each run, and any access may fall between any two of
// another thread. In some histories a thread dies at one of them: its last operation may have happened or not, the others go on.
//
// Two things are left out, and said in feagi_shared.h. Between a writer's look at the gate and its store nobody else runs: what
// comes of a writer that stands still there is tested by shared_crash. And no program has both snapshots and reads of single
// places that a group changes: a snapshot has what is committed, a single place what is made. `shared_history PROGRAM HISTORIES
// SEED`.
#include <ucontext.h>

#include "shared_common.h"

#define THREADS 4
#define OPERATIONS 6 // at most, of a thread
#define STACK_LEN (64 * 1024)

static uint8_t *memory;
static size_t length;
static handle_t handles[THREADS + 1];
static uint64_t seed;

// ----------------------------------------------------------------------------------------------------------- threads

static struct {
    ucontext_t main, threads[THREADS];
    uint8_t stacks[THREADS][STACK_LEN];
    int current; // -1: none of them
    bool ended[THREADS], dead[THREADS], passing[THREADS];
    uint32_t switchiness; // of 256
    int dies;             // this one...
    uint32_t dies_in;     // ...after so many accesses
} run;

static void give_way(void) {
    swapcontext(&run.threads[run.current], &run.main);
}

void steps_access(const volatile void *at, int writes) {
    const int self = run.current;
    if (self < 0 || (const uint8_t *)at < memory || (const uint8_t *)at >= memory + length) {
        return;
    }
    if (self == run.dies && run.dies_in-- == 0) {
        run.dead[self] = run.ended[self] = true;
        give_way(); // for good
    }
    if (!run.passing[self] && random_of(&seed) % 256 < run.switchiness) {
        give_way();
    }
    // From the look at an open gate to the store.
    const uint32_t *gate = &handles[0].share.trailer->gate;
    if (at == gate && !writes) {
        run.passing[self] = *gate == 0;
    } else if (writes) {
        run.passing[self] = false;
    }
}

static int wait_for(void *context, uint64_t owner, uint32_t tries) {
    (void)context, (void)tries;
    if (run.current < 0) {
        return FEAGI_SHARED_GONE; // all of them have ended
    }
    if (run.dead[owner - 1]) {
        return FEAGI_SHARED_GONE;
    }
    give_way();
    return FEAGI_SHARED_WAIT;
}
// --------------------------------------------------------------------------------------------------------- histories

enum {
    REGISTER,   // (id) -> 0 or EXISTS
    DEREGISTER, // (id) -> 0 or NOT_FOUND
    FIND,       // (id) -> whether
    HEARTBEAT,  // (id) -> 0 or NOT_FOUND
    LIST,       // -> bits of the ids, and agent_count << 8
    LOCK,       // (area, owner) -> 0 or LOCKED
    UNLOCK,     // (area, owner) -> 0 or NOT_OWNER
    OWNER,      // (area) -> owner
    SET_A,      // (value)
    ADD_A,      // (amount) -> value
    ADD_B,      // (amount) -> value
    GROUP,      // (amount): a += amount, b = amount
    GROUP_ADDS, // (amount): a += amount, b += amount
    SNAPSHOT,   // -> a | b << 16
    LOCKED_SNAPSHOT,
    WINDOW_SET,    // (area, window)
    WINDOW_REMOVE, // (area) -> whether
    WINDOW_GET,    // (area) -> window
    INIT_STATS,    // (area): 0, 0
    ADD_STAT,      // (area, amount) -> count, or -1 without such an area
    STATS,         // -> snapshot of both counts
    KINDS
};
static const char *const kind_names[KINDS] = {
    "register",        "deregister", "find",          "heartbeat",  "list",       "lock",       "unlock",
    "owner",           "set a",      "add a",         "add b",      "group",      "group adds", "snapshot",
    "locked snapshot", "window set", "window remove", "window get", "init stats", "add stat",   "stats"};

typedef struct {
    uint8_t kind, thread;
    uint32_t first, second; // arguments
    bool began, ended;
    uint32_t from, to; // when
    int64_t result;
} operation_t;
static operation_t operations[THREADS * OPERATIONS];
static uint32_t operation_count, clock_now;

static const struct {
    const char *name;
    uint8_t kinds[12];
    uint8_t count, places;
} programs[] = {
    {"registry", {REGISTER, REGISTER, DEREGISTER, DEREGISTER, FIND, HEARTBEAT}, 6, 3},
    {"listing", {REGISTER, REGISTER, DEREGISTER, DEREGISTER, LIST}, 5, 3},
    {"locks", {LOCK, LOCK, UNLOCK, OWNER}, 4, 2},
    {"groups", {SET_A, ADD_A, ADD_B, GROUP, GROUP_ADDS, SNAPSHOT, SNAPSHOT, LOCKED_SNAPSHOT}, 8, 1},
    {"windows", {WINDOW_SET, WINDOW_REMOVE, WINDOW_GET}, 3, 2},
    {"stats", {INIT_STATS, ADD_STAT, ADD_STAT}, 3, 2},
};

// Ids and areas whose searches begin at one slot.
static char ids[3][16], names[2][16];
static uint32_t areas[2];

static void choose_names(const feagi_region_t *r) {
    unsigned found = 0, named = 0, placed = 0;
    for (unsigned i = 0; found < COUNT(ids) || named < COUNT(names) || placed < COUNT(areas); i++) {
        char id[16];
        sprintf(id, "id %u", i);
        if (found < COUNT(ids) && feagi_text_hash((const uint8_t *)id, strlen(id)) % r->agents.capacity == 1) {
            strcpy(ids[found++], id);
        }
        if (named < COUNT(names) && feagi_text_hash((const uint8_t *)id, strlen(id)) % r->stats.capacity == 1) {
            strcpy(names[named++], id);
        }
        if (placed < COUNT(areas) && (i * 0x9e3779b9u) % r->windows.capacity == 1) {
            areas[placed++] = i;
        }
    }
}

#define A FEAGI_FIELD_NEURON_COUNT
#define B FEAGI_FIELD_SYNAPSE_COUNT
static int64_t make_group(feagi_region_t *r, uint8_t kind, uint32_t amount) {
    const feagi_state_write_t writes[] = {{FEAGI_STATE_ADD, A, amount}, {kind, B, amount}};
    return feagi_state_update(r, writes, COUNT(writes));
}

static int64_t list(feagi_region_t *r, const uint8_t *base) {
    int64_t result = ((const feagi_core_t *)(const void *)(base + FEAGI_HEADER_LEN_BYTES))->agent_count << 8;
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *a = (const void *)(base + r->agents.at + slot * r->agents.entry_len);
        for (unsigned i = 0; a->state == FEAGI_AGENT_SLOT_STATE_REGISTERED && i < COUNT(ids); i++) {
            result |= strcmp((const char *)a->id, ids[i]) == 0 ? 1 << i : 0;
        }
    }
    return result;
}

static int64_t counts(feagi_region_t *r, const uint8_t *base) {
    int64_t result = 0;
    for (uint32_t slot = 0; slot < r->stats.capacity; slot++) {
        const feagi_stat_t *s = (const feagi_stat_t *)(const void *)(base + r->stats.at) + slot;
        for (unsigned i = 0; s->state && i < COUNT(names); i++) {
            result |= strncmp((const char *)s->id, names[i], sizeof s->id) == 0 ? (int64_t)(1 + s->neuron_count) << 16 * i : 0;
        }
    }
    return result;
}

static int64_t do_operation(feagi_region_t *r, const operation_t *op) {
    static uint64_t rooms[THREADS + 1][8 * 1024 / 8];
    uint64_t *out = rooms[op->thread];
    uint64_t stored = 0;
    uint8_t *base = (uint8_t *)out;
    const feagi_core_t *core = (const void *)(base + FEAGI_HEADER_LEN_BYTES);
    const bool whole = op->kind == LIST || op->kind == STATS;
    const uint32_t len = whole ? r->events_at : FEAGI_HASHES_AT;
    switch (op->kind) {
        case REGISTER:
            return feagi_agents_register(r, TEXT(ids[op->first]), 0, TEXT(""), NULL);
        case DEREGISTER:
            return feagi_agents_deregister(r, TEXT(ids[op->first]));
        case FIND:
            return feagi_agents_find(r, TEXT(ids[op->first])) >= 0;
        case HEARTBEAT:
            return feagi_agents_heartbeat(r, TEXT(ids[op->first]));
        case LOCK:
            return feagi_locks_try_lock(r, areas[op->first], 1 + op->second % 3);
        case UNLOCK:
            return feagi_locks_unlock(r, areas[op->first], 1 + op->second % 3);
        case OWNER:
            return (int64_t)feagi_locks_owner(r, areas[op->first]);
        case SET_A:
            return feagi_state_set(r, A, op->second, NULL);
        case ADD_A:
        case ADD_B:
            CHECK(feagi_state_add(r, op->kind == ADD_A ? A : B, op->second, &stored) == 0);
            return (int64_t)stored;
        case GROUP:
            return make_group(r, FEAGI_STATE_SET, op->second);
        case GROUP_ADDS:
            return make_group(r, FEAGI_STATE_ADD, op->second);
        case LIST:
        case SNAPSHOT:
        case STATS:
            if (feagi_shared_snapshot(r, out, 0, len, 50)) {
                CHECK(feagi_shared_snapshot_locked(r, out, 0, len) == 0);
            }
            return op->kind == LIST    ? list(r, base)
                   : op->kind == STATS ? counts(r, base)
                                       : core->neuron_count | core->synapse_count << 16;
        case LOCKED_SNAPSHOT:
            CHECK(feagi_shared_snapshot_locked(r, out, 0, len) == 0);
            return core->neuron_count | core->synapse_count << 16;
        case WINDOW_SET:
            return feagi_windows_set(r, areas[op->first], op->second);
        case WINDOW_REMOVE:
            return feagi_windows_remove(r, areas[op->first]);
        case WINDOW_GET:
            return feagi_windows_get(r, areas[op->first]);
        case INIT_STATS:
            return feagi_stats_init(r, TEXT(names[op->first])) >= 0 ? 0 : -1;
        default: {
            const int slot = feagi_stats_find(r, TEXT(names[op->first]));
            return slot < 0 ? -1 : (int64_t)feagi_stats_add(r, (uint32_t)slot, FEAGI_STATS_NEURONS, op->second);
        }
    }
}

static void thread_main(int self) {
    for (uint32_t i = 0; i < operation_count; i++) {
        operation_t *op = &operations[i];
        if (op->thread == self) {
            op->began = true;
            op->from = clock_now++;
            op->result = do_operation(&handles[self].region, op);
            op->to = clock_now++;
            op->ended = true;
        }
    }
    run.ended[self] = true;
    give_way();
}

static void run_history(unsigned program) {
    const unsigned threads = 3 + random_of(&seed) % 2;
    operation_count = clock_now = 0;
    for (unsigned thread = 0; thread < threads; thread++) {
        for (uint32_t left = 2 + random_of(&seed) % (threads == 3 ? 4 : 3); left; left--) {
            operation_t *op = &operations[operation_count++];
            memset(op, 0, sizeof *op);
            op->kind = programs[program].kinds[random_of(&seed) % programs[program].count];
            op->thread = (uint8_t)thread;
            op->first = random_of(&seed) % programs[program].places;
            op->second = 1 + random_of(&seed) % 9;
        }
    }
    run.switchiness = 1u << random_of(&seed) % 8;
    run.dies = random_of(&seed) % 3 ? -1 : (int)(random_of(&seed) % threads);
    run.dies_in = random_of(&seed) % (16u << random_of(&seed) % 5);
    for (unsigned i = 0; i < THREADS; i++) {
        run.ended[i] = run.dead[i] = run.passing[i] = false;
        run.ended[i] = i >= threads;
        getcontext(&run.threads[i]);
        run.threads[i].uc_stack.ss_sp = run.stacks[i];
        run.threads[i].uc_stack.ss_size = STACK_LEN;
        run.threads[i].uc_link = NULL;
        makecontext(&run.threads[i], (void (*)(void))thread_main, 1, (int)i);
    }
    for (bool more = true; more;) {
        more = false;
        const unsigned start = random_of(&seed) % THREADS;
        for (unsigned i = 0; i < THREADS && !more; i++) {
            const unsigned next = (start + i) % THREADS;
            if (!run.ended[next]) {
                more = true;
                run.current = (int)next;
                swapcontext(&run.main, &run.threads[next]);
                run.current = -1;
            }
        }
    }
}

// ------------------------------------------------------------------------------------------------------- the checker

// What the region means to a program, in one number: sixteen bits for each of its places, or a bit for each id.
static uint64_t at(uint64_t state, unsigned place) {
    return state >> 16 * place & 0xffff;
}
static uint64_t with(uint64_t state, unsigned place, uint64_t value) {
    return (state & ~(0xffffull << 16 * place)) | (value & 0xffff) << 16 * place;
}

// What an operation returns in this state, and the state after it.
static int64_t model(const operation_t *op, uint64_t *state) {
    const uint64_t bit = 1ull << op->first, was = at(*state, op->first), owner = 1 + op->second % 3;
    switch (op->kind) {
        case REGISTER:
            if (*state & bit) {
                return FEAGI_ERR_EXISTS;
            }
            *state |= bit;
            return 0;
        case DEREGISTER:
            if (!(*state & bit)) {
                return FEAGI_ERR_NOT_FOUND;
            }
            *state &= ~bit;
            return 0;
        case FIND:
            return (*state & bit) != 0;
        case HEARTBEAT:
            return *state & bit ? 0 : FEAGI_ERR_NOT_FOUND;
        case LIST:
            return (int64_t)*state | __builtin_popcountll(*state) << 8;
        case LOCK:
            if (was) {
                return FEAGI_ERR_LOCKED;
            }
            *state = with(*state, op->first, owner);
            return 0;
        case UNLOCK:
            if (was != owner) {
                return FEAGI_ERR_NOT_OWNER;
            }
            *state = with(*state, op->first, 0);
            return 0;
        case OWNER:
            return (int64_t)was;
        case SET_A:
            *state = with(*state, 0, op->second);
            return 0;
        case ADD_A:
        case ADD_B: {
            const unsigned place = op->kind == ADD_B;
            *state = with(*state, place, at(*state, place) + op->second);
            return (int64_t)at(*state, place);
        }
        case GROUP:
            *state = with(with(*state, 0, at(*state, 0) + op->second), 1, op->second);
            return 0;
        case GROUP_ADDS:
            *state = with(with(*state, 0, at(*state, 0) + op->second), 1, at(*state, 1) + op->second);
            return 0;
        case SNAPSHOT:
        case LOCKED_SNAPSHOT:
        case STATS:
            return (int64_t)*state;
        case WINDOW_SET:
            *state = with(*state, op->first, op->second);
            return 0;
        case WINDOW_REMOVE:
            *state = with(*state, op->first, 0);
            return was != 0;
        case WINDOW_GET:
            return was ? (int64_t)was : FEAGI_FCL_WINDOW_DEFAULT;
        case INIT_STATS:
            *state = with(*state, op->first, 1);
            return 0;
        default:
            if (!was) {
                return -1;
            }
            *state = with(*state, op->first, was + op->second);
            return (int64_t)(was - 1 + op->second);
    }
}

// What was tried: operations that are done, and the state after them.
#define TRIED (1u << 20)
static struct {
    uint64_t state;
    uint32_t done, history;
} tried[TRIED];
static uint32_t history;

static bool is_tried(uint32_t done, uint64_t state) {
    uint32_t i = (uint32_t)((state * 0x9e3779b97f4a7c15u ^ done * 0xff51afd7ed558ccdu) >> 40) % TRIED;
    for (; tried[i].history == history; i = (i + 1) % TRIED) {
        if (tried[i].done == done && tried[i].state == state) {
            return true;
        }
    }
    tried[i].history = history;
    tried[i].done = done;
    tried[i].state = state;
    return false;
}

// Whether the operations that are not done can follow in some order. One that has no end may also not have happened.
static bool explained(uint32_t done, uint64_t state) {
    bool all = true;
    uint32_t first_end = UINT32_MAX;
    for (uint32_t i = 0; i < operation_count; i++) {
        if (!(done >> i & 1) && operations[i].ended) {
            all = false;
            first_end = operations[i].to < first_end ? operations[i].to : first_end;
        }
    }
    if (all) {
        return true;
    }
    if (is_tried(done, state)) {
        return false;
    }
    for (uint32_t i = 0; i < operation_count; i++) {
        const operation_t *op = &operations[i];
        if (done >> i & 1 || !op->began || op->from > first_end) {
            continue; // it began when another one had ended that has not had its turn
        }
        uint64_t next = state;
        const int64_t result = model(op, &next);
        if ((!op->ended || result == op->result) && explained(done | 1u << i, next)) {
            return true;
        }
    }
    return false;
}

int main(int count, char **args) {
    unsigned program = COUNT(programs);
    for (unsigned i = 0; count == 4 && i < COUNT(programs); i++) {
        program = strcmp(args[1], programs[i].name) == 0 ? i : program;
    }
    if (program == COUNT(programs)) {
        printf("not understood\n");
        return 2;
    }
    length = length_of(FEAGI_PROFILE_TINY);
    memory = aligned_alloc(64, (length + 63) / 64 * 64);
    run.current = -1;
    uint32_t overlaps = 0, deaths = 0, histories = (uint32_t)strtoul(args[2], NULL, 10);
    seed = strtoull(args[3], NULL, 10);
    for (history = 1; history <= histories; history++) {
        at_place("%s, history %u", args[1], history);
        memset(memory, 0, length);
        handles[0].self = 1;
        handles[0].share.self = &handles[0].self;
        CHECK(feagi_shared_init(&handles[0].region, &handles[0].share, memory, length, FEAGI_PROFILE_TINY, 1, 0) == 0);
        for (unsigned i = 0; i <= THREADS; i++) {
            attach(&handles[i], memory, length, i + 1, wait_for, 1);
        }
        if (history == 1) {
            choose_names(&handles[0].region);
        }
        run_history(program);
        // What is there at the end has to be explained as well.
        handle_t *last = &handles[THREADS];
        CHECK(feagi_shared_lock(&last->region) == 0);
        feagi_shared_abort(&last->region);
        check_region(&last->region);
        for (unsigned place = 0; place < programs[program].places; place++) {
            static const uint8_t looks[] = {LIST, LIST, OWNER, SNAPSHOT, WINDOW_GET, STATS};
            operation_t *op = &operations[operation_count++];
            *op = (operation_t){.kind = looks[program], .thread = THREADS, .first = place, .began = true, .from = clock_now++};
            op->result = do_operation(&last->region, op);
            op->to = clock_now++;
            op->ended = true;
        }
        if (!explained(0, 0)) {
            for (uint32_t i = 0; i < operation_count; i++) {
                const operation_t *op = &operations[i];
                printf("thread %u: %s(%u, %u) = %" PRId64 " [%u, %d]\n", op->thread, kind_names[op->kind], op->first, op->second,
                       op->result, op->from, op->ended ? (int)op->to : -1);
            }
            fail("no order explains it");
        }
        for (uint32_t i = 1; i < operation_count; i++) {
            overlaps += operations[i].thread != operations[0].thread && operations[i].from < operations[0].to;
        }
        deaths += run.dies >= 0 && run.dead[run.dies];
    }
    printf("%u histories, %u deaths, %u overlaps\n", histories, deaths, overlaps);
    return deaths == 0 || overlaps == 0;
}
