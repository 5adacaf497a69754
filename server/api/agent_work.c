/* POST /api/v1/tasks/dequeue, and …/{}/status and …/{}/complete: an agent's work. */
#include <stdlib.h>

#include "common/mem.h"
#include "server/api/agent_body.h"
#include "server/api/handlers.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/pull/pull.h"
#include "server/server.h"

/* --- dequeue --- */

/* A call on its way to those that wait. */
struct admission {
    struct call *call; /* held */
    int wait_secs;
};

static void on_admitted(void *data, const struct db_result *res, const struct error *err)
{
    struct admission *admission = data;
    struct call *call = admission->call;
    if (err != NULL)
        call_db_error(call, err);
    else if (db_rows(res) == 1 && db_text(res, 0, "status") != NULL)
        reply_row(call, res);
    else if (db_rows(res) == 1)
        pull_wait(call_server(call)->pull, call, (int)db_int(res, 0, "executor", 0),
                  db_text(res, 0, "capabilities"), admission->wait_secs);
    call_drop(call);
    free(admission);
}

void api_task_dequeue(struct call *call)
{
    struct buf by, texts;
    struct json_object *body;
    const char *agent_id, *capabilities;
    int64_t wait_secs;
    if (!agent_body(call, &body))
        return;
    bool good = agent_body_texts(call, body, "capabilities", &texts, &capabilities) &&
                agent_body_int(call, body, "wait_secs", 0, PULL_WAIT_MAX, 0, &wait_secs) &&
                agent_body_string(call, body, "agent_id", &agent_id);
    if (good) {
        struct admission *admission = mem_alloc(sizeof *admission);
        *admission = (struct admission){.call = call, .wait_secs = (int)wait_secs};
        const char *params[] = {request_by(call, &by), agent_id, capabilities};
        call_hold(call);
        db_query(call_server(call)->db,
                 "select executor, capabilities, status, body, null as next, null as location "
                 "from fleet.pull_admit($1::fleet.requester, $2, $3::text[])",
                 DB_REPEAT, 3, params, on_admitted, admission);
        buf_release(&by);
    }
    buf_release(&texts);
    json_object_put(body);
}

/* --- what an agent says of its task --- */

static void pass_on(struct call *call, const char *sql)
{
    struct buf by;
    struct json_object *body;
    if (!agent_body(call, &body))
        return;
    agent_body_redact(call, body);
    const char *params[] = {request_by(call, &by), call->match.id, agent_body_text(body)};
    reply_query_locking(call, call->match.id, sql, DB_REPEAT, 3, params);
    buf_release(&by);
    json_object_put(body);
}

void api_task_status(struct call *call)
{
    pass_on(call, "select status, body, next, location from "
                  "fleet.agent_status($1::fleet.requester, $2, $3::jsonb)");
}

void api_task_complete(struct call *call)
{
    pass_on(call, "select status, body, next, location from "
                  "fleet.agent_complete($1::fleet.requester, $2, $3::jsonb)");
}
