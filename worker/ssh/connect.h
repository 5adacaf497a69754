/* A TCP connection by name, without blocking: resolve, then try each address in turn. */
#ifndef FLEET_SSH_CONNECT_H
#define FLEET_SSH_CONNECT_H

#include "common/buf.h"
#include "common/error.h"
#include "common/loop.h"

struct ssh_connect;

/* Exactly once, later, unless ssh_connect_stop came first. fd belongs to the callee; -1
 * with err. */
typedef void (*ssh_connect_done_cb)(void *data, int fd, const struct error *err);

/* Each address has address_ms. The hostname is copied; the result frees itself after on_done. */
struct ssh_connect *ssh_connect_start(struct loop *loop, const char *hostname, int port,
                                      int address_ms, ssh_connect_done_cb on_done, void *data);
/* Every address of the name, in the order in which they are tried; until and in on_done. */
void ssh_connect_addresses(const struct ssh_connect *way, struct buf *text);
void ssh_connect_stop(struct ssh_connect *way); /* no callback after; frees itself; NULL is fine */

#endif
