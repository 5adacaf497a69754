/* Time of this machine. Verdicts about tasks use the database's clock, never this one. */
#ifndef FLEET_CLOCK_H
#define FLEET_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_ms(void); /* CLOCK_BOOTTIME in ms: goes on while the machine is suspended */
int64_t clock_us(void); /* CLOCK_MONOTONIC in us: for how long something of this process took */

/* Wall clock as RFC 3339 in UTC with microseconds; `text` holds at least 32 bytes. */
void clock_format(char *text, size_t size);

#endif
