/* One host as this worker sees it: can it be reached, is it the right one, and its runs.
 *
 * Life: host_new, host_tick several times a second, host_call and polls while it is ready,
 * host_stop, on_stopped, host_free. A call that fails makes it CHECKING: only a failed hello calls
 * it DOWN, so a cut connection that comes back at once is nobody's news. Commands run only on our
 * own words: worker/runner.h builds them. */
#ifndef FLEET_HOST_H
#define FLEET_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/config/config.h"
#include "common/error.h"
#include "common/list.h"
#include "common/log.h"
#include "common/loop.h"
#include "worker/adapter/adapter.h"
#include "worker/exec.h"
#include "worker/runner.h"

#define HOST_POLL_MAX ((size_t)256 << 10) /* bytes of one stream of one run in one poll */
#define HOST_ANSWER_MAX ((size_t)8 << 20) /* bytes of one answer */
#define HOST_INPUT_MAX ((size_t)16 << 20) /* bytes of stdin of one call */

struct dispatch;

/* A loaded configuration that several hosts read from; freed with its last user. */
struct settings {
    struct config *config; /* owned */
    int users;
};
struct settings *settings_new(struct config *config); /* one user; owns config from now on */
struct settings *settings_use(struct settings *settings);
void settings_drop(struct settings *settings);

enum host_state {
    HOST_CHECKING, /* a hello is due or in flight; nothing is sent */
    HOST_READY,    /* answered as the host that SQL knows */
    HOST_DOWN,     /* `reason`; tried again with jittered back-off */
};

struct host {
    struct list link;                 /* in dispatch.hosts */
    struct dispatch *dispatch;        /* borrowed */
    struct settings *settings;        /* a use of it */
    const struct config_host *config; /* borrowed from settings */
    struct exec_host *exec;           /* owned; NULL once stopped */
    struct list jobs;                 /* of struct job.host_link */
    char id[65];                      /* host_id, longer-lived than a configuration */
    struct log_field about[2];        /* host=… */

    /* Number of the way in (address, port, user, key, known_hosts, work_dir). Every call and report
     * carries the one it was asked under: what comes back under an older one changes nothing. */
    int way;
    enum host_state state; /* set by become() only */
    struct error trouble;  /* why it is down; "" else */
    bool checking;         /* a hello is in flight */
    bool leaving;          /* gone from the configuration: only its last jobs are followed */
    int64_t next_check;    /* clock_ms */
    int backoff_ms;
    struct runner_hello hello; /* of the last good answer */
    /* The agents whose commands the hello in flight, or the last one, looks for. */
    char looked[RUNNER_LOOKS_MAX][65];
    int looked_count;
    int64_t next_versions; /* clock_ms: hello asks for their versions again */
    char identity[256];    /* machine, owner and host key that SQL accepted; "" = none yet */

    bool report_due, reporting; /* host_report() */
    bool report_down;           /* what the report in flight says */
    uint64_t report_life;       /* the dispatcher's, of the report in flight */
    int report_way;             /* and its way in */
    char differs[256];          /* in what other workers' configurations differ, as last told */
    int64_t next_report;        /* clock_ms before which a failed report is not repeated */

    struct timer timer; /* next poll */
    bool polling;
    uint64_t round; /* number of the poll in flight or next */
    int64_t polled; /* clock_ms when the poll in flight was sent */

    int calls; /* exec and SQL calls that will come back */
    void (*on_stopped)(void *data);
    void *stopped_data; /* borrowed */
};

struct host *host_new(struct dispatch *dispatch, struct settings *settings,
                      const struct config_host *config);
/* Takes over an entry of a newer configuration; connection and jobs stay when the way in is the
 * same. */
void host_reconfigure(struct host *host, struct settings *settings,
                      const struct config_host *config);
void host_tick(struct host *host);
void host_report_again(struct host *host); /* SQL knows nothing of us yet: a new node id */
/* Closes the connection; jobs must be gone or draining. on_stopped comes when no callback is left.
 */
void host_stop(struct host *host, void (*on_stopped)(void *data), void *data);
void host_free(struct host *host);

bool host_ready(const struct host *host);
bool host_down(const struct host *host);
const char *host_reason(const struct host *host);
const char *host_id(const struct host *host);
const char *host_machine(const struct host *host);
const char *host_work_dir(const struct host *host);
struct list *host_jobs(struct host *host);
struct runner_place host_place(const struct host *host);
char *host_run_dir(const struct host *host, const char *run); /* absolute; the caller owns it */
bool host_boot_differs(const struct host *host,
                       const char *boot); /* false when either is unknown */
/* Its entry in the newest configuration; NULL when it left. */
const struct config_host *host_entry(const struct host *host);
bool host_template(const struct host *host, const char *agent_type, struct adapter_template *found);

/* --- Calls (call.c) --- */

typedef void (*host_bytes_cb)(void *data, const char *bytes, size_t len, const struct error *err);
typedef void (*host_reply_cb)(void *data, const struct runner_reply *reply,
                              const struct error *err);

void host_call_init(struct buf *command, struct buf *input);
/* Runs one runner call of the host's own; installs the runner first where it is missing. Takes both
 * buffers over. The callback comes once, later, unless the way in changes before; with err the call
 * may or may not have been carried out. */
void host_send(struct host *host, struct buf *command, struct buf *input, int timeout_ms,
               host_bytes_cb on_bytes, void *data);
/* The same for start, raise, void and stop, but the callback always comes. */
void host_call(struct host *host, struct buf *command, struct buf *input, host_reply_cb on_reply,
               void *data);
void host_trouble(struct host *host,
                  const struct error *err); /* a call failed: check the host now */
void host_call_done(struct host *host);     /* one call came back */

/* --- Polls (poll.c) --- */

void host_poll_soon(struct host *host);
void host_poll_now(void *data); /* the timer's callback; data is the host */

#endif
