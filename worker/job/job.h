/* One attempt in our hands, from its claim (or adoption) to its proven end.
 *
 * Life: job_new from a row of claim(), adopt() or jobs(); job_step whenever time passed or
 * something was answered; its watch on the host says what becomes of the run; it ends itself by
 * finish(), release() or void_confirmed(), or job_drop() lets go of it without touching the host. A
 * job is freed when the last of its callbacks came back.
 *
 * Always true: `state` changes only in job_set(), which logs it; at most one step is in flight
 * (busy); nothing is sent to the host before starting() committed; every write carries (node,
 * attempt, epoch).
 *
 * Every state has its way on (tests/unit/test_job_ways.c and its neighbours):
 *
 * - Everywhere: AF002, AF003, AF004, "gone" drop it, and renew() brings what is ours all the same.
 *   Fenced on the host: dropped, unless SQL says that we own it: then the epoch there is forged,
 *   and raise overwrites it; what lives is stopped as run_tampered. SQL busy or away: again, ever
 *   later. Draining: nothing, others adopt. No lease: nothing but looking. A host that is down, or
 *   that answers everything but this: phase unreachable with the reason, whose clocks run in SQL.
 * - claimed: host down, cancel, nothing to run: releasing.
 * - preparing: host down, cancel: releasing, and what the host still does of it is nobody's. It
 *   cannot: finishing with its reason.
 * - starting: cancel, or refused for good: releasing. AF001 (it has ended): dropped.
 * - raise: the host says how it stands: start, started, running, voided, voiding, or finishing of
 *   what was started and left nothing.
 * - start: cancel, late, refused by the host: releasing while nothing was sent, else voiding.
 * - started: refused for good: without the host's words. AF001 (rows were lost): starting.
 * - running: cancel, silence, tampering, no supervisor: stopping. Nothing lives and no directory of
 *   ours: finishing as lost on the machine that started it, unreachable on another.
 * - stopping: the stop is sent again each minute, whatever SQL says to a word about it.
 * - voiding: voided, or raise when it did start. A full disk: again, ever later.
 * - voided: AF001 (it was seen running): running, which finds that nothing is left.
 * - ending: bytes that never come are tampering; bytes that SQL refuses for minutes are left out.
 * - harvesting: a server that is away: again, as long as a push may take; else finishing with what
 *   the host says of it. An end that is not known to be of this run's making is not harvested.
 * - finishing: refused for good: without the agent's words.
 * - releasing: AF001 (an owner before us announced it): dropped, and taken up as it is stored. */
#ifndef FLEET_JOB_H
#define FLEET_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/db/db.h"
#include "common/list.h"
#include "common/log.h"
#include "worker/adapter/adapter.h"
#include "worker/host/host.h"
#include "worker/job/batch.h"
#include "worker/job/output.h"
#include "worker/node/node.h"
#include "worker/runner/frame.h"

/* bytes of a run's output that may be on their way to the database: what a watch is granted */
#define JOB_CREDIT ((size_t)512 << 10)

#define JOB_REPORT_MAX ((size_t)256 << 10) /* bytes of what finish_run() is told of a run */
#define JOB_STOP_AGAIN_MS 60000            /* a run that was to be stopped and did not end */

/* Stopped for this reason: its agent was done, and stayed. */
#define JOB_DONE "done"

/* `missing`: the host answers, but nothing that we asked of it */
#define JOB_NO_ANSWER "no_answer"

enum job_state {
    JOB_CLAIMED,    /* ours, nothing was asked of anybody */
    JOB_PREPARING,  /* the host has to make the workspace */
    JOB_STARTING,   /* starting() has to commit */
    JOB_RAISE,      /* adopted: the host has to learn our epoch before anything else */
    JOB_START,      /* committed: the host has to start it */
    JOB_STARTED,    /* the host said so: started() has to commit */
    JOB_RUNNING,    /* followed by a watch */
    JOB_STOPPING,   /* followed by a watch; the host has to stop it */
    JOB_VOIDING,    /* the host has to leave a tombstone: then it never started */
    JOB_VOIDED,     /* tombstone seen: void_confirmed() has to commit */
    JOB_ENDING,     /* proven ended; the rest of its output has to be read and stored */
    JOB_HARVESTING, /* the host has to take in what the agent did, and to push it */
    JOB_FINISHING,  /* finish() has to commit */
    JOB_RELEASING,  /* release() has to commit: not a byte of a start left us */
    JOB_GONE,       /* no longer ours; waits for its callbacks */
};

/* What SQL was last told of a live run. */
enum job_phase { PHASE_RUNNING, PHASE_UNREACHABLE, PHASE_STOPPING };

/* What SQL knows of a task beside its row, that only some attempts need: fleet.briefing(). Texts
 * are owned, NULL where there is none. */
