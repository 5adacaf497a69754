/* IP addresses and networks, IPv4 and IPv6. */
#ifndef FLEET_NETWORK_H
#define FLEET_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

/* IPv4 lies in ::ffff:0:0/96 (RFC 4291 2.5.5.2), so that one comparison serves both. */
struct network {
    uint8_t bytes[16];
    int bits; /* of the prefix, 0 to 128 */
};

/* "10.0.0.0/8", "fd00::/8", or an address, which is a network of one. No brackets, no zone. */
bool network_parse(const char *text, struct network *network);
bool network_is_address(const char *text);
bool network_holds(const struct network *network, const char *address);
bool network_is_loopback(const char *address); /* 127.0.0.0/8 and ::1 */

#endif
