/* Between ssh.c (a connection's life), socket.c (its bytes), setup.c (until it is logged in) and
 * channel.c (a command in it). The only users of libssh2 with known_host.c. */
#ifndef FLEET_SSH_INTERNAL_H
#define FLEET_SSH_INTERNAL_H

#include <libssh2.h>

#include "common/buf.h"
#include "worker/ssh/connect.h"
#include "worker/ssh/known_host.h"
#include "worker/ssh/ssh.h"

enum ssh_state {
    SSH_PAUSING,     /* before another try */
    SSH_CONNECTING,  /* name and TCP */
    SSH_HANDSHAKING, /* keys; at its end the host's key is verified */
    SSH_LOGGING_IN,
    SSH_UP,
    SSH_DOWN, /* for ever */
};

/* A state each; the order is that of a command's life. */
enum ssh_step {
    SSH_STEP_NONE,    /* no channel */
    SSH_STEP_OPEN,    /* the channel */
    SSH_STEP_REFUSED, /* not now: soon again */
    SSH_STEP_EXEC,    /* asks for the command */
    SSH_STEP_TALK,    /* input there, output here, until the other side closes */
    SSH_STEP_CLOSE,   /* our half */
    SSH_STEP_FREE,
};

/* From stream_run() to on_end. */
struct ssh_command {
    bool running;
    char *text; /* owned; NULL once its channel is open */
    struct buf input;
    size_t input_at;  /* bytes at the front of `input` that were sent */
    bool input_ended; /* no more comes, or nobody wants it */
    bool eof_sent;
    bool room_wanted; /* stream_write() took less than it was given */
    bool cut;         /* stream_cut() was called */
    struct buf err;
};

struct ssh {
    struct stream stream;           /* first */
    struct loop *loop;              /* borrowed */
    const struct config_host *host; /* borrowed */
    struct ssh_sight *sight;        /* borrowed; NULL: nobody looks on */
    enum ssh_state state;
    struct error error;          /* of SSH_DOWN */
    int drops;                   /* handshakes in a row that the host cut */
    struct known_hosts *known;   /* owned; until the host's key is verified */
    struct ssh_connect *connect; /* owned; while SSH_CONNECTING */
    int fd;                      /* owned; -1 without */
    struct watch *watch;         /* owned */
    LIBSSH2_SESSION *session;    /* owned */
    /* What the socket did not take yet. libssh2 hands its packets to us whole and never sees a full
     * socket: after a partial send it takes the next packet for the rest of the first one (1.10
     * transport.c, send_existing: "Address is different"). */
    struct buf unsent;
    struct buf heard;  /* the beginning of what the host sent, until the handshake is over */
    bool gone;         /* the peer has closed, or the socket is broken */
    uint64_t received; /* bytes, ever */
    struct ssh_command command;
    enum ssh_step step;
    LIBSSH2_CHANNEL *channel; /* owned; of SSH_STEP_EXEC and later */
    char *asked;              /* owned; the channel's command: libssh2 may want it again */
    bool left;                /* it was cut: its channel is only closed */
    bool ran_before;          /* a command, which may still have a session on the host */
    bool lingered;            /* its exit is known, and it has had time for its last output */
    struct timer limit;       /* of the set-up; of a command's way to the host; of lingering */
    struct timer soon;        /* a pump that has more to do */
    bool closed;              /* by stream_close() */
    int handles;              /* timers not yet closed */
    char host_key[65];
};

/* The connection is over: the reason, once. on_down comes with the next turn of the loop. */
void ssh_fail(struct ssh *ssh, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));              /* word: the kind, of fleet.reason */
void ssh_become(struct ssh *ssh, enum ssh_state state); /* the only place where the state changes */
/* A handshake that was cut: another try comes, unless it was the last. */
void ssh_try_again(struct ssh *ssh);
void ssh_pump_soon(struct ssh *ssh, uint64_t ms);

void ssh_socket_attach(struct ssh *ssh); /* libssh2 reads and writes by us */
void ssh_socket_flush(struct ssh *ssh);

/* The key and known_hosts, before the network; false: down. */
bool ssh_setup_files(struct ssh *ssh);
bool ssh_setup_session(struct ssh *ssh, struct error *err);
bool ssh_setup_step(struct ssh *ssh); /* one state; true when it went on */

/* sight.c: each notes what there is to see now, for whoever looks on. */
void ssh_see_connect(struct ssh *ssh);
void ssh_see_heard(struct ssh *ssh);
void ssh_see_key(struct ssh *ssh, const char *type, const void *key, size_t len,
                 enum known_verdict verdict);
bool ssh_see_methods(struct ssh *ssh); /* false: come again */
void ssh_see_refusal(struct ssh *ssh, int rc);

/* One step. True when something moved. */
bool ssh_channel_step(struct ssh *ssh);
void ssh_channel_limit(struct ssh *ssh); /* the time of `limit` is over */
void ssh_channel_init(struct ssh *ssh);
void ssh_channel_release(struct ssh *ssh);
void ssh_run(struct stream *stream, const char *command);
size_t ssh_write(struct stream *stream, const char *bytes, size_t len);
void ssh_end_input(struct stream *stream);
void ssh_cut(struct stream *stream);

#endif
