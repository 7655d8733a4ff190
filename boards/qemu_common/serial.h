// Interrupt-driven serial ports. Port 0 is the REPL, the others machine.UART.
#ifndef QEMU_COMMON_SERIAL_H
#define QEMU_COMMON_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL_REPL (0)

// Largest number of bytes a port can hold for its reader.
#define SERIAL_RXBUF_MAX (QEMU_SERIAL_RXBUF_MAX)

// Opens a port, dropping what an earlier use may have left in its buffer.
// rxbuf is at most SERIAL_RXBUF_MAX.
void serial_open(unsigned port, size_t rxbuf);
void serial_close(unsigned port);

// Number of bytes that can be read at once.
size_t serial_any(unsigned port);

// Reads what is there, up to len bytes, without waiting.
size_t serial_read(unsigned port, uint8_t *buf, size_t len);

// Writes until all is sent, or until the host has accepted no byte for
// stall_ms milliseconds; returns the number of bytes sent.
size_t serial_write(unsigned port, const uint8_t *buf, size_t len, uint32_t stall_ms);
bool serial_can_write(unsigned port);

// Called by the hardware code's receive interrupt handlers.
void serial_irq(unsigned port);

// Called by the tick.
void serial_tick(void);

#endif
