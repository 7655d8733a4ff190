// A RAM disk as MicroPython block device, standing in for a board's flash.
//
// It lies at QEMU_RAMDISK_ADDR, outside of everything the firmware's image
// covers: files survive not only a soft reset but also machine.reset(), as on a
// real board. They are gone when QEMU ends.

#include <string.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "extmod/vfs_fat.h"

#include "qemu_common/ramdisk.h"

#define BLOCK_SIZE (512)
#define BLOCK_COUNT (QEMU_RAMDISK_SIZE / BLOCK_SIZE)

static uint8_t *const disk = (uint8_t *)QEMU_RAMDISK_ADDR;

// Returns where a transfer of (block, buffer[, offset]) begins, after checking
// that it stays within the disk.
static uint8_t *locate(size_t n_args, const mp_obj_t *args, mp_buffer_info_t *buf, mp_uint_t buf_flags) {
    mp_get_buffer_raise(args[2], buf, buf_flags);
    mp_uint_t start = mp_obj_get_int(args[1]) * BLOCK_SIZE;
    if (n_args == 4) {
        start += mp_obj_get_int(args[3]);
    }
    if (start > QEMU_RAMDISK_SIZE || buf->len > QEMU_RAMDISK_SIZE - start) {
        mp_raise_OSError(MP_EINVAL);
    }
    return disk + start;
}

static mp_obj_t ramdisk_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    const uint8_t *from = locate(n_args, args, &buf, MP_BUFFER_WRITE);
    memcpy(buf.buf, from, buf.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ramdisk_readblocks_obj, 3, 4, ramdisk_readblocks);

static mp_obj_t ramdisk_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buf;
    uint8_t *to = locate(n_args, args, &buf, MP_BUFFER_READ);
    memcpy(to, buf.buf, buf.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ramdisk_writeblocks_obj, 3, 4, ramdisk_writeblocks);

static mp_obj_t ramdisk_ioctl(mp_obj_t self, mp_obj_t op, mp_obj_t arg) {
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_COUNT);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_SIZE);
        default:
            // Init, deinit, sync and erase: nothing to do, successfully.
            return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(ramdisk_ioctl_obj, ramdisk_ioctl);

static const mp_rom_map_elem_t ramdisk_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&ramdisk_readblocks_obj)},
    {MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&ramdisk_writeblocks_obj)},
    {MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&ramdisk_ioctl_obj)},
};
static MP_DEFINE_CONST_DICT(ramdisk_locals, ramdisk_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(ramdisk_type, MP_QSTR_RAMDisk, MP_TYPE_FLAG_NONE, locals_dict, &ramdisk_locals);

static const mp_obj_base_t ramdisk_obj = {&ramdisk_type};

static void format(mp_obj_t bdev) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_call_function_1(mp_load_attr(MP_OBJ_FROM_PTR(&mp_fat_vfs_type), MP_QSTR_mkfs), bdev);
        nlr_pop();
    } else {
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    }
}

void ramdisk_mount(void) {
    mp_obj_t bdev = MP_OBJ_FROM_PTR(&ramdisk_obj);
    mp_obj_t root = MP_OBJ_NEW_QSTR(MP_QSTR__slash_);
    if (mp_vfs_mount_and_chdir_protected(bdev, root) == 0) {
        return;
    }
    format(bdev);
    int ret = mp_vfs_mount_and_chdir_protected(bdev, root);
    if (ret != 0) {
        mp_printf(&mp_plat_print, "RAM disk cannot be mounted (error %d); the board has no file system\n", ret);
    }
}
