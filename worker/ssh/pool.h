/* The connections to one host, and the jobs that wait for one.
 *
 * One connection stays warm; another is opened when all channels are in use, at most SSH_LINKS; not
 * more than 5 are being set up at once in this process (sshd drops new ones above its MaxStartups).
 * After a failure, a jittered and growing pause. */
#ifndef FLEET_SSH_POOL_H
#define FLEET_SSH_POOL_H

#include "worker/ssh/old.h"

#define SSH_LINKS 3

struct ssh_pool;

struct ssh_pool *ssh_pool_new(struct loop *loop,
                              const struct config_host *host); /* host is borrowed */
void ssh_pool_run(struct ssh_pool *pool, struct exec_job *job);
const char *ssh_pool_host_key(const struct ssh_pool *pool); /* SHA-256, hex; "" before the first */
/* Fails every job, closes, frees itself. */
void ssh_pool_stop(struct ssh_pool *pool);

#endif
