/* /healthz, /livez and /readyz: whether this node lives, and whether it should be sent requests. */
#include <stdio.h>
#include <string.h>

#include "common/db/trouble.h"
#include "server/api/enter.h"
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

/* What stands between this node and its work, or NULL. The words are db_trouble_word's. */
static const char *hindrance(const struct db_result *res, const struct error *err)
{
    if (err != NULL)
        return db_trouble_word(err);
    if (db_rows(res) != 1 || db_int(res, 0, "schema_version", 0) < FLEET_SCHEMA)
        return "schema";
    if (db_int(res, 0, "oldest_node", 0) > FLEET_SCHEMA)
        return "outdated";
    if (!db_bool(res, 0, "member"))
        return "role";
    return db_bool(res, 0, "writable") ? NULL : "read_only";
}

static const char *sentence(const char *word)
{
    static const char *const sentences[][2] = {
        {"schema", "the database lacks migrations that this binary needs: run fleet-migrate"},
        {"outdated", "the database serves newer programs only: install its migrations' release"},
        {"role", "the login of this node is not that of a server: grant fleet_server to it"},
        {"read_only", "the database is read-only"},
        {"database", "the database does not answer"},
        {"draining", "this node is about to stop"},
    };
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        if (strcmp(sentences[i][0], word) == 0)
            return sentences[i][1];
    }
    return word;
}

static void not_ready(struct call *call, const char *word)
{
    char details[64];
    snprintf(details, sizeof details, "{\"reason\": \"%s\"}", word);
    call_error(call, 503, "not_ready", details, "%s", sentence(word));
}

/* --- deep: the invariants too --- */

/* {"check_slot": 0, ...}; false when one of them does not hold. */
static bool add_checks(struct buf *out, const struct db_result *res)
{
    bool sound = true;
    buf_adds(out, "{");
    for (int row = 0; row < db_rows(res); row++) {
        int64_t faults = db_int(res, row, "faults", -1);
        buf_addf(out, "%s\"%s\": %lld", row > 0 ? ", " : "", db_text(res, row, "name"),
                 (long long)faults);
        sound = sound && faults == 0;
    }
    buf_adds(out, "}");
    return sound;
}

static void answer_checks(struct call *call, const struct db_result *res)
{
    struct buf checks, text;
    buf_init(&checks, 65536);
    buf_init(&text, 65536);
    if (add_checks(&checks, res)) {
        buf_addf(&text, "{\"status\": \"ready\", \"checks\": %s}", buf_text(&checks));
        call_json(call, 200, buf_text(&text));
    } else {
        buf_addf(&text, "{\"reason\": \"invariants\", \"checks\": %s}", buf_text(&checks));
        call_error(call, 503, "not_ready", buf_text(&text),
                   "an invariant does not hold: look at the rows of that view of schema fleet");
    }
    buf_release(&checks);
    buf_release(&text);
}

static void on_checked(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    call_server(call)->checking = false;
    if (err != NULL)
        not_ready(call, db_trouble_word(err));
    else
        answer_checks(call, res);
    call_drop(call);
}

static void check_deep(struct call *call)
{
    struct server *server = call_server(call);
    if (server->checking) {
        call_error(call, 503, "busy", NULL, "the invariants are being looked at already");
        return;
    }
    server->checking = true;
    call_hold(call);
    /* It may take long: never on the last connection. */
    db_query_locking(server->db, "checks", 0, "select name, faults from fleet.check_all()",
                     DB_REPEAT, 0, NULL, on_checked, call);
}

/* What deep=1 makes of the route: it costs more, and tells more. */
static const struct route deep_route = {.method = "GET",
                                        .pattern = "/readyz",
                                        .kind = ROUTE_API,
                                        .scope = SCOPE_READ,
                                        .handle = check_deep};

static void on_ready(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    const char *word = call_server(call)->draining ? "draining" : hindrance(res, err);
    if (word != NULL) {
        not_ready(call, word);
    } else {
        char text[64];
        snprintf(text, sizeof text, "{\"status\": \"ready\", \"schema\": %lld}",
                 (long long)db_int(res, 0, "schema_version", 0));
        call_json(call, 200, text);
    }
    call_drop(call);
}

void api_readyz(struct call *call)
{
    const struct db *db = call_server(call)->db;
    struct error err = {0};
    int64_t deep;
    if (!query_int(&call->query, "deep", 0, 1, 0, &deep, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return;
    }
    if (call_server(call)->draining) {
        not_ready(call, "draining");
        return;
    }
    if (!db_up(db)) { /* a probe is answered now, not when a connection stands */
        not_ready(call, db_read_only(db) ? "read_only" : "database");
        return;
    }
    if (deep != 0) {
        call->match.route = &deep_route;
        api_admit(call);
        return;
    }
    call->deadline_ms = call->began_ms + DEADLINE_MS;
    call_hold(call);
    db_query(call_server(call)->db,
             "select schema_version, oldest_node, member, writable from fleet.ready('server')",
             DB_REPEAT, 0, NULL, on_ready, call);
}
