/* Inside of a link: link.c is its life, install.c brings the runner up, ask.c and watch.c ask by
 * way of queue.c, answer.c receives. */
#ifndef FLEET_LINK_INTERNAL_H
#define FLEET_LINK_INTERNAL_H

#include <stddef.h>

#include "common/buf.h"
#include "common/list.h"
#include "common/log.h"
#include "worker/link/boot.h"
#include "worker/link/link.h"
#include "worker/stream.h"

enum link_state {
    LINK_CONNECTING, /* the stream is on its way */
    LINK_BOOTING,    /* the first command: what is the host, has it our runner? */
    LINK_INSTALLING, /* it is being sent the runner */
    LINK_GREETING,   /* the runner serves, and was asked who the host is */
    LINK_UP,
    LINK_DOWN, /* on_down comes next, or came */
};

/* What follows when the command that runs is over; its output is nobody's any more. */
enum link_next { NEXT_NOTHING, NEXT_INSTALL, NEXT_BOOT };

/* What a link is made of; tests have shorter times and streams of their own. */
struct link_ways {
    struct stream *(*open)(struct loop *loop, const struct config_host *host,
                           const struct stream_events *events, void *data);
    int step_ms;      /* the longest CONNECTING, BOOTING, GREETING */
    int install_ms;   /* the longest INSTALLING */
    int ping_ms;      /* from one ping to the next; after three without a sign of life: down */
    int call_ms;      /* from a call's last byte to its answer */
    size_t queue_max; /* bytes of calls that wait to be sent */
};

/* A frame that waits to be sent. */
struct outgoing {
    struct list link;  /* in link.outgoing */
    struct call *call; /* borrowed; NULL: of none */
    size_t len, sent;
    uint8_t bytes[];
};

/* What an id stands for: a call until its answer, or a watch. First member of both. */
struct opened {
    struct list bucket; /* in link.opened */
    uint32_t id;
    enum frame_type type; /* of its question */
};

struct call {
    struct opened opened;
    struct list link;          /* in link.calls, oldest first */
    struct outgoing *outgoing; /* borrowed; NULL once it was sent */
    int deadline;        /* in link.ticks, once it was sent: a stop of ours is not the host's */
    const char *refusal; /* why nothing of it is sent, a literal; NULL: it is */
    char run[RUNNER_RUN_SIZE]; /* that its reply must name; "": any */
    int looks;                 /* of HELLO: how many its greeting must have */
    int64_t patience; /* milliseconds that its answer may take beside those of every call */
    link_greeting_cb on_greeting;
    link_reply_cb on_reply;
    link_worked_cb on_worked;
    void (*on_record)(void *data, const struct runner_record *record); /* of LIST */
    void *data;                                                        /* borrowed */
};

struct link_watch {
    struct opened opened;
    struct list link; /* in link.watches */
    struct link *of;  /* borrowed */
    char run[RUNNER_RUN_SIZE];
    uint64_t next[2];                       /* offset of stdout's and stderr's next byte */
    uint64_t credit;                        /* bytes that may still come */
    const struct link_watch_events *events; /* borrowed */
    void *data;                             /* borrowed */
};

#define LINK_BUCKETS 256

struct link {
    struct loop *loop;                /* borrowed */
    const struct config_host *host;   /* borrowed */
    const struct link_ways *ways;     /* borrowed */
    const struct link_events *events; /* borrowed */
    void *data;                       /* borrowed */
    struct log_field about[2];        /* host=… */
    struct stream *stream;            /* owned; NULL once it is down */
    enum link_state state;            /* set by link_become() only */
    bool closed;                      /* link_close() was called: no callback any more */
    bool told;                        /* on_down was called */
    struct error trouble;             /* why it is down */
    struct timer limit;               /* of the state; when it is up: the tick */
    struct timer soon;                /* brings what the end of a link means */
    int timers;                       /* not yet closed */

    char *base; /* owned: <work_dir>/.fleet/<fleet id> */
    struct boot boot;
    const struct carried *runner; /* for this host; NULL: not known yet */
    bool installed;               /* by this link: it is not tried twice */
    enum link_next next;
    size_t uploaded;

    struct buf in;        /* beginning of a frame that is not whole yet */
    struct list outgoing; /* frames */
    size_t queued;        /* bytes of them */
    bool blocked;         /* the stream takes no more now */
    uint32_t last_id;
    struct list opened[LINK_BUCKETS];
    struct list calls, watches;
    struct runner_greeting greeting; /* the first one */
    int silent;                      /* pings since the last sign of life */
    int ticks;                       /* since it is up: TICKS_PER_PING from one ping to the next */
};

struct link *link_open_by(const struct link_ways *ways, struct loop *loop,
                          const struct config_host *host, const char *fleet_id,
                          const struct link_events *events, void *data);
#define TICKS_PER_PING 5
void link_become(struct link *link, enum link_state state);
/* Down, later; only the first reason counts. `word` is one of fleet.reason. */
void link_fail(struct link *link, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool link_talks(const struct link *link); /* frames go both ways */
void link_greeted(struct link *link, const struct runner_greeting *greeting);

/* --- install.c --- */

void link_boot(struct link *link);
void link_boot_bytes(struct link *link, const char *bytes, size_t len);
void link_boot_room(struct link *link);
void link_boot_end(struct link *link, const struct stream_end *end);
void link_boot_late(struct link *link); /* the state's time is over */
/* The runner there is of no use: it is installed anew, once. False when that was done already. */
bool link_mend(struct link *link);
/* What came that was no answer, in one line; the caller releases it. */
void link_quote(const struct link *link, struct buf *text, const char *err, size_t err_len);

/* --- queue.c --- */

#define LINK_SMALL_FRAME 1024 /* of everything but a hello and a start */

void link_open_id(struct link *link, struct opened *opened, enum frame_type type);
struct opened *link_find(struct link *link, uint32_t id);
/* A frame of at most `size` bytes, begun in *out. */
struct outgoing *link_frame_new(size_t size, enum frame_type type, uint32_t id,
                                struct frame_out *out);
void link_frame_free(struct link *link, struct outgoing *frame);
/* Behind the others or, with `first`, before all that has not begun. */
void link_enqueue(struct link *link, struct outgoing *frame, struct frame_out *out, bool first);
void link_pump(struct link *link); /* gives the stream what it takes */
/* Of a call that was sent just now. */
int link_call_limit(const struct link *link, const struct call *call);

/* --- ask.c --- */

void link_ask_init(struct link *link);
void link_ask_release(struct link *link); /* calls still open get no callback */
void link_first_hello(struct link *link);
void link_ping(struct link *link);
void link_check_calls(struct link *link); /* down when one waits for its answer for too long */
/* Those that were refused, or all that were open when the link is down. */
void link_fail_calls(struct link *link);
void link_call_end(struct call *call); /* frees it */

/* --- watch.c --- */

void link_drop_watches(struct link *link);

/* --- answer.c --- */

void link_receive(struct link *link, const char *bytes, size_t len);

#endif
