// MicroPython's hardware abstraction: console, clock, delays, sleeping.

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/timeutils/timeutils.h"
#include "lib/oofatfs/ff.h"

#include "qemu_common/serial.h"
#include "qemu_common/soc.h"

// A host that has the REPL open but does not read it must not stop the program:
// after this long its output is dropped, as USB consoles of real boards do.
#define REPL_STALL_MS (500)

// Set by interrupts, so that one which arrives between a check and the sleep
// after it is not slept over.
static volatile bool woken;

// Time of the last tick. Reading it costs nothing, unlike the emulated counter.
static volatile uint32_t tick_ms;

void qemu_wake(void) {
    woken = true;
}

void qemu_tick(void) {
    tick_ms = soc_ticks_us() / 1000;
    machine_timer_tick();
    serial_tick();
    qemu_wake();
}

void qemu_wait_for_interrupt(void) {
    uint32_t irq = qemu_irq_disable();
    if (!woken) {
        // A pending interrupt ends the sleep even while interrupts are off.
        __asm volatile("wfi" ::: "memory");
    }
    woken = false;
    qemu_irq_restore(irq);
}

int mp_hal_stdin_rx_chr(void) {
    uint8_t c;
    while (serial_read(SERIAL_REPL, &c, 1) == 0) {
        mp_event_wait_indefinite();
    }
    return c;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    return serial_write(SERIAL_REPL, (const uint8_t *)str, len, REPL_STALL_MS);
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = 0;
    if ((poll_flags & MP_STREAM_POLL_RD) && serial_any(SERIAL_REPL) != 0) {
        ready |= MP_STREAM_POLL_RD;
    }
    if ((poll_flags & MP_STREAM_POLL_WR) && serial_can_write(SERIAL_REPL)) {
        ready |= MP_STREAM_POLL_WR;
    }
    return ready;
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)soc_ticks_us();
}

mp_uint_t mp_hal_ticks_ms(void) {
    return tick_ms;
}

// QEMU emulates no cycle counter.
mp_uint_t mp_hal_ticks_cpu(void) {
    return mp_hal_ticks_us();
}

// Without a real-time clock the board wakes up at its epoch, as real ones do.
uint64_t mp_hal_time_ns(void) {
    return soc_ticks_us() * 1000;
}

DWORD get_fattime(void) {
    // FAT counts from 1980; the epoch of this port is 2000.
    timeutils_struct_time_t tm;
    timeutils_seconds_since_epoch_to_struct_time(mp_hal_time_ns() / 1000000000, &tm);
    return (tm.tm_year - 1980) << 25 | tm.tm_mon << 21 | tm.tm_mday << 16 | tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2;
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = soc_ticks_us() + (uint64_t)ms * 1000;
    mp_event_handle_nowait();
    for (;;) {
        uint64_t now = soc_ticks_us();
        if (now >= end) {
            return;
        }
        if (end - now > 1000) {
            // Other interrupts than the tick are no reason to look at the clock.
            uint32_t tick = tick_ms;
            do {
                mp_event_wait_indefinite();
            } while (tick_ms == tick);
        } else {
            // Sleeping on could overshoot by most of a tick.
            mp_event_handle_nowait();
        }
    }
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = soc_ticks_us() + us;
    while (soc_ticks_us() < end) {
    }
}
