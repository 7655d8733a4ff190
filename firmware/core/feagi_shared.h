// A region that several threads and processes write: the region, and behind it what its writers need to be many and to die.
//
//     region | feagi_shared_t trailer | feagi_change_t journal[64] | room for an image of the region
//
// A field, hash, window, count or cortical lock is one word: it is written by one atomic store or compare-and-exchange, and no
// writer waits for another. What takes more than one word is a group: its writer holds the trailer's lock, lists the changes in
// the journal, commits by one store, makes the changes, and gives the lock back. A writer that is killed in it has either not
// committed, and nothing happened, or whoever takes the lock next makes the rest of its changes. So no lock is held by the dead.
//
// While a group that changes lock-free words is made, the gate keeps new writers of such words waiting. A writer that passed the
// gate before it closed may still store one word: that is as if it came before or after the group. (Only if it stands still there
// while the group's owner dies, or while a snapshot is taken of a group that is committed and not made, can the two disagree: an
// add that the dead had begun, and that would give the very value that this writer stores, is taken for made; and a snapshot may
// have shown an add of the group before the word that it was then made from.)
//
// A group is made at once for snapshots. Who reads single places finds them as they are made, one after the other, and so may
// find less than a snapshot that was taken before.
//
// Only for ports with FEAGI_PORT_SHARED. The caller owns all memory.
#ifndef FEAGI_SHARED_H
#define FEAGI_SHARED_H

#include "feagi_region.h"

#if FEAGI_PORT_SHARED

// What to do about a process that holds the lock: feagi_share_t.wait's answer.
enum {
    FEAGI_SHARED_WAIT,    // it lives: look again
    FEAGI_SHARED_GONE,    // it is dead: take the lock over
    FEAGI_SHARED_GIVE_UP, // it lives and does not go on
};

// A change of the group that is being made, as its maker keeps it: the journal can be written by others.
typedef struct {
    // Not side by side: a compiler that loaded both at once would have the processor wait for both stores.
    uint64_t value;
    uint64_t what; // kind << 48 | size << 32 | where, a journal's first word
    uint64_t more;
} feagi_shared_own_t;

// One process's hold on a shared region. Filled by feagi_shared_init or _attach but for what the caller sets before.
typedef struct feagi_share {
    const uint64_t *self; // set by the caller: names this process, never 0; read at each use, since a process may fork
    int (*wait)(void *context, uint64_t owner, uint32_t tries); // set by the caller: FEAGI_SHARED_*; may sleep
    bool cached_clock; // set by the caller: the time is what feagi_region_set_time says, else the system's
    bool one_consumer; // set by the caller, alike in all handles: a full ring rejects events (feagi_events.h)
    void *context;     // set by the caller: wait's
    feagi_shared_t *trailer;
    feagi_change_t *journal; // [FEAGI_JOURNAL_CHANGES]
    uint8_t *staging;        // [region.events_at]
    // Of the group that is being made; they belong to whoever holds the lock.
    uint64_t group_ms; // its time
    uint32_t pending;  // changes
    uint32_t pushed;   // events
    uint32_t written;  // writes of the core block
    feagi_shared_own_t own[FEAGI_JOURNAL_CHANGES];
} feagi_share_t;

// Bytes of the file of a shared region of this length; 0 if that does not fit 32 bits. Any context.
uint32_t feagi_shared_len(uint32_t region_len_bytes);

// Makes a new shared region in `mem` (aligned to 64, zeroed, at least feagi_shared_len bytes); see feagi_region_init.
// `pid_namespace`: what process numbers are relative to, 0 if unknown. Nobody else may see the memory yet. Set-up only.
// Returns 0, FEAGI_ERR_LAYOUT or FEAGI_ERR_LENGTH.
int feagi_shared_init(feagi_region_t *r, feagi_share_t *share, void *mem, size_t len_bytes, uint8_t profile, uint32_t boot_id,
                      uint64_t pid_namespace);

// Makes a handle to a shared region that is there. Checks all that later accesses rely on, and writes nothing, so that the
// memory may be read-only. Set-up only. Returns 0, FEAGI_ERR_LAYOUT or FEAGI_ERR_LENGTH.
int feagi_shared_attach(feagi_region_t *r, feagi_share_t *share, void *mem, size_t len_bytes);

