/* One connection that stands: send, receive, lose. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/log.h"

static void take_off(struct db_connection *connection, struct db_query *query)
{
    list_remove(&query->link);
    connection->flying_count--;
    if (query->key)
        connection->locking = false; /* there is one at most */
}

/* Its address is that of no other query. */
static bool is_settings(const struct db_connection *connection, const struct db_query *query)
{
    return query->sql == connection->target->settings;
}

/* --- losing --- */

static void give_back_flying(struct db_connection *connection, const char *reason)
{
    /* From the last: each goes to the front of the queue, so that they keep their order. */
    while (!list_empty(&connection->flying)) {
        struct db_query *query = list_entry(connection->flying.prev, struct db_query, link);

        take_off(connection, query);
        if (connection->channel || is_settings(connection, query)) {
            db_query_free(query);
            continue;
        }
        error_set_state(&query->err, "08006", "the connection to the database was lost: %s",
                        reason);
        db_lost_query(connection, query);
    }
}

/* A standing connection is no more. */
void db_connection_lost(struct db_connection *connection, const char *message)
{
    bool stood = connection->phase == DB_STANDING;
    char reason[300], text[400];

    db_one_line(reason, sizeof reason, message);
    snprintf(text, sizeof text, "lost the connection to the database: %s", reason);
    db_trouble_say(&connection->db->trouble, text);
    db_connection_drop(connection);
    db_connection_back_off(connection);
    if (stood && !connection->channel)
        db_disconnected(connection);
    give_back_flying(connection, reason);
}

void db_connection_shut(struct db_connection *connection, const char *reason)
{
    bool stood = connection->phase == DB_STANDING;

    db_connection_drop(connection);
    db_connection_enter(connection, DB_CLOSED);
    if (stood && !connection->channel)
        db_disconnected(connection);
    give_back_flying(connection, reason);
}

/* --- sending --- */

static void flush(struct db_connection *connection)
{
    int left = PQflush(connection->pg);

    if (left < 0)
        db_connection_lost(connection, PQerrorMessage(connection->pg));
    else
        watch_set(connection->watch, true, left == 1);
}

static bool send_statement(struct db_connection *connection, struct db_query *query)
{
    char name[32];

    if (query->statement < 0)
        return PQsendQueryParams(connection->pg, query->sql, query->count, NULL, query->values,
                                 NULL, NULL, 0) == 1;
    query->renewal = connection->renewed[query->statement];
    snprintf(name, sizeof name, "s%d_%u", query->statement, query->renewal);
    if (!connection->prepared[query->statement]) {
        connection->prepared[query->statement] = true;
        query->preparing = true;
        if (PQsendPrepare(connection->pg, name, query->sql, 0, NULL) != 1)
            return false;
    }
    return PQsendQueryPrepared(connection->pg, name, query->count, query->values, NULL, NULL, 0) ==
           1;
}

void db_connection_send(struct db_connection *connection, struct db_query *query)
{
    if (connection->flying_count == 0) {
        connection->heard_at = clock_ms();
        if (!connection->channel)
            timer_start(&connection->timer, (uint64_t)connection->db->silence_ms, 0);
    }
    query->preparing = query->failed = query->stale = false;
    query->sent_us = clock_us();
    list_append(&connection->flying, &query->link);
    connection->flying_count++;
    connection->locking |= query->key != NULL;
    if (!send_statement(connection, query) || PQpipelineSync(connection->pg) != 1)
        db_connection_lost(connection, PQerrorMessage(connection->pg));
    else
        flush(connection);
}

/* --- receiving --- */

static bool is_state(const struct db_query *query, const char *state)
{
    return query->failed && strcmp(query->err.state, state) == 0;
}

/* The code in the database may have been made anew. */
static bool may_have_changed(const struct db_query *query)
{
    return query->failed && db_fault(query->err.state)->again == DB_AGAIN_CHANGED;
}

/* An error says that it was rolled back. Who waited for a migration has no time left when the code
 * is another: those few tries are had all the same. */
