// RISC-V with 32 bits, with the A extension or without it (ESP32-C3, C6): one core; the other writers are interrupts.
//
// Code that writes runs in machine mode, which MicroPython and ESP-IDF's tasks do. Of the two cores of an RP2350 or ESP32-P4 one
// uses a region.
//
// What interrupts wait for: instructions of each call's longest critical section, from the one that keeps interrupts out to the
// one that lets them in again. Calls that are not named have none. Measured, and written here, by tests/bench/calls.py, which
// counts on an emulated CPU: gcc 12 -Os, profile micro with a link, the slowest case of each call.
//
//                                          RV32IMC
//   feagi_agents_deregister                    220
//   feagi_agents_evict                         220
//   feagi_agents_heartbeat                      66
//   feagi_agents_heartbeat_handle               66
//   feagi_agents_register                      670
//   feagi_areas_get                              5
//   feagi_clock_hear                           560
//   feagi_events_push                           22
//   feagi_hashes_get                             5
//   feagi_hashes_set                            60
//   feagi_image_open                             5
//   feagi_image_restore                        670
//   feagi_image_save                           411
//   feagi_link_make_delta                      229
//   feagi_link_start_deltas                     12
//   feagi_locks_owner                            5
//   feagi_locks_take_over                       66
//   feagi_locks_try_lock                        66
//   feagi_locks_unlock                          66
//   feagi_region_mark                           12
//   feagi_region_set_time                        5
//   feagi_state_add                             96
//   feagi_state_get                              5
//   feagi_state_load_u64                         5
//   feagi_state_set                            108
//   feagi_state_store_u32                       33
//   feagi_state_store_u64                       48
//   feagi_state_subtract                        90
//   feagi_state_write                          144
//   feagi_stats_add                             65
//   feagi_stats_init                           218
//   feagi_stats_set                             44
//   feagi_stats_subtract                        58
//   feagi_stats_update                         277
//   feagi_windows_get                            5
//   feagi_windows_remove                        66
//   feagi_windows_set                           66
//   feagi_windows_set_default                   44
// (end of the table)
#ifndef FEAGI_PORT_RV32_H
#define FEAGI_PORT_RV32_H

typedef uint32_t feagi_port_key_t;

#define FEAGI_PORT_MSTATUS_MIE 8u // as csrrci takes it: at most 5 bits

// Reads mstatus and clears its MIE (1 instruction), sets MIE if it was set (2): nests, and works in interrupts.
static inline feagi_port_key_t feagi_port_lock(void) {
    feagi_port_key_t key;
    __asm volatile("csrrci %0, mstatus, %1" : "=r"(key) : "i"(FEAGI_PORT_MSTATUS_MIE) : "memory");
    return key;
}
static inline void feagi_port_unlock(feagi_port_key_t key) {
    __asm volatile("csrs mstatus, %0" ::"r"(key & FEAGI_PORT_MSTATUS_MIE) : "memory");
}

#if defined(__riscv_div)
#define FEAGI_PORT_DIVIDES 1
#else
#define FEAGI_PORT_DIVIDES 0
#endif
#define FEAGI_PORT_COUNTS 0
#include "feagi_port_masked.h"

#endif
