// Start-up and the soft reset loop, in the order real boards follow.

#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/readline/readline.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"

#include "qemu_common/ramdisk.h"
#include "qemu_common/serial.h"
#include "qemu_common/soc.h"

static uint32_t gc_heap[MICROPY_HEAP_SIZE / sizeof(uint32_t)];

#if MICROPY_PY_MACHINE_UART
void machine_uart_deinit_all(void);
#endif

// Runs boot.py, main.py and then the REPL, until a soft reset is asked for.
static void run(void) {
    int ret = pyexec_file_if_exists("boot.py");
    if (ret & PYEXEC_FORCED_EXIT) {
        return;
    }
    // The raw REPL is for tools like mpremote, which want the board to themselves.
    if (ret != 0 && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        ret = pyexec_file_if_exists("main.py");
        if (ret & PYEXEC_FORCED_EXIT) {
            return;
        }
    }
    do {
        ret = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
    } while (ret == 0);
}

int main(void) {
    soc_init();
    serial_open(SERIAL_REPL, SERIAL_RXBUF_MAX);
    mp_stack_ctrl_init();
    mp_stack_set_limit(QEMU_STACK_LIMIT);
    for (;;) {
        gc_init(gc_heap, gc_heap + MP_ARRAY_SIZE(gc_heap));
        mp_init();
        readline_init0();
        mp_obj_list_append(mp_sys_path, mp_obj_new_str_from_cstr("/lib"));
        ramdisk_mount();
        run();
        mp_printf(&mp_plat_print, "MPY: soft reboot\n");
        machine_timer_deinit_all();
#if MICROPY_PY_MACHINE_UART
        machine_uart_deinit_all();
#endif
        gc_sweep_all();
        mp_deinit();
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *val) {
    mp_printf(&mp_plat_print, "FATAL: exception without a handler; resetting\n");
    soc_reset();
}
