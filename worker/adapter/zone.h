/* Time zones by name, as the system has them. */
#ifndef FLEET_ZONE_H
#define FLEET_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds east of UTC in zone `name` ("Area/City", of foreign origin) when its clocks show `local`
 * (civil seconds since 1970). False when the system does not know the zone or that year. */
bool zone_offset(const char *name, int64_t local, int *offset);

/* The same, of the bytes of a file of zoneinfo (RFC 8536). */
bool zone_offset_of(const unsigned char *bytes, size_t len, int64_t local, int *offset);

#endif
