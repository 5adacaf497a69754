/* Addresses and host names of requests: who is asking, and under which name. Pure. */
#ifndef FLEET_HTTP_NET_H
#define FLEET_HTTP_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config/config.h"

/* Is `address` in one of the entries (address or CIDR)? Entries that are neither match nothing. */
bool net_in_list(const struct config_list *list, const char *address);

/* The client's address: the right-most hop of X-Forwarded-For when the peer is a trusted proxy,
 * else the peer. `forwarded` is the header's value or NULL; `client` holds `size` bytes. */
void net_client(const struct config_list *trusted, const char *peer, const char *forwarded,
                size_t forwarded_len, char *client, size_t size);

/* Does this Host header, with or without its port, name the loopback? */
bool net_host_is_loopback(const char *host, size_t len);

/* May a request carry this Host header? Yes when it names the loopback, when `hosts` is empty, or
 * when `hosts` lists it, with or without its port. */
bool net_host_known(const struct config_list *hosts, const char *host, size_t len);

#endif
