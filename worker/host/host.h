/* One host as this worker sees it: can it be reached, is it the right one, what runs there.
 *
 * Life: host_new, host_tick several times a second, calls and watches on its channel while it is
 * ready, host_stop, on_stopped, host_free. A channel that is cut makes it CHECKING and is opened
 * again at once: only a failed try calls it DOWN, so a cut connection that comes back is nobody's
 * news. Whoever has to do with a host's runs watches it (struct host_watcher). */
#ifndef FLEET_HOST_H
#define FLEET_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/error.h"
#include "common/list.h"
#include "common/log.h"
#include "worker/adapter/adapter.h"
#include "worker/link/link.h"
#include "worker/node/node.h"

enum host_state {
    HOST_CHECKING, /* no channel yet, or SQL has not said that it is the right one */
    HOST_READY,    /* answered as the host that SQL knows */
    HOST_DOWN,     /* `trouble`; tried again with jittered back-off */
};

enum host_news {
    HOST_IS_READY,
    HOST_IS_DOWN,
    HOST_WAS_CUT, /* its channel is gone, and every watch and call on it */
};

/* Who wants a host's news. */
struct host_watcher {
    struct list link; /* in host.watchers */
    void (*on_news)(void *data, enum host_news news);
    void *data; /* borrowed */
};

/* An agent's program there: asked for its version once, and again when it is another one. */
struct host_program {
    char agent_type[65];
    uint64_t stamp;                    /* of the one that said `version` */
    char version[RUNNER_VERSION_SIZE]; /* "": it said nothing */
    bool said, asked;                  /* it was asked; the hello in flight asks it */
    int pause_ms;                      /* until one that said nothing is asked again; */
    int64_t again;                     /* that is, at this clock_ms */
};

struct host {
    struct list link;             /* of the owner's */
    struct node *node;            /* borrowed */
    void (*on_ready)(void *data); /* there may be room for work */
    void *data;                   /* borrowed */
    /* The way in that is open, and the newest entry: the same until only other members change. */
    struct settings *settings;        /* a use of it */
    const struct config_host *config; /* borrowed from settings */
    struct settings *newest;          /* a use of it */
    const struct config_host *entry;  /* borrowed from newest; NULL when it left */
    int revision;                     /* of an entry that the API made; 0: of the file's */
    struct list watchers;             /* of struct host_watcher */
    int watched;                      /* how many */
    char id[65];                      /* host_id, longer-lived than a configuration */
    struct log_field about[2];        /* host=… */

    struct link *channel; /* owned; NULL between two tries */
    struct list calls;    /* of struct host_call: open on the channel */
    int64_t opened;       /* clock_ms when the channel was asked for */

    /* Number of the way in (address, port, user, key, known_hosts, work_dir). Every report carries
     * the one it was made under: what comes back under an older one changes nothing. */
    int way;
    enum host_state state; /* set by become() only */
    struct error trouble;  /* why it is down; "" else */
    bool leaving;          /* no entry is left: only its last runs are followed */
    bool asked;            /* a person wants to know how it is */
    bool greeting;         /* a hello is in flight */
    int64_t next_try;      /* clock_ms: without channel it is opened */
    int64_t next_hello;    /* clock_ms */
    int backoff_ms;
    struct runner_greeting hello; /* the last good one */
    /* The agents whose commands the hello in flight, or the last one, looks for. */
    char looked[RUNNER_LOOKS_MAX][65];
    int looked_count;
    struct host_program programs[RUNNER_LOOKS_MAX];
    int program_count;
    char identity[256]; /* machine, owner and host key that SQL accepted; "" = none yet */
    char reported[256]; /* those of the report in flight, or the last one */

    bool report_due, reporting; /* host_report() */
    bool report_down;           /* what the report in flight says */
    uint64_t report_life;       /* the node's, of the report in flight */
    int report_way;             /* and its way in */
    char differs[256];          /* in what other workers' configurations differ, as last told */
    int64_t next_report;        /* clock_ms before which a failed report is not repeated */
    char unknown[256];          /* directories of no run that we know, as last said */

    void (*on_stopped)(void *data);
    void *stopped_data; /* borrowed */
};

