#include "feagi_shared.h"

#if FEAGI_PORT_SHARED

#include "feagi_areas.h"
#include "feagi_events.h"
#include "feagi_write.h"

#define TRAILER_LEN ((uint32_t)sizeof(feagi_shared_t))
#define JOURNAL_LEN ((uint32_t)(FEAGI_JOURNAL_CHANGES * sizeof(feagi_change_t)))
// What is seldom done: apart from what is always done, which then needs fewer registers.
#define RARE __attribute__((noinline))
// In place of a count of changes: the group is the image in the staging room.
#define RESTORE UINT32_MAX
// Equal copies that make a snapshot. Between two of them a word may have changed and changed back without a trace only if two
// writers stand still between their store and their count; with n copies it takes 2 * (n - 1) of them and one more.
#define COPIES 3u
// Copies of a region whose gate is closed: only writers that pay no attention to it could make all of them fail.
#define LOCKED_TRIES 10000u

// Everything that another process may change is read and written whole and in order: release stores, acquire loads.
static uint64_t load(const uint64_t *p) {
    return feagi_port_load_u64(p);
}
static void store(uint64_t *p, uint64_t value) {
    feagi_port_store_u64(p, value);
}

uint32_t feagi_shared_len(uint32_t region_len_bytes) {
    const uint32_t rest = TRAILER_LEN + JOURNAL_LEN;
    return region_len_bytes > (UINT32_MAX - rest) / 2 ? 0 : 2 * region_len_bytes + rest;
}

// The handle's places follow from the region that it has checked.
static int place(feagi_region_t *r, feagi_share_t *share, size_t len_bytes) {
    const uint32_t needed = feagi_shared_len(r->len_bytes);
    if (!needed || r->len_bytes % FEAGI_SECTION_ALIGN_BYTES) {
        return FEAGI_ERR_LAYOUT;
    }
    if (len_bytes < needed || (uintptr_t)r->base % FEAGI_SECTION_ALIGN_BYTES) {
        return FEAGI_ERR_LENGTH;
    }
    uint8_t *at = r->base + r->len_bytes;
    share->trailer = (feagi_shared_t *)(void *)at;
    share->journal = (feagi_change_t *)(void *)(at + TRAILER_LEN);
    share->staging = at + TRAILER_LEN + JOURNAL_LEN;
    share->pending = share->pushed = share->written = 0;
    r->share = share;
    r->gate = &share->trailer->gate;
    r->cached_clock = share->cached_clock;
    return 0;
}

static uint32_t region_limit(size_t len_bytes) {
    return len_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)len_bytes;
}

int feagi_shared_init(feagi_region_t *r, feagi_share_t *share, void *mem, size_t len_bytes, uint8_t profile, uint32_t boot_id,
                      uint64_t pid_namespace) {
    int status = feagi_region_init(r, mem, region_limit(len_bytes), profile, boot_id);
    if (!status) {
        status = place(r, share, len_bytes);
    }
    if (status) {
        return status;
    }
    ((feagi_header_t *)(void *)r->base)->flags |= FEAGI_FLAG_UNIX_TIME;
    share->trailer->shared_version = FEAGI_SHARED_VERSION;
    share->trailer->pid_namespace = pid_namespace;
    feagi_port_store_u32(&share->trailer->magic, FEAGI_MAGIC_SHARED); // last: until then there is no shared region
    return 0;
}

int feagi_shared_attach(feagi_region_t *r, feagi_share_t *share, void *mem, size_t len_bytes) {
    int status = feagi_region_attach(r, mem, region_limit(len_bytes));
    if (!status) {
        status = place(r, share, len_bytes);
    }
    if (status) {
        return status;
    }
    return feagi_port_load_u32(&share->trailer->magic) == FEAGI_MAGIC_SHARED &&
                   share->trailer->shared_version == FEAGI_SHARED_VERSION
               ? 0
               : FEAGI_ERR_LAYOUT;
}

// ------------------------------------------------------------------------------------------------- making changes

// A change as it is made: from the journal it is read once, since what lies in shared memory may be anything.
typedef struct {
    uint32_t where;
    uint16_t size, kind;
    uint64_t value, more, sum;
    bool known;
} change_t;

