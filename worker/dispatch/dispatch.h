/* The dispatcher: one worker node's life in the database, its hosts and its jobs.
 *
 * Life: dispatch_new, dispatch_start, dispatch_drain, on_drained, dispatch_free. A node registers
 * under a random id, beats, claims, adopts. Declared dead by others (AF002 on a call of the node's
 * own) it drops every job without touching a host and begins again under a new id. */
#ifndef FLEET_DISPATCH_H
#define FLEET_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/db/db.h"
#include "common/list.h"
#include "common/loop.h"
#include "worker/dispatch/made.h"
#include "worker/dispatch/peer.h"
#include "worker/dispatch/sweep.h"
#include "worker/job/job.h"
#include "worker/node/node.h"

#define DISPATCH_CLAIM_MAX 32
#define DISPATCH_REAP_MS 60000 /* from one reap() to the next */

struct host;

struct dispatch {
    struct node node; /* who we are; its state is the dispatcher's */
    struct list hosts;
    struct list made; /* of struct made: entries of the API */
    struct jobs jobs;
    struct peers peers;
    struct sweep sweep;
    struct timer tick; /* the sentences of dispatch.c */
    struct timer beat; /* renew */
    struct timer look; /* at the other workers */

    int64_t renew_sent; /* clock_ms of the renew in flight */
    bool calling;       /* node_start(), made_hosts() or configure() is in flight */
    bool renewing, looking, claiming, adopting, promoting, reaping, fetching;
    bool configure_due; /* the configuration changed, or the API's hosts */
    bool made_due;      /* the API may have changed its hosts */
    bool made_known;    /* they were asked for once: what configure() lists is whole */
    int64_t next_made;  /* slow poll */

    bool claim_wanted;   /* there may be work and room */
    bool asleep;         /* sleep_begin() was sent: a NOTIFY will come */
    int64_t next_call;   /* clock_ms: node_start() and configure() are tried again */
    int64_t next_claim;  /* slow poll */
    int64_t claim_pause; /* clock_ms before which a failed claim is not repeated */
    int64_t next_promote, next_reap;
    int64_t next_warning; /* clock_ms: runs of ours on hosts that are not configured */

    char lock[200];      /* what became of our session's lock; "": not known yet */
    int64_t drain_until; /* clock_ms */
    bool stop_sent, stop_answered;
    int hosts_closing;
    void (*on_drained)(void *data);
    void *data; /* borrowed */
};

/* Owns config from now on. `name` is for people; borrowed during the call. */
struct dispatch *dispatch_new(struct loop *loop, struct db *db, struct config *config,
                              const char *name);
void dispatch_start(struct dispatch *dispatch);
void dispatch_notify(struct dispatch *dispatch); /* there may be work */
/* A NOTIFY: "left" when a worker has stopped, "host" when the API has changed one, "check ID" when
 * somebody wants to know how one is; else there may be work, also after a reconnect. */
void dispatch_told(struct dispatch *dispatch, const char *word);
void dispatch_reload(struct dispatch *dispatch, struct config *config); /* owns config */
/* Stops claiming and following, stores what is pending (at most 5 s), lets others adopt, closes the
 * hosts. Runs go on on their hosts. The database must live until on_drained. */
void dispatch_drain(struct dispatch *dispatch, void (*on_drained)(void *data), void *data);
/* A notify_status_cb: what it does now, in one line. */
bool dispatch_status(void *dispatch, char *text, size_t size);
/* After on_drained, and after the database was stopped. */
void dispatch_free(struct dispatch *dispatch);

/* Adds what this node says of itself, as JSON; `lag` is how late its loop was. */
void dispatch_say(const struct dispatch *dispatch, const struct histogram *lag, struct buf *out);

/* --- Between the parts of the dispatcher --- */

void dispatch_claim(struct dispatch *dispatch); /* claim.c: claim, adopt, fetch */
int dispatch_want(void *dispatch, size_t ends); /* tasks for the slots of so many runs that end */
void dispatch_take(void *dispatch, const struct db_result *res, int row); /* one that was claimed */
void dispatch_adopt(struct dispatch *dispatch);
void dispatch_fetch(struct dispatch *dispatch, const int64_t *attempts, int count);
void dispatch_register(struct dispatch *dispatch);   /* life.c: start, configure, renew */
void dispatch_ask_made(struct dispatch *dispatch);   /* ask.c: the hosts that the API made */
void dispatch_take_hosts(struct dispatch *dispatch); /* the file's, and the API's beside them */
void dispatch_renew(void *dispatch);
void dispatch_hold(struct dispatch *dispatch); /* lock.c: the lock of our session */
void dispatch_let_go(struct dispatch *dispatch);
void dispatch_look(void *dispatch); /* at the other workers: now, and then regularly */
void dispatch_end_life(void *dispatch, const char *why); /* on_dead of its node */
struct host *dispatch_host(const struct dispatch *dispatch, const char *host_id); /* NULL: none */

/* A call in flight: which life it belongs to. */
struct dispatch_call {
    struct dispatch *dispatch; /* borrowed */
    uint64_t life;
    char peer[37]; /* adopt: from whom */
};
struct dispatch_call *dispatch_call_new(struct dispatch *dispatch);
bool dispatch_call_end(struct dispatch_call *call); /* frees it; true when its life goes on */

#endif
