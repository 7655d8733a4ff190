// Hardware of Nordic's nRF51 as QEMU emulates it in the micro:bit: one UART, and
// three timers.

#include "py/mphal.h"

#include "qemu_common/cortexm.h"
#include "qemu_common/serial.h"
#include "qemu_common/soc.h"

#define CPU_HZ (16000000)

// Peripherals have tasks, which a write of 1 starts, and events, which stay set,
// and keep their interrupt requested, until 0 is written.
#define REG(address) (*(volatile uint32_t *)(address))

#define UART (0x40002000)
#define UART_STARTRX REG(UART + 0x000)
#define UART_STOPRX REG(UART + 0x004)
#define UART_STARTTX REG(UART + 0x008)
#define UART_STOPTX REG(UART + 0x00c)
#define UART_RXDRDY REG(UART + 0x108)
#define UART_TXDRDY REG(UART + 0x11c)
#define UART_INTENSET REG(UART + 0x304)
#define UART_INTENCLR REG(UART + 0x308)
#define UART_ENABLE REG(UART + 0x500)
#define UART_RXD REG(UART + 0x518)
#define UART_TXD REG(UART + 0x51c)
#define UART_ENABLE_ON (4)
#define UART_INT_RXDRDY (1 << 2)
#define UART_INT_TXDRDY (1 << 7)

#define TIMER(n) (0x40008000 + 0x1000 * (n))
#define TIMER_START(n) REG(TIMER(n) + 0x000)
#define TIMER_STOP(n) REG(TIMER(n) + 0x004)
#define TIMER_CLEAR(n) REG(TIMER(n) + 0x00c)
#define TIMER_CAPTURE(n, cc) REG(TIMER(n) + 0x040 + 4 * (cc))
#define TIMER_COMPARE(n, cc) REG(TIMER(n) + 0x140 + 4 * (cc))
#define TIMER_SHORTS(n) REG(TIMER(n) + 0x200)
#define TIMER_INTENSET(n) REG(TIMER(n) + 0x304)
#define TIMER_BITMODE(n) REG(TIMER(n) + 0x508)
#define TIMER_PRESCALER(n) REG(TIMER(n) + 0x510)
#define TIMER_CC(n, cc) REG(TIMER(n) + 0x540 + 4 * (cc))
#define TIMER_INT_COMPARE0 (1 << 16)
#define TIMER_SHORT_COMPARE0_CLEAR (1 << 0)
#define TIMER_BITMODE_32 (3)
#define TIMER_PRESCALER_1MHZ (4)

#define RNG (0x4000d000)
#define RNG_START REG(RNG + 0x000)
#define RNG_VALUE REG(RNG + 0x508)

#define NVIC_ISER (REG(0xe000e100))

enum {
    IRQ_UART = 2,
    IRQ_TIMER1 = 9,
    IRQ_TIMER2 = 10,
};

// What the timers are for. All of them count microseconds.
enum {
    CLOCK = 0, // never stops; its compare register 0 is where the counter is read
    TICK = 1,
    PRODUCER = 2,
};

static void timer_start(unsigned timer) {
    TIMER_BITMODE(timer) = TIMER_BITMODE_32;
    TIMER_PRESCALER(timer) = TIMER_PRESCALER_1MHZ;
    TIMER_CLEAR(timer) = 1;
    TIMER_START(timer) = 1;
}

// The timer begins again by itself: software that set the time of the next interrupt
// could be too late for it, which a comparison for equality does not forgive.
static void timer_start_periodic(unsigned timer, uint32_t period_us) {
    TIMER_CC(timer, 0) = period_us;
    TIMER_SHORTS(timer) = TIMER_SHORT_COMPARE0_CLEAR;
    TIMER_INTENSET(timer) = TIMER_INT_COMPARE0;
    timer_start(timer);
}

void soc_init(void) {
    RNG_START = 1;
    timer_start(CLOCK);
    timer_start_periodic(TICK, 1000);
    NVIC_ISER = 1 << IRQ_UART | 1 << IRQ_TIMER1;
}

uint32_t cortexm_counter_us(void) {
    TIMER_CAPTURE(CLOCK, 0) = 1;
    return TIMER_CC(CLOCK, 0);
}

uint32_t soc_noise(void) {
    return (uint32_t)soc_ticks_us() << 8 ^ RNG_VALUE;
}

uint32_t soc_cpu_hz(void) {
    return CPU_HZ;
}

static void TIMER1_Handler(void) {
    TIMER_COMPARE(TICK, 0) = 0;
    qemu_tick();
}

// ---- UART 0; there is no other

// The transmitter has a byte that the host has not taken yet.
static bool sending;

void soc_uart_enable(unsigned port, bool on) {
    UART_ENABLE = on ? UART_ENABLE_ON : 0;
    if (on) {
        UART_STARTRX = 1;
        UART_STARTTX = 1;
        UART_INTENSET = UART_INT_RXDRDY;
    } else {
        UART_INTENCLR = UART_INT_RXDRDY | UART_INT_TXDRDY;
        UART_STOPRX = 1;
        UART_STOPTX = 1;
    }
}

void soc_uart_set_baudrate(unsigned port, uint32_t baudrate) {
    // QEMU transfers at full speed.
}

bool soc_uart_rx_full(unsigned port) {
    return UART_RXDRDY;
}

uint8_t soc_uart_rx(unsigned port) {
    // In this order: reading the byte announces the next.
    UART_RXDRDY = 0;
    return UART_RXD;
}

bool soc_uart_tx_full(unsigned port) {
    if (sending && UART_TXDRDY) {
        sending = false;
    }
    return sending;
}

void soc_uart_tx(unsigned port, uint8_t c) {
    UART_TXDRDY = 0;
    sending = true;
    UART_TXD = c;
}

static void switch_irq(uint32_t which, bool on) {
    *(on ? &UART_INTENSET : &UART_INTENCLR) = which;
}

void soc_uart_rx_irq(unsigned port, bool on) {
    switch_irq(UART_INT_RXDRDY, on);
}

void soc_uart_tx_irq(unsigned port, bool on) {
    switch_irq(UART_INT_TXDRDY, on);
}

static void UART0_Handler(void) {
    if (UART_TXDRDY) {
        switch_irq(UART_INT_TXDRDY, false); // who waits looks at the event, which stays
    }
    serial_irq(SERIAL_REPL);
}

// ---- The timer for C modules

static void (*timer_callback)(void);

void soc_timer_start(uint32_t period_us, void (*callback)(void)) {
    timer_callback = callback;
    timer_start_periodic(PRODUCER, period_us);
    NVIC_ISER = 1 << IRQ_TIMER2;
}

void soc_timer_stop(void) {
    TIMER_STOP(PRODUCER) = 1;
}

static void TIMER2_Handler(void) {
    TIMER_COMPARE(PRODUCER, 0) = 0;
    timer_callback();
}

typedef void (*handler_t)(void);

// Exceptions 0 to 15 and the interrupts in use; no others are ever enabled.
static const handler_t vectors[] __attribute__((used, section(".isr_vector"))) = {
    (handler_t)&_estack,
    Reset_Handler,
    [2] = Default_Handler,  // NMI
    [3] = Default_Handler,  // HardFault
    [11] = Default_Handler, // SVCall
    [14] = Default_Handler, // PendSV
    [16 + IRQ_UART] = UART0_Handler,
    [16 + IRQ_TIMER1] = TIMER1_Handler,
    [16 + IRQ_TIMER2] = TIMER2_Handler,
};