// kind, size and where lie in one word.
static void split(uint64_t what, change_t *c) {
    c->where = (uint32_t)what;
    c->size = (uint16_t)(what >> 32);
    c->kind = (uint16_t)(what >> 48);
}
_Static_assert(offsetof(feagi_change_t, where) == 0 && offsetof(feagi_change_t, size) == 4 && offsetof(feagi_change_t, kind) == 6,
               "kind, size and where are one word");

static void read_change(const feagi_region_t *r, uint32_t index, change_t *c) {
    const feagi_change_t *entry = &r->share->journal[index];
    split(load((const uint64_t *)(const void *)entry), c);
    c->value = load(&entry->value);
    c->more = load(&entry->more);
    c->known = feagi_port_load_u32(&entry->known) == 1; // before the sum, which is stored before it
    c->sum = load(&entry->sum);
}

static bool is_sum(const change_t *c) {
    return c->kind == FEAGI_SHARED_ADD || c->kind == FEAGI_SHARED_SUBTRACT;
}

static uint64_t sum_of(const change_t *c, uint64_t from) {
    const uint64_t most = c->size == 1 ? UINT8_MAX : c->size == 4 ? UINT32_MAX : UINT64_MAX;
    if (c->kind == FEAGI_SHARED_ADD) {
        return from > most || c->value < most - from ? from + c->value : most;
    }
    return c->value < from ? from - c->value : 0;
}

// Where changes are made: the region, or a copy of a part of it. `base` is where the region begins or would.
typedef struct {
    uint8_t *base;
    uint32_t from, to;
} place_t;

// The address, or NULL where that is not in the place.
static inline uint8_t *address(const place_t *in, uint32_t offset, uint32_t size_bytes) {
    const bool whole = size_bytes == 8 || size_bytes == 4 || size_bytes == 1;
    return whole && offset % size_bytes == 0 && offset >= in->from && offset < in->to && size_bytes <= in->to - offset
               ? in->base + offset
               : NULL;
}

// `own`: the change is this process's, and right.
static inline void put_at(const place_t *in, bool own, uint32_t offset, uint32_t size_bytes, uint64_t value) {
    uint8_t *at = own ? in->base + offset : address(in, offset, size_bytes);
    if (!own && !at) {
        return;
    }
    if (size_bytes == 1) {
        __atomic_store_n(at, (uint8_t)value, __ATOMIC_RELEASE);
    } else if (size_bytes == 4) {
        feagi_port_store_u32((uint32_t *)(void *)at, (uint32_t)value);
    } else {
        store((uint64_t *)(void *)at, value);
    }
}

// Makes a change that is the same if it is made twice: any but a sum.
static inline __attribute__((always_inline)) void make_stores(const feagi_region_t *r, const place_t *in, bool own,
                                                              const change_t *c) {
    if (c->kind == FEAGI_SHARED_STORE) {
        put_at(in, own, c->where, c->size, c->value);
    } else if (c->kind == FEAGI_SHARED_EVENT) {
        // In the order of feagi_events_broadcast.
        const uint32_t at =
            r->events_at + (uint32_t)sizeof(feagi_ring_t) + (c->where & r->events_mask) * (uint32_t)sizeof(feagi_event_t);
        put_at(in, own, at, 8, (c->where + 1) | c->value >> 32 << 32);
        put_at(in, own, at + 8, 8, (uint32_t)c->value | c->more << 32);
        put_at(in, own, r->events_at, 4, c->where + 1);
    } else if (c->kind == FEAGI_SHARED_AGENT) {
        put_at(in, own, c->where + (uint32_t)offsetof(feagi_agent_t, sequence), 4, c->more >> 32);
        put_at(in, own, c->where, 8, c->value);
        put_at(in, own, FEAGI_HEADER_LEN_BYTES + (uint32_t)offsetof(feagi_core_t, agent_count), 4, (uint32_t)c->more);
    }
}
_Static_assert(offsetof(feagi_ring_t, head) == 0 && offsetof(feagi_event_t, kind) == 4 && offsetof(feagi_event_t, arg) == 8 &&
                   offsetof(feagi_event_t, time_ms) == 12,
               "an event is two words, and the ring's head its first");

static uint64_t load_sized(const uint8_t *at, uint32_t size_bytes) {
    return size_bytes == 1   ? __atomic_load_n(at, __ATOMIC_ACQUIRE)
           : size_bytes == 4 ? feagi_port_load_u32((const uint32_t *)(const void *)at)
                             : load((const uint64_t *)(const void *)at);
}

