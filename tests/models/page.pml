/* The pages of feagi_mirror.c: an owner publishes a page of two pairs, may be killed at any step, and may have a successor,
 * which takes over; a reader calls feagi_mirror_read and feagi_mirror_load. Readers store nothing, so one stands for all.
 *
 * A pair's value is the number of the version that changed it last. A version changes both pairs, or one: the second or the
 * first in turn. The owners publish VERSIONS times in all, and the sequence number wraps at NUMBERS meanwhile. NUMBERS must
 * be more than a reader can miss within one call, as 2^32 is for anything but a reader that sleeps in it for 2^31
 * publications; with fewer (test_models.py) a torn page is found.
 *
 * Properties (each an assertion):
 *   - a page that read gave is one version as it was published, and none that was never published whole;
 *   - no reader goes back: neither read nor load gives something older than either gave before, or than what was published
 *     when the call began; a load that ran out of tries is not older, but may be of a page that is being published;
 *   - nobody waits: a reader's call is a fixed number of steps, and fails only if the number moved meanwhile, so that it succeeds
 *     while the owner is dead, whatever step it died at; that readers go on without an owner would else be a deadlock;
 *   - after take_over region and shadow are equal and a whole version; that it was published, readers see.
 */
#define RELAXED 0
#define RELEASE 1
#ifndef VERSIONS
#define VERSIONS 3
#endif
#ifndef NUMBERS
#define NUMBERS 16
#endif
#ifndef KILLS
#define KILLS 1 /* at most so many */
#endif
#define START (NUMBERS - 2)
#define TRIES 2 /* for FEAGI_MIRROR_READ_TRIES */
#define AFTER(number, count) (((number) + (count)) % NUMBERS)

/* Places in memory. */
#define SEQUENCE 0
#define REGION 1
#define SHADOW 3
#define LOCATIONS 5

#define OWNER 0
#define THREADS 1
/* All stores are release stores, which wait in order, and readers store nothing: how many may wait makes a difference to the
 * mutations only. */
#ifndef DEPTH
#define DEPTH 1
#endif

#ifdef MUTATE_ODD_RELAXED
#define ODD RELAXED
#else
#define ODD RELEASE
#endif
#ifdef MUTATE_REGION_RELAXED
#define REGION_STORE RELAXED
#else
#define REGION_STORE RELEASE
#endif
#ifdef MUTATE_EVEN_RELAXED
#define EVEN RELAXED
#else
#define EVEN RELEASE
#endif
#ifdef MUTATE_SHADOW_RELAXED
#define SHADOW_STORE RELAXED
#else
#define SHADOW_STORE RELEASE
#endif
#ifdef MUTATE_TAKE_OVER_RELAXED
#define COPY_STORE RELAXED
#else
#define COPY_STORE RELEASE
#endif
#ifdef MUTATE_TAKE_OVER_EVEN_RELAXED
#define TAKE_OVER_EVEN RELAXED
#else
#define TAKE_OVER_EVEN RELEASE
#endif

byte k; /* counts within a step */
bool killed;
byte kills;

/* For the properties. */
byte first[VERSIONS + 1], second[VERSIONS + 1]; /* the pairs of each version */
bool published[VERSIONS + 1];
byte newest; /* version that was published whole */
bool moved;  /* the number, since the reader's call began */

#define writes(t, place) true /* the owner all of them */
#define may_release(t) true

inline performed(t, at, now, order, note) {
    if
    :: at == SEQUENCE ->
        moved = true;
        if
        :: note > 0 -> published[note] = true; newest = note;
        :: else -> skip;
        fi;
    :: else -> skip;
    fi;
}

#include "memory.pml"

#define OWN(place) thread[OWNER].sees[place]

/* --------------------------------------------------------------------------------------------------------------- owner */

inline copy_pairs(to, from) {
    /* feagi_mirror.c copy_pairs: for (uint32_t i = 0; i < len_bytes; i += PAIR) { */
    /* feagi_mirror.c copy_pairs: feagi_port_store_u64(pair_at(to, offset + i), feagi_port_load_u64(pair_at(from, offset + i))); } */
    do
    :: i < 2 -> store(OWNER, to + i, OWN(from + i), COPY_STORE, 0); i++;
    :: else -> i = 0; break;
    od;
}

