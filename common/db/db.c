/* The whole of a database: its connections, and how they start and stop together. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/mem.h"

#define WAIT_MS 5000
#define QUEUE_MAX 10000
#define SILENCE_MS 60000
#define PROBE_MS 20000
#define ANSWER_MS 10000

static char *quote_listen(const char *channel)
{
    struct buf sql;

    buf_init(&sql, 1024);
    buf_adds(&sql, "listen \"");
    for (; *channel; channel++)
        buf_add(&sql, *channel == '"' ? "\"\"" : channel, *channel == '"' ? 2 : 1);
    buf_adds(&sql, "\"");
    return buf_take(&sql);
}

static void set_defaults(struct db *db)
{
    struct db_options *options = &db->options;

    if (options->connections < 1)
        options->connections = 1;
    if (options->connections > DB_CONNECTIONS_MAX)
        options->connections = DB_CONNECTIONS_MAX;
    if (options->wait_ms <= 0)
        options->wait_ms = WAIT_MS;
    if (options->lock_ms <= 0)
        options->lock_ms = options->wait_ms;
    if (options->queue_max <= 0)
        options->queue_max = QUEUE_MAX;
    options->url = options->listen_url = options->application = options->channel = NULL;
    db->silence_ms = SILENCE_MS;
    db->probe_ms = PROBE_MS;
    db->answer_ms = ANSWER_MS;
}

struct db *db_new(struct loop *loop, const struct db_options *options, struct error *err)
{
    struct db *db = mem_alloc(sizeof *db);
    const char *listen_url = options->listen_url ? options->listen_url : options->url;

    db->loop = loop;
    db->options = *options;
    list_init(&db->waiting);
    list_init(&db->locking);
    list_init(&db->resting);
    list_init(&db->failed);
    list_init(&db->keys);
    if (!db_target_init(&db->target, options->url, options->application, options->statement_ms,
                        options->allow_plaintext, err) ||
        (options->channel && !db_target_init(&db->listen_target, listen_url, options->application,
                                             0, options->allow_plaintext, err))) {
        db_free(db);
        return NULL;
    }
    db->channel = mem_strdup(options->channel);
    db->listen_sql = options->channel ? quote_listen(options->channel) : NULL;
    set_defaults(db);
    return db;
}

static void open_handles(struct db *db)
{
    db->started = true;
    uv_idle_init(&db->loop->uv, &db->pump);
    db->pump.data = db;
    timer_init(&db->expiry, db->loop, db_expire, db);
    timer_init(&db->deadline, db->loop, db_abandon, db);
    db->handles = 3;
    for (int i = 0; i < db->options.connections; i++, db->handles++)
        db_connection_init(&db->connections[i], db, &db->target, NULL, i + 1);
    if (db->channel) {
        db_connection_init(&db->listener, db, &db->listen_target, db->channel, 0);
        db->handles++;
    }
    db->down_since = clock_ms();
    db_pump(db);
}

void db_start(struct db *db)
{
    open_handles(db);
    for (int i = 0; i < db->options.connections; i++)
        db_connection_open(&db->connections[i]);
    if (db->channel)
        db_connection_open(&db->listener);
}

void db_stop(struct db *db, int deadline_ms, void (*on_stopped)(void *data), void *data)
{
    if (db->stopping)
        return;
    if (!db->started)
        open_handles(db);
    db->stopping = true;
    db->on_stopped = on_stopped;
    db->stopped_data = data;
    timer_start(&db->deadline, deadline_ms > 0 ? (uint64_t)deadline_ms : 0, 0);
    db_pump(db);
}

static void handle_closed(struct db *db)
{
    if (--db->handles > 0)
        return;
    while (!list_empty(&db->failed)) /* asked while we closed */
        db_call_failed(db);
    if (db->on_stopped)
        db->on_stopped(db->stopped_data);
}

static void on_timer_closed(void *data)
{
    handle_closed(data);
}

static void on_connection_closed(void *data)
{
    const struct db_connection *connection = data;

    handle_closed(connection->db);
}

static void on_pump_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void db_close(struct db *db)
{
    db->closing = true;
    for (int i = 0; i < db->options.connections; i++) {
        db_connection_shut(&db->connections[i], "closed");
        timer_close(&db->connections[i].timer, on_connection_closed);
    }
    if (db->channel) {
        db_connection_shut(&db->listener, "closed");
        timer_close(&db->listener.timer, on_connection_closed);
    }
    timer_close(&db->expiry, on_timer_closed);
    timer_close(&db->deadline, on_timer_closed);
    uv_close((uv_handle_t *)&db->pump, on_pump_closed);
}

static void free_list(struct list *head)
{
    list_each(link, head)
    {
        list_remove(link);
        db_query_free(list_entry(link, struct db_query, link));
    }
}

void db_free(struct db *db)
{
    if (!db)
        return;
    free_list(&db->waiting);
    free_list(&db->locking);
    free_list(&db->resting);
    free_list(&db->failed);
    list_each(link, &db->keys)
    {
        struct db_key *key = list_entry(link, struct db_key, link);

        free_list(&key->behind);
        free(key);
    }
    for (int i = 0; i < db->statement_count; i++)
        free(db->statements[i].copy);
    db_target_release(&db->target);
    db_target_release(&db->listen_target);
    free(db->channel);
    free(db->listen_sql);
    free(db->kept.text);
    free(db);
}

void db_keep(struct db *db, const char *sql, const char *text, db_done_cb on_done, void *data)
{
    free(db->kept.text);
    db->kept = (struct db_kept){sql, mem_strdup(text), on_done, data};
    if (sql != NULL && db->channel && db->listener.phase == DB_STANDING)
        db_listener_keep(&db->listener);
}

bool db_up(const struct db *db)
{
    return db->up > 0;
}

bool db_read_only(const struct db *db)
{
    return db->up == 0 && db->read_only;
}

const char *db_refusal(const struct db *db)
{
    return db->up == 0 ? db->refusal : "";
}

uint64_t db_generation(const struct db *db)
{
    return db->generation;
}
