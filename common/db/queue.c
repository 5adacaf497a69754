#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/log.h"
#include "common/mem.h"

#define PARAMS_MAX 65535 /* of the protocol's Bind */

/* --- queries --- */

struct db_query *db_query_new(const char *sql, enum db_repeat repeat, int count,
                              const char *const *params, db_done_cb on_done, void *data)
{
    size_t size = sizeof(struct db_query) + (size_t)count * sizeof(char *);
    struct db_query *query;
    char *text;

    for (int i = 0; i < count; i++)
        size += params[i] ? strlen(params[i]) + 1 : 0;
    query = mem_alloc(size);
    text = (char *)&query->values[count];
    for (int i = 0; i < count; i++) {
        size_t len = params[i] ? strlen(params[i]) + 1 : 0;

        if (!params[i])
            continue;
        query->values[i] = memcpy(text, params[i], len);
        text += len;
    }
    query->sql = sql;
    query->repeat = repeat;
    query->on_done = on_done;
    query->data = data;
    query->count = count;
    query->statement = -1;
    query->since = clock_ms();
    return query;
}

void db_query_free(struct db_query *query)
{
    PQclear(query->result);
    free(query);
}

void db_finish(struct db_query *query)
{
    struct db_result res = {query->result};

    if (query->on_done)
        query->on_done(query->data, query->failed ? NULL : &res,
                       query->failed ? &query->err : NULL);
    db_query_free(query);
}

int db_statement_number(struct db *db, const char *sql)
{
    for (int i = 0; i < db->statement_count; i++) {
        if (db->statements[i].sql == sql && strcmp(db->statements[i].copy, sql) == 0)
            return i;
    }
    if (db->statement_count == DB_STATEMENTS)
        return -1;
    db->statements[db->statement_count].sql = sql;
    db->statements[db->statement_count].copy = mem_strdup(sql);
    return db->statement_count++;
}

/* --- the queue --- */

static void wait_last(struct db *db, struct db_query *query)
{
    list_append(&db->waiting, &query->link);
    db->waiting_count++;
}

static struct db_query *take_waiting(struct db *db, struct list *link)
{
    list_remove(link);
    db->waiting_count--;
    return list_entry(link, struct db_query, link);
}

/* query->err is set. Its callback comes from the pump. */
static void fail_soon(struct db *db, struct db_query *query)
{
    query->failed = true;
    list_append(&db->failed, &query->link);
    db_pump(db);
}

void db_query(struct db *db, const char *sql, enum db_repeat repeat, int count,
              const char *const *params, db_done_cb on_done, void *data)
{
    struct db_query *query;

    if (count < 0 || count > PARAMS_MAX) {
        log_error(NULL, "a query with %d parameters", count);
        abort();
    }
    query = db_query_new(sql, repeat, count, params, on_done, data);
    query->statement = db_statement_number(db, sql);
    if (db->stopping) {
        error_set_state(&query->err, "08003", "this node is stopping: the database is closed");
        fail_soon(db, query);
    } else if (db->waiting_count >= (size_t)db->options.queue_max) {
        error_set_state(&query->err, "53300", "%d queries wait for the database already",
                        db->options.queue_max);
        fail_soon(db, query);
    } else {
        wait_last(db, query);
        db_pump(db);
    }
}

void db_again(struct db *db, struct db_query *query)
{
    query->retries++;
    query->since = clock_ms();
    wait_last(db, query);
    db_pump(db);
}

/* When the server goes away, its connections break one after the other. A query that is sent again
 * meanwhile may go from one dying connection to the next: that is one loss, not many. */
static void count_loss(const struct db_connection *connection, struct db_query *query)
{
    if (query->losses == 0 || connection->stand > query->lost_at)
        query->losses++;
    query->lost_at = connection->db->stands;
}

void db_lost_query(struct db_connection *connection, struct db_query *query)
{
    struct db *db = connection->db;

    count_loss(connection, query);
    PQclear(query->result);
    query->result = NULL;
    query->failed = false;
    query->since = clock_ms();
    if (query->repeat == DB_ONCE || query->losses > DB_RESENDS || db->closing) {
        fail_soon(db, query);
        return;
    }
    list_append(db->waiting.next, &query->link); /* before the first */
    db->waiting_count++;
    db_pump(db);
}

