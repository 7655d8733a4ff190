// Random numbers for os.urandom() and the seed of the random module.
//
// The emulated machines have no random number generator. This mixes the bits of
// free-running counters, whose relation to the program's progress varies from run
// to run with the host's timing. Good for back-off times and identifiers; NOT
// cryptographic, and fully repeatable under `qemu -icount`.

#include "py/mpconfig.h"

#include "qemu_common/soc.h"

uint32_t qemu_entropy(void) {
    static uint32_t state;
    // Mixing function with full avalanche (the finaliser of MurmurHash3), so that
    // a single changed bit of noise changes half of the result.
    uint32_t x = state += soc_noise() + 0x9e3779b9;
    x = (x ^ x >> 16) * 0x85ebca6b;
    x = (x ^ x >> 13) * 0xc2b2ae35;
    return x ^ x >> 16;
}
