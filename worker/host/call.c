/* Calls about runs: each is answered once, also when the channel is closed under it. */
#include <stdlib.h>

#include "common/mem.h"
#include "worker/host/host.h"

struct host_call {
    struct list link;                                                  /* in host.calls */
    void (*on_record)(void *data, const struct runner_record *record); /* of a list */
    link_reply_cb on_reply;
    link_worked_cb on_worked; /* of a prepare, harvest or remove; then there is no on_reply */
    void *data;               /* borrowed */
};

static struct host_call *call_new(struct host *host, link_reply_cb on_reply, void *data)
{
    struct host_call *call = mem_alloc(sizeof *call);
    call->on_reply = on_reply;
    call->data = data;
    list_append(&host->calls, &call->link);
    return call;
}

static void on_reply(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct host_call call = *(struct host_call *)data;
    list_remove(&((struct host_call *)data)->link);
    free(data);
    call.on_reply(call.data, reply, err);
}

void host_start(struct host *host, const struct runner_key *key, const struct runner_start *start,
                link_reply_cb reply, void *data)
{
    link_start(host->channel, key, start, on_reply, call_new(host, reply, data));
}

void host_raise(struct host *host, const struct runner_key *key, uint64_t forged,
                link_reply_cb reply, void *data)
{
    link_raise(host->channel, key, forged, on_reply, call_new(host, reply, data));
}

void host_void(struct host *host, const struct runner_key *key, link_reply_cb reply, void *data)
{
    link_void(host->channel, key, on_reply, call_new(host, reply, data));
}

void host_stop_run(struct host *host, const struct runner_key *key, const struct runner_stop *stop,
                   link_reply_cb reply, void *data)
{
    link_stop(host->channel, key, stop, on_reply, call_new(host, reply, data));
}

void host_gc(struct host *host, const struct runner_key *key, link_reply_cb reply, void *data)
{
    link_gc(host->channel, key, on_reply, call_new(host, reply, data));
}

void host_clean(struct host *host, const char *folder, link_reply_cb reply, void *data)
{
    link_clean(host->channel, folder, on_reply, call_new(host, reply, data));
}

static void on_worked(void *data, const struct runner_worked *worked, const struct error *err)
{
    struct host_call call = *(struct host_call *)data;
    list_remove(&((struct host_call *)data)->link);
    free(data);
    call.on_worked(call.data, worked, err);
}

static struct host_call *work_new(struct host *host, link_worked_cb worked, void *data)
{
    struct host_call *call = call_new(host, NULL, data);
    call->on_worked = worked;
    return call;
}

void host_prepare(struct host *host, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb worked, void *data)
{
    link_prepare(host->channel, key, work, on_worked, work_new(host, worked, data));
}

void host_harvest(struct host *host, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb worked, void *data)
{
    link_harvest(host->channel, key, work, on_worked, work_new(host, worked, data));
}

void host_remove(struct host *host, const struct runner_key *key, const struct runner_work *work,
                 link_worked_cb worked, void *data)
{
    link_remove(host->channel, key, work, on_worked, work_new(host, worked, data));
}

static void on_record(void *data, const struct runner_record *record)
{
    struct host_call *call = data;
    call->on_record(call->data, record);
}

void host_list(struct host *host, void (*record)(void *data, const struct runner_record *record),
               link_reply_cb reply, void *data)
{
    struct host_call *call = call_new(host, reply, data);
    call->on_record = record;
    link_list(host->channel, on_record, on_reply, call);
}

void host_fail_calls(struct host *host, const char *why)
{
    struct error err;
    struct list *link;
    error_set_state(&err, "connection_lost", "%s", why);
    while ((link = list_take(&host->calls)) != NULL) {
        struct host_call *call = list_entry(link, struct host_call, link);
        if (call->on_worked != NULL)
            on_worked(call, NULL, &err);
        else
            on_reply(call, NULL, &err);
    }
}
