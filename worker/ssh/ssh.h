/* SSH as a way in to a host (worker/stream.h): one connection, one session channel at a time, so
 * that a sshd with `MaxSessions 1` is enough. */
#ifndef FLEET_SSH_H
#define FLEET_SSH_H

#include "common/config/config.h"
#include "common/loop.h"
#include "worker/stream.h"

/* A config_check_host_cb: is the private key, or known_hosts, one that lets us in? */
bool ssh_check_file(const struct config_host *host, const char *key, struct error *err);

/* host is borrowed until stream_close. The key and known_hosts are read anew. A handshake that sshd
 * drops (its MaxStartups) is tried again a few times before on_down. */
struct stream *ssh_stream_open(struct loop *loop, const struct config_host *host,
                               const struct stream_events *events, void *data);

#endif