struct job_briefing {
    bool known;
    char *base_branch;
    char *session;   /* to go on with */
    char *follow_up; /* what is asked now */
    char *summary;   /* of the attempt before */
    char *question;  /* that it ended with */
    int ordinal;     /* of the slot */
};

/* One stream on its way from the host's file to the database. */
struct job_stream {
    int64_t stored;     /* bytes that the database has */
    struct buf pending; /* bytes behind them, read and not yet stored */
    /* pending's front without credentials: sent as a whole, or a cut token would begin what is read
     * next */
    struct buf clean;
    size_t looked;  /* bytes of pending that were looked at for it; 0: look again */
    size_t sending; /* bytes of the front of pending in the append that is in flight */
    int64_t final;  /* size at the proven end; -1 before */
};

/* Calls that travel together when several jobs have to make them. */
enum job_call { JOB_CALL_STARTING, JOB_CALL_STARTED, JOB_CALL_FINISH, JOB_CALLS };

/* All jobs of a node. */
struct jobs {
    struct node *node; /* borrowed */
    struct list list;
    struct output output;
    struct batch batches[JOB_CALLS];
    void (*on_gone)(void *data); /* a slot may be free */
    void *data;                  /* borrowed */
    struct refill refill;
};

void jobs_init(struct jobs *jobs, struct node *node, void (*on_gone)(void *data), void *data,
               struct refill refill);
struct job *jobs_find(const struct jobs *jobs, int64_t attempt); /* NULL: none */
void jobs_step(struct jobs *jobs);
void jobs_drop(struct jobs *jobs, const char *why);
bool jobs_idle(const struct jobs *jobs); /* nothing of theirs is on its way to the database */
void jobs_close(struct jobs *jobs);      /* all are dropped: no timer any more */

struct job {
    struct list link;     /* in jobs.list */
    struct list to_store; /* in output.jobs, while something is pending */
    struct batch_place place;
    struct jobs *jobs; /* borrowed */
    struct node *node; /* borrowed */
    struct host *host; /* borrowed */
    struct host_watcher watcher;
    int64_t attempt;
    int number, issue_number, timeout_secs;
    struct runner_key key;      /* run, nonce, epoch; its supervisor once started() committed */
    char machine[65];           /* where it was started; "" = not known */
    char *task_id, *agent_type; /* owned, as all texts here */
    char *title, *body, *labels, *repo, *branch;
    char *folder;               /* of its task, on the host */
    struct config_list secrets; /* values of its agent's variables, kept out of what is stored */
    /* as stored with the attempt; NULL before starting() and after started() */
    char *command, *prompt;
    struct job_briefing briefing;
    char number_text[12];
    struct log_field about[4]; /* task=… attempt=… host=… */

    enum job_state state;
    int64_t since;    /* clock_ms of the last change of state */
    int64_t taken;    /* clock_ms of the claim or adoption: start time-out */
    int64_t retry_at; /* clock_ms before which no step is tried */
    int64_t look_at;  /* clock_ms of the tick's next look, of a run that is followed */
    int retry_ms;     /* next back-off; 0 after a success */
    int refusals;     /* in a row, by SQL and for good, of what this state says */
    int unanswered;   /* calls in a row that a host in reach gave no proper answer to */
    bool busy;        /* a step is in flight */
    int callbacks;    /* calls that will come back, appends included */
    bool sent;        /* a start may have reached the host: only it can say */
    bool proven;      /* started() committed, by us or by an owner before us */
    bool cancel;      /* somebody wants it stopped */
    bool freed;       /* a person gave its slot to others */
    enum job_phase told, told_before; /* told may be on its way: before it came that */
    const char *give_up; /* literal: reason for release(), void_confirmed() or a refused start */

    uint64_t fence;  /* the epoch there, of which SQL is asked whether it is a later owner's */
    uint64_t forged; /* the epoch that lies on the host though nobody gave it; 0 = none */

    const char *stop_reason; /* literal: why we stop it; NULL when we do not */
    int64_t stop_sent;       /* clock_ms; 0 = not yet */

    struct job_stream out, err;
    int64_t append_at;     /* clock_ms before which no append is tried: the last one was refused */
    int64_t refused_since; /* clock_ms of the first of those refusals in a row; 0 = none */
    char *unstored; /* owned; SQL refused its output for good, from where and why: none is stored */
    struct adapter adapter;
    struct link_watch *watch; /* borrowed from the host's channel; NULL: none */
    size_t credit;            /* bytes that it may still bring */
    int64_t watched;          /* clock_ms when it began */
    int64_t looked;   /* clock_ms of the last look at its silence; 0 = before its first record */
    int64_t quiet_ms; /* watched time without progress: mostly, without a new byte */
    int64_t waits_ms; /* watched time in which the agent asks its provider in vain */
    /* literal: why the run cannot be judged although the host answers, or NULL */
    const char *missing;
    bool tampered;               /* its output was */
    struct runner_record record; /* the last one */