static bool exchange_sized(uint8_t *at, uint32_t size_bytes, uint64_t from, uint64_t to) {
    if (size_bytes == 8) {
        return feagi_port_cas_u64((uint64_t *)(void *)at, from, to);
    }
    if (size_bytes == 4) {
        return feagi_port_cas_u32((uint32_t *)(void *)at, (uint32_t)from, (uint32_t)to);
    }
    uint8_t expected = (uint8_t)from;
    return __atomic_compare_exchange_n(at, &expected, (uint8_t)to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

// Makes an add or subtract in the region. It says in the journal what it will store before it does: if whoever made the group
// died (`again`) and the place has that value, it was made.
static void make_sum(feagi_region_t *r, const place_t *in, uint32_t index, const change_t *c, bool again) {
    feagi_shared_t *t = r->share->trailer;
    feagi_change_t *entry = &r->share->journal[index];
    uint8_t *at = address(in, c->where, c->size);
    if (!at) {
        return;
    }
    feagi_port_store_u32(&t->done, index); // what came before is not made again, which a sum would not be the same after
    for (;;) {
        const uint64_t from = load_sized(at, c->size);
        if (again && c->known && from == c->sum) {
            break;
        }
        // A writer that had passed the gate may change the place until here: then once more, from what it has stored.
        again = false;
        const uint64_t to = sum_of(c, from);
        store(&entry->sum, to);
        feagi_port_store_u32(&entry->known, 1);
        if (exchange_sized(at, c->size, from, to)) {
            break;
        }
    }
    feagi_port_store_u32(&t->done, index + 1);
}

// The parts of the region that a restore replaces. version and last_modified go on; cortical locks belong to the living.
#define PARTS 3u
static void part(const feagi_region_t *r, unsigned index, uint32_t *from, uint32_t *to) {
    const uint32_t windows = r->windows.at - (uint32_t)sizeof(feagi_windows_t);
    *from = index == 0 ? FEAGI_HEADER_LEN_BYTES : index == 1 ? FEAGI_WRITE_LAST_MODIFIED_AT + 8 : windows;
    *to = index == 0 ? FEAGI_WRITE_VERSION_AT : index == 1 ? r->locks.at : r->events_at;
}

static uint64_t *word_at(const uint8_t *base, uint32_t offset) {
    return (uint64_t *)(void *)(uintptr_t)(base + offset);
}

// Whether an agent is in the slot that begins with this word.
static bool has_agent(uint64_t first) {
    return (uint8_t)first == FEAGI_AGENT_SLOT_STATE_REGISTERED;
}
_Static_assert(offsetof(feagi_agent_t, state) == 0 && offsetof(feagi_agent_t, id) % 8 == 0, "a slot begins with its state");

// An agent's slot from a restore's image. Who reads a slot looks at its first word before and after the rest, so a slot that gets
// another agent has none meanwhile. One that keeps its agent, and so its first word, gets at most another last_seen.
static void restore_slot(feagi_region_t *r, uint32_t at) {
    const uint64_t first = load(word_at(r->share->staging, at));
    if (load(word_at(r->base, at)) != first) {
        store(word_at(r->base, at), (first & ~(uint64_t)UINT8_MAX) | FEAGI_AGENT_SLOT_STATE_DEREGISTERED);
    }
    for (uint32_t i = 8; i < r->agents.entry_len; i += 8) {
        store(word_at(r->base, at + i), load(word_at(r->share->staging, at + i)));
    }
    store(word_at(r->base, at), first);
}

static void make_restore(feagi_region_t *r) {
    const uint32_t agents_end = r->agents.at + (uint32_t)r->agents.capacity * r->agents.entry_len;
    for (unsigned i = 0; i < PARTS; i++) {
        uint32_t at, to;
        for (part(r, i, &at, &to); at < to;) {
            if (at >= r->agents.at && at < agents_end) {
                restore_slot(r, at);
                at += r->agents.entry_len;
            } else {
                store(word_at(r->base, at), load(word_at(r->share->staging, at)));
                at += 8;
            }
        }
    }
}

// Makes what a dead holder of the lock has committed and perhaps made in part. Stores can be made twice.
static RARE void make_for_the_dead(feagi_region_t *r, uint32_t count, uint32_t from) {
    if (count == RESTORE) {
        make_restore(r);
    }
    const place_t in = {r->base, 0, r->len_bytes};
    for (uint32_t i = from; i < count && i < FEAGI_JOURNAL_CHANGES && count != RESTORE; i++) {
        change_t c;
        read_change(r, i, &c);
        if (is_sum(&c)) {
            make_sum(r, &in, i, &c, i == from);
        } else {
            make_stores(r, &in, false, &c);
        }
    }
    feagi_write_count_core(r); // how many of its changes were such writes died with it
    feagi_shared_t *t = r->share->trailer;
    store(&t->commit, load(&t->commit) >> 32 << 32);
}

// Commits a group of so many changes, or of RESTORE. Returns what `commit` says when they are made.
static inline uint64_t commit(feagi_shared_t *t, uint32_t count) {
    const uint64_t group = ((load(&t->commit) >> 32) + 1) << 32;
    feagi_port_store_u32(&t->done, 0);
    // The journal is whole. From this store on the group happens, whoever dies.
    store(&t->commit, group | count);
    return group;
}

// The group's changes are made. Its writes of the core block are counted before it is done with: whoever dies between the two has
// them counted twice, and never not at all, so that nobody who watches version misses them.
static inline void conclude(feagi_region_t *r, uint64_t group, uint32_t written) {
    if (written) {
        feagi_port_add_u64(feagi_region_u64(r, FEAGI_WRITE_VERSION_AT), written);
        store(feagi_region_u64(r, FEAGI_WRITE_LAST_MODIFIED_AT), r->share->group_ms);
    }
    store(&r->share->trailer->commit, group);
}

static RARE void make_own_sum(feagi_region_t *r, const place_t *in, uint32_t index) {
    const feagi_shared_own_t *own = &r->share->own[index];
    change_t c = {.value = own->value};
    split(own->what, &c);
    make_sum(r, in, index, &c, false);
}

// Commits and makes what is pending; the lock stays. Changes come from this process's own memory, not from the journal, which
// others can write.
static void flush(feagi_region_t *r) {
    feagi_share_t *share = r->share;
    const uint32_t count = share->pending;
    const uint64_t group = commit(share->trailer, count);
    const place_t in = {r->base, 0, r->len_bytes};
    for (uint32_t i = 0; i < count; i++) {
        change_t c;
        split(share->own[i].what, &c);
        c.value = share->own[i].value;
        c.more = share->own[i].more;
        if (is_sum(&c)) {
            make_own_sum(r, &in, i);
        } else {
            make_stores(r, &in, true, &c);
        }
    }
    conclude(r, group, share->written);
    share->pending = share->pushed = share->written = 0;
}

// What feagi_shared_put does, of a change that this process keeps by other means.
static inline void write_change(feagi_change_t *entry, const change_t *c) {
    store((uint64_t *)(void *)entry, (uint64_t)c->kind << 48 | (uint64_t)c->size << 32 | c->where);
    store(&entry->value, c->value);
    store(&entry->more, c->more);
}

void feagi_shared_make_agent(feagi_region_t *r, uint32_t where, uint64_t value, uint64_t more, uint16_t kind, uint32_t handle) {
    feagi_share_t *share = r->share;
    const place_t in = {r->base, 0, r->len_bytes};
    const change_t agent = {.kind = FEAGI_SHARED_AGENT, .size = 8, .where = where, .value = value, .more = more};
    const change_t event = {.kind = FEAGI_SHARED_EVENT,
                            .where = feagi_port_load_u32(feagi_region_u32(r, r->events_at)),
                            .value = (uint64_t)kind << 32 | handle,
                            .more = share->group_ms};
    const bool told = !share->one_consumer || feagi_events_admit(r, event.where);
    write_change(&share->journal[0], &agent);
    write_change(&share->journal[1], &event);
    const uint64_t group = commit(share->trailer, told ? 2 : 1);
    make_stores(r, &in, true, &agent);
    if (told) {
        make_stores(r, &in, true, &event);
    }
    conclude(r, group, 1);
}

// ------------------------------------------------------------------------------------------------------- the lock

static void unlock(feagi_region_t *r) {
    feagi_shared_t *t = r->share->trailer;
    if (feagi_port_load_u32(&t->gate)) {
        feagi_port_store_u32(&t->gate, 0);
    }
    store(&t->lock, 0);
}

// Waits for whoever has the lock, once. Returns whether the lock was taken over from the dead, or FEAGI_ERR_BUSY.
static RARE int wait_for_lock(const feagi_share_t *share, uint32_t tries) {
    feagi_shared_t *t = share->trailer;
    const uint64_t owner = load(&t->lock);
    const int answer = owner ? share->wait(share->context, owner, tries) : FEAGI_SHARED_WAIT;
    return answer == FEAGI_SHARED_GIVE_UP ? FEAGI_ERR_BUSY
                                          : answer == FEAGI_SHARED_GONE && feagi_port_cas_u64(&t->lock, owner, *share->self);
}

int feagi_shared_lock(feagi_region_t *r) {
    feagi_share_t *share = r->share;
    feagi_shared_t *t = share->trailer;
    int taken = 0;
    for (uint32_t tries = 0; !taken && !feagi_port_cas_u64(&t->lock, 0, *share->self); tries++) {
        taken = wait_for_lock(share, tries);
        if (taken < 0) {
            return taken;
        }
    }
    share->pending = share->pushed = share->written = 0;
    share->group_ms = feagi_write_now(r);
    const uint32_t count = (uint32_t)load(&t->commit);
    if (count) { // the last holder died: its group has happened, and we make it
        make_for_the_dead(r, count, feagi_port_load_u32(&t->done));
    }
    if (feagi_port_load_u32(&t->gate)) {
        feagi_port_store_u32(&t->gate, 0);
    }
    return 0;
}

void feagi_shared_close_gate(feagi_region_t *r) {
    feagi_port_store_u32(&r->share->trailer->gate, 1);
    feagi_port_fence(); // no later load may be older than this store
}

void feagi_shared_make(feagi_region_t *r) {
    if (r->share->pending) {
        flush(r);
    }
}

void feagi_shared_commit(feagi_region_t *r) {
    feagi_shared_make(r);
    unlock(r);
}

void feagi_shared_abort(feagi_region_t *r) {
    r->share->pending = r->share->pushed = r->share->written = 0;
    unlock(r);
}

// ------------------------------------------------------------------------------------------------------- snapshots

// Makes the rest of a committed group in a copy of region[from, to): a change whose place has been read may have been made.
static void overlay(const feagi_region_t *r, const place_t *in, const change_t *changes, uint32_t done, uint32_t count) {
    for (uint32_t i = done; i < count; i++) {
        const change_t *c = &changes[i];
        if (!is_sum(c)) {
            make_stores(r, in, false, c);
            continue;
        }
        const uint8_t *at = address(in, c->where, c->size);
        const uint64_t old = at ? load_sized(at, c->size) : 0;
        if (i > done || !c->known || old != c->sum) {
            put_at(in, false, c->where, c->size, sum_of(c, old));
        }
    }
}

static bool is_replaced(const feagi_region_t *r, uint32_t offset) {
    for (unsigned i = 0; i < PARTS; i++) {
        uint32_t from, to;
        part(r, i, &from, &to);
        if (offset >= from && offset < to) {
            return true;
        }
    }
    return false;
}

static const uint8_t *source(const feagi_region_t *r, uint32_t offset, bool restoring) {
    return restoring && is_replaced(r, offset) ? r->share->staging : r->base;
}

static void copy(const feagi_region_t *r, uint64_t *out, uint32_t from, uint32_t len_bytes, bool restoring) {
    for (uint32_t i = 0; i < len_bytes; i += 8) {
        out[i / 8] = load(word_at(source(r, from + i, restoring), from + i));
    }
}

static bool is_equal(const feagi_region_t *r, const uint64_t *out, uint32_t from, uint32_t len_bytes, bool restoring) {
    uint64_t differ = 0;
    for (uint32_t i = 0; i < len_bytes; i += 8) {
        differ |= out[i / 8] ^ load(word_at(source(r, from + i, restoring), from + i));
    }
    return !differ;
}

// What changes when anybody has written.
typedef struct {
    uint64_t commit, version, changes;
    uint32_t done;
} stamp_t;

static void read_stamp(const feagi_region_t *r, stamp_t *s) {
    const feagi_shared_t *t = r->share->trailer;
    s->commit = load(&t->commit);
    s->done = feagi_port_load_u32(&t->done);
    s->version = load(feagi_region_u64(r, FEAGI_WRITE_VERSION_AT));
    s->changes = load(&t->changes);
}

static bool try_snapshot(const feagi_region_t *r, uint64_t *out, uint32_t from, uint32_t len_bytes) {
    stamp_t before, after;
    read_stamp(r, &before);
    const uint32_t count = (uint32_t)before.commit;
    const bool restoring = count == RESTORE;
    const uint32_t known = restoring || count > FEAGI_JOURNAL_CHANGES ? 0 : count;
    copy(r, out, from, len_bytes, restoring);
    for (unsigned i = 1; i < COPIES; i++) {
        if (!is_equal(r, out, from, len_bytes, restoring)) {
            return false;
        }
    }
    // The loads above have acquire order, so these come after them. The journal comes after the copies: a sum that has been
    // copied says there that it was made.
    change_t changes[FEAGI_JOURNAL_CHANGES];
    for (uint32_t i = before.done; i < known; i++) {
        read_change(r, i, &changes[i]);
    }
    read_stamp(r, &after);
    if (after.commit != before.commit || after.done != before.done || after.version != before.version ||
        after.changes != before.changes) {
        return false;
    }
    const place_t in = {(uint8_t *)out - from, from, from + len_bytes};
    overlay(r, &in, changes, before.done, known);
    return true;
}

int feagi_shared_snapshot(const feagi_region_t *r, uint64_t *out, uint32_t from, uint32_t len_bytes, uint32_t tries) {
    while (tries--) {
        if (try_snapshot(r, out, from, len_bytes)) {
            return 0;
        }
    }
    return FEAGI_ERR_BUSY;
}

int feagi_shared_snapshot_locked(feagi_region_t *r, uint64_t *out, uint32_t from, uint32_t len_bytes) {
    const int status = feagi_shared_lock(r);
    if (status) {
        return status;
    }
    feagi_shared_close_gate(r);
    // Each writer that had passed the gate stores once more at most.
    const int result = feagi_shared_snapshot(r, out, from, len_bytes, LOCKED_TRIES);
    feagi_shared_abort(r);
    return result;
}

// --------------------------------------------------------------------------------------------------------- restore

// A bit for each slot of the largest agent table.
typedef struct {
    uint32_t words[(UINT16_MAX + 1) / 32];
} slots_t;
static void add_slot(slots_t *slots, uint32_t slot) {
    slots->words[slot / 32] |= 1u << slot % 32;
}
static bool has_slot(const slots_t *slots, uint32_t slot) {
    return slots->words[slot / 32] >> slot % 32 & 1;
}

// Whether two slots hold one registration: nothing differs but when it was seen and how often the slot was used.
static bool is_same_agent(const feagi_region_t *r, const feagi_agent_t *a, const feagi_agent_t *b) {
    return a->agent_type == b->agent_type && a->id_len == b->id_len && a->metadata_len == b->metadata_len &&
           a->registered_at == b->registered_at && feagi_port_equal(a->id, b->id, sizeof a->id) &&
           feagi_port_equal(a + 1, b + 1, r->agents.entry_len - sizeof *a);
}

static feagi_agent_t *agent_at(const feagi_region_t *r, uint8_t *base, uint32_t slot) {
    return (feagi_agent_t *)(void *)(base + r->agents.at + slot * r->agents.entry_len);
}

static uint16_t next_generation(uint16_t generation) {
    return generation == UINT16_MAX ? 1 : (uint16_t)(generation + 1);
}

// Gives the image's slots their generations: a new one where the slot's agent or name changes, so that no handle from before
// names another. Says which slots that are, which agents leave, and which come.
static void number_slots(feagi_region_t *r, slots_t *renamed, slots_t *leave, slots_t *come) {
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *old = agent_at(r, r->base, slot);
        feagi_agent_t *new = agent_at(r, r->share->staging, slot);
        uint64_t *first = (uint64_t *)(void *)new;
        const bool was = has_agent(load((const uint64_t *)(const void *)old)), is = has_agent(load(first));
        const bool same = was && is ? is_same_agent(r, old, new)
                                    : !is && old->id_len == new->id_len &&feagi_port_equal(old->id, new->id, sizeof old->id);
        const uint16_t generation = same ? old->generation : next_generation(old->generation);
        store(first, (load(first) & UINT64_MAX >> 16) | (uint64_t)generation << 48);
        if (!same) {
            add_slot(renamed, slot);
        }
        if (was && !(is && same)) {
            add_slot(leave, slot);
        }
        if (is && !(was && same)) {
            add_slot(come, slot);
        }
    }
}
_Static_assert(offsetof(feagi_agent_t, generation) == 6, "generation is the upper end of a slot's first word");

// The image's windows in the slots that this region's areas have: a slot belongs to its area for good, and whoever has found it
// may be about to write it. Areas that the image has and this region had not get slots. Returns 0 or FEAGI_ERR_FULL.
static int place_windows(feagi_region_t *r, const uint8_t *image) {
    feagi_region_t staged = *r;
    staged.base = r->share->staging;
    staged.share = NULL; // nobody else writes there
    staged.gate = NULL;
    for (uint32_t slot = 0; slot < r->windows.capacity; slot++) {
        const uint32_t at = r->windows.at + slot * r->windows.entry_len;
        store(word_at(staged.base, at), load(word_at(r->base, at)));
        store(word_at(staged.base, at + 8), 0);
    }
    for (uint32_t slot = 0; slot < r->windows.capacity; slot++) {
        feagi_window_t window;
        feagi_port_copy(&window, image + r->windows.at + slot * sizeof window, sizeof window);
        if (window.used && window.present) {
            const uint32_t at = feagi_areas_claim(&staged, &staged.windows, window.area);
            if (!at) {
                return FEAGI_ERR_FULL;
            }
            store(word_at(staged.base, at + FEAGI_AREAS_VALUE), 1ull << 32 | window.window);
        }
    }
    return 0;
}
_Static_assert(sizeof(feagi_window_t) == 16 && offsetof(feagi_window_t, window) == 8 && offsetof(feagi_window_t, present) == 12,
               "a window's slot is two words");

static uint8_t state_of(const feagi_region_t *r, unsigned field) {
    return (uint8_t)load_sized(r->base + FEAGI_HEADER_LEN_BYTES + feagi_fields[field].offset, 1);
}

int feagi_shared_restore(feagi_region_t *r, const uint8_t *image) {
    int status = feagi_shared_lock(r);
    if (status) {
        return status;
    }
    feagi_shared_close_gate(r);
    uint8_t *staging = r->share->staging;
    for (uint32_t at = 0; at < r->events_at; at += 8) {
        uint64_t word;
        feagi_port_copy(&word, image + at, sizeof word);
        store(word_at(staging, at), word);
    }
    status = place_windows(r, image);
    if (status) {
        feagi_shared_abort(r);
        return status;
    }
    slots_t renamed, leave, come;
    feagi_port_clear(&renamed, sizeof renamed);
    feagi_port_clear(&leave, sizeof leave);
    feagi_port_clear(&come, sizeof come);
    number_slots(r, &renamed, &leave, &come);
    uint8_t states[FEAGI_FIELDS];
    for (unsigned f = 0; f < FEAGI_FIELDS; f++) {
        states[f] = feagi_fields[f].event ? state_of(r, f) : 0;
    }
    const uint64_t group = commit(r->share->trailer, RESTORE);
    make_restore(r);
    conclude(r, group, 1);
    // The events come when it has happened: whoever dies among them leaves some unsaid, and none that is not true.
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        if (has_slot(&leave, slot)) {
            const uint16_t now = agent_at(r, r->base, slot)->generation;
            const uint16_t before = !has_slot(&renamed, slot) ? now : now == 1 ? UINT16_MAX : (uint16_t)(now - 1);
            (void)feagi_events_put(r, FEAGI_EVENT_KIND_AGENT_DEREGISTERED, (uint32_t)before << 16 | slot);
            feagi_shared_make(r);
        }
    }
    for (unsigned f = 0; f < FEAGI_FIELDS; f++) {
        if (feagi_fields[f].event && state_of(r, f) != states[f]) {
            (void)feagi_events_put(r, feagi_fields[f].event, state_of(r, f));
            feagi_shared_make(r);
        }
    }
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        if (has_slot(&come, slot)) {
            const uint16_t now = agent_at(r, r->base, slot)->generation;
            (void)feagi_events_put(r, FEAGI_EVENT_KIND_AGENT_REGISTERED, (uint32_t)now << 16 | slot);
            feagi_shared_make(r);
        }
    }
    unlock(r);
    return 0;
}

#endif
