/* How the death of a worker is seen at once: our session's lock, and our looks at those
 * of others. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/dispatch/dispatch.h"

/* The database wants a second between two looks that miss a lock: two of ours, and a bit. */
#define LOOK_EVERY_MS 520

/* What the database calls it when only our beat tells of our death. */
static const char *trouble_text(const char *word)
{
    if (strcmp(word, "pooled") == 0)
        return "a pooler lends the session that listens: give database.listen_url";
    if (strcmp(word, "taken") == 0)
        return "another session holds it: table fleet.sessions";
    if (strcmp(word, "forbidden") == 0)
        return "fleet_owner may not take it: run migrations/apply as a superuser";
    return word;
}

/* An error is no more than that: calls of our own say what ends this life. */
static void on_held(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch *dispatch = data;
    const char *word = err == NULL && db_rows(res) == 1 ? db_text(res, 0, "lock") : NULL;
    if (word == NULL)
        word = err != NULL ? err->text : "no answer";
    if (strcmp(dispatch->lock, word) == 0)
        return;
    snprintf(dispatch->lock, sizeof dispatch->lock, "%.*s", (int)sizeof dispatch->lock - 1, word);
    if (strcmp(word, "held") == 0)
        log_info(NULL, "the session that listens holds our lock: others see our death at once");
    else
        log_warn(NULL, "no session lock, others see our death by our beat only: %s",
                 trouble_text(word));
}

void dispatch_hold(struct dispatch *dispatch)
{
    dispatch->lock[0] = '\0';
    db_keep(dispatch->node.db, "select fleet.hold($1, $2) as lock", dispatch->node.id, on_held,
            dispatch);
}

void dispatch_let_go(struct dispatch *dispatch)
{
    db_keep(dispatch->node.db, NULL, NULL, NULL, NULL);
}

static void on_look(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->looking = false;
    if (err != NULL) {
        node_failed(&dispatch->node, "peers", err);
        return;
    }
    int64_t now = clock_ms();
    peers_look(&dispatch->peers);
    for (int row = 0; row < db_rows(res); row++) {
        const char *kind = db_text(res, row, "kind"), *node = db_text(res, row, "node");
        int64_t beat = db_int(res, row, "beat", 0);
        if (kind == NULL || node == NULL)
            continue;
        if (strcmp(kind, "left") == 0)
            peers_left(&dispatch->peers, node, beat, now);
        else if (strcmp(kind, "gone") == 0)
            peers_gone(&dispatch->peers, node, beat, now);
    }
    dispatch_adopt(dispatch);
}

void dispatch_look(void *data)
{
    struct dispatch *dispatch = data;
    const char *params[] = {dispatch->node.id};
    if (dispatch->node.state != NODE_LIVE)
        return;
    timer_start(&dispatch->look, LOOK_EVERY_MS, 0);
    if (dispatch->looking)
        return;
    dispatch->looking = true;
    db_query(dispatch->node.db, "select * from fleet.peers($1)", DB_ONCE, 1, params, on_look,
             dispatch_call_new(dispatch));
}
