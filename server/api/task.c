/* GET of one task, its events and its attempts. */
#include "server/api/handlers.h"
#include "server/api/page.h"
#include "server/api/reply.h"
#include "server/api/request.h"

void api_task_detail(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query(call,
                "select status, body, next, location "
                "from fleet.task_detail($1::fleet.requester, $2)",
                DB_REPEAT, 2, params);
    buf_release(&by);
}

/* A page of what belongs to one task. */
static void answer_page(struct call *call, const char *sql)
{
    struct buf by;
    struct page page;
    if (!page_read(call, &page))
        return;
    const char *params[] = {request_by(call, &by), call->match.id, page.limit, page.cursor};
    reply_query(call, sql, DB_REPEAT, 4, params);
    buf_release(&by);
}

void api_task_events(struct call *call)
{
    answer_page(call, "select status, body, next, location "
                      "from fleet.task_events($1::fleet.requester, $2, $3::int, $4)");
}

void api_task_attempts(struct call *call)
{
    answer_page(call, "select status, body, next, location "
                      "from fleet.task_attempts($1::fleet.requester, $2, $3::int, $4)");
}