static bool worth_another(const struct db_query *query)
{
    if (!query->failed)
        return false;
    switch (db_fault(query->err.state)->again) {
    case DB_AGAIN_NEVER:
        return false;
    case DB_AGAIN_LATER:
        return clock_ms() < query->until;
    case DB_AGAIN_CHANGED:
        return query->repeats < DB_CHANGES;
    }
    return false;
}

/* The session is as it has to be: queries may come. False when the connection was lost. */
static bool stand(struct db_connection *connection, struct db_query *settings)
{
    bool failed = settings->failed;
    struct error err = settings->err;

    db_query_free(settings);
    if (failed) {
        db_connection_lost(connection, err.text);
        return false;
    }
    timer_stop(&connection->timer);
    db_connection_enter(connection, DB_STANDING);
    if (connection->channel)
        db_listener_begin(connection);
    else
        db_connected(connection);
    return connection->phase == DB_STANDING;
}

/* The query's Sync was answered: only now is it committed. False when the connection was lost. */
static bool finish(struct db_connection *connection, struct db_query *query)
{
    bool read_only = is_state(query, "25006");

    take_off(connection, query);
    if (is_settings(connection, query))
        return stand(connection, query);
    if (!query->failed && !query->result) {
        query->failed = true;
        error_set_state(&query->err, "XX001", "the database gave no result");
    }
    if (query->statement >= 0 && (query->preparing || query->stale || may_have_changed(query)) &&
        query->renewal == connection->renewed[query->statement]) {
        connection->prepared[query->statement] = false;
        connection->renewed[query->statement]++;
    }
    if (connection->channel)
        return db_listener_finish(connection, query);
    db_count(connection->db, query);
    if (!read_only)
        connection->failures = 0;
    if (query->stale) {
        query->statement = -1; /* nothing of it was executed: it goes unprepared this time */
        db_again(connection->db, query, false);
    } else if (worth_another(query)) {
        if (may_have_changed(query))
            query->statement = -1; /* each connection may have prepared it for what was before */
        db_again(connection->db, query, true);
    } else {
        db_finish(connection->db, query);
    }
    db_pump(connection->db); /* there is room for another one */
    if (read_only) {
        connection->db->read_only = true;
        db_connection_lost(connection, "it is read-only: the server is no longer the primary");
    }
    return !read_only;
}

static bool is_fatal(const struct db_connection *connection, const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    /* FATAL comes while PQstatus is still fine. What libpq makes up itself has no severity. */
    return PQstatus(connection->pg) == CONNECTION_BAD || !severity ||
           strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

/* The first error of a query counts; the connection stays good. */
static void take_error(struct db_query *query, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *source = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

    PQclear(query->result);
    query->result = NULL;
    if (query->failed)
        return;
    query->failed = true;
    error_set_state(&query->err, state ? state : "XX000", "%s", text ? text : "unknown error");
    /* 26000: a Parse ahead in the pipeline failed, or somebody discarded it. 0A000 from there:
     * "cached plan must not change result type" after a migration. */
    query->stale = query->statement >= 0 && !query->preparing &&
                   (is_state(query, "26000") || (is_state(query, "0A000") && source &&
                                                 strcmp(source, "RevalidateCachedQuery") == 0));
}

/* Takes a result of the first flying query. False when the connection was lost. */
static bool accept_result(struct db_connection *connection, PGresult *result)
{
    struct db_query *query = list_entry(connection->flying.next, struct db_query, link);

    switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(result);
        return finish(connection, query);
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        if (!query->preparing && !query->failed && !query->result) {
            query->result = result;
            return true;
        }
        query->preparing = false; /* it was the answer of the Parse */
        PQclear(result);
        return true;
    case PGRES_PIPELINE_ABORTED: /* follows the failure of the Parse */
        PQclear(result);
        return true;
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
        if (!is_fatal(connection, result)) {
            take_error(query, result);
            PQclear(result);
            return true;
        }
        db_connection_lost(connection, PQresultErrorMessage(result));
        PQclear(result);
        return false;
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
    case PGRES_SINGLE_TUPLE:
        break;
    }
    PQclear(result);
    db_connection_lost(connection, "an answer of a kind that was not asked for");
    return false;
}

