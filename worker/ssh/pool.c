/* Connections opened as jobs ask for them, and closed when idle. */
#include "worker/ssh/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"

#define SETUPS_MAX 5 /* in this process at once */
#define PAUSE_MS 500 /* after the first failure, then doubled */
#define PAUSE_MAX_MS 30000
#define DROPS 4 /* handshakes in a row that the host may cut before those who wait are told */
#define SURPLUS_MS 60000 /* how often links beyond the first that do nothing are closed */

struct ssh_pool {
    struct loop *loop;              /* borrowed */
    const struct config_host *host; /* borrowed */
    struct ssh *links[SSH_LINKS];   /* owned; the first `count` */
    int count;
    struct list waiting;   /* jobs, oldest first */
    struct list gate_link; /* in gate.waiting */
    struct ssh *entered;   /* borrowed: the link for which we hold a place in the gate */
    struct timer pause;    /* active: no new link yet */
    struct timer surplus;
    int failures;      /* set-ups in a row that failed */
    struct error last; /* why */
    int handles;       /* timers not yet closed */
    char host_key[65];
};

/* Who sets up a connection now, and who wants to, in the order of asking. One loop, one thread. */
static struct {
    struct list waiting;
    int busy;
} gate = {.waiting = {&gate.waiting, &gate.waiting}};

static void work(struct ssh_pool *pool);

static void on_link_change(void *data)
{
    work(data);
}

static void add_link(struct ssh_pool *pool)
{
    struct ssh *link = old_ssh_open(pool->loop, pool->host, on_link_change, pool);
    pool->links[pool->count++] = link;
    pool->entered = link;
    gate.busy++;
}

static void open_gate(void)
{
    while (gate.busy < SETUPS_MAX && !list_empty(&gate.waiting)) {
        struct list *first = gate.waiting.next;
        list_remove(first);
        add_link(list_entry(first, struct ssh_pool, gate_link));
    }
}

static void leave_gate(struct ssh_pool *pool)
{
    if (pool->entered == NULL)
        return;
    pool->entered = NULL;
    gate.busy--;
    open_gate();
}

static void begin_pause(struct ssh_pool *pool)
{
    int ms = pause_after((unsigned)pool->failures, PAUSE_MS, PAUSE_MAX_MS);
    timer_start(&pool->pause, (uint64_t)pause_jitter(ms), 0);
}

static void note_loss(struct ssh_pool *pool, struct ssh *link)
{
    pool->last = *old_ssh_error(link);
    pool->failures = old_ssh_was_up(link) ? 0 : pool->failures + 1;
    log_warn(LOG_ABOUT(LOG_FIELD("host", pool->host->host_id)), "%s", pool->last.text);
    begin_pause(pool);
}

static void on_queue_timeout(struct exec_job *job)
{
    struct ssh_pool *pool = job->holder;
    list_remove(&job->link);
    exec_job_fail(job, pool->last.text[0] != '\0' ? pool->last.state : "timeout",
                  "host %s: no free connection within %d ms%s%s", pool->host->host_id,
                  job->timeout_ms, pool->last.text[0] != '\0' ? "; last failure: " : "",
                  pool->last.text);
}

/* To the front: they have waited longest. */
static void take_back(struct ssh_pool *pool, struct ssh *link)
{
    struct exec_job *job;
    struct list *front = pool->waiting.next;
    while ((job = old_ssh_take_back(link)) != NULL) {
        exec_job_hold(job, on_queue_timeout, pool);
        list_append(front, &job->link);
    }
}

static void fail_waiting(struct ssh_pool *pool, const struct error *why)
{
    list_each(at, &pool->waiting)
    {
        struct exec_job *job = list_entry(at, struct exec_job, link);
        list_remove(at);
        exec_job_fail(job, why->state, "%s", why->text);
    }
}

static void remove_link(struct ssh_pool *pool, int index)
{
    struct ssh *link = pool->links[index];
    for (int i = index + 1; i < pool->count; i++)
        pool->links[i - 1] = pool->links[i];
    pool->count--;
    if (pool->entered == link)
        leave_gate(pool);
    old_ssh_close(link);
}

