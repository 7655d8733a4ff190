// The clock of hosts.
#ifndef FEAGI_PORT_POSIX_H
#define FEAGI_PORT_POSIX_H

#include <time.h>

// Unix time [ms] as of the kernel's last tick, 1 to 10 ms ago: a fifth of the cost of the time to the nanosecond.
static inline uint64_t feagi_port_now_ms(void) {
    struct timespec t;
#ifdef CLOCK_REALTIME_COARSE
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
#else
    clock_gettime(CLOCK_REALTIME, &t);
#endif
    return (uint64_t)t.tv_sec * 1000 + (uint32_t)t.tv_nsec / 1000000u;
}

#endif
