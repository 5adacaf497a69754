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
#include "common/db/trouble.h"
#include "common/error.h"
#include "common/list.h"
#include "common/loop.h"
#include "worker/dispatch/peer.h"
#include "worker/job/output.h"

/* a stream with more to be stored is not read on */
#define DISPATCH_PENDING_MAX ((size_t)1 << 20)
#define DISPATCH_STOP_AGAIN_MS 60000 /* a run that was to be stopped and did not end */
#define DISPATCH_CLAIM_MAX 32

struct host;
struct settings;

enum dispatch_state {
    DISPATCH_OFFLINE,    /* node_start() has to commit */
    DISPATCH_REGISTERED, /* configure() has to commit */
    DISPATCH_LIVE,
    DISPATCH_DRAINING, /* nothing new; what is pending is stored */
    DISPATCH_STOPPED,
};

struct dispatch {
    struct loop *loop;         /* borrowed */
    struct db *db;             /* borrowed */
    struct settings *settings; /* a use of it: the newest configuration */
    struct list hosts, jobs;
    struct output output;
    struct peers peers;
    struct timer tick; /* the sentences of dispatch.c */
    struct timer beat; /* renew */
    struct timer look; /* at the other workers */

    enum dispatch_state state;
    char node[37];     /* random uuid of this life */
    uint64_t life;     /* number of this life: answers to an earlier one are not used */
    char name[64];     /* for people */
    char fleet_id[65]; /* "" before the first node_start() */
    int beat_ms, dead_ms, lease_ms;

    int64_t renewed;    /* clock_ms of the sending of the last good renew; 0 = none */
    int64_t renew_sent; /* of the one in flight */
    bool fenced;        /* the lease ran out; said once */
    bool calling;       /* node_start() or configure() is in flight */
    bool renewing, looking, claiming, adopting, promoting, reaping, fetching;
    bool configure_due; /* the configuration changed */

    bool claim_wanted;   /* there may be work and room */
    bool asleep;         /* sleep_begin() was sent: a NOTIFY will come */
    int64_t next_call;   /* clock_ms: node_start() and configure() are tried again */
    int64_t next_claim;  /* slow poll */
    int64_t claim_pause; /* clock_ms before which a failed claim is not repeated */
    int64_t next_promote, next_reap;
    int64_t next_warning; /* clock_ms: runs of ours on hosts that are not configured */

    struct db_trouble trouble; /* what our calls met */
    char lock[200];            /* what became of our session's lock; "": not known yet */
    int64_t drain_until;       /* clock_ms */
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
/* A NOTIFY: "left" when a worker has stopped; else there may be work, also after a reconnect. */
void dispatch_told(struct dispatch *dispatch, const char *word);
void dispatch_reload(struct dispatch *dispatch, struct config *config); /* owns config */
/* Stops claiming and following, stores what is pending (at most 5 s), lets others adopt, closes the
 * hosts. Runs go on on their hosts. The database must live until on_drained. */
void dispatch_drain(struct dispatch *dispatch, void (*on_drained)(void *data), void *data);
void dispatch_free(
    struct dispatch *dispatch); /* after on_drained, and after the database was stopped */

/* --- For hosts, jobs and output --- */

struct db *dispatch_db(struct dispatch *dispatch);
const char *dispatch_node(const struct dispatch *dispatch);
const struct config *dispatch_config(const struct dispatch *dispatch);
bool dispatch_live(const struct dispatch *dispatch);
bool dispatch_draining(const struct dispatch *dispatch);
/* False when our lease may have run out: no start, stop, raise or void, only looking. */
bool dispatch_may_act(struct dispatch *dispatch);
void dispatch_job_gone(struct dispatch *dispatch); /* a slot may be free */
void dispatch_host_ready(struct dispatch *dispatch);
void dispatch_output_soon(struct dispatch *dispatch);
/* A call in the node's own name failed: logged; AF002 ends this life. */
void dispatch_failed(struct dispatch *dispatch, const char *what, const struct error *err);

/* Test hook: with FLEET_BREAKPOINT=after-claim or after-starting in the environment the process
 * stops itself (SIGSTOP) once, at that point, so that a test can let its work be taken over before
 * it goes on. */
void dispatch_breakpoint(const char *point);

/* --- Between the parts of the dispatcher --- */

void dispatch_claim(struct dispatch *dispatch); /* claim.c: claim, adopt, fetch */
void dispatch_adopt(struct dispatch *dispatch);
void dispatch_fetch(struct dispatch *dispatch, const int64_t *attempts, int count);
void dispatch_register(struct dispatch *dispatch); /* life.c: start, configure, renew */
void dispatch_renew(void *dispatch);
void dispatch_hold(struct dispatch *dispatch); /* lock.c: the lock of our session */
void dispatch_let_go(struct dispatch *dispatch);
void dispatch_look(void *dispatch); /* at the other workers: now, and then regularly */
void dispatch_set(struct dispatch *dispatch, enum dispatch_state state); /* the only setter */
void dispatch_end_life(struct dispatch *dispatch, const char *why);
struct host *dispatch_host(const struct dispatch *dispatch, const char *host_id); /* NULL: none */
struct job *dispatch_job(const struct dispatch *dispatch, int64_t attempt);       /* NULL: none */

/* A call in flight: which life it belongs to. */
struct dispatch_call {
    struct dispatch *dispatch; /* borrowed */
    uint64_t life;
    char peer[37]; /* adopt: from whom */
};
struct dispatch_call *dispatch_call_new(struct dispatch *dispatch);
bool dispatch_call_end(struct dispatch_call *call); /* frees it; true when its life goes on */

#endif
