// Receive buffers and blocking rules of the serial ports, whatever the UART.

#include "py/mphal.h"
#include "py/runtime.h"

#include "qemu_common/serial.h"
#include "qemu_common/soc.h"

// One slot of the ring stays empty to tell full from empty.
typedef struct {
    uint8_t data[SERIAL_RXBUF_MAX + 1];
    size_t size;          // slots in use, rxbuf + 1; 0 while closed
    volatile size_t head; // next slot to fill, moved by the interrupt
    volatile size_t tail; // next slot to read
    bool held;            // a byte waits in the UART for room in the ring
    bool stalled;         // the last write gave up on the host
} serial_port_t;

static serial_port_t ports[QEMU_SERIAL_PORTS];

static size_t next_slot(const serial_port_t *p, size_t slot) {
    return slot + 1 == p->size ? 0 : slot + 1;
}

// Moves what the UART has to the ring. Runs in the interrupt, or with interrupts
// off. A byte for which there is no room stays in the UART: QEMU then holds the
// sender back, and fetch_held() takes it later.
static void fetch(unsigned port) {
    serial_port_t *p = &ports[port];
    while (p->size != 0 && soc_uart_rx_full(port)) {
        bool armed = port == SERIAL_REPL && mp_interrupt_char >= 0;
        bool full = next_slot(p, p->head) == p->tail;
        if (full && !armed) {
            p->held = true;
            soc_uart_rx_irq(port, false);
            return;
        }
        uint8_t c = soc_uart_rx(port);
        if (armed && c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else if (!full) {
            p->data[p->head] = c;
            p->head = next_slot(p, p->head);
        }
        // Else the running program does not read its input: drop it, as real boards
        // do, or Ctrl-C would be held back behind it for ever.
    }
}

// To be called when there may be room for a byte held back, which interrupts no more.
static void fetch_held(unsigned port) {
    if (ports[port].held) {
        uint32_t irq = qemu_irq_disable();
        ports[port].held = false;
        soc_uart_rx_irq(port, true); // first: a byte that comes after the last look interrupts
        fetch(port);
        qemu_irq_restore(irq);
    }
}

void serial_irq(unsigned port) {
    fetch(port);
    qemu_wake();
}

void serial_tick(void) {
    // Input held back at the prompt must not stay in front of a Ctrl-C for the
    // program started since.
    fetch_held(SERIAL_REPL);
}

void serial_open(unsigned port, size_t rxbuf) {
    serial_port_t *p = &ports[port];
    uint32_t irq = qemu_irq_disable();
    p->size = rxbuf + 1;
    p->head = p->tail = 0;
    p->stalled = false;
    // A byte may be left in the UART from before.
    p->held = true;
    qemu_irq_restore(irq);
    soc_uart_enable(port, true);
    fetch_held(port);
}

void serial_close(unsigned port) {
    soc_uart_enable(port, false);
    ports[port].size = 0;
}

size_t serial_any(unsigned port) {
    serial_port_t *p = &ports[port];
    size_t head = p->head, tail = p->tail;
    return head >= tail ? head - tail : head + p->size - tail;
}

size_t serial_read(unsigned port, uint8_t *buf, size_t len) {
    serial_port_t *p = &ports[port];
    size_t n = 0;
    while (n < len && p->tail != p->head) {
        buf[n++] = p->data[p->tail];
        p->tail = next_slot(p, p->tail);
    }
    fetch_held(port);
    return n;
}

bool serial_can_write(unsigned port) {
    return !soc_uart_tx_full(port);
}

// Waits until the UART takes a byte. Sleeping matters: an emulated core that
// spins on the register starves the thread that would empty it.
static bool wait_tx(unsigned port, uint32_t stall_ms) {
    serial_port_t *p = &ports[port];
    uint32_t start = mp_hal_ticks_ms();
    while (soc_uart_tx_full(port)) {
        if (p->stalled || (uint32_t)(mp_hal_ticks_ms() - start) >= stall_ms) {
            // Do not wait again, byte after byte, for a host that went away.
            p->stalled = true;
            return false;
        }
        soc_uart_tx_irq(port, true);
        if (soc_uart_tx_full(port)) {
            qemu_wait_for_interrupt();
        }
        soc_uart_tx_irq(port, false);
    }
    p->stalled = false;
    return true;
}

size_t serial_write(unsigned port, const uint8_t *buf, size_t len, uint32_t stall_ms) {
    for (size_t i = 0; i < len; i++) {
        if (!wait_tx(port, stall_ms)) {
            return i;
        }
        soc_uart_tx(port, buf[i]);
    }
    return len;
}
