// The region's clock on a device. It counts milliseconds since the owner's start until somebody tells the time of day; from then
// on it is Unix milliseconds, and header.flags says so (shared_spec/LINK.md, Time).
#ifndef FEAGI_CLOCK_H
#define FEAGI_CLOCK_H

#include "feagi_region.h"

// Takes a time of day that somebody sent a while ago and that arrived at `uptime_ms` (as feagi_region_set_time's). `opening`: at
// the start of a session, where the clock may be set back by much. A step moves the times that agents, last_modified and waiting
// events have along with the clock, so that ages stay as they are.
// Consumer of the events only, in the main context.
void feagi_clock_hear(feagi_region_t *r, uint64_t uptime_ms, uint64_t unix_ms, bool opening);

#endif
