// The board-dependent functions of the machine module; included by
// extmod/modmachine.c.

#include "py/mphal.h"

#include "qemu_common/soc.h"

// machine_timer.c; extmod lists the other classes itself.
#define MICROPY_PY_MACHINE_EXTRA_GLOBALS {MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&machine_timer_type)},

static void mp_machine_idle(void) {
    mp_event_wait_indefinite();
}

static void mp_machine_reset(void) {
    soc_reset();
}

// QEMU does not tell why the machine started.
static mp_int_t mp_machine_reset_cause(void) {
    return 0;
}

static mp_obj_t mp_machine_unique_id(void) {
    // Every emulated board is the same one.
    static const char id[] = MICROPY_HW_BOARD_NAME;
    return mp_obj_new_bytes((const byte *)id, sizeof(id) - 1);
}

static mp_obj_t mp_machine_get_freq(void) {
    return mp_obj_new_int_from_uint(soc_cpu_hz());
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    mp_raise_NotImplementedError(MP_ERROR_TEXT("the emulated clock is fixed"));
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    if (n_args == 0) {
        mp_event_wait_indefinite();
    } else {
        mp_hal_delay_ms(mp_obj_get_int(args[0]));
    }
}

static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
    mp_machine_lightsleep(n_args, args);
    soc_reset();
}
