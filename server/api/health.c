#include <stdio.h>

#include "server/api/handlers.h"
#include "server/server.h"

#define DEADLINE_MS 4000 /* of /readyz: probes wait about 5 s */

void api_healthz(struct call *call)
{
    call_answer(call, 200, "text/plain; charset=utf-8", "ok", 2);
}

void api_livez(struct call *call)
{
    call_json(call, 200, "{\"status\": \"alive\"}");
}

static void not_ready(struct call *call, const char *reason, const char *text)
{
    char details[64];
    snprintf(details, sizeof details, "{\"reason\": \"%s\"}", reason);
    call_error(call, 503, "not_ready", details, "%s", text);
}

static void on_version(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    int64_t version = err == NULL && db_rows(res) == 1 ? db_int(res, 0, "version", 0) : 0;
    if (call_server(call)->draining) {
        not_ready(call, "draining", "this node is about to stop");
    } else if (err != NULL && db_fault(err->state)->transient) {
        not_ready(call, "database", "the database does not answer");
    } else if (err != NULL || version < FLEET_SCHEMA) {
        not_ready(call, "schema", "the database lacks migrations that this binary needs");
    } else {
        char text[64];
        snprintf(text, sizeof text, "{\"status\": \"ready\", \"schema\": %lld}",
                 (long long)version);
        call_json(call, 200, text);
    }
    call_drop(call);
}

void api_readyz(struct call *call)
{
    if (call_server(call)->draining) {
        not_ready(call, "draining", "this node is about to stop");
        return;
    }
    if (!db_up(call_server(call)->db)) { /* a probe is answered now, not when a connection stands */
        not_ready(call, "database", "the database does not answer");
        return;
    }
    call->deadline_ms = call->began_ms + DEADLINE_MS;
    call_hold(call);
    db_query(call_server(call)->db, "select fleet.schema_version() as version", DB_REPEAT, 0, NULL,
             on_version, call);
}
