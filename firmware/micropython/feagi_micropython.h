// For C that is built into the same firmware as the module (USER_C_MODULES): drivers, interrupts and RTOS tasks that write the
// state that the Python program reads with StateManager.instance(), and that a Link carries to a PC.
//
//     static feagi_region_t *region;
//     region = feagi_micropython_region();                                   // once, before the interrupt is on
//     feagi_state_add(region, FEAGI_FIELD_NEURON_COUNT, 5, NULL);            // in the interrupt: every call that its header
//     feagi_events_push(region, FEAGI_USER_EVENT_BASE, sample);              // calls ISR-safe
//
// Python's StateManager and Link stay with MicroPython's own context: they are the consumer of the events, and they move the
// region's clock, at each Link.poll() or tick(); C writes with the time of the last one.
#ifndef FEAGI_MICROPYTHON_H
#define FEAGI_MICROPYTHON_H

#include "feagi_region.h"

// The profile of StateManager.instance() in a firmware: TINY or MICRO. Its region is static memory.
#ifndef FEAGI_MICROPYTHON_PROFILE
#define FEAGI_MICROPYTHON_PROFILE MICRO
#endif

// The region of StateManager.instance(), which the first of both calls makes. The pointer is good for ever. Without this call
// each soft reset is the end of the state, as of all that a program has; from it on the state belongs to the firmware: interrupts
// and tasks go on writing while MicroPython restarts, and the next program finds what they wrote, the agents and locks of the
// program before, and the same boot_id. A Link is of its program: the next one makes another. Set-up only, and in one context:
// afterwards use the pointer, in any.
feagi_region_t *feagi_micropython_region(void);

#endif