inline take_over() {
    /* feagi_mirror.c feagi_mirror_take_over: for (uint32_t page = 0; page < m->region.pages; page++) { */
    /* feagi_mirror.c feagi_mirror_take_over: uint32_t len_bytes; */
    /* feagi_mirror.c feagi_mirror_take_over: const uint32_t offset = feagi_region_page(&m->region, page, &len_bytes); */
    /* feagi_mirror.c feagi_mirror_take_over: const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]); */
    sequence = OWN(SEQUENCE);
    /* feagi_mirror.c feagi_mirror_take_over: if (sequence & 1) { */
    if
    :: sequence & 1 ->
#ifdef MUTATE_TAKE_OVER_EVEN_FIRST
        store(OWNER, SEQUENCE, AFTER(sequence, 1), TAKE_OVER_EVEN, 0);
        copy_pairs(REGION, SHADOW);
#else
        /* feagi_mirror.c feagi_mirror_take_over: copy_pairs(m->region.base, m->shadow, offset, len_bytes); */
        copy_pairs(REGION, SHADOW);
        /* feagi_mirror.c feagi_mirror_take_over: feagi_port_store_u32(&m->page_sequence[page], sequence + 1); } else { */
        store(OWNER, SEQUENCE, AFTER(sequence, 1), TAKE_OVER_EVEN, 0);
#endif
    :: else ->
        /* feagi_mirror.c feagi_mirror_take_over: copy_pairs(m->shadow, m->region.base, offset, len_bytes); } } */
#ifndef MUTATE_TAKE_OVER_NO_SHADOW
        copy_pairs(SHADOW, REGION);
#else
        skip;
#endif
    fi;
    skip;
    d_step {
        assert(OWN(REGION) == OWN(SHADOW) && OWN(REGION + 1) == OWN(SHADOW + 1));
        v = (OWN(REGION) > OWN(REGION + 1) -> OWN(REGION) : OWN(REGION + 1));
        assert(first[v] == OWN(REGION) && second[v] == OWN(REGION + 1));
        sequence = 0; v = 0;
    }
}

/* Stores a pair if it changes. */
inline store_changed(place, pair, order) {
    if
    :: pair != OWN(place) -> store(OWNER, place, pair, order, 0);
    :: else -> skip;
    fi;
}

inline store_shadow() {
    store_changed(SHADOW, OWN(REGION), SHADOW_STORE);
    store_changed(SHADOW + 1, OWN(REGION + 1), SHADOW_STORE);
}

inline publish() {
    /* feagi_mirror.c publish: uint32_t len_bytes; const uint32_t offset = feagi_region_page(&m->region, page, &len_bytes); */
    /* feagi_mirror.c publish: const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]); */
    atomic {
        version < VERSIONS;
        sequence = OWN(SEQUENCE);
        version++;
        if
        :: first[version] = version; second[version] = version;
        :: (version & 1) -> first[version] = OWN(REGION); second[version] = version;
        :: !(version & 1) -> first[version] = version; second[version] = OWN(REGION + 1);
        fi;
    }
#ifdef MUTATE_REGION_FIRST
    store_changed(REGION, first[version], REGION_STORE);
#endif
    /* feagi_mirror.c publish: feagi_port_store_u32(&m->page_sequence[page], sequence + 1); */
    store(OWNER, SEQUENCE, AFTER(sequence, 1), ODD, 0);
#ifdef MUTATE_EVEN_FIRST
    store(OWNER, SEQUENCE, AFTER(sequence, 2), EVEN, version);
#endif
    /* feagi_mirror.c publish: for (uint32_t i = 0; i < len_bytes; i += PAIR) { */
    /* feagi_mirror.c publish: uint64_t pair; feagi_port_copy(&pair, bytes + i, PAIR); */
    /* feagi_mirror.c publish: if (pair != *pair_at(m->region.base, offset + i)) { */
    /* feagi_mirror.c publish: feagi_port_store_u64(pair_at(m->region.base, offset + i), pair); } } */
    store_changed(REGION, first[version], REGION_STORE);
    store_changed(REGION + 1, second[version], REGION_STORE);
#ifdef MUTATE_SHADOW_FIRST
    store_shadow();
#endif
    /* feagi_mirror.c publish: feagi_port_store_u32(&m->page_sequence[page], sequence + 2); */
#ifndef MUTATE_EVEN_FIRST
    store(OWNER, SEQUENCE, AFTER(sequence, 2), EVEN, version);
#endif
    /* feagi_mirror.c publish: for (uint32_t i = 0; i < len_bytes; i += PAIR) { */
    /* feagi_mirror.c publish: const uint64_t pair = *pair_at(m->region.base, offset + i); */
    /* feagi_mirror.c publish: if (pair != *pair_at(m->shadow, offset + i)) { */
    /* feagi_mirror.c publish: feagi_port_store_u64(pair_at(m->shadow, offset + i), pair); } } */
#ifndef MUTATE_NO_SHADOW
    store_shadow();
#endif
    /* feagi_mirror.c publish: count_publication(m); */
    sequence = 0;
}

proctype owner() {
    byte sequence, i, v, version;

    goto published_before; /* the first owner's page is even and whole: feagi_mirror_init */
again:
    {
#ifndef MUTATE_NO_TAKE_OVER
        take_over();
#endif
published_before:
        do
        :: publish();
        :: version == VERSIONS -> break;
        od;
        goto end;
    } unless {
        d_step { killed; killed = false; sequence = 0; i = 0; v = 0; }
    };
    if
    :: goto again;
    :: skip; /* no successor */
    fi;
end:
    skip;
}

/* Any step may be the owner's last. */
proctype kill() {
end:
    do
    :: atomic { !killed && kills < KILLS -> kills++; crash(OWNER, 0); killed = true; }
    od;
}

/* -------------------------------------------------------------------------------------------------------------- reader */

/* feagi_mirror.c whole: return sequence & 1 ? m->shadow : m->region.base; */
#define WHOLE(number) ((number) & 1 -> SHADOW : REGION)