/* Who waits learns at once that the host cannot be reached, unless another link stands. */
static void bury_dead(struct ssh_pool *pool)
{
    for (int i = pool->count - 1; i >= 0; i--) {
        struct ssh *link = pool->links[i];
        take_back(pool, link);
        if (old_ssh_state(link) != SSH_DOWN)
            continue;
        note_loss(pool, link);
        bool in_vain = pool->failures > (old_ssh_was_dropped(link) ? DROPS : 0);
        remove_link(pool, i);
        if (pool->count == 0 && in_vain)
            fail_waiting(pool, &pool->last);
    }
}

static void welcome_new(struct ssh_pool *pool)
{
    struct ssh *link = pool->entered;
    if (link == NULL || old_ssh_state(link) != SSH_UP)
        return;
    snprintf(pool->host_key, sizeof pool->host_key, "%s", old_ssh_host_key(link));
    pool->failures = 0;
    error_clear(&pool->last);
    leave_gate(pool);
}

/* The first link with room: the later ones fall idle. */
static struct ssh *find_room(struct ssh_pool *pool)
{
    for (int i = 0; i < pool->count; i++) {
        if (old_ssh_room(pool->links[i]) > 0)
            return pool->links[i];
    }
    return NULL;
}

static void hand_out(struct ssh_pool *pool)
{
    struct ssh *link;
    while (!list_empty(&pool->waiting) && (link = find_room(pool)) != NULL) {
        struct exec_job *job = list_entry(pool->waiting.next, struct exec_job, link);
        list_remove(&job->link);
        old_ssh_run(link, job);
    }
}

static void ask_for_link(struct ssh_pool *pool)
{
    bool wanted = !list_empty(&pool->waiting) && pool->count < SSH_LINKS && pool->entered == NULL &&
                  !timer_active(&pool->pause) && !list_linked(&pool->gate_link);
    if (!wanted)
        return;
    list_append(&gate.waiting, &pool->gate_link);
    open_gate();
}

static void work(struct ssh_pool *pool)
{
    bury_dead(pool);
    welcome_new(pool);
    hand_out(pool);
    ask_for_link(pool);
}

static void on_pause_over(void *data)
{
    work(data);
}

static void on_surplus(void *data)
{
    struct ssh_pool *pool = data;
    for (int i = pool->count - 1; i > 0; i--) {
        if (old_ssh_state(pool->links[i]) == SSH_UP && old_ssh_load(pool->links[i]) == 0)
            remove_link(pool, i);
    }
}

struct ssh_pool *ssh_pool_new(struct loop *loop, const struct config_host *host)
{
    struct ssh_pool *pool = mem_alloc(sizeof *pool);
    pool->loop = loop;
    pool->host = host;
    pool->handles = 2;
    list_init(&pool->waiting);
    timer_init(&pool->pause, loop, on_pause_over, pool);
    timer_init(&pool->surplus, loop, on_surplus, pool);
    timer_start(&pool->surplus, SURPLUS_MS, SURPLUS_MS);
    return pool;
}

void ssh_pool_run(struct ssh_pool *pool, struct exec_job *job)
{
    exec_job_hold(job, on_queue_timeout, pool);
    list_append(&pool->waiting, &job->link);
    work(pool);
}

const char *ssh_pool_host_key(const struct ssh_pool *pool)
{
    return pool->host_key;
}

static void on_closed(void *data)
{
    struct ssh_pool *pool = data;
    if (--pool->handles == 0)
        free(pool);
}

void ssh_pool_stop(struct ssh_pool *pool)
{
    struct error why;
    error_set_state(&why, "connection_lost", "host %s: the connection is being closed",
                    pool->host->host_id);
    list_remove(&pool->gate_link);
    while (pool->count > 0)
        remove_link(pool, pool->count - 1);
    fail_waiting(pool, &why);
    timer_close(&pool->pause, on_closed);
    timer_close(&pool->surplus, on_closed);
}
