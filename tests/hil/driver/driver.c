// A driver as a firmware developer would write it, for the emulated boards: a timer interrupt that writes the state which the
// Python program reads, and pushes an event at each round.
#include "py/runtime.h"

#include "feagi_events.h"
#include "feagi_micropython.h"
#include "feagi_state.h"
#include "qemu_common/soc.h"

#define WRITES 4 // of the core block in a round

static feagi_region_t *region;
static volatile uint32_t rounds, rounds_left;

static void on_timer(void) {
    if (rounds_left == 0) {
        soc_timer_stop();
        return;
    }
    rounds_left--;
    const uint32_t n = ++rounds;
    feagi_state_add(region, FEAGI_FIELD_NEURON_COUNT, 1, NULL);
    // These two are always equal, and so are this one's halves: a reader that sees others has seen half of something.
    feagi_state_add(region, FEAGI_FIELD_REGULAR_NEURON_COUNT, 1, NULL);
    feagi_state_add(region, FEAGI_FIELD_MEMORY_NEURON_COUNT, 1, NULL);
    feagi_state_store_u64(region, offsetof(feagi_core_t, genome_timestamp), (uint64_t)n << 32 | n);
    feagi_events_push(region, FEAGI_USER_EVENT_BASE, n);
}

// start(rounds, period_us)
static mp_obj_t driver_start(mp_obj_t count, mp_obj_t period_us) {
    region = feagi_micropython_region();
    rounds_left = (uint32_t)mp_obj_get_int(count);
    soc_timer_start((uint32_t)mp_obj_get_int(period_us), on_timer);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(driver_start_obj, driver_start);

// rounds() -> how many there were since power-on
static mp_obj_t driver_rounds(void) {
    return mp_obj_new_int_from_uint(rounds);
}
static MP_DEFINE_CONST_FUN_OBJ_0(driver_rounds_obj, driver_rounds);

static const mp_rom_map_elem_t driver_globals[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_driver)},
    {MP_ROM_QSTR(MP_QSTR_start), MP_ROM_PTR(&driver_start_obj)},
    {MP_ROM_QSTR(MP_QSTR_rounds), MP_ROM_PTR(&driver_rounds_obj)},
    {MP_ROM_QSTR(MP_QSTR_WRITES), MP_ROM_INT(WRITES)},
};
static MP_DEFINE_CONST_DICT(driver_globals_dict, driver_globals);

const mp_obj_module_t driver_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&driver_globals_dict,
};
MP_REGISTER_MODULE(MP_QSTR_driver, driver_module);