/* `config` is borrowed from settings, which the host uses from now on. */
struct host *host_new(struct node *node, struct settings *settings,
                      const struct config_host *config, int revision, void (*on_ready)(void *data),
                      void *data);
/* Takes over a newer entry; the channel stays when the way in is the same. */
void host_reconfigure(struct host *host, struct settings *settings,
                      const struct config_host *config, int revision);
void host_leave(struct host *host); /* it has no entry any more, unless it is reconfigured */
void host_check(struct host *host); /* looks now, and reports what it finds */
void host_tick(struct host *host);
void host_report_again(struct host *host); /* SQL knows nothing of us yet: a new node id */
/* Closes the channel; calls still open fail. on_stopped comes when no callback is left. */
void host_stop(struct host *host, void (*on_stopped)(void *data), void *data);
void host_free(struct host *host);

/* Until host_unwatch(); news come from the loop or from inside of host_reconfigure() and
 * host_stop(), never from inside of the other functions. */
void host_watch(struct host *host, struct host_watcher *watcher);
void host_unwatch(struct host *host, struct host_watcher *watcher);

bool host_ready(const struct host *host);
bool host_down(const struct host *host);
const char *host_reason(const struct host *host);
const char *host_id(const struct host *host);
const char *host_machine(const struct host *host);
int host_utc_offset(const struct host *host); /* seconds, of its local time */
const char *host_work_dir(const struct host *host);
/* For watches; NULL unless it is ready. Gone with HOST_WAS_CUT. */
struct link *host_channel(const struct host *host);
char *host_run_dir(const struct host *host, const char *run); /* absolute; the caller owns it */
bool host_boot_differs(const struct host *host,
                       const char *boot); /* false when either is unknown */
/* The newest; NULL when it left. */
const struct config_host *host_entry(const struct host *host);
/* Of the newest entry; NULL when it has none of that type. */
const struct config_agent *host_agent(const struct host *host, const char *agent_type);
bool host_template(const struct host *host, const char *agent_type, struct adapter_template *found);

/* What the agent's program says to --version; NULL: it is not known. */
const char *host_agent_version(const struct host *host, const char *agent_type);
/* Adds why a command was not found, for people: where it was looked for. */
void host_missing(const struct host *host, const char *agent_type, struct buf *out);

/* --- Calls (call.c) --- */

/* While the host is ready. on_reply comes exactly once, later; with err the call may or may not
 * have been carried out, unless err->unsent. */
void host_start(struct host *host, const struct runner_key *key, const struct runner_start *start,
                link_reply_cb on_reply, void *data);
/* forged: see link_raise(). */
void host_raise(struct host *host, const struct runner_key *key, uint64_t forged,
                link_reply_cb on_reply, void *data);
void host_void(struct host *host, const struct runner_key *key, link_reply_cb on_reply, void *data);
void host_stop_run(struct host *host, const struct runner_key *key, const struct runner_stop *stop,
                   link_reply_cb on_reply, void *data);
void host_gc(struct host *host, const struct runner_key *key, link_reply_cb on_reply, void *data);
void host_prepare(struct host *host, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data);
void host_harvest(struct host *host, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data);
void host_remove(struct host *host, const struct runner_key *key, const struct runner_work *work,
                 link_worked_cb on_worked, void *data);
/* See link_clean() and link_list(). */
void host_clean(struct host *host, const char *folder, link_reply_cb on_reply, void *data);
void host_list(struct host *host, void (*on_record)(void *data, const struct runner_record *record),
               link_reply_cb on_reply, void *data);
void host_fail_calls(struct host *host, const char *why); /* all that are open */

/* --- Between the parts of a host --- */

/* look.c: the commands that a hello is to look for, which the caller frees; and what came of it.
 * True when there is another program than before. */
int host_choose_looks(struct host *host, struct runner_look looks[static RUNNER_LOOKS_MAX]);
bool host_take_looks(struct host *host);
void host_report(struct host *host); /* report.c */
void host_identify(const struct host *host, char *text, size_t size);
void host_go_ready(struct host *host);
void host_go_down(struct host *host, const struct error *trouble);
void host_stop_when_quiet(struct host *host);

#endif
