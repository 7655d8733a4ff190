// Hardware of ARM's MPS2 boards as QEMU emulates them (mps2-an385 and its kin):
// CMSDK UARTs, SysTick, and the free-running counter of the FPGA I/O block.

#include "py/mphal.h"

#include "qemu_common/cortexm.h"
#include "qemu_common/serial.h"
#include "qemu_common/soc.h"

#define CPU_HZ (25000000)

typedef struct {
    volatile uint32_t data;
    volatile uint32_t state;
    volatile uint32_t ctrl;
    volatile uint32_t intstatus;
    volatile uint32_t bauddiv;
} cmsdk_uart_t;

typedef struct {
    volatile uint32_t ctrl;
    volatile uint32_t value;
    volatile uint32_t reload;
    volatile uint32_t intstatus;
} cmsdk_timer_t;

#define STATE_TXFULL (1 << 0)
#define STATE_RXFULL (1 << 1)
#define CTRL_TX_EN (1 << 0)
#define CTRL_RX_EN (1 << 1)
#define CTRL_TX_IRQ_EN (1 << 2)
#define CTRL_RX_IRQ_EN (1 << 3)
#define INT_TX (1 << 0)
#define INT_RX (1 << 1)
#define BAUDDIV_MIN (16)
#define BAUDDIV_MAX (0xfffff)
#define TIMER_CTRL_EN (1 << 0)
#define TIMER_CTRL_IRQ_EN (1 << 3)

static cmsdk_uart_t *const uarts[QEMU_SERIAL_PORTS] = {
    (cmsdk_uart_t *)0x40004000,
    (cmsdk_uart_t *)0x40005000,
};

static cmsdk_timer_t *const timer0 = (cmsdk_timer_t *)0x40000000;

enum {
    IRQ_UART0_RX = 0,
    IRQ_UART0_TX = 1,
    IRQ_UART1_RX = 2,
    IRQ_UART1_TX = 3,
    IRQ_TIMER0 = 8,
};

#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)
#define SYST_CSR_ENABLE_IRQ_CPUCLK (7)
#define NVIC_ISER0 (*(volatile uint32_t *)0xe000e100)

// Counts once every PRESCALE + 1 clocks. QEMU computes it from its clock when it
// is read, so the time stays right even if the host is too busy for some ticks.
#define FPGAIO_COUNTER (*(volatile uint32_t *)0x40028018)
#define FPGAIO_PRESCALE (*(volatile uint32_t *)0x4002801c)

void soc_init(void) {
    FPGAIO_PRESCALE = CPU_HZ / 1000000 - 1;
    FPGAIO_COUNTER = 0;
    SYST_RVR = CPU_HZ / 1000 - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_ENABLE_IRQ_CPUCLK;
    for (unsigned port = 0; port < QEMU_SERIAL_PORTS; port++) {
        uarts[port]->bauddiv = BAUDDIV_MIN;
    }
    NVIC_ISER0 = 1 << IRQ_UART0_RX | 1 << IRQ_UART0_TX | 1 << IRQ_UART1_RX | 1 << IRQ_UART1_TX;
}

uint32_t cortexm_counter_us(void) {
    return FPGAIO_COUNTER;
}

uint32_t soc_noise(void) {
    return FPGAIO_COUNTER << 16 ^ SYST_CVR;
}

uint32_t soc_cpu_hz(void) {
    return CPU_HZ;
}

void soc_uart_enable(unsigned port, bool on) {
    uarts[port]->ctrl = on ? CTRL_TX_EN | CTRL_RX_EN | CTRL_RX_IRQ_EN : 0;
}

void soc_uart_set_baudrate(unsigned port, uint32_t baudrate) {
    // QEMU transfers at full speed whatever the rate, but wants a valid divider.
    uarts[port]->bauddiv = MIN(MAX(CPU_HZ / baudrate, BAUDDIV_MIN), BAUDDIV_MAX);
}

bool soc_uart_rx_full(unsigned port) {
    return uarts[port]->state & STATE_RXFULL;
}

uint8_t soc_uart_rx(unsigned port) {
    return uarts[port]->data;
}

bool soc_uart_tx_full(unsigned port) {
    return uarts[port]->state & STATE_TXFULL;
}

void soc_uart_tx(unsigned port, uint8_t c) {
    uarts[port]->data = c;
}

// In a section, since interrupts switch each other.
static void switch_irq(unsigned port, uint32_t which, bool on) {
    uint32_t irq = qemu_irq_disable();
    if (on) {
        uarts[port]->ctrl |= which;
    } else {
        uarts[port]->ctrl &= ~which;
    }
    qemu_irq_restore(irq);
}

void soc_uart_rx_irq(unsigned port, bool on) {
    switch_irq(port, CTRL_RX_IRQ_EN, on);
}

void soc_uart_tx_irq(unsigned port, bool on) {
    switch_irq(port, CTRL_TX_IRQ_EN, on);
}

// Acknowledging first means that a byte arriving meanwhile interrupts again.
static void uart_irq(unsigned port) {
    uarts[port]->intstatus = INT_RX | INT_TX;
    serial_irq(port);
}

static void UART0_Handler(void) {
    uart_irq(0);
}

static void UART1_Handler(void) {
    uart_irq(1);
}

static void (*timer_callback)(void);

void soc_timer_start(uint32_t period_us, void (*callback)(void)) {
    timer_callback = callback;
    timer0->reload = timer0->value = period_us * (CPU_HZ / 1000000);
    timer0->ctrl = TIMER_CTRL_EN | TIMER_CTRL_IRQ_EN;
    NVIC_ISER0 = 1 << IRQ_TIMER0;
}

void soc_timer_stop(void) {
    timer0->ctrl = 0;
}

static void TIMER0_Handler(void) {
    timer0->intstatus = 1;
    timer_callback();
}

typedef void (*handler_t)(void);

// Exceptions 0 to 15 and the interrupts in use; no others are ever enabled.
static const handler_t vectors[] __attribute__((used, section(".isr_vector"))) = {
    (handler_t)&_estack,
    Reset_Handler,
    Default_Handler, // NMI
    Default_Handler, // HardFault
    Default_Handler, // MemManage
    Default_Handler, // BusFault
    Default_Handler, // UsageFault
    NULL,
    NULL,
    NULL,
    NULL,
    Default_Handler, // SVCall
    Default_Handler, // DebugMonitor
    NULL,
    Default_Handler, // PendSV
    qemu_tick,
    [16 + IRQ_UART0_RX] = UART0_Handler,
    [16 + IRQ_UART0_TX] = UART0_Handler,
    [16 + IRQ_UART1_RX] = UART1_Handler,
    [16 + IRQ_UART1_TX] = UART1_Handler,
    [16 + IRQ_TIMER0] = TIMER0_Handler,
};
