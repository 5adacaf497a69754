/* The way of queries: they wait, fly, rest, are called back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"

#define PARAMS_MAX 65535 /* of the protocol's Bind */
#define REST_MIN_MS 20
#define REST_MAX_MS 500
#define CHANGED_MS 1000 /* for another try where code was made anew, however late that was seen */
#define EXPIRY_MS 20
#define READ_ONLY_MS 1000 /* instead of wait_ms, while what answers cannot be written */

/* --- queries --- */

struct db_query *db_query_new(const char *key, const char *sql, enum db_repeat repeat, int count,
                              const char *const *params, db_done_cb on_done, void *data)
{
    size_t size = sizeof(struct db_query) + (size_t)count * sizeof(char *);
    struct db_query *query;
    char *text;

    for (int i = 0; i < count; i++)
        size += params[i] ? strlen(params[i]) + 1 : 0;
    size += key ? strlen(key) + 1 : 0;
    query = mem_alloc(size);
    text = (char *)&query->values[count];
    for (int i = 0; i < count; i++) {
        size_t len = params[i] ? strlen(params[i]) + 1 : 0;

        if (!params[i])
            continue;
        query->values[i] = memcpy(text, params[i], len);
        text += len;
    }
    if (key)
        query->key_name = memcpy(text, key, strlen(key) + 1);
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

/* The next of its key goes on the way. */
static void pass_key(struct db *db, struct db_query *query)
{
    struct db_query *next = db_key_pass(query);

    if (!next)
        return;
    list_append(&db->locking, &next->link);
    db_pump(db);
}

void db_finish(struct db *db, struct db_query *query)
{
    struct db_result res = {query->result};

    pass_key(db, query);
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

static void append(struct db *db, struct list *list, struct db_query *query)
{
    list_append(list, &query->link);
    db->waiting_count++;
    db_pump(db);
}

static struct list *ready_list(struct db *db, const struct db_query *query)
{
    return query->key ? &db->locking : &db->waiting;
}

static void put_first(struct db *db, struct db_query *query)
{
    append(db, ready_list(db, query)->next, query); /* before the first */
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

static void ask(struct db *db, struct db_query *query)
{
    query->statement = db_statement_number(db, query->sql);
    if (db->stopping) {
        error_set_state(&query->err, "08003", "this node is stopping: the database is closed");
        fail_soon(db, query);
    } else if (db->waiting_count >= (size_t)db->options.queue_max) {
        error_set_state(&query->err, "53300", "%d queries wait for the database already",
                        db->options.queue_max);
        fail_soon(db, query);
    } else if (!query->key_name || db_key_take(db, query)) {
        append(db, ready_list(db, query), query);
    } else {
        db->waiting_count++;
        db_pump(db);
    }
}

static void check_count(int count)
{
    if (count >= 0 && count <= PARAMS_MAX)
        return;
    log_error(NULL, "a query with %d parameters", count);
    abort();
}

void db_query(struct db *db, const char *sql, enum db_repeat repeat, int count,
              const char *const *params, db_done_cb on_done, void *data)
{
    struct db_query *query;

    check_count(count);
    query = db_query_new(NULL, sql, repeat, count, params, on_done, data);
    query->until = query->since + db->options.lock_ms;
    ask(db, query);
}

void db_query_locking(struct db *db, const char *key, int64_t until_ms, const char *sql,
                      enum db_repeat repeat, int count, const char *const *params,
                      db_done_cb on_done, void *data)
{
    struct db_query *query;

    check_count(count);
    query = db_query_new(key, sql, repeat, count, params, on_done, data);
    query->until = until_ms > 0 ? until_ms : query->since + db->options.lock_ms;
    ask(db, query);
}

void db_again(struct db *db, struct db_query *query, bool rest)
{
    bool changed = query->failed && db_fault(query->err.state)->again == DB_AGAIN_CHANGED;
    query->failed = query->stale = false;
    query->since = clock_ms();
    if (!rest) {
        append(db, ready_list(db, query), query);
        return;
    }
    query->repeats++;
    /* nobody is in the way of a plan that is made anew, and there may be one more behind it */
    int ms =
        changed ? REST_MIN_MS : pause_after((unsigned)query->repeats, REST_MIN_MS, REST_MAX_MS);
    if (changed && query->until < query->since + CHANGED_MS)
        query->until = query->since + CHANGED_MS;
    query->rested = query->since + pause_jitter(ms); /* those in each other's way part */
    append(db, &db->resting, query);
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
    put_first(db, query);
}

/* --- waiting too long --- */

static void watch_expiry(struct db *db)
{
    if (!db->closing && db->waiting_count > 0 && !timer_active(&db->expiry))
        timer_start(&db->expiry, EXPIRY_MS, 0);
}

/* What came of its last try is told, if there was one. */
static void fail_waiting(struct db *db, struct db_query *query, const char *state, const char *text)
{
    if (query->err.state[0] == '\0')
        error_set_state(&query->err, state, "%s", text);
    fail_soon(db, query);
}

static bool is_disconnected(const struct db *db, const struct db_query *query, int64_t now)
{
    int64_t since = query->since > db->down_since ? query->since : db->down_since;

    int wait_ms = db->options.wait_ms;

    if (db->read_only && wait_ms > READ_ONLY_MS)
        wait_ms = READ_ONLY_MS; /* one answered, and it will not do */
    return db->up == 0 && now - since >= wait_ms;
}

static void end_rest(struct db *db, struct db_query *query)
{
    query->rested = 0;
    append(db, ready_list(db, query), query); /* behind those that may have more luck */
}

static void fail_disconnected(struct db *db, struct db_query *query)
{
    char text[400];

    snprintf(text, sizeof text, "no connection to the database came in time%s%s",
             db->refusal[0] != '\0' ? ": " : "", db->refusal);
    fail_waiting(db, query, "08001", text);
}

static void expire_list(struct db *db, struct list *list, int64_t now)
{
    list_each(link, list)
    {
        const struct db_query *query = list_entry(link, struct db_query, link);

        if (is_disconnected(db, query, now))
            fail_disconnected(db, take_waiting(db, link));
        else if (query->key_name && now >= query->until)
            fail_waiting(db, take_waiting(db, link), "55P03",
                         "another call about the same waited too long for a lock");
        else if (query->rested > 0 && now >= query->rested)
            end_rest(db, take_waiting(db, link));
    }
}

void db_expire(void *data)
{
    struct db *db = data;
    int64_t now = clock_ms();

    expire_list(db, &db->waiting, now);
    expire_list(db, &db->locking, now);
    expire_list(db, &db->resting, now);
    list_each(link, &db->keys)
    {
        expire_list(db, &list_entry(link, struct db_key, link)->behind, now);
    }
    watch_expiry(db);
}

static void abandon_list(struct db *db, struct list *list)
{
    while (!list_empty(list))
        fail_waiting(db, take_waiting(db, list->next), "08001",
                     "this node stopped before the query was sent");
}

/* Time is up for what is waiting and flying: the pump then finds nothing left and closes. */
void db_abandon(void *data)
{
    struct db *db = data;

    db->closing = true;
    list_each(link, &db->keys)
    {
        abandon_list(db, &list_entry(link, struct db_key, link)->behind);
    }
    abandon_list(db, &db->waiting);
    abandon_list(db, &db->locking);
    abandon_list(db, &db->resting);
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
    db->counts.connected++;
    connection->stood = true;
    connection->stand = ++db->stands;
    db->read_only = false;
    db->refusal[0] = '\0';
    db_pump(db);
    db->up++;
    if (db->up == db->options.connections && db_trouble_end(&db->trouble))
        log_info(NULL, "connected to the database");
    if (db->up == 1 && !db->stopping && db->options.on_up)
        db->options.on_up(db->options.data, db->generation);
}

void db_disconnected(struct db_connection *connection)
{
    struct db *db = connection->db;

    db->counts.lost += !db->closing;
    if (--db->up == 0)
        db->down_since = clock_ms();
    db_pump(db);
}

/* A lock that one query waits for holds up all behind it on its connection. So such queries go one
 * to a connection, to all connections but one; and the others go where none is. */
static struct db_connection *least_busy(struct db *db, bool locking)
{
    struct db_connection *best = NULL;
    int held = 0;

    for (int i = 0; i < db->options.connections; i++)
        held += db->connections[i].locking;
    if (locking && held > 0 && held + 1 >= db->up)
        return NULL;
    for (int i = 0; i < db->options.connections; i++) {
        struct db_connection *connection = &db->connections[i];

        if (connection->phase != DB_STANDING || connection->flying_count >= DB_FLYING_MAX ||
            (connection->locking && held < db->up))
            continue;
        if (!best || connection->flying_count < best->flying_count)
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

static void send_list(struct db *db, struct list *list)
{
    struct db_connection *connection;

    while (!list_empty(list) && (connection = least_busy(db, list == &db->locking)) != NULL)
        db_connection_send(connection, take_waiting(db, list->next));
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
        db_finish(db, list_entry(link, struct db_query, link));
    }
}

static void on_pump(uv_idle_t *handle)
{
    struct db *db = handle->data;

    uv_idle_stop(handle);
    db_call_failed(db);
    send_list(db, &db->waiting);
    send_list(db, &db->locking);
    watch_expiry(db);
    if (db->stopping && db->waiting_count == 0 && list_empty(&db->failed) && flying(db) == 0)
        db_close(db);
}

void db_pump(struct db *db)
{
    if (db->handles > 0 && !uv_is_closing((uv_handle_t *)&db->pump))
        uv_idle_start(&db->pump, on_pump);
}
