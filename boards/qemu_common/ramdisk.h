// The board's file system, in RAM outside of the GC heap.
#ifndef QEMU_COMMON_RAMDISK_H
#define QEMU_COMMON_RAMDISK_H

// Mounts the RAM disk at "/", formatting it first when it holds no file system.
void ramdisk_mount(void);

#endif
