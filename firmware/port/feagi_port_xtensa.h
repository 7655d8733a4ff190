// Xtensa: ESP32 and ESP32-S3 with two cores, ESP32-S2 with one. The other writers are interrupts of levels 1 to 3, the only ones
// that ESP-IDF has C code handle, and where there are two cores all code of the other one.
//
// One core is assumed, and no more used than loads, stores and the interrupt level,
//  - on an ESP32-S2, on which compare-and-swap (s32c1i) is an illegal instruction, and in firmware for one core;
//  - in a native module, of which one file serves all three. There MicroPython runs all its threads on one core and one at a time
//    (MP_TASK_COREID and MICROPY_PY_THREAD_GIL of its port), and nobody else knows where the module's regions are.
// Two cores are assumed in firmware that is built for them, as ESP-IDF's settings say, unless the build defines FEAGI_PORT_CORES.
//
// A region may lie in external PSRAM, as all of MicroPython's heap does on a board that has it, a native module's variables
// included: s32c1i, which fails there, is used on one word only, in the firmware's own .bss. But interrupts that have to run
// while the flash is written cannot use PSRAM: for them, give feagi_region_init() internal RAM. An ESP32 before revision 3
// may lose writes to PSRAM, unless the compiler is the vendor's and was told -mfix-esp32-psram-cache-issue.
//
// What interrupts wait for: instructions of each call's longest critical section, from the one that keeps interrupts out to the
// one that lets them in again. Calls that are not named have none. Measured, and written here, by tests/bench/calls.py, which
// counts on an emulated CPU: gcc 12 -Os, profile micro with a link, the slowest case of each call. On two cores a section waits
// besides for the one that the other core is in.
//
//                                         one core   two cores
//   feagi_agents_deregister                    241         355
//   feagi_agents_evict                         241         355
//   feagi_agents_heartbeat                      75         137
//   feagi_agents_heartbeat_handle               75         137
//   feagi_agents_register                      658        1090
//   feagi_areas_get                              5          31
//   feagi_clock_hear                           633         658
//   feagi_events_push                           23          53
//   feagi_hashes_get                             5          32
//   feagi_hashes_set                            65         128
//   feagi_image_open                             5          31
//   feagi_image_restore                        658        1090
//   feagi_image_save                           380         406
//   feagi_link_make_delta                      234         260
//   feagi_link_start_deltas                     12          39
//   feagi_locks_owner                            5          31
//   feagi_locks_take_over                       75         137
//   feagi_locks_try_lock                        75         137
//   feagi_locks_unlock                          75         137
//   feagi_region_mark                           12          39
//   feagi_region_set_time                        5          31
//   feagi_state_add                            101         164
//   feagi_state_get                              5          31
//   feagi_state_load_u64                         5          31
//   feagi_state_set                            113         155
//   feagi_state_store_u32                       37          66
//   feagi_state_store_u64                       53          83
//   feagi_state_subtract                       100         163
//   feagi_state_write                          152         215
//   feagi_stats_add                             73         121
//   feagi_stats_init                           266         416
//   feagi_stats_set                             52         100
//   feagi_stats_subtract                        68         116
//   feagi_stats_update                         275         411
//   feagi_windows_get                            5          31
//   feagi_windows_remove                        75         137
//   feagi_windows_set                           75         137
//   feagi_windows_set_default                   52         100
// (end of the table)
#ifndef FEAGI_PORT_XTENSA_H
#define FEAGI_PORT_XTENSA_H

#if !defined(FEAGI_PORT_CORES) && defined(ESP_PLATFORM)
#include "sdkconfig.h"
#ifndef CONFIG_FREERTOS_UNICORE
#define FEAGI_PORT_CORES 2
#endif
#endif
#ifndef FEAGI_PORT_CORES
#define FEAGI_PORT_CORES 1
#endif

typedef uint32_t feagi_port_key_t;

// The highest level that C code handles, XCHAL_EXCM_LEVEL: what FreeRTOS masks in its critical sections.
#define FEAGI_PORT_LEVEL 3

#if FEAGI_PORT_CORES > 1
#define FEAGI_PORT_BARRIER() __asm volatile("memw" ::: "memory")
#define FEAGI_PORT_INNER 0x80000000u // in a key, where PS has no bit: the core had the word already

// The core that is in a section, by its PRID, which is never 0 (0xCDCD and 0xABAB); or 0. The same word in all files of a
// program.
__attribute__((weak)) volatile uint32_t feagi_port_owner;

// Waits until the other core is in no section. The bus decides which of two gets the word first, so one that writes without a
// pause may get it more than once in a row.
static inline feagi_port_key_t feagi_port_enter(void) {
    uint32_t self, seen;
    __asm volatile("rsr %0, prid" : "=a"(self));
    if (feagi_port_owner == self) { // not an interrupt's doing: those are masked while a core owns the word
        return FEAGI_PORT_INNER;
    }
    do {
        seen = self;
        __asm volatile("wsr %2, scompare1\n\ts32c1i %0, %1, 0" : "+a"(seen) : "a"(&feagi_port_owner), "a"(0) : "memory");
    } while (seen != 0);
    FEAGI_PORT_BARRIER();
    return 0;
}
// Returns PS.
static inline uint32_t feagi_port_leave(feagi_port_key_t key) {
    if (!(key & FEAGI_PORT_INNER)) {
        FEAGI_PORT_BARRIER();
        feagi_port_owner = 0;
    }
    return key & ~FEAGI_PORT_INNER;
}
#else
static inline feagi_port_key_t feagi_port_enter(void) {
    return 0;
}
static inline uint32_t feagi_port_leave(feagi_port_key_t key) {
    return key;
}
#endif

// Saves PS and raises its level (1 instruction), restores it (2): nests, and works in interrupts. On two cores 15 more to enter
// where the word is free and 9 more to leave.
static inline feagi_port_key_t feagi_port_lock(void) {
    feagi_port_key_t key;
    __asm volatile("rsil %0, %1" : "=a"(key) : "i"(FEAGI_PORT_LEVEL) : "memory");
    return key | feagi_port_enter();
}
static inline void feagi_port_unlock(feagi_port_key_t key) {
    __asm volatile("wsr %0, ps\n\trsync" ::"a"(feagi_port_leave(key)) : "memory");
}

#define FEAGI_PORT_DIVIDES 0
#define FEAGI_PORT_COUNTS 0
#include "feagi_port_masked.h"

#endif
