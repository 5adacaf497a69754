/* Shapes of single values in requests and payloads, checked before SQL sees them. Pure. */
#ifndef FLEET_API_VALUE_H
#define FLEET_API_VALUE_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 3339 date-time with a zone, a date that exists, year 0001 to 9999: PostgreSQL takes it. */
bool value_is_time(const char *text);

bool value_is_uuid(const char *text, size_t len); /* 8-4-4-4-12 hexadecimal digits */

#endif
