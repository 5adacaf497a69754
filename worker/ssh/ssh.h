/* SSH as a way in to a host (worker/stream.h): one connection, one session channel at a time, so
 * that a sshd with `MaxSessions 1` is enough. */
#ifndef FLEET_SSH_H
#define FLEET_SSH_H

#include "common/config/config.h"
#include "common/loop.h"
#include "worker/ssh/known_host.h"
#include "worker/stream.h"

/* A config_check_host_cb: is the private key, or known_hosts, one that lets us in? */
bool ssh_check_file(const struct config_host *host, const char *key, struct error *err);

/* host is borrowed until stream_close. The key and known_hosts are read anew. A handshake that sshd
 * drops (its MaxStartups) is tried again a few times before on_down. */
struct stream *ssh_stream_open(struct loop *loop, const struct config_host *host,
                               const struct stream_events *events, void *data);

/* What is met on the way in, in this order. */
enum ssh_place {
    SSH_AT_NAME,
    SSH_AT_PORT,
    SSH_AT_SSHD, /* its version and algorithms */
    SSH_AT_HOST_KEY,
    SSH_AT_LOGIN,
    SSH_AT_SESSION, /* it is up */
};

/* What was seen of a host on the way in, for people. Bytes of the host's are as it sent them. */
struct ssh_sight {
    enum ssh_place place; /* where it ended, or is */
    char addresses[512];  /* of the name, by blanks */
    char version[256];    /* the first line that begins "SSH-"; else the very first */
    char key_type[32];    /* of the host's key; "" = not seen */
    char key[1024];       /* in base64, as in known_hosts */
    char fingerprint[64]; /* "SHA256:…" */
    enum known_verdict verdict;
    char methods[256]; /* of log-in that it offers */
    bool key_taken;    /* our key opened the account, but that was not enough */
};

/* As ssh_stream_open(), and fills in *sight, which is borrowed until stream_close. To see as much
 * as can be seen, it connects with a private key or a known_hosts that is of no use, too: it goes
 * down where they are needed. */
struct stream *ssh_stream_look(struct loop *loop, const struct config_host *host,
                               struct ssh_sight *sight, const struct stream_events *events,
                               void *data);

#endif
