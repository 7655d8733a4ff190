/* The event ring of feagi_events.c: one producer, one consumer, each of which may crash at any step and be started again, or not.
 *
 * A ring of CAPACITY slots, positions that wrap at POSITIONS. An event is kind and arg, of the same number, which differs from that
 * of every other event in the ring, its slots and on its way there. reserved is as kind, time_ms as arg. A slot's 64-bit words may
 * be stored and loaded in halves: sequence and kind each by itself.
 * With CONTEXTS=2 the producer is two contexts, a program and an interrupt on the same core: they see each other's stores at once.
 * With CRASH_CONSUMER the consumer may crash without end; the producer does at most CRASH_PRODUCER times.
 *
 * Properties (each an assertion):
 *   - peek gives the accepted events in order: whole, none lost, none twice; and it finds all that were accepted;
 *   - push rejects when CAPACITY events are not yet released and only then, and the count of rejected ones is exact;
 *   - no data race: a slot is written only when the release of its last event happens before;
 *   - a crashed producer takes at most the event it was pushing with it; a crashed consumer's successor begins with the first
 *     event that was not released.
 *   - neither side waits for the other: a crashed one may have no successor, and if the other then came to a stop, Spin would
 *     find a deadlock. (Only an interrupt's push waits for the section of another.)
 */
#define RELAXED 0
#define RELEASE 1
#define CAPACITY 2
#define MASK (CAPACITY - 1)
#ifndef POSITIONS
#define POSITIONS 8
#endif
#ifndef CRASH_PRODUCER
#define CRASH_PRODUCER 0 /* at most so often */
#endif
#define COUNTS 2 /* rejected wraps here */
#define AFTER(position, count) (((position) + (count)) % POSITIONS)
#define DISTANCE(to, from) (((to) + POSITIONS - (from)) % POSITIONS)

/* Places in memory. */
#define HEAD 0
#define TAIL 1
#define REJECTED 2
#define KIND(position) (3 + 3 * ((position) & MASK))
#define ARG(position) (4 + 3 * ((position) & MASK))
#define SEQUENCE(position) (5 + 3 * ((position) & MASK))
#define LOCATIONS (3 + 3 * CAPACITY)

/* Threads. */
#define PRODUCER 0
#define CONSUMER 1
#define THREADS 2
#ifndef CONTEXTS
#define CONTEXTS 1
#endif

/* 8: two pushes of four stores. A third one's begin when the place of the first one's event was released, so after its head
 * store; only stores of rejected can make the list longer. */
#ifndef DEPTH
#define DEPTH 8
#endif

#ifdef MUTATE_HEAD_STORE_RELAXED
#define HEAD_STORE RELAXED
#else
#define HEAD_STORE RELEASE
#endif
#ifdef MUTATE_TAIL_STORE_RELAXED
#define TAIL_STORE RELAXED
#else
#define TAIL_STORE RELEASE
#endif
#ifdef MUTATE_ONE_TOO_MANY
#define LIMIT (MASK + 1)
#else
#define LIMIT MASK
#endif

/* For the properties: the events that were accepted and not released, what calls returned, and what happens before what. */
byte events[4];
byte attempt;       /* crashes of the producer: what one was pushing is another event than what its successor pushes there */
byte accepted;      /* events in it */
byte pushed;        /* pushes that returned 0 */
byte refused;       /* pushes that returned FEAGI_ERR_FULL */
byte released;      /* events of releases that returned, */
byte releasing;     /* and of the one that has not */
byte released_tail; /* the last tail that was stored in release order */
byte synced_tail;   /* the last of these that the producer has acquired */

/* The consumer's loads of a slot that are late: plain loads, in any order. */
#define LOADS_KIND 1
#define LOADS_ARG 2
#define LOADS_SEQUENCE 4
byte loading;
byte loading_position;
byte loading_event;
byte before_loads; /* the consumer's waiting stores that are older than them */

byte k; /* counts within a step */
bool locked;
bool crashed[THREADS];

#define writes(t, place) ((t == CONSUMER) == (place == TAIL))
#define may_release(t) (t == PRODUCER || before_loads > 0 || loading == 0)

inline performed(t, at, now, order, note) {
    if
    :: at == HEAD ->
        assert(accepted < CAPACITY);
        events[accepted] = note;
        accepted++;
    :: at == TAIL ->
        assert(accepted >= note);
        accepted = accepted - note;
        k = 0;
        do
        :: k < 4 -> events[k] = (k + note < 4 -> events[k + note] : 0); k++;
        :: else -> break;
        od;
        released_tail = (order == RELEASE -> now : released_tail);
    :: else -> skip;
    fi;
    if
    :: t == CONSUMER && before_loads > 0 -> before_loads--;
    :: else -> skip;
    fi;
}

