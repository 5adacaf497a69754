/* GET /api/v1/events: all that happens to tasks, as it happens. */
#include <string.h>

#include "server/api/handlers.h"
#include "server/api/last_event.h"
#include "server/server.h"

void api_event_stream(struct call *call)
{
    struct error err = {0};
    struct event_place place = {0};
    const char *task_id, *repo, *last;
    if (!query_text(&call->query, "task_id", &task_id, &err) ||
        !query_text(&call->query, "repo", &repo, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return;
    }
    size_t len;
    if (!last_event(call, &last, &len))
        return;
    if (last != NULL && !event_place_read(&place, last, len)) {
        last_event_refuse(call, "event");
        return;
    }
    follow_events(call_server(call)->follow, call, &place, task_id, repo);
}
