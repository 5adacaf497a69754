/* Last-Event-ID, as a header or a parameter. */
#include "server/api/last_event.h"

#include <string.h>

bool last_event(struct call *call, const char **id, size_t *len)
{
    struct error err = {0};
    const char *given;
    size_t count;
    *id = call_header(call, "last-event-id", len, &count);
    if (*id == NULL) {
        if (!query_text(&call->query, "last_event_id", &given, &err)) {
            call_error(call, 422, "invalid_value", NULL, "%s", err.text);
            return false;
        }
        *id = given;
        *len = given != NULL ? strlen(given) : 0;
    }
    if (*len == 0)
        *id = NULL;
    return true;
}

void last_event_refuse(struct call *call, const char *what)
{
    call_error(call, 400, "malformed_event_id", NULL,
               "this Last-Event-ID is none of a stream of %s; without it, the stream begins anew",
               what);
}