#include "memory.pml"

/* After a crash: a successor, or none. */
inline succeed() {
    if
    :: goto again;
    :: skip;
    fi;
}

/* ------------------------------------------------------------------------------------------------------------ producer */

inline begin_push() {
    /* feagi_events.c push_exclusive: feagi_ring_t *ring = ring_of(r); */
    /* feagi_events.c push_exclusive: feagi_port_key_t key = feagi_port_lock(); */
    d_step {
#ifndef MUTATE_NO_LOCK
        !locked;
#endif
        locked = true;
        /* feagi_events.c push_exclusive: uint32_t head = ring->head; */
        head = thread[PRODUCER].sees[HEAD];
    }
    /* feagi_events.c push_exclusive: bool full = head - feagi_port_load_u32(&ring->tail) > r->events_mask; */
    d_step {
        rejects = DISTANCE(head, memory[TAIL]) > LIMIT;
#ifndef MUTATE_TAIL_LOAD_RELAXED
        synced_tail = released_tail;
#endif
        /* What is accepted: what is in memory, and the older pushes that wait. */
        assert(rejects == (accepted + DISTANCE(head, memory[HEAD]) >= CAPACITY));
    }
}

inline reject() {
    /* feagi_events.c push_exclusive: if (full) { */
    /* feagi_events.c push_exclusive: feagi_port_store_u32(&ring->rejected, ring->rejected + 1); } else { */
#ifndef MUTATE_REJECTED_NOT_COUNTED
    store(PRODUCER, REJECTED, (thread[PRODUCER].sees[REJECTED] + 1) % COUNTS, RELEASE, 0);
#else
    skip;
#endif
}

inline store_slot() {
    d_step {
        /* No data race. A store is never made before the test that leads to it, here or on any CPU, so that without acquire
         * order of tail the values would be right all the same; C11 promises nothing then. */
        assert(DISTANCE(head, synced_tail) < CAPACITY);
    }
    /* feagi_events.c push_exclusive: slot_t *slot = slot_of(r, head); */
    /* feagi_events.c push_exclusive: slot->first = first_half(head, kind); */
    store(PRODUCER, KIND(head), event, RELAXED, 0);
    store(PRODUCER, SEQUENCE(head), AFTER(head, 1), RELAXED, 0);
    /* feagi_events.c push_exclusive: slot->second = second_half(arg, r->now_ms); */
    store(PRODUCER, ARG(head), event, RELAXED, 0);
}

inline push() {
    begin_push();
    if
    :: rejects -> reject();
    :: else ->
        event = (CRASH_PRODUCER + 1) * head + attempt;
#ifdef MUTATE_HEAD_BEFORE_SLOT
        store(PRODUCER, HEAD, AFTER(head, 1), HEAD_STORE, event);
        store_slot();
#else
        store_slot();
        /* feagi_events.c push_exclusive: feagi_port_store_u32(&ring->head, head + 1); } */
        store(PRODUCER, HEAD, AFTER(head, 1), HEAD_STORE, event);
#endif
    fi;
    /* feagi_events.c push_exclusive: feagi_port_unlock(key); return full ? FEAGI_ERR_FULL : 0; */
    d_step {
        settle(PRODUCER);
        refused = (refused + rejects) % COUNTS;
        pushed = AFTER(pushed, 1 - rejects);
        assert(thread[PRODUCER].sees[REJECTED] == refused);
        assert(thread[PRODUCER].sees[HEAD] == pushed);
        locked = false;
        head = 0; event = 0; rejects = false;
    }
}

proctype producer() {
    byte head;
    byte event;
    bool rejects;

again:
    {
        do
        :: push();
        od;
    } unless {
        d_step { crashed[PRODUCER]; crashed[PRODUCER] = false; head = 0; event = 0; rejects = false; }
    };
    succeed();
}

/* ------------------------------------------------------------------------------------------------------------ consumer */

#ifdef MUTATE_HEAD_LOAD_RELAXED
byte early_kind, early_arg; /* loaded before head */
#endif

inline release() {
    /* feagi_events.c feagi_events_release: feagi_ring_t *ring = ring_of(r); */
    /* feagi_events.c feagi_events_release: feagi_port_store_u32(&ring->tail, ring->tail + count); */
    store(CONSUMER, TAIL, AFTER(thread[CONSUMER].sees[TAIL], releasing), TAIL_STORE, releasing);
    d_step {
        settle(CONSUMER);
        released = AFTER(released, releasing);
        seen = seen - releasing;
        releasing = 0;
    }
}

