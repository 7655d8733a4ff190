// machine.Timer: any number of timers in software, served by the tick.
//
// MicroPython's own drops a callback for which the scheduler's queue has no room, and
// a ONE_SHOT timer that meets a full queue never fires. This one tries again at the
// next tick. And hard=True calls back inside of the interrupt, as MicroPython from
// 1.26 on does, and the pins and timers of real boards do.

#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/modmachine.h"

#include "qemu_common/soc.h"

#define ONE_SHOT (1)
#define PERIODIC (2)
#define DEFAULT_PERIOD_MS (1000)
#define MAX_PERIOD_MS (0x3fffffff)

typedef struct _machine_timer_obj_t {
    mp_obj_base_t base;
    struct _machine_timer_obj_t *next; // of those that run
    uint8_t mode;
    bool hard;
    uint32_t period_ms;
    uint32_t expiry_ms;
    mp_obj_t callback;
} machine_timer_obj_t;

// The running timers, in no particular order. All are objects on the GC heap, so the
// list's head as a root pointer keeps them, their callbacks and their successors alive.
MP_REGISTER_ROOT_POINTER(struct _machine_timer_obj_t *machine_timer_list);

// Forgets all timers: their memory is about to be swept at a soft reset.
void machine_timer_deinit_all(void) {
    MP_STATE_PORT(machine_timer_list) = NULL;
}

static void start(machine_timer_obj_t *timer) {
    uint32_t irq = qemu_irq_disable();
    timer->expiry_ms = mp_hal_ticks_ms() + timer->period_ms;
    timer->next = MP_STATE_PORT(machine_timer_list);
    MP_STATE_PORT(machine_timer_list) = timer;
    qemu_irq_restore(irq);
}

static void stop(machine_timer_obj_t *timer) {
    uint32_t irq = qemu_irq_disable();
    machine_timer_obj_t **from = &MP_STATE_PORT(machine_timer_list);
    while (*from != NULL && *from != timer) {
        from = &(*from)->next;
    }
    if (*from != NULL) {
        *from = timer->next;
    }
    qemu_irq_restore(irq);
}

// Inside of the interrupt: nothing may be allocated, and no scheduled callback runs.
static void call_back_hard(machine_timer_obj_t *timer) {
    mp_sched_lock();
    gc_lock();
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_call_function_1(timer->callback, MP_OBJ_FROM_PTR(timer));
        nlr_pop();
    } else {
        stop(timer);
        mp_printf(&mp_plat_print, "Uncaught exception in the callback of a hard timer, which is stopped\n");
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    }
    gc_unlock();
    mp_sched_unlock();
}

// Called by the tick interrupt.
void machine_timer_tick(void) {
    uint32_t now = mp_hal_ticks_ms();
    machine_timer_obj_t *next;
    for (machine_timer_obj_t *timer = MP_STATE_PORT(machine_timer_list); timer != NULL; timer = next) {
        next = timer->next;
        int32_t late_ms = (int32_t)(now - timer->expiry_ms);
        if (late_ms < 0 || (!timer->hard && !mp_sched_schedule(timer->callback, MP_OBJ_FROM_PTR(timer)))) {
            continue;
        }
        if (timer->mode == PERIODIC) {
            // Whole periods missed are skipped rather than made up in a burst.
            timer->expiry_ms += timer->period_ms * (late_ms / timer->period_ms + 1);
        } else {
            stop(timer);
        }
        if (timer->hard) {
            call_back_hard(timer);
        }
    }
}

static void machine_timer_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    machine_timer_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "Timer(mode=%s, period=%u, hard=%s)", self->mode == PERIODIC ? "PERIODIC" : "ONE_SHOT",
              (unsigned)self->period_ms, self->hard ? "True" : "False");
}

static mp_obj_t machine_timer_init(size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum {
        ARG_mode,
        ARG_period,
        ARG_freq,
        ARG_tick_hz,
        ARG_callback,
        ARG_hard,
    };
    static const mp_arg_t allowed_args[] = {
        {MP_QSTR_mode, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = PERIODIC}},
        {MP_QSTR_period, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = DEFAULT_PERIOD_MS}},
        {MP_QSTR_freq, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_tick_hz, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 1000}},
        {MP_QSTR_callback, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_hard, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false}},
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    machine_timer_obj_t *self = MP_OBJ_TO_PTR(pos_args[0]);
    mp_arg_parse_all(n_args - 1, pos_args + 1, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);

    mp_int_t mode = args[ARG_mode].u_int, tick_hz = args[ARG_tick_hz].u_int;
    if (mode != ONE_SHOT && mode != PERIODIC) {
        mp_raise_ValueError(MP_ERROR_TEXT("mode must be Timer.ONE_SHOT or Timer.PERIODIC"));
    }
    if (tick_hz <= 0 || args[ARG_period].u_int < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("period and tick_hz must be above 0"));
    }
    uint64_t period_ms = (uint64_t)args[ARG_period].u_int * 1000 / tick_hz;
    if (args[ARG_freq].u_obj != mp_const_none) {
        period_ms = (uint32_t)(1000 / mp_obj_get_float(args[ARG_freq].u_obj));
    }
    if (period_ms > MAX_PERIOD_MS) {
        mp_raise_ValueError(MP_ERROR_TEXT("period too large"));
    }

    stop(self);
    self->mode = mode;
    self->hard = args[ARG_hard].u_bool;
    self->period_ms = MAX(period_ms, 1);
    self->callback = args[ARG_callback].u_obj;
    if (self->callback != mp_const_none) {
        start(self);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(machine_timer_init_obj, 1, machine_timer_init);

static mp_obj_t machine_timer_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    if (n_args > 0 && mp_obj_get_int(args[0]) != -1) {
        mp_raise_ValueError(MP_ERROR_TEXT("Timer doesn't exist; use Timer(-1)"));
    }
    mp_arg_check_num(n_args, n_kw, 0, 1, true);
    machine_timer_obj_t *self = mp_obj_malloc(machine_timer_obj_t, type);
    self->mode = PERIODIC;
    self->hard = false;
    self->period_ms = DEFAULT_PERIOD_MS;
    self->callback = mp_const_none;
    if (n_kw > 0) {
        mp_map_t kw_args;
        mp_obj_t self_obj = MP_OBJ_FROM_PTR(self);
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        machine_timer_init(1, &self_obj, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t machine_timer_deinit(mp_obj_t self) {
    stop(MP_OBJ_TO_PTR(self));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(machine_timer_deinit_obj, machine_timer_deinit);

static const mp_rom_map_elem_t machine_timer_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&machine_timer_init_obj)},
    {MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&machine_timer_deinit_obj)},
    {MP_ROM_QSTR(MP_QSTR_ONE_SHOT), MP_ROM_INT(ONE_SHOT)},
    {MP_ROM_QSTR(MP_QSTR_PERIODIC), MP_ROM_INT(PERIODIC)},
};
static MP_DEFINE_CONST_DICT(machine_timer_locals, machine_timer_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_timer_type, MP_QSTR_Timer, MP_TYPE_FLAG_NONE, make_new, machine_timer_make_new, print,
                         machine_timer_print, locals_dict, &machine_timer_locals);
