// A task that mirrors a region to whoever opens the serial port: feagi_link in FreeRTOS.
#ifndef LINK_TASK_H
#define LINK_TASK_H

#include "feagi_region.h"

// Makes the task, which also moves the region's clock and is the consumer of its events. The region, of profile micro or tiny,
// and `name`, at most 24 bytes of UTF-8, stay the caller's, and must stay. Once, before the scheduler runs.
void link_task_start(feagi_region_t *region, const char *name);

#endif
