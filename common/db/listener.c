/* The connection that listens: its own queries, what is kept on its session, notifications. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/log.h"

/* Its queries are known by their address. */
static void ask(struct db_connection *connection, struct db_query *query)
{
    query->statement = -1;
    db_connection_send(connection, query);
    if (connection->phase == DB_STANDING)
        timer_start(&connection->timer, (uint64_t)connection->db->answer_ms, 0);
}

static void ask_plain(struct db_connection *connection, const char *sql)
{
    ask(connection, db_query_new(NULL, sql, DB_ONCE, 0, NULL, NULL, NULL));
}

void db_listener_keep(struct db_connection *connection)
{
    const struct db_kept *kept = &connection->db->kept;
    char pid[16];
    const char *params[] = {pid, kept->text};

    snprintf(pid, sizeof pid, "%d", PQbackendPID(connection->pg));
    ask(connection, db_query_new(NULL, kept->sql, DB_ONCE, 2, params, kept->on_done, kept->data));
}

void db_listener_notify(struct db_connection *connection, const char *payload)
{
    struct db *db = connection->db;

    if (!db->stopping && db->options.on_notify)
        db->options.on_notify(db->options.data, payload);
}

/* What was kept answers for itself; of that which is not kept any more nobody wants to hear. */
static void answer_kept(struct db_connection *connection, struct db_query *query)
{
    const struct db *db = connection->db;
    struct db_result res = {query->result};
    bool wanted = query->sql == db->kept.sql && query->data == db->kept.data &&
                  strcmp(query->values[1], db->kept.text) == 0;

    if (wanted && !db->stopping && query->on_done)
        query->on_done(query->data, query->failed ? NULL : &res,
                       query->failed ? &query->err : NULL);
}

/* False when the connection was lost. */
bool db_listener_finish(struct db_connection *connection, struct db_query *query)
{
    bool kept = query->count > 0, failed = query->failed && !kept;
    bool listening = query->sql == connection->db->listen_sql;
    struct error err = query->err;

    if (kept)
        answer_kept(connection, query);
    db_query_free(query);
    if (failed) {
        db_connection_lost(connection, err.text);
        return false;
    }
    connection->failures = 0;
    timer_start(&connection->timer, (uint64_t)connection->db->probe_ms, 0);
    if (listening) {
        log_info(connection->about, "listening for notifications");
        /* what was told meanwhile is unknown: look everywhere */
        db_listener_notify(connection, "");
        if (connection->db->kept.sql)
            db_listener_keep(connection);
    }
    return connection->phase == DB_STANDING;
}

void db_listener_begin(struct db_connection *connection)
{
    ask_plain(connection, connection->db->listen_sql);
}

/* A half-open connection gives no error, only silence: so something is asked now and then. */
void db_listener_probe(struct db_connection *connection)
{
    if (connection->db->kept.sql)
        db_listener_keep(connection);
    else
        ask_plain(connection, "select 1");
}