inline peek() {
    /* feagi_events.c feagi_events_peek: const feagi_ring_t *ring = ring_of(r); uint32_t tail = ring->tail; */
    d_step {
        loading == 0; /* late are the loads of one call at a time */
        tail = thread[CONSUMER].sees[TAIL];
    }
#ifdef MUTATE_HEAD_LOAD_RELAXED
    d_step { early_kind = memory[KIND(tail + ahead)]; early_arg = memory[ARG(tail + ahead)]; }
#endif
    /* feagi_events.c feagi_events_peek: if (feagi_port_load_u32(&ring->head) - tail <= ahead) { return 0; } */
    d_step {
        found = DISTANCE(memory[HEAD], tail) > ahead;
        assert(found == (accepted > DISTANCE(tail, memory[TAIL]) + ahead));
        /* feagi_events.c feagi_events_peek: const slot_t *slot = slot_of(r, tail + ahead); */
        /* feagi_events.c feagi_events_peek: take_apart(event, slot->first, slot->second); return 1; */
        if
        :: found ->
            loading = LOADS_KIND | LOADS_ARG | LOADS_SEQUENCE;
            loading_position = AFTER(tail, ahead);
            loading_event = events[DISTANCE(tail, memory[TAIL]) + ahead];
            before_loads = thread[CONSUMER].waiting;
            seen = (ahead == seen -> seen + 1 : seen);
#ifdef MUTATE_HEAD_LOAD_RELAXED
            assert(early_kind == loading_event && early_arg == loading_event);
#endif
#ifdef MUTATE_RELEASE_FIRST
            before_loads = CAPACITY; /* as if the loads were younger than the release that follows */
#endif
        :: else -> skip;
        fi;
        tail = 0; ahead = 0; found = false;
#ifdef MUTATE_HEAD_LOAD_RELAXED
        early_kind = 0; early_arg = 0;
#endif
    }
}

proctype consumer() {
    byte tail, ahead, seen;
    bool found;

again:
    {
        do
        :: peek();
        :: seen == 1 -> ahead = 1; peek();
        :: seen > 0 -> releasing = 1; release();
        :: seen > 1 -> releasing = 2; release();
        od;
    } unless {
        d_step {
            crashed[CONSUMER];
            crashed[CONSUMER] = false;
            loading = 0; loading_position = 0; loading_event = 0; before_loads = 0;
            tail = 0; ahead = 0; seen = 0; found = false;
        }
    };
    succeed();
}

inline loaded(load) {
    loading = loading & ~load;
    if
    :: loading == 0 -> loading_position = 0; loading_event = 0; before_loads = 0;
    :: else -> skip;
    fi;
}

/* The loads of a slot, each when it likes. */
proctype late_loads() {
end:
    do
    :: d_step { (loading & LOADS_KIND) -> assert(memory[KIND(loading_position)] == loading_event); loaded(LOADS_KIND); }
    :: d_step { (loading & LOADS_ARG) -> assert(memory[ARG(loading_position)] == loading_event); loaded(LOADS_ARG); }
    :: d_step {
        (loading & LOADS_SEQUENCE) ->
        assert(memory[SEQUENCE(loading_position)] == AFTER(loading_position, 1));
        loaded(LOADS_SEQUENCE);
       }
    od;
}

/* ------------------------------------------------------------------------------------------------------------- crashes */

/* Any step may be a process's last. Its successor begins at once or later, which is the same here. */
inline end_call(t) {
    atomic {
        !crashed[t] && (t == CONSUMER || attempt < CRASH_PRODUCER) ->
        crash(t, thread[t].settled);
        d_step {
            crashed[t] = true;
            if
            :: t == PRODUCER ->
                assert(thread[t].sees[HEAD] == pushed || thread[t].sees[HEAD] == AFTER(pushed, 1));
                assert(thread[t].sees[REJECTED] == refused || thread[t].sees[REJECTED] == (refused + 1) % COUNTS);
                pushed = thread[t].sees[HEAD];
                refused = thread[t].sees[REJECTED];
                attempt++;
                locked = false;
            :: else ->
                assert(thread[t].sees[TAIL] == released || thread[t].sees[TAIL] == AFTER(released, releasing));
                released = thread[t].sees[TAIL];
                releasing = 0;
            fi;
        }
    }
}

#if CRASH_PRODUCER || defined(CRASH_CONSUMER)
proctype crashes() {
end:
    do
#if CRASH_PRODUCER
    :: end_call(PRODUCER);
#endif
#ifdef CRASH_CONSUMER
    :: end_call(CONSUMER);
#endif
    od;
}
#endif

init {
    atomic {
        run producer();
#if CONTEXTS == 2
        run producer();
#endif
        run consumer();
        run late_loads();
        run store_buffer(PRODUCER);
        run store_buffer(CONSUMER);
#if CRASH_PRODUCER || defined(CRASH_CONSUMER)
        run crashes();
#endif
    }
}
