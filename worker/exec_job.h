/* One command on its way: what exec.c, local.c and the SSH side hand to each other.
 *
 * Life: exec_job_new; whoever works on it calls exec_job_hold; ended once with exec_job_end or
 * exec_job_fail. The caller's callback is then called from the loop, never from inside of those, so
 * no state machine is ever re-entered; after it the job frees itself. */
#ifndef FLEET_EXEC_JOB_H
#define FLEET_EXEC_JOB_H

#include "common/buf.h"
#include "common/list.h"
#include "worker/exec.h"

struct exec_job {
    struct list link;  /* in a list of who holds it; the end takes it out */
    char *command;     /* owned */
    char *input;       /* owned; NULL when there is none */
    size_t input_len;  /* bytes */
    size_t input_sent; /* bytes that were taken off our hands */
    struct buf out;    /* at most out_max bytes */
    struct buf err;    /* at most 4096 bytes */
    bool truncated;    /* stdout passed out_max */
    bool begun;        /* a byte of the command may have left us */
    bool ended;        /* only the callback is still to come */
    bool failed;       /* `error` says why */
    int status;        /* as in struct exec_result */
    int timeout_ms;    /* from exec_run to the end */
    struct error error;
    struct timer timer;                       /* the time-out, then the way to the callback */
    void (*on_timeout)(struct exec_job *job); /* of the holder: it must end the job */
    void *holder;                             /* borrowed */
    exec_done_cb on_done;
    void *data;                 /* borrowed, for on_done */
    void (*on_freed)(void *of); /* once the job is gone */
    void *of;                   /* borrowed, for on_freed */
};

struct exec_job *exec_job_new(struct loop *loop, const struct exec_request *request,
                              void (*on_freed)(void *), void *of);
/* The job belongs to `holder` now; on_timeout is called when its time is over. */
void exec_job_hold(struct exec_job *job, void (*on_timeout)(struct exec_job *), void *holder);
void exec_job_out(struct exec_job *job, const void *bytes, size_t len); /* more of stdout */
void exec_job_err(struct exec_job *job, const void *bytes, size_t len); /* more of stderr */
/* shell_status: as a shell says it. 129 to 192 are signals, and become -1 like a negative one. */
void exec_job_end(struct exec_job *job, int shell_status);
/* `word`: what kind of trouble, of fleet.reason. */
void exec_job_fail(struct exec_job *job, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