static void take_notifications(struct db_connection *connection)
{
    PGnotify *told;

    while ((told = PQnotifies(connection->pg)) != NULL) {
        if (connection->channel)
            db_listener_notify(connection, told->extra);
        PQfreemem(told);
    }
}

/* False when the connection was lost. A query gives: its results, NULL, and the Sync (no NULL). */
static bool receive(struct db_connection *connection)
{
    bool ended = false;

    if (PQconsumeInput(connection->pg) != 1) {
        db_connection_lost(connection, PQerrorMessage(connection->pg));
        return false;
    }
    connection->heard_at = clock_ms();
    while (!list_empty(&connection->flying) && !PQisBusy(connection->pg)) {
        PGresult *result = PQgetResult(connection->pg);

        if (result && !accept_result(connection, result))
            return false;
        if (!result && ended)
            break;
        ended = !result;
    }
    PQisBusy(connection->pg); /* parses, also when no query flies */
    take_notifications(connection);
    if (PQstatus(connection->pg) != CONNECTION_BAD)
        return true;
    db_connection_lost(connection, PQerrorMessage(connection->pg));
    return false;
}

static void on_ready(void *data, bool readable, bool writable)
{
    struct db_connection *connection = data;

    (void)writable;
    if (!readable || receive(connection))
        flush(connection);
}

void db_connection_settle(struct db_connection *connection)
{
    struct db_query *settings =
        db_query_new(NULL, connection->target->settings, DB_ONCE, 0, NULL, NULL, NULL);

    connection->watch =
        watch_new(connection->db->loop, PQsocket(connection->pg), on_ready, connection);
    memset(connection->prepared, 0, sizeof connection->prepared);
    db_connection_enter(connection, DB_SETTLING);
    settings->statement = -1;
    db_connection_send(connection, settings);
    if (connection->phase == DB_SETTLING)
        timer_start(&connection->timer, (uint64_t)connection->db->answer_ms, 0);
}

/* --- time --- */

/* Standing: is anybody still there? A half-open connection gives no error, only silence. */
static void on_silence(struct db_connection *connection)
{
    const struct db *db = connection->db;
    int64_t limit = connection->channel ? db->answer_ms : db->silence_ms;
    struct pollfd ready = {PQsocket(connection->pg), POLLIN, 0};
    int64_t silence;

    /* After a SIGSTOP of ours the answer lies in the socket, and the timer fires first. */
    if (poll(&ready, 1, 0) > 0) {
        on_ready(connection, true, true);
        if (connection->phase != DB_STANDING || timer_active(&connection->timer))
            return;
    }
    if (connection->flying_count == 0) {
        if (connection->channel)
            db_listener_probe(connection);
        return;
    }
    silence = clock_ms() - connection->heard_at;
    if (silence >= limit)
        db_connection_lost(connection, "no answer in time");
    else
        timer_start(&connection->timer, (uint64_t)(limit - silence), 0);
}

static void on_time(void *data)
{
    struct db_connection *connection = data;

    switch (connection->phase) {
    case DB_CLOSED:
        return;
    case DB_BACKING_OFF:
        db_connection_open(connection);
        return;
    case DB_LOOKING_UP:
    case DB_CONNECTING:
        db_connection_on_connect_time(connection);
        return;
    case DB_SETTLING: /* a pooler takes connections, and has none for them */
        db_connection_lost(connection, "no answer in time");
        return;
    case DB_STANDING:
        on_silence(connection);
        return;
    }
}

void db_connection_init(struct db_connection *connection, struct db *db,
                        const struct db_target *target, const char *channel, int number)
{
    memset(connection, 0, sizeof *connection);
    connection->db = db;
    connection->target = target;
    connection->channel = channel;
    if (channel)
        snprintf(connection->name, sizeof connection->name, "listen");
    else
        snprintf(connection->name, sizeof connection->name, "%d", number);
    connection->about[0] = LOG_FIELD("connection", connection->name);
    list_init(&connection->flying);
    timer_init(&connection->timer, db->loop, on_time, connection);
}