// Takes the lock, from the dead if need be, and makes what they had committed. Any thread that does not hold it.
// Returns 0 or FEAGI_ERR_BUSY (share->wait gave up).
int feagi_shared_lock(feagi_region_t *r);

// Closes the gate: from now on the group may change words that others write without the lock. Holder only.
void feagi_shared_close_gate(feagi_region_t *r);

// Kinds of change: what is stored where.
enum {
    FEAGI_SHARED_STORE,    // value, of `size` bytes at `where`
    FEAGI_SHARED_ADD,      // the same plus value; it stays at the size's maximum. The gate must be closed
    FEAGI_SHARED_SUBTRACT, // the same minus value; it stays at 0. The gate must be closed
    FEAGI_SHARED_EVENT,    // the ring's event at position `where`: value is kind << 32 | arg, more its time
    FEAGI_SHARED_AGENT,    // the first word of the agent's slot that lies at `where`: value; more is sequence << 32 | agent_count
    FEAGI_SHARED_KINDS
};

// Adds a change to the group, which takes FEAGI_JOURNAL_CHANGES. Holder only.
static inline void feagi_shared_put(feagi_region_t *r, int kind, uint32_t where, uint32_t size_bytes, uint64_t value,
                                    uint64_t more) {
    feagi_share_t *share = r->share;
    const uint32_t index = share->pending++;
    feagi_change_t *entry = &share->journal[index];
    feagi_shared_own_t *own = &share->own[index];
    own->what = (uint64_t)kind << 48 | (uint64_t)size_bytes << 32 | where;
    own->value = value;
    own->more = more;
    feagi_port_store_u64((uint64_t *)(void *)entry, own->what);
    feagi_port_store_u64(&entry->value, value);
    feagi_port_store_u64(&entry->more, more);
    if (kind == FEAGI_SHARED_ADD || kind == FEAGI_SHARED_SUBTRACT) {
        feagi_port_store_u32(&entry->known, 0);
    }
}

// Makes a group of its own, of an agent that comes or goes: as if FEAGI_SHARED_AGENT with these, its event with `kind` and
// `handle`, and one write of the core block were put and made. The lock stays. Holder only, while nothing is put.
void feagi_shared_make_agent(feagi_region_t *r, uint32_t where, uint64_t value, uint64_t more, uint16_t kind, uint32_t handle);

// Makes the group's changes, all at once for every snapshot, and counts its writes of the core block. A new group begins; the
// lock stays. Holder only.
void feagi_shared_make(feagi_region_t *r);

// The same, and gives the lock back. Holder only.
void feagi_shared_commit(feagi_region_t *r);

// Forgets the group's changes and gives the lock back. Holder only.
void feagi_shared_abort(feagi_region_t *r);

// Copies region[from, from + len_bytes) (both multiples of 8, below events_at) to `out` as it was at one instant, never with
// half of a group in it. Waits for nobody: a group that is committed and not made is made in the copy, but for its count in
// version and last_modified, which may be those before it: so version never promises what the copy does not have. Exact unless
// more than four writers stand still, each between two certain instructions, at the same time. Any thread, read-only memory as
// well.
// Returns 0, or FEAGI_ERR_BUSY: the region was written during each of `tries` copies.
int feagi_shared_snapshot(const feagi_region_t *r, uint64_t *out, uint32_t from, uint32_t len_bytes, uint32_t tries);

// The same with the gate closed: for regions that are written all the time. Any thread, writable memory.
// Returns 0 or FEAGI_ERR_BUSY.
int feagi_shared_snapshot_locked(feagi_region_t *r, uint64_t *out, uint32_t from, uint32_t len_bytes);

// Replaces core block, hashes, agents, windows and statistics by those of `image`, another region's first events_at bytes that
// feagi_image_check found good, all at once for every snapshot; who reads without one may see the old and the new for a moment.
// Cortical locks stay: their owners live here. An agent that is there and in the image, registered at the same time, keeps its
// handle. Then come the events of what has changed. Any thread, writable memory.
// Returns 0, FEAGI_ERR_BUSY, or FEAGI_ERR_FULL (the areas that have had a window here, and the image's, are too many): errors
// change nothing.
int feagi_shared_restore(feagi_region_t *r, const uint8_t *image);

#endif
#endif
