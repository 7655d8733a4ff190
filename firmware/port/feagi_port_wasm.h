// WebAssembly, with threads (FEAGI_PORT_SHARED) and without. Its atomics are all sequentially consistent; in a build for one
// thread they become plain accesses. JavaScript runs between calls and never within one, so there are no interrupts.
#ifndef FEAGI_PORT_WASM_H
#define FEAGI_PORT_WASM_H

#include "feagi_port_atomic64.h"

// The embedder's Unix time [ms].
__attribute__((import_module("env"), import_name("now"))) double feagi_port_import_now(void);

static inline uint64_t feagi_port_now_ms(void) {
    return (uint64_t)feagi_port_import_now();
}

#endif
