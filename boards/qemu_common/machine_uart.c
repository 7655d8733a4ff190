// machine.UART of the emulated boards; included by extmod/machine_uart.c, which
// provides the class itself.

#include "py/mperrno.h"
#include "py/mphal.h"

#include "qemu_common/serial.h"
#include "qemu_common/soc.h"

#define UART_DEFAULT_RXBUF (1024)

// A real UART always gets rid of its bytes; the emulated one only as fast as the
// host reads. A write waits at least this long before it gives up.
#define UART_MIN_WRITE_STALL_MS (20)

#define MICROPY_PY_MACHINE_UART_CLASS_CONSTANTS

struct _machine_uart_obj_t {
    mp_obj_base_t base;
    bool open;
    uint8_t port;
    uint16_t timeout;      // ms to wait for the first byte
    uint16_t timeout_char; // ms to wait between bytes
    uint32_t baudrate;
    uint32_t rxbuf;
};

// Static, so that the receive interrupt never meets memory the GC has freed.
static machine_uart_obj_t uart_objs[QEMU_SERIAL_PORTS - 1];

// Called at a soft reset.
void machine_uart_deinit_all(void) {
    for (size_t i = 0; i < MP_ARRAY_SIZE(uart_objs); i++) {
        if (uart_objs[i].open) {
            mp_machine_uart_deinit(&uart_objs[i]);
        }
    }
}

static void check_open(machine_uart_obj_t *self) {
    if (!self->open) {
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("UART(%d) is closed; call its init()"), self->port);
    }
}

static void mp_machine_uart_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "UART(%u, baudrate=%u, bits=8, parity=None, stop=1, rxbuf=%u, timeout=%u, timeout_char=%u)", self->port,
              self->baudrate, self->rxbuf, self->timeout, self->timeout_char);
}

static void mp_machine_uart_init_helper(machine_uart_obj_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum {
        ARG_baudrate,
        ARG_bits,
        ARG_parity,
        ARG_stop,
        ARG_timeout,
        ARG_timeout_char,
        ARG_rxbuf,
        ARG_txbuf,
        ARG_tx,
        ARG_rx,
        ARG_rts,
        ARG_cts,
        ARG_flow,
        ARG_invert,
    };
    // Pins, flow control, inversion and the size of a transmit buffer mean nothing
    // here; they are taken so that a real board's constructor call works unchanged.
    static const mp_arg_t allowed_args[] = {
        {MP_QSTR_baudrate, MP_ARG_INT, {.u_int = 115200}},
        {MP_QSTR_bits, MP_ARG_INT, {.u_int = 8}},
        {MP_QSTR_parity, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_stop, MP_ARG_INT, {.u_int = 1}},
        {MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0}},
        {MP_QSTR_timeout_char, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0}},
        {MP_QSTR_rxbuf, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = UART_DEFAULT_RXBUF}},
        {MP_QSTR_txbuf, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0}},
        {MP_QSTR_tx, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_rx, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_rts, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_cts, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_flow, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0}},
        {MP_QSTR_invert, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0}},
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);

    if (args[ARG_bits].u_int != 8 || args[ARG_parity].u_obj != mp_const_none || args[ARG_stop].u_int != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("only bits=8, parity=None, stop=1 is emulated"));
    }
    if (args[ARG_baudrate].u_int <= 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("baudrate must be above 0"));
    }
    if (args[ARG_rxbuf].u_int < 1 || args[ARG_rxbuf].u_int > SERIAL_RXBUF_MAX) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("rxbuf must be 1 to %d"), SERIAL_RXBUF_MAX);
    }
    if (args[ARG_timeout].u_int < 0 || args[ARG_timeout].u_int > UINT16_MAX || args[ARG_timeout_char].u_int < 0 ||
        args[ARG_timeout_char].u_int > UINT16_MAX) {
        mp_raise_ValueError(MP_ERROR_TEXT("timeouts must be 0 to 65535 ms"));
    }

    self->baudrate = args[ARG_baudrate].u_int;
    self->timeout = args[ARG_timeout].u_int;
    self->timeout_char = args[ARG_timeout_char].u_int;
    self->rxbuf = args[ARG_rxbuf].u_int;
    soc_uart_set_baudrate(self->port, self->baudrate);
    serial_open(self->port, self->rxbuf);
    self->open = true;
}

static mp_obj_t mp_machine_uart_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    mp_int_t port = mp_obj_get_int(args[0]);
    if (port == SERIAL_REPL) {
        mp_raise_ValueError(MP_ERROR_TEXT("UART(0) is the REPL; use UART(1)"));
    }
    if (port < 0 || port >= QEMU_SERIAL_PORTS) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("UART(%d) doesn't exist; use UART(1)"), (int)port);
    }
    machine_uart_obj_t *self = &uart_objs[port - 1];
    self->base.type = type;
    self->port = port;
    // UART(1) alone refers to the open port without disturbing it.
    if (!self->open || n_args > 1 || n_kw > 0) {
        mp_map_t kw_args;
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        mp_machine_uart_init_helper(self, n_args - 1, args + 1, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

static void mp_machine_uart_deinit(machine_uart_obj_t *self) {
    serial_close(self->port);
    self->open = false;
}

static mp_int_t mp_machine_uart_any(machine_uart_obj_t *self) {
    check_open(self);
    return serial_any(self->port);
}

static bool mp_machine_uart_txdone(machine_uart_obj_t *self) {
    check_open(self);
    return serial_can_write(self->port);
}

static mp_uint_t mp_machine_uart_read(mp_obj_t self_in, void *buf_in, mp_uint_t size, int *errcode) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    check_open(self);
    size_t n = 0;
    uint32_t wait_ms = self->timeout;
    uint32_t start = mp_hal_ticks_ms();
    for (;;) {
        size_t got = serial_read(self->port, (uint8_t *)buf_in + n, size - n);
        n += got;
        if (n == size) {
            return n;
        }
        if (got != 0) {
            wait_ms = self->timeout_char;
            start = mp_hal_ticks_ms();
        }
        uint32_t waited = mp_hal_ticks_ms() - start;
        if (waited >= wait_ms) {
            break;
        }
        mp_event_wait_ms(wait_ms - waited);
    }
    if (n == 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return n;
}

static mp_uint_t mp_machine_uart_write(mp_obj_t self_in, const void *buf_in, mp_uint_t size, int *errcode) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    check_open(self);
    size_t n = serial_write(self->port, buf_in, size, MAX(self->timeout, UART_MIN_WRITE_STALL_MS));
    if (n == 0 && size != 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return n;
}

static mp_uint_t mp_machine_uart_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    check_open(self);
    if (request == MP_STREAM_POLL) {
        mp_uint_t ready = 0;
        if ((arg & MP_STREAM_POLL_RD) && serial_any(self->port) != 0) {
            ready |= MP_STREAM_POLL_RD;
        }
        if ((arg & MP_STREAM_POLL_WR) && serial_can_write(self->port)) {
            ready |= MP_STREAM_POLL_WR;
        }
        return ready;
    }
    if (request == MP_STREAM_FLUSH) {
        // Nothing is buffered, except perhaps a last byte that the host has not taken.
        if (serial_can_write(self->port)) {
            return 0;
        }
        *errcode = MP_ETIMEDOUT;
        return MP_STREAM_ERROR;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}
