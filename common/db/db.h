/* PostgreSQL: a few pipelined connections and one LISTEN connection. The only user of libpq.
 *
 * Life: db_new, db_start (connects, retries for ever with jittered back-off), db_query any time,
 * db_stop (waits for what is in flight, up to a deadline), on_stopped, db_free.
 *
 * Each query is its own Sync, so its own transaction, and success means that it is committed. A
 * query whose answer was lost because the connection broke is sent again when it was marked
 * DB_REPEAT (our functions are made to be repeated: ids are made by the node), up to three times.
 * A DB_ONCE query gets an error with state "08006", and so does a DB_REPEAT query when no
 * connection stood again within `wait_ms` of the loss. While no connection stands, queries wait up
 * to `wait_ms`, then fail with state "08001"; a queue over `queue_max` refuses at once ("53300"), a
 * stopped one too ("08003"). A connection on which a query had no answer at all for 60 s counts as
 * broken.
 *
 * An error is an answer: what it belongs to was rolled back. So one that may not come again (a lock
 * held by somebody else, a deadlock, a full lock table, a function that was made anew meanwhile:
 * the column `again` of the table of faults) is not told: the query is sent again, after a growing
 * pause, until its time is over.
 *
 * A query that may wait for a lock names what it locks (db_query_locking). Of one name only one is
 * on its way, the others wait here, in order; and all names together never take the last
 * connection. Other queries have no order among each other, unless there is one connection and none
 * is sent again. */
#ifndef FLEET_DB_H
#define FLEET_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/histogram.h"
#include "common/loop.h"

struct db;
struct db_result; /* borrowed during the callback */

struct db_options {
    const char *url;         /* libpq URI; several hosts allowed; borrowed until db_new returns */
    const char *listen_url;  /* NULL: as url */
    const char *application; /* application_name */
    const char *channel;     /* LISTEN channel, or NULL for no LISTEN connection */
    int connections;      /* 1 to 16; with one, a query may have to wait for another one's lock */
    int wait_ms;          /* how long a query waits for a connection (default 5000 when 0) */
    int lock_ms;          /* how long it is sent again while somebody is in its way; 0: wait_ms */
    int statement_ms;     /* the server's limit of one statement; 0: its own default */
    int queue_max;        /* default 10000 when 0 */
    bool allow_plaintext; /* permits a non-local database without sslmode=verify-full */
    /* Also called once with "" after each (re)connect of LISTEN: what was told meanwhile is
     * unknown. */
    void (*on_notify)(void *data, const char *payload);
    /* A connection to the database stands after none did: also the first one, with generation 0. */
    void (*on_up)(void *data, uint64_t generation);
    void *data; /* borrowed, for both */
};

enum db_repeat { DB_ONCE, DB_REPEAT };

/* Exactly once, later. On success err is NULL; on failure res is NULL. */
typedef void (*db_done_cb)(void *data, const struct db_result *res, const struct error *err);

/* False for a URL that cannot be read, or that names another machine without sslmode=verify-full;
 * err holds nothing of the URL but the host's name. */
bool db_check_url(const char *url, bool allow_plaintext, struct error *err);
/* NULL where db_check_url() is false. */
struct db *db_new(struct loop *loop, const struct db_options *options, struct error *err);
void db_start(struct db *db);
/* Lets what waits and flies finish, for deadline_ms at most; what is left then fails. Every
 * callback comes before on_stopped; neither on_notify nor on_up comes any more. Never calls back
 * from within. */
void db_stop(struct db *db, int deadline_ms, void (*on_stopped)(void *data), void *data);
void db_free(struct db *db);                 /* after on_stopped */
bool db_up(const struct db *db);             /* at least one connection stands */
bool db_read_only(const struct db *db);      /* none does, because what answers cannot be written */
const char *db_refusal(const struct db *db); /* why the last try to connect failed; "": none did */

/* What this side saw of the database since it began, without the connection that listens. */
#define DB_STATE_CLASSES 12
extern const char *const db_state_classes[DB_STATE_CLASSES]; /* of SQLSTATE; the last is "other" */
struct db_counts {
    struct histogram trips;            /* from the sending of a query to its answer */
    uint64_t errors[DB_STATE_CLASSES]; /* answers that were an error */
    uint64_t connected, lost;          /* connections */
    int up, connections;               /* now */
    size_t waiting, flying;            /* queries, now */
};
struct db_counts db_counts(const struct db *db);
/* Grows by one each time a connection was re-established after a loss: "an unbroken connection". */
uint64_t db_generation(const struct db *db);

/* `sql` is one statement, a literal that outlives the query (prepared by address, once per
 * connection). params: count texts, NULL = SQL null; copied. on_done may be NULL. It may be called
 * from within any callback, and before db_start. */
void db_query(struct db *db, const char *sql, enum db_repeat repeat, int count,
              const char *const *params, db_done_cb on_done, void *data);

/* The same for a query that may have to wait for a lock: `key` names what it locks (a task, an
 * issue, a host; copied), `until_ms` is the clock_ms at which it is given up with the last error,
 * or with "55P03"; 0: `lock_ms` from now. */
void db_query_locking(struct db *db, const char *key, int64_t until_ms, const char *sql,
                      enum db_repeat repeat, int count, const char *const *params,
                      db_done_cb on_done, void *data);

/* What has to stand on the LISTEN session, a lock for example: sent there at once, each time that
 * it is made anew, and with every probe; from now on instead of what was kept before. `sql` as in
 * db_query; NULL: nothing. $1 is the process of the server as our connection was told it (another
 * one may answer behind a pooler), $2 is `text` (copied). on_done comes each time, unless the
 * session broke meanwhile; an error leaves the session as it is. */
void db_keep(struct db *db, const char *sql, const char *text, db_done_cb on_done, void *data);

int db_rows(const struct db_result *res);
const char *db_text(const struct db_result *res, int row,
                    const char *column); /* NULL = SQL null; unknown column aborts */
int64_t db_int(const struct db_result *res, int row, const char *column, int64_t fallback);
bool db_bool(const struct db_result *res, int row, const char *column); /* null = false */
/* bytea in hex form to bytes; false when it is none. */
bool db_bytes(const struct db_result *res, int row, const char *column, struct buf *out);

/* Array literals for parameters: begin, add…, end; then buf_text(). */
void db_array_begin(struct buf *out);
void db_array_text(struct buf *out, const char *text); /* NULL = NULL */
void db_array_int(struct buf *out, int64_t value);
void db_array_bytes(struct buf *out, const void *bytes, size_t len); /* bytea */
/* An element of a composite type, its fields as text in the order of the type; NULL = NULL. */
void db_array_row(struct buf *out, int count, const char *const *fields);
void db_array_end(struct buf *out);
/* A row literal, alone in `out`: begin, text for each column in order (NULL = NULL), end. */
void db_row_begin(struct buf *out);
void db_row_text(struct buf *out, const char *text);
void db_row_end(struct buf *out);
void db_bytea(struct buf *out, const void *bytes, size_t len); /* one bytea parameter */

/* Whether a query that failed so is sent again. */
enum db_again {
    DB_AGAIN_NEVER,
    DB_AGAIN_LATER,   /* somebody is in the way: until its time is over */
    DB_AGAIN_CHANGED, /* the code may have been made anew: a few times, however late */
};

/* What a SQLSTATE means to callers: the one table. Never NULL. */
struct db_fault {
    const char *state; /* SQLSTATE or its class */
    const char *code;  /* stable word of REST errors */
    int http;          /* HTTP status */
    bool transient;    /* trying again may help */
    enum db_again again;
};
const struct db_fault *db_fault(const char *state);

#endif
