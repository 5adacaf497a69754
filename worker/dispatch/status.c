/* What this worker does now, in one line for people. */
#include <stdio.h>

#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"

static void say_work(struct dispatch *dispatch, char *text, size_t size)
{
    int runs = 0, hosts = 0, ready = 0;
    list_each(job, &dispatch->jobs.list)
    {
        runs++;
    }
    list_each(link, &dispatch->hosts)
    {
        ready += host_ready(list_entry(link, struct host, link));
        hosts++;
    }
    snprintf(text, size, "%d run%s; %d of %d hosts ready", runs, runs == 1 ? "" : "s", ready,
             hosts);
}

bool dispatch_status(void *data, char *text, size_t size)
{
    struct dispatch *dispatch = data;
    const struct db *db = dispatch->node.db;
    const char *trouble = db_up(db) ? dispatch->node.trouble.now : db_refusal(db);
    bool up = db_up(db) && node_live(&dispatch->node), draining = node_draining(&dispatch->node);
    if (draining)
        snprintf(text, size, "stopping: the runs go on, other workers take them over");
    else if (!up)
        snprintf(text, size, "waiting for the database%s%s", *trouble != '\0' ? ": " : "", trouble);
    else
        say_work(dispatch, text, size);
    return up && !draining;
}
