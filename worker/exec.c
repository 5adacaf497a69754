/* One host's commands, sent by the way that it has: SSH or this machine. */
#include "worker/exec.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/exec_job.h"
#include "worker/local.h"
#include "worker/ssh/pool.h"

struct exec_host {
    struct loop *loop;     /* borrowed */
    struct ssh_pool *pool; /* owned; NULL for localhost, and once it was stopped */
    bool local;
    struct list running; /* jobs, of localhost */
    int jobs;            /* that exist, also those whose callback is due */
    bool stopping, closing;
    struct timer end; /* only to end the stop later, never from inside exec_host_stop */
    void (*on_stopped)(void *data);
    void *data; /* borrowed */
};

struct exec_host *exec_host_new(struct loop *loop, const struct config_host *config)
{
    struct exec_host *host = mem_alloc(sizeof *host);
    host->loop = loop;
    host->local = strcmp(config->hostname, "localhost") == 0;
    list_init(&host->running);
    timer_init(&host->end, loop, NULL, host);
    if (!host->local)
        host->pool = ssh_pool_new(loop, config);
    return host;
}

static void on_closed(void *data)
{
    struct exec_host *host = data;
    void (*on_stopped)(void *) = host->on_stopped;
    void *of = host->data;
    free(host);
    if (on_stopped != NULL)
        on_stopped(of);
}

static void close_when_empty(struct exec_host *host)
{
    if (!host->stopping || host->jobs > 0 || host->closing)
        return;
    host->closing = true;
    timer_close(&host->end, on_closed);
}

static void on_job_freed(void *data)
{
    struct exec_host *host = data;
    host->jobs--;
    close_when_empty(host);
}

void exec_run(struct exec_host *host, const struct exec_request *request)
{
    struct exec_job *job = exec_job_new(host->loop, request, on_job_freed, host);
    host->jobs++;
    if (host->stopping) {
        exec_job_fail(job, "connection_lost", "the host is being closed");
    } else if (host->local) {
        list_append(&host->running, &job->link);
        local_run(host->loop, job);
    } else {
        ssh_pool_run(host->pool, job);
    }
}

void exec_host_stop(struct exec_host *host, void (*on_stopped)(void *data), void *data)
{
    host->stopping = true;
    host->on_stopped = on_stopped;
    host->data = data;
    if (host->pool != NULL)
        ssh_pool_stop(host->pool);
    host->pool = NULL;
    list_each(link, &host->running)
    {
        local_kill(list_entry(link, struct exec_job, link), "localhost: the host is being closed");
    }
    close_when_empty(host);
}

const char *exec_host_key(const struct exec_host *host)
{
    return host->pool != NULL ? ssh_pool_host_key(host->pool) : "";
}