    bool working;              /* a prepare or harvest is in flight on the host */
    bool has_work;             /* the host has answered one: `work` */
    struct runner_worked work; /* without its question */
    char *question;            /* owned; what the agent asks, in its file */
    struct error trouble;      /* why there is no workspace: `text` is "" or a sentence */

    /* literals, or inside `record` or `work`: what finish() says */
    const char *outcome, *reason;
};

/* What ended, as job_judge() sees it. */
struct job_end {
    enum runner_state state; /* ENDED or LOST */
    const char *reason;      /* of the status block */
    bool tampered;           /* its output was */
    bool run_tampered;       /* we stopped it for that */
    bool rebooted;
    int exit;                /* -1: by a signal */
    int signal;              /* 0: by none */
    struct adapter *adapter; /* borrowed from its job */
};

const char *job_state_name(enum job_state state);

/* Takes a row of type `job`. */
struct job *job_new(struct jobs *jobs, struct host *host, const struct db_result *res, int row);

void job_step(struct job *job); /* does what its state wants, when nothing is in flight */
void job_cancel(struct job *job);
void job_drop(struct job *job, const char *why); /* it is another's now: forget it, log why */

void job_refused_output(struct job *job, const struct error *err); /* by append(), for good */

/* Pure: the outcome of a proven end; *reason is NULL for "succeeded". */
const char *job_judge(const struct job_end *end, const char **reason);

/* --- Between the parts of a job --- */

void job_set(struct job *job, enum job_state state); /* the only place where the state changes */
void job_begin(struct job *job);                     /* a step is in flight */
/* Its callback came: false when the job is gone (and perhaps freed). */
bool job_back(struct job *job);
void job_hold(struct job *job);   /* a callback beside the steps (append) */
bool job_let_go(struct job *job); /* it came; false when the job is gone (and perhaps freed) */
void job_again(struct job *job, const char *what, const char *why); /* back off, then step again */
void job_clean_up(struct job *job); /* free when gone and nothing comes back */
void job_finish(struct job *job, const char *outcome, const char *reason);
void job_stop(struct job *job, const char *reason);
void job_give_up_start(struct job *job,
                       const char *reason); /* release or void, by what the host may know */
bool job_tell_sight(struct job *job, enum job_phase seen); /* true: a call of it is in flight */
bool job_prepare(struct job *job); /* prompt and command; false (logged) when there is no adapter */
/* Id of the session that its agent has, as far as that is known before it speaks; "" else. */
void job_session(const struct job *job, char id[static 129]);
/* The agent goes on where it was, and knows what was said. */
bool job_is_resumed(const struct job *job);
/* What has to be answered, as its workspace says, or its last words; NULL: nothing. */
const char *job_question(const struct job *job);
void job_harvest(struct job *job); /* it has ended, and is judged: what did it leave? */

/* --- work.c: tasks of a repository --- */

bool job_has_repository(const struct job *job); /* and this host makes a clone of it */
/* Adds what is known of the run beside its outcome, as one JSON object: attempt.report
 * (migrations/README.md). `plain`: without what the agent says of itself. */
void job_report(const struct job *job, struct buf *out, bool plain);
bool job_must_ask(struct job *job); /* SQL has to say more first: asked now */
void job_take_briefing(struct job *job, const struct db_result *res);
void job_host_prepare(struct job *job);
void job_host_harvest(struct job *job);
/* As whom and where a start is confined to; `writable` holds a part of it. False (job->trouble):
 * the configuration has no account for this slot. */
bool job_confine(struct job *job, struct runner_start *start, struct buf *writable);

bool job_is_followed(const struct job *job); /* follow.c */
void job_follow(struct job *job);            /* begins or ends the watch as the state wants */
void job_follow_anew(struct job *job);       /* bytes are to come again */
void job_grant(struct job *job);             /* there is room for more output */
void job_look(struct job *job);              /* time passed: its silence, bytes that do not come */
bool job_record_tampered(const struct job *job, const struct runner_record *record);
/* Proven started, yet the host says that nothing lives and nothing of ours lies there. */
void job_nothing_left(struct job *job, const struct runner_record *record);

void job_sql_briefing(struct job *job);
void job_sql_prepared(struct job *job);
void job_sql_phase(struct job *job, enum job_phase phase, const char *reason);
void job_sql_release(struct job *job);
void job_sql_void_confirmed(struct job *job);
void job_say(struct job *job, enum job_call call); /* with those of others */
extern const struct batch_kind job_calls[JOB_CALLS];
/* Are we its owner, though the host says that there is a later one? `epoch`: the one there. */
void job_sql_owner(struct job *job, int64_t epoch);

void job_host_start(struct job *job);
void job_host_raise(struct job *job);
void job_host_void(struct job *job);
void job_host_stop(struct job *job);

#endif
