// Cortex-M: M0, M0+ (armv6m), M3, M4, M7 (armv7m, armv7em), M23, M33 (armv8m). One core; the other writers are interrupts.
//
// Code that writes runs privileged, which MicroPython and FreeRTOS tasks without an MPU do: elsewhere the CPU ignores cpsid. NMI
// and HardFault handlers, which cpsid does not keep out, do not write. Of an RP2040's or RP2350's two cores one uses a region.
//
// What interrupts wait for: instructions of each call's longest critical section, from the one that keeps interrupts out to the
// one that lets them in again. Calls that are not named have none. Measured, and written here, by tests/bench/calls.py, which
// counts on an emulated CPU: gcc 12 -Os, profile micro with a link, the slowest case of each call.
//
//                                        Cortex-M0   Cortex-M3
//   feagi_agents_deregister                    277         214
//   feagi_agents_evict                         277         214
//   feagi_agents_heartbeat                      93          69
//   feagi_agents_heartbeat_handle               93          69
//   feagi_agents_register                      820         618
//   feagi_areas_get                              4           3
//   feagi_clock_hear                           524         448
//   feagi_events_push                           28          20
//   feagi_hashes_get                             4           3
//   feagi_hashes_set                            76          60
//   feagi_image_open                             4           3
//   feagi_image_restore                        820         618
//   feagi_image_save                           505         411
//   feagi_link_make_delta                      172         162
//   feagi_link_start_deltas                     14           9
//   feagi_locks_owner                            4           3
//   feagi_locks_take_over                       93          69
//   feagi_locks_try_lock                        93          69
//   feagi_locks_unlock                          93          69
//   feagi_region_mark                           14           9
//   feagi_region_set_time                        4           3
//   feagi_state_add                            119          91
//   feagi_state_get                              3           4
//   feagi_state_load_u64                         4           3
//   feagi_state_set                            125          94
//   feagi_state_store_u32                       35          24
//   feagi_state_store_u64                       54          36
//   feagi_state_subtract                       117          86
//   feagi_state_write                          171         131
//   feagi_stats_add                             82          67
//   feagi_stats_init                           295         232
//   feagi_stats_set                             57          45
//   feagi_stats_subtract                        78          60
//   feagi_stats_update                         323         260
//   feagi_windows_get                            4           3
//   feagi_windows_remove                        93          69
//   feagi_windows_set                           93          69
//   feagi_windows_set_default                   57          45
// (end of the table)
#ifndef FEAGI_PORT_CORTEXM_H
#define FEAGI_PORT_CORTEXM_H

typedef uint32_t feagi_port_key_t;

// Saves and sets PRIMASK (2 instructions), restores it (1): nests, and works in interrupts.
static inline feagi_port_key_t feagi_port_lock(void) {
    feagi_port_key_t key;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(key)::"memory");
    return key;
}
static inline void feagi_port_unlock(feagi_port_key_t key) {
    __asm volatile("msr primask, %0" ::"r"(key) : "memory");
}

// All but the M0 and M0+ divide, and all but these and the M23 count.
#if defined(__ARM_FEATURE_IDIV)
#define FEAGI_PORT_DIVIDES 1
#else
#define FEAGI_PORT_DIVIDES 0
#endif
#if defined(__ARM_FEATURE_CLZ)
#define FEAGI_PORT_COUNTS 1
#else
#define FEAGI_PORT_COUNTS 0
#endif
#include "feagi_port_masked.h"

#endif
