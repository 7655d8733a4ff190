// QEMU's mps2-an385: start-up, a timer interrupt, and a serial port whose interrupt fills and empties two rings.
#include "board.h"

#include <string.h>

typedef struct {
    volatile uint32_t ctrl, value, reload, intclear;
} cmsdk_timer_t;
typedef struct {
    volatile uint32_t data, state, ctrl, intclear, bauddiv;
} cmsdk_uart_t;

#define TIMER0 ((cmsdk_timer_t *)0x40000000)
#define TIMER_ON (1u << 0 | 1u << 3) // and its interrupt
#define UART0 ((cmsdk_uart_t *)0x40004000)
#define UART_TX_FULL (1u << 0)
#define UART_RX_FULL (1u << 1)
#define UART_ON 0xfu // both directions and their interrupts
#define UART_INTERRUPTS 0x3u
#define FPGA_COUNTER (*(volatile uint32_t *)0x40028018) // runs from the start on

#define NVIC_ENABLE (*(volatile uint32_t *)0xe000e100)
#define NVIC_PRIORITY ((volatile uint8_t *)0xe000e400)
enum { UART0_RX = 0, UART0_TX = 1, TIMER0_OVER = 8 };
#define PRIORITY_OF_TIMER 0x40 // above configMAX_SYSCALL_INTERRUPT_PRIORITY: it may not call FreeRTOS
#define PRIORITY_OF_UART 0xc0  // below it: it may

// ---- Timer

static void (*on_timer)(void);

static void timer_interrupt(void) {
    TIMER0->intclear = 1;
    on_timer();
}

void board_timer_start(uint32_t period_us, void (*handler)(void)) {
    on_timer = handler;
    NVIC_PRIORITY[TIMER0_OVER] = PRIORITY_OF_TIMER;
    NVIC_ENABLE = 1u << TIMER0_OVER;
    TIMER0->reload = TIMER0->value = configCPU_CLOCK_HZ / 1000000 * period_us - 1;
    TIMER0->ctrl = TIMER_ON;
}

// ---- Serial port

// One side moves head, the other tail; indices wrap with the size.
typedef struct {
    uint8_t data[256];
    volatile uint8_t head, tail;
} ring_t;

static ring_t received, to_send;
static TaskHandle_t reader_task;

static bool ring_put(ring_t *ring, uint8_t byte) {
    const uint8_t head = ring->head;
    if ((uint8_t)(head + 1) == ring->tail) {
        return false;
    }
    ring->data[head] = byte;
    ring->head = (uint8_t)(head + 1);
    return true;
}

static bool ring_take(ring_t *ring, uint8_t *byte) {
    const uint8_t tail = ring->tail;
    if (tail == ring->head) {
        return false;
    }
    *byte = ring->data[tail];
    ring->tail = (uint8_t)(tail + 1);
    return true;
}

// With the interrupt off or in it.
static void send_more(void) {
    uint8_t byte;
    while (!(UART0->state & UART_TX_FULL) && ring_take(&to_send, &byte)) {
        UART0->data = byte;
    }
}

static void uart_interrupt(void) {
    BaseType_t woken = pdFALSE;
    UART0->intclear = UART_INTERRUPTS;
    while (UART0->state & UART_RX_FULL) {
        (void)ring_put(&received, (uint8_t)UART0->data); // no room: the frame's CRC tells, and the link sends again
        vTaskNotifyGiveFromISR(reader_task, &woken);
    }
    send_more();
    portYIELD_FROM_ISR(woken);
}

void board_uart_start(TaskHandle_t reader) {
    reader_task = reader;
    UART0->bauddiv = 16;
    UART0->ctrl = UART_ON;
    NVIC_PRIORITY[UART0_RX] = NVIC_PRIORITY[UART0_TX] = PRIORITY_OF_UART;
    NVIC_ENABLE = 1u << UART0_RX | 1u << UART0_TX;
}

size_t board_uart_read(uint8_t *data, size_t most) {
    size_t count = 0;
    while (count < most && ring_take(&received, data + count)) {
        count++;
    }
    return count;
}

size_t board_uart_write(const uint8_t *data, size_t len_bytes) {
    size_t count = 0;
    while (count < len_bytes && ring_put(&to_send, data[count])) {
        count++;
    }
    taskENTER_CRITICAL();
    send_more();
    taskEXIT_CRITICAL();
    return count;
}

uint32_t board_entropy(void) {
    return FPGA_COUNTER;
}

// ---- Start-up

extern uint32_t _estack, _sidata, _sdata, _edata, _sbss, _ebss; // from the linker script
int main(void);
void SVC_Handler(void), PendSV_Handler(void), SysTick_Handler(void); // FreeRTOS's

void Reset_Handler(void) {
    memcpy(&_sdata, &_sidata, (size_t)((char *)&_edata - (char *)&_sdata));
    memset(&_sbss, 0, (size_t)((char *)&_ebss - (char *)&_sbss));
    (void)main();
    for (;;) {
    }
}

static void fault(void) {
    for (;;) {
    }
}

typedef void (*handler_t)(void);
static const handler_t vectors[] __attribute__((used, section(".isr_vector"))) = {
    (handler_t)(uintptr_t)&_estack,
    Reset_Handler,
    fault, // NMI
    fault, // HardFault
    fault, // MemManage
    fault, // BusFault
    fault, // UsageFault
    [11] = SVC_Handler,
    [14] = PendSV_Handler,
    [15] = SysTick_Handler,
    [16 + UART0_RX] = uart_interrupt,
    [16 + UART0_TX] = uart_interrupt,
    [16 + TIMER0_OVER] = timer_interrupt,
};

// FreeRTOS asks for the idle task's memory.
void vApplicationGetIdleTaskMemory(StaticTask_t **task, StackType_t **stack, uint32_t *stack_words) {
    static StaticTask_t idle;
    static StackType_t idle_stack[configMINIMAL_STACK_SIZE];
    *task = &idle;
    *stack = idle_stack;
    *stack_words = configMINIMAL_STACK_SIZE;
}