inline call_begins() {
    d_step {
        moved = false;
        floor = (newest > floor -> newest : floor);
    }
}

inline call_ends() {
    sequence = 0; from = 0; a = 0; b = 0; v = 0; ok = false; pair = 0;
}

inline read() {
    call_begins();
    /* feagi_mirror.c feagi_mirror_read: uint32_t len_bytes; */
    /* feagi_mirror.c feagi_mirror_read: const uint32_t offset = feagi_region_page(&m->region, page, &len_bytes); */
#ifdef MUTATE_FIRST_LOAD_RELAXED
    /* The pairs may be loaded before the number that chooses the copy; a processor that guessed wrong loads again. */
    if
    :: from = REGION;
    :: from = SHADOW;
    fi;
    a = memory[from];
    b = memory[from + 1];
    sequence = memory[SEQUENCE];
    if
    :: from == WHOLE(sequence) -> skip;
    :: else -> from = WHOLE(sequence); a = memory[from]; b = memory[from + 1];
    fi;
#else
    /* feagi_mirror.c feagi_mirror_read: const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]); */
    /* feagi_mirror.c feagi_mirror_read: uint8_t *from = whole(m, sequence); */
    d_step { sequence = memory[SEQUENCE]; from = WHOLE(sequence); }
    /* feagi_mirror.c feagi_mirror_read: for (uint32_t i = 0; i < len_bytes; i += PAIR) { */
    /* feagi_mirror.c feagi_mirror_read: const uint64_t pair = feagi_port_load_u64(pair_at(from, offset + i)); */
    /* feagi_mirror.c feagi_mirror_read: feagi_port_copy(out + i, &pair, PAIR); } */
    a = memory[from];
#ifndef MUTATE_PAIR_LOADS_RELAXED
    b = memory[from + 1];
#endif
#endif
    /* feagi_mirror.c feagi_mirror_read: return feagi_port_load_u32(&m->page_sequence[page]) == sequence; */
    ok = (memory[SEQUENCE] == sequence);
#ifdef MUTATE_NO_SECOND_CHECK
    ok = true;
#endif
#ifdef MUTATE_PAIR_LOADS_RELAXED
    b = memory[from + 1]; /* the number may be loaded before a pair */
#endif
    d_step {
        assert(ok || moved);
        if
        :: ok ->
            v = (a > b -> a : b);
            assert(published[v]);
            assert(a == first[v] && b == second[v]);
            assert(a >= first[floor] && b >= second[floor]);
            floor = (v > floor -> v : floor);
        :: else -> skip;
        fi;
        call_ends();
    }
}

inline load() {
    /* feagi_mirror.c feagi_mirror_load: const int page = feagi_region_page_of(&m->region, offset); */
    /* feagi_mirror.c feagi_mirror_load: const uint32_t at = offset & ~(PAIR - 1); uint64_t pair = 0; if (page >= 0) { */
    if
    :: pair = 0;
    :: pair = 1;
    fi;
    skip; /* Spin does not let a choice or a loop end at a d_step */
    call_begins();
    /* feagi_mirror.c feagi_mirror_load: for (uint32_t tries = 0; tries < FEAGI_MIRROR_READ_TRIES; tries++) { */
    tries = 0;
    do
    :: tries < TRIES && !ok ->
        /* feagi_mirror.c feagi_mirror_load: const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]); */
        sequence = memory[SEQUENCE];
        /* feagi_mirror.c feagi_mirror_load: pair = feagi_port_load_u64(pair_at(whole(m, sequence), at)); */
#ifdef MUTATE_LOAD_REGION_ONLY
        a = memory[REGION + pair];
#else
        a = memory[WHOLE(sequence) + pair];
#endif
        /* feagi_mirror.c feagi_mirror_load: if (feagi_port_load_u32(&m->page_sequence[page]) == sequence) { break; } } } */
        ok = (memory[SEQUENCE] == sequence);
#ifdef MUTATE_LOAD_NO_CHECK
        ok = true;
#endif
        tries++;
    :: else -> break;
    od;
    skip;
    /* feagi_mirror.c feagi_mirror_load: pair >>= 8 * (offset - at); */
    /* feagi_mirror.c feagi_mirror_load: return size_bytes < PAIR ? pair & ((1ull << 8 * size_bytes) - 1) : pair; */
    d_step {
        assert(ok || moved);
        assert(a >= (pair -> second[floor] : first[floor]));
        if
        :: ok ->
            assert(published[a]);
            assert(a == (pair -> second[a] : first[a]));
            floor = (a > floor -> a : floor);
        :: else -> skip;
        fi;
        tries = 0;
        call_ends();
    }
}

proctype reader() {
    byte sequence, from, a, b, v, tries, pair;
    byte floor; /* the newest version of which this reader may know */
    bool ok;

    do
    :: read();
    :: load();
    od;
}

init {
    atomic {
        memory[SEQUENCE] = START;
        thread[OWNER].sees[SEQUENCE] = START;
        published[0] = true;
        run owner();
        run reader();
        run store_buffer(OWNER);
        run kill();
    }
}
