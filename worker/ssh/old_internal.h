/* Between ssh.c (the connection) and channel.c (a command in it). The only users of libssh2
 * with known_host.c. */
#ifndef FLEET_SSH_INTERNAL_H
#define FLEET_SSH_INTERNAL_H

#include <libssh2.h>

#include "worker/ssh/connect.h"
#include "worker/ssh/known_host.h"
#include "worker/ssh/old.h"

struct ssh {
    struct loop *loop;              /* borrowed */
    const struct config_host *host; /* borrowed */
    void (*on_change)(void *data);
    void *data; /* borrowed */
    enum ssh_state state;
    struct error error; /* of SSH_DOWN */
    bool was_up, dropped;
    struct known_hosts *known;   /* owned; as the file stood when the connection began */
    struct ssh_connect *connect; /* owned; while SSH_CONNECTING */
    int fd;                      /* owned; -1 without */
    struct watch *watch;         /* owned */
    LIBSSH2_SESSION *session;    /* owned */
    /* What the socket did not take yet. libssh2 hands its packets to us whole and never sees a full
     * socket: after a partial send it takes the next packet, of whichever channel, for the rest of
     * the first one (1.10 transport.c, send_existing: "Address is different"). */
    struct buf unsent;
    bool gone;            /* the peer has closed, or the socket is broken */
    uint64_t received;    /* bytes, ever */
    int silent_ticks;     /* ticks since the last byte came */
    struct list channels; /* owned */
    int load;             /* length of channels */
    int channels_max;     /* what the host lets us have at once */
    /* The one whose open or exec waits for its answer. One at a time: libssh2 1.10 takes another
     * channel's answer of the same type for a failure (packet.c, _libssh2_packet_requirev). */
    struct ssh_channel *asking;
    struct list back;  /* jobs that were never sent */
    struct timer tick; /* limit of the set-up; then keep-alive */
    struct timer soon; /* on_change, and a pump that had more to do */
    bool changed;      /* on_change is due */
    int handles;       /* timers not yet closed */
    char host_key[65];
};

/* A state each; the order is that of a command's life. */
enum ssh_step {
    SSH_STEP_OPEN,  /* the channel */
    SSH_STEP_EXEC,  /* asks for the command */
    SSH_STEP_TALK,  /* input there, output here, until the other side closes */
    SSH_STEP_CLOSE, /* our half */
    SSH_STEP_FREE,
};

struct ssh_channel {
    struct list link;     /* in ssh->channels */
    struct ssh *ssh;      /* borrowed */
    struct exec_job *job; /* borrowed; NULL once it was ended: the channel is only closed then */
    LIBSSH2_CHANNEL *channel; /* owned; NULL before it is open */
    enum ssh_step step;
    bool input_ended;
};

/* The connection is over: the reason, once. Channels are dropped before the next turn of the loop.
 */
void old_ssh_fail(struct ssh *ssh, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* word: the kind, of fleet.reason */
void old_ssh_become(struct ssh *ssh,
                    enum ssh_state state); /* the only place where the state changes */

bool old_ssh_setup_files(
    struct ssh *ssh); /* the key and known_hosts, before the network; false: down */
bool old_ssh_setup_session(struct ssh *ssh, struct error *err);
bool old_ssh_setup_step(struct ssh *ssh); /* one state; true when it went on */
void old_ssh_pump(struct ssh *ssh);       /* moves everything that can move */

void old_ssh_channel_new(struct ssh *ssh, struct exec_job *job);
/* One step of one channel. True when something moved; the channel may be gone then. */
bool old_ssh_channel_step(struct ssh_channel *channel);
/* Of a lost connection: a job that was sent fails with `why`, another one goes to ssh->back. */
void old_ssh_channel_drop(struct ssh_channel *channel, const struct error *why);

#endif
