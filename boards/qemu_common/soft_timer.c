// machine.Timer's engine: the API of MicroPython's shared/runtime/softtimer.h.
//
// MicroPython's own implementation drops a callback for which the scheduler's
// queue has no room, and a ONE_SHOT timer that meets a full queue never fires.
// This one tries again at the next tick.

#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/softtimer.h"

// The running timers, linked through pairheap.next, in no particular order. All
// are objects on the GC heap, so the list's head as a root pointer keeps them,
// their callbacks and their successors alive.
MP_REGISTER_ROOT_POINTER(struct _soft_timer_entry_t *soft_timer_list);

static soft_timer_entry_t *next_of(soft_timer_entry_t *entry) {
    return (soft_timer_entry_t *)entry->pairheap.next;
}

// Forgets all timers: their memory is about to be swept at a soft reset.
void soft_timer_deinit(void) {
    MP_STATE_PORT(soft_timer_list) = NULL;
}

static void unlink(soft_timer_entry_t *entry) {
    soft_timer_entry_t *prev = NULL;
    for (soft_timer_entry_t *e = MP_STATE_PORT(soft_timer_list); e != NULL; prev = e, e = next_of(e)) {
        if (e != entry) {
            continue;
        }
        if (prev == NULL) {
            MP_STATE_PORT(soft_timer_list) = next_of(entry);
        } else {
            prev->pairheap.next = entry->pairheap.next;
        }
        entry->pairheap.next = NULL;
        return;
    }
}

// Called by the tick interrupt.
void soft_timer_handler(void) {
    uint32_t now = mp_hal_ticks_ms();
    soft_timer_entry_t *next;
    for (soft_timer_entry_t *e = MP_STATE_PORT(soft_timer_list); e != NULL; e = next) {
        next = next_of(e);
        int32_t late_ms = soft_timer_ticks_diff(now, e->expiry_ms);
        if (late_ms < 0 || !mp_sched_schedule(e->py_callback, MP_OBJ_FROM_PTR(e))) {
            continue;
        }
        if (e->mode == SOFT_TIMER_MODE_PERIODIC) {
            // Whole periods missed are skipped rather than made up in a burst.
            e->expiry_ms += e->delta_ms * (late_ms / e->delta_ms + 1);
        } else {
            unlink(e);
        }
    }
}

void soft_timer_insert(soft_timer_entry_t *entry, uint32_t initial_delta_ms) {
    uint32_t irq = MICROPY_BEGIN_ATOMIC_SECTION();
    entry->expiry_ms = mp_hal_ticks_ms() + initial_delta_ms;
    entry->pairheap.next = (mp_pairheap_t *)MP_STATE_PORT(soft_timer_list);
    MP_STATE_PORT(soft_timer_list) = entry;
    MICROPY_END_ATOMIC_SECTION(irq);
}

void soft_timer_remove(soft_timer_entry_t *entry) {
    uint32_t irq = MICROPY_BEGIN_ATOMIC_SECTION();
    unlink(entry);
    MICROPY_END_ATOMIC_SECTION(irq);
}
