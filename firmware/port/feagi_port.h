// The few primitives that differ between targets. Each port is one header that defines
//
//   feagi_port_key_t, feagi_port_lock(), feagi_port_unlock(key)
//       a section that no other writer of this region interrupts. Nests. What it may contain is bounded: see its callers.
//   feagi_port_load_u8/u32/u64, feagi_port_store_u8/u32/u64
//       one untorn access with acquire or release order
//   feagi_port_add_u64(p, n)
//       atomic add, on ports without one inside feagi_port_lock
//   feagi_port_cas_u32/u64(p, expected, desired)
//       atomic compare and exchange; whether it stored
//   feagi_port_fence(), feagi_port_now_ms()
//       where regions may be shared: no load after it is older than a store before it; the Unix time
//   FEAGI_PORT_DIVIDES, FEAGI_PORT_COUNTS
//       1 if the CPU has an instruction for n / d, and for the zeros in front of a word's first or last one
//
// all of them ISR-safe, and says how long its sections last. To add a target, add a header here and a line below.
#ifndef FEAGI_PORT_H
#define FEAGI_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Builds for hosts and for threads of WebAssembly set it to 1: several threads and processes may write a region (feagi_shared.h).
#ifndef FEAGI_PORT_SHARED
#define FEAGI_PORT_SHARED 0
#endif
// Whether there is a libc, and code may be large where that makes it fast.
#define FEAGI_PORT_FAST (FEAGI_PORT_SHARED && __STDC_HOSTED__)

#if defined(__x86_64__) || defined(__aarch64__)
#include "feagi_port_atomic64.h"
#elif defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#include "feagi_port_cortexm.h"
#elif defined(__riscv) && __riscv_xlen == 32
#include "feagi_port_rv32.h"
#elif defined(__XTENSA__)
#include "feagi_port_xtensa.h"
#elif defined(__wasm__)
#include "feagi_port_wasm.h"
#else
#error "no port for this target: see firmware/port/feagi_port.h"
#endif

// Of a function that boards have once: copies of it would be longer than its calls. Hosts would rather have the copies.
#if FEAGI_PORT_FAST
#define FEAGI_PORT_ONCE
#else
#define FEAGI_PORT_ONCE __attribute__((noinline))
#endif

#if FEAGI_PORT_FAST
#include "feagi_port_posix.h"

static inline void feagi_port_copy(void *to, const void *from, size_t len_bytes) {
    __builtin_memcpy(to, from, len_bytes);
}
static inline void feagi_port_clear(void *at, size_t len_bytes) {
    __builtin_memset(at, 0, len_bytes);
}
static inline bool feagi_port_equal(const void *a, const void *b, size_t len_bytes) {
    return __builtin_memcmp(a, b, len_bytes) == 0;
}
#else
// Loops in place of memcpy and friends, which a native MicroPython module cannot link on every target. The build turns off
// the optimisation that would make calls of them again.
static inline void feagi_port_copy(void *to, const void *from, size_t len_bytes) {
    uint8_t *d = (uint8_t *)to;
    const uint8_t *s = (const uint8_t *)from;
    if ((((uintptr_t)d | (uintptr_t)s) & 3) == 0) {
        typedef uint32_t __attribute__((may_alias)) word_t;
        for (; len_bytes >= 16; len_bytes -= 16, d += 16, s += 16) {
            const word_t *in = (const word_t *)(const void *)s;
            word_t *out = (word_t *)(void *)d;
            const uint32_t w0 = in[0], w1 = in[1], w2 = in[2], w3 = in[3];
            out[0] = w0;
            out[1] = w1;
            out[2] = w2;
            out[3] = w3;
        }
    }
    while (len_bytes--) {
        *d++ = *s++;
    }
}
static inline void feagi_port_clear(void *at, size_t len_bytes) {
    uint8_t *d = (uint8_t *)at;
    while (len_bytes--) {
        *d++ = 0;
    }
}
static inline bool feagi_port_equal(const void *a, const void *b, size_t len_bytes) {
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
    while (len_bytes--) {
        if (*x++ != *y++) {
            return false;
        }
    }
    return true;
}
#endif

// The lowest bit that is set in a word that is not 0.
static inline unsigned feagi_port_first_bit(uint32_t word) {
#if FEAGI_PORT_COUNTS
    return (unsigned)__builtin_ctz(word);
#else
    unsigned bit = 0;
    for (; !(word & 1); word >>= 1) {
        bit++;
    }
    return bit;
#endif
}

// n / d, and *rest: n % d.
static inline uint32_t feagi_port_divide(uint32_t n, uint32_t d, uint32_t *rest) {
#if FEAGI_PORT_DIVIDES
    *rest = n % d;
    return n / d;
#else
    // By hand, in a loop for each bit of the quotient.
    uint32_t quotient = 0, bit = 1;
    while (d <= n / 2) {
        d *= 2;
        bit *= 2;
    }
    for (; bit; bit /= 2, d /= 2) {
        if (n >= d) {
            n -= d;
            quotient |= bit;
        }
    }
    *rest = n;
    return quotient;
#endif
}

#endif
