// What a board's hardware code (mps2.c, ...) provides to the shared code.
#ifndef QEMU_COMMON_SOC_H
#define QEMU_COMMON_SOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Starts the interrupts, the clock and a tick interrupt of 1 kHz that calls
// qemu_tick(). Called once, before anything else.
void soc_init(void);

// Microseconds since soc_init(), monotonic. Callable from anywhere.
uint64_t soc_ticks_us(void);

// Some quickly changing bits, as a source of (weak) randomness.
uint32_t soc_noise(void);

// Nominal clock of the emulated core in Hz.
uint32_t soc_cpu_hz(void);

// Restarts the machine.
void soc_reset(void) __attribute__((noreturn));

// One UART. Its receive interrupt handler must call serial_irq(port).
void soc_uart_enable(unsigned port, bool on);
void soc_uart_set_baudrate(unsigned port, uint32_t baudrate);
bool soc_uart_rx_full(unsigned port);
uint8_t soc_uart_rx(unsigned port);
// Switches the receive interrupt, which soc_uart_enable() turns on.
void soc_uart_rx_irq(unsigned port, bool on);
bool soc_uart_tx_full(unsigned port);
void soc_uart_tx(unsigned port, uint8_t c);
// Switches the interrupt that ends a wait for a blocked transmitter.
void soc_uart_tx_irq(unsigned port, bool on);

// A timer for C modules that want an interrupt of their own: calls callback in an
// interrupt every period_us microseconds until it is stopped.
void soc_timer_start(uint32_t period_us, void (*callback)(void));
void soc_timer_stop(void);

// Provided by hal.c, called by the tick interrupt.
void qemu_tick(void);
// Provided by machine_timer.c: called by the tick, and at a soft reset.
void machine_timer_tick(void);
void machine_timer_deinit_all(void);
// Provided by hal.c, called by every other interrupt: ends qemu_wait_for_interrupt().
void qemu_wake(void);

#endif