/* --- waiting without a connection --- */

static void watch_expiry(struct db *db, int64_t next)
{
    if (db->closing || db->up > 0 || list_empty(&db->waiting) || timer_active(&db->expiry))
        return;
    timer_start(&db->expiry, next > 0 ? (uint64_t)next : 1, 0);
}

static void fail_waiting(struct db *db, struct db_query *query)
{
    if (query->losses == 0)
        error_set_state(&query->err, "08001", "no connection to the database within %d ms",
                        db->options.wait_ms);
    fail_soon(db, query); /* else with the "08006" of its loss */
}

void db_expire(void *data)
{
    struct db *db = data;
    int64_t now = clock_ms(), next = db->options.wait_ms;

    if (db->up > 0)
        return;
    list_each(link, &db->waiting)
    {
        const struct db_query *query = list_entry(link, struct db_query, link);
        int64_t since = query->since > db->down_since ? query->since : db->down_since;
        int64_t left = since + db->options.wait_ms - now;

        if (left <= 0)
            fail_waiting(db, take_waiting(db, link));
        else if (left < next)
            next = left;
    }
    watch_expiry(db, next);
}

/* Time is up for what is waiting and flying: the pump then finds nothing left and closes. */
void db_abandon(void *data)
{
    struct db *db = data;

    db->closing = true;
    while (!list_empty(&db->waiting)) {
        struct db_query *query = take_waiting(db, db->waiting.next);

        error_set_state(&query->err, "08001", "this node stopped before the query was sent");
        fail_soon(db, query);
    }
    for (int i = 0; i < db->options.connections; i++)
        db_connection_shut(&db->connections[i], "this node stopped before the answer came");
    db_pump(db);
}

/* --- connections --- */

void db_connected(struct db_connection *connection)
{
    struct db *db = connection->db;

    if (connection->stood)
        db->generation++;
    connection->stood = true;
    connection->stand = ++db->stands;
    timer_stop(&db->expiry);
    db_pump(db);
    if (++db->up == 1 && !db->stopping && db->options.on_up)
        db->options.on_up(db->options.data, db->generation);
}

void db_disconnected(struct db_connection *connection)
{
    struct db *db = connection->db;

    if (--db->up == 0)
        db->down_since = clock_ms();
    db_pump(db);
}

static struct db_connection *least_busy(struct db *db)
{
    struct db_connection *best = NULL;

    for (int i = 0; i < db->options.connections; i++) {
        struct db_connection *connection = &db->connections[i];

        if (connection->phase == DB_STANDING && connection->flying_count < DB_FLYING_MAX &&
            (!best || connection->flying_count < best->flying_count))
            best = connection;
    }
    return best;
}

static size_t flying(const struct db *db)
{
    size_t count = 0;

    for (int i = 0; i < db->options.connections; i++)
        count += db->connections[i].flying_count;
    return count;
}

/* --- the pump --- */

static void send_waiting(struct db *db)
{
    struct db_connection *connection;

    while (!list_empty(&db->waiting) && (connection = least_busy(db)) != NULL)
        db_connection_send(connection, take_waiting(db, db->waiting.next));
    watch_expiry(db, db->options.wait_ms);
}

/* Those that fail meanwhile come in the next turn, so that the loop is not held up. */
void db_call_failed(struct db *db)
{
    struct list now;

    list_init(&now);
    list_each(link, &db->failed)
    {
        list_remove(link);
        list_append(&now, link);
    }
    while (!list_empty(&now)) {
        struct list *link = now.next;

        list_remove(link);
        db_finish(list_entry(link, struct db_query, link));
    }
}

static void on_pump(uv_idle_t *handle)
{
    struct db *db = handle->data;

    uv_idle_stop(handle);
    db_call_failed(db);
    send_waiting(db);
    if (db->stopping && list_empty(&db->waiting) && list_empty(&db->failed) && flying(db) == 0)
        db_close(db);
}

void db_pump(struct db *db)
{
    if (db->handles > 0 && !uv_is_closing((uv_handle_t *)&db->pump))
        uv_idle_start(&db->pump, on_pump);
}
