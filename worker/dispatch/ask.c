/* Which hosts the API made: asked at the start, when it has changed one, and now and then. */
#include "common/clock.h"
#include "common/log.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"

#define CALL_AGAIN_MS 1000

static void take(struct dispatch *dispatch, const struct db_result *res)
{
    struct list news;
    list_init(&news);
    for (int row = 0; row < db_rows(res); row++)
        made_add(&news, db_text(res, row, "host_id"), (int)db_int(res, row, "revision", 0),
                 db_text(res, row, "entry"), node_settings(&dispatch->node));
    if (made_same(&news, &dispatch->made)) {
        made_release(&news);
        return;
    }
    made_release(&dispatch->made);
    struct list *link;
    while ((link = list_take(&news)) != NULL)
        list_append(&dispatch->made, link);
    dispatch_take_hosts(dispatch);
    dispatch->configure_due = true;
    log_info(NULL, "the hosts that the API made were taken");
}

static void on_made(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->calling = false;
    if (err != NULL) {
        dispatch->made_due = true;
        dispatch->next_call = clock_ms() + CALL_AGAIN_MS;
        node_failed(&dispatch->node, "made_hosts", err);
        return;
    }
    dispatch->made_known = true;
    take(dispatch, res);
    dispatch_register(dispatch);
}

void dispatch_ask_made(struct dispatch *dispatch)
{
    int secs = node_settings(&dispatch->node)->orchestrator.dispatch_interval_secs;
    dispatch->calling = true;
    dispatch->made_due = false;
    dispatch->next_made = clock_ms() + (int64_t)secs * 1000;
    db_query(dispatch->node.db, "select host_id, revision, entry from fleet.made_hosts()",
             DB_REPEAT, 0, NULL, on_made, dispatch_call_new(dispatch));
}
