// Hardware of QEMU's RISC-V machine "virt": its 16550 UART, a second one on the PCI
// bus, and the timer and interrupt controllers that SiFive's chips have.

#include "py/mphal.h"

#include "qemu_common/riscv.h"
#include "qemu_common/serial.h"
#include "qemu_common/soc.h"

#define REG32(address) (*(volatile uint32_t *)(address))

// The machine's own device for ending it, with a status or by a reset.
#define TEST_FINISHER REG32(0x00100000)
#define TEST_FAIL (0x3333) // with the status in the upper half
#define TEST_RESET (0x7777)

// Core-local: the time, and the time of the next timer interrupt.
#define MTIMECMP_LOW REG32(0x02004000)
#define MTIMECMP_HIGH REG32(0x02004004)
#define MTIME_LOW REG32(0x0200bff8)
#define MTIME_HIGH REG32(0x0200bffc)
#define MTIME_HZ (10000000)
#define MTIME_PER_US (MTIME_HZ / 1000000)
#define TICK (MTIME_HZ / 1000)

// Platform-level interrupts; context 0 is the only core's machine mode.
#define PLIC (0x0c000000)
#define PLIC_PRIORITY(irq) REG32(PLIC + 4 * (irq))
#define PLIC_ENABLE(irq) REG32(PLIC + 0x2000 + 4 * ((irq) / 32))
#define PLIC_THRESHOLD REG32(PLIC + 0x200000)
#define PLIC_CLAIM REG32(PLIC + 0x200004)

// The card pci-serial in slot 1 of the bus, with its registers at an I/O address
// that is ours to choose.
#define PCI_IO (0x03000000)
#define PCI_SLOT1 (0x30000000 + (1 << 15))
#define PCI_COMMAND REG32(PCI_SLOT1 + 0x04)
#define PCI_COMMAND_IO (1 << 0)
#define PCI_BAR0 REG32(PCI_SLOT1 + 0x10)
#define PCI_SERIAL_IO (0x1000)

typedef struct {
    volatile uint8_t data;
    volatile uint8_t ier;
    volatile uint8_t fcr;
    volatile uint8_t lcr;
    volatile uint8_t mcr;
    volatile uint8_t lsr;
} uart_t;

#define IER_RX (1 << 0)
#define IER_TX (1 << 1)
#define FCR_ENABLE (1 << 0)
#define LCR_8N1 (3)
#define LSR_RX_FULL (1 << 0)
#define LSR_TX_EMPTY (1 << 5)

static uart_t *const uarts[QEMU_SERIAL_PORTS] = {
    (uart_t *)0x10000000,
    (uart_t *)(PCI_IO + PCI_SERIAL_IO),
};
static const uint8_t uart_irqs[QEMU_SERIAL_PORTS] = {
    10,
    33, // of the four lines of the PCI bus the one for slot 1
};

// Times of the next tick and of the next call for a C module.
static uint64_t tick_at, timer_at;
static uint32_t timer_period;
static void (*timer_callback)(void);

static uint64_t mtime(void) {
    uint32_t high, low;
    do {
        high = MTIME_HIGH;
        low = MTIME_LOW;
    } while (high != MTIME_HIGH);
    return (uint64_t)high << 32 | low;
}

static void set_next_interrupt(void) {
    uint64_t at = timer_callback != NULL && timer_at < tick_at ? timer_at : tick_at;
    MTIMECMP_HIGH = UINT32_MAX; // no time between the two halves is in the past
    MTIMECMP_LOW = (uint32_t)at;
    MTIMECMP_HIGH = (uint32_t)(at >> 32);
}

void soc_init(void) {
    PCI_BAR0 = PCI_SERIAL_IO;
    PCI_COMMAND = PCI_COMMAND_IO;
    PLIC_THRESHOLD = 0;
    for (unsigned port = 0; port < QEMU_SERIAL_PORTS; port++) {
        uarts[port]->lcr = LCR_8N1;
        uarts[port]->fcr = FCR_ENABLE;
        PLIC_PRIORITY(uart_irqs[port]) = 1;
        PLIC_ENABLE(uart_irqs[port]) |= 1u << uart_irqs[port] % 32;
    }
    tick_at = mtime() + TICK;
    set_next_interrupt();
    riscv_interrupts_enable();
}

uint64_t soc_ticks_us(void) {
    return mtime() / MTIME_PER_US;
}

uint32_t soc_noise(void) {
    return (uint32_t)mtime();
}

uint32_t soc_cpu_hz(void) {
    return MTIME_HZ; // of the only clock that the machine names
}

void soc_reset(void) {
    TEST_FINISHER = TEST_RESET;
    for (;;) {
    }
}

void riscv_exit(unsigned status) {
    TEST_FINISHER = status << 16 | TEST_FAIL;
    for (;;) {
    }
}

void soc_timer_start(uint32_t period_us, void (*callback)(void)) {
    uint32_t irq = qemu_irq_disable();
    timer_period = period_us * MTIME_PER_US;
    timer_at = mtime() + timer_period;
    timer_callback = callback;
    set_next_interrupt();
    qemu_irq_restore(irq);
}

void soc_timer_stop(void) {
    timer_callback = NULL;
}

void riscv_timer_handler(void) {
    uint64_t now = mtime();
    if (now >= tick_at) {
        tick_at = now + TICK;
        qemu_tick();
    }
    if (timer_callback != NULL && now >= timer_at) {
        timer_at += timer_period;
        timer_callback();
    }
    set_next_interrupt();
}

// ---- UARTs

void soc_uart_enable(unsigned port, bool on) {
    uarts[port]->ier = on ? IER_RX : 0;
}

void soc_uart_set_baudrate(unsigned port, uint32_t baudrate) {
    // QEMU transfers at full speed.
}

bool soc_uart_rx_full(unsigned port) {
    return uarts[port]->lsr & LSR_RX_FULL;
}

uint8_t soc_uart_rx(unsigned port) {
    return uarts[port]->data;
}

bool soc_uart_tx_full(unsigned port) {
    return !(uarts[port]->lsr & LSR_TX_EMPTY);
}

void soc_uart_tx(unsigned port, uint8_t c) {
    uarts[port]->data = c;
}

// In a section, since interrupts switch each other.
static void switch_irq(unsigned port, uint8_t which, bool on) {
    uint32_t irq = qemu_irq_disable();
    if (on) {
        uarts[port]->ier |= which;
    } else {
        uarts[port]->ier &= ~which;
    }
    qemu_irq_restore(irq);
}

void soc_uart_rx_irq(unsigned port, bool on) {
    switch_irq(port, IER_RX, on);
}

void soc_uart_tx_irq(unsigned port, bool on) {
    switch_irq(port, IER_TX, on);
}

static void uart_irq(unsigned port) {
    switch_irq(port, IER_TX, false); // an empty transmitter would interrupt for as long as it is empty
    serial_irq(port);
}

void riscv_external_handler(void) {
    uint32_t irq;
    while ((irq = PLIC_CLAIM) != 0) {
        for (unsigned port = 0; port < QEMU_SERIAL_PORTS; port++) {
            if (uart_irqs[port] == irq) {
                uart_irq(port);
            }
        }
        PLIC_CLAIM = irq;
    }
}
