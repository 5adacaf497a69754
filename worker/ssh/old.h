/* One SSH connection to one host, for many commands at once.
 *
 * Life: ssh_open; on_change whenever it is up, down, or has more room; ssh_run while it is up;
 * ssh_close at any time, also when it is down: frees it. on_change comes from the loop, never from
 * inside these functions. */
#ifndef FLEET_SSH_H
#define FLEET_SSH_H

#include "worker/exec_job.h"

#define SSH_CHANNELS 8 /* per connection; sshd's MaxSessions is 10 */

enum ssh_state {
    SSH_CONNECTING,  /* name and TCP */
    SSH_HANDSHAKING, /* keys; at its end the host's key is verified */
    SSH_LOGGING_IN,
    SSH_UP,
    SSH_DOWN, /* old_ssh_error() says why */
};

struct ssh;

/* host is borrowed until ssh_close. The key and known_hosts are read anew for each connection. */
struct ssh *old_ssh_open(struct loop *loop, const struct config_host *host,
                         void (*on_change)(void *data), void *data);
enum ssh_state old_ssh_state(const struct ssh *ssh);
const struct error *old_ssh_error(const struct ssh *ssh); /* of SSH_DOWN */
bool old_ssh_was_up(const struct ssh *ssh); /* of SSH_DOWN: it had been SSH_UP before */
bool old_ssh_was_dropped(
    const struct ssh *ssh); /* of SSH_DOWN: during the handshake, as MaxStartups does */
int old_ssh_load(const struct ssh *ssh); /* channels in use, closing ones too */
int old_ssh_room(const struct ssh *ssh); /* jobs that it would take now; 0 unless up */
const char *
old_ssh_host_key(const struct ssh *ssh); /* SHA-256 of the verified key, hex; "" before */

void old_ssh_run(struct ssh *ssh, struct exec_job *job); /* only with room */
/* A job whose command was never sent (connection lost, or the host had no channel for it); NULL: no
 * more. The caller holds it now. */
struct exec_job *old_ssh_take_back(struct ssh *ssh);
/* Fails the jobs that it holds, says good-bye, frees itself. No on_change after. */
void old_ssh_close(struct ssh *ssh);

#endif
