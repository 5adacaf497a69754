/* What a worker asked for and a child process does: calls about runs, lists, greetings. At most
 * TASK_CHILDREN at once, the others wait; a call that has no answer in TASK_MS is answered "busy".
 * A child that is nobody's any more goes on to its own end. */
#ifndef FLEET_RUNNER_TASK_H
#define FLEET_RUNNER_TASK_H

#include <sys/resource.h>

#include "common/list.h"
#include "worker/runner/channel.h"
#include "worker/runner/run.h"
#include "worker/runner/shell.h"
#include "worker/runner/source.h"

#define TASK_CHILDREN 64
#define TASK_MS 50000
/* of payloads that wait; one more than that at most */
#define TASK_WAITING_BYTES ((size_t)8 << 20)
#define TASK_WAITING 1024

struct tasks {
    struct list waiting, running;
    int children;
    size_t waiting_count, waiting_bytes;
    struct list over;        /* to be freed once no event of this round can name them */
    int epoll;               /* borrowed */
    struct channel *channel; /* borrowed */
    const char *base_path;   /* borrowed */
    struct base base;        /* owned; base.dir is -1 while there is none */
    char why[256];           /* there is none */
    bool greeted;            /* `shell` is known: the first greeting is out */
    struct shell shell;      /* PATH of jobs */
    bool stuck;              /* answers wait for room in the channel */
    bool broken;             /* the channel must be closed */
    struct rlimit files;     /* what a child gets back: we may have more open than is usual */
    void (*on_done)(void *data, const char *run); /* something may have changed about it */
    void *data;                                   /* borrowed */
};

void tasks_init(struct tasks *tasks, struct channel *channel, int epoll, const char *base_path);
/* False: the frame is none. */
bool tasks_take(struct tasks *tasks, struct frame *frame);
bool tasks_full(const struct tasks *tasks); /* no frame may be taken now */
void tasks_reap(struct tasks *tasks);       /* SIGCHLD */
/* Begins what waits, answers what waited too long, frees what is over. Returns when it wants to be
 * called again (clock_now), INT64_MAX: never. */
int64_t tasks_tick(struct tasks *tasks, int64_t now);

#endif
