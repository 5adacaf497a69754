/* What the files of this room share. Nobody else includes this but their tests.
 *
 *   db.c            the whole: new, start, stop, free
 *   queue.c         a query's way: waiting -> a connection, or -> failed -> callback
 *   key.c           of the queries that lock the same, one goes that way and the others wait
 *   connect.c       one connection until it stands: look up, connect, back off, again
 *   connection.c    one connection that stands: send, receive, lose
 *   listener.c      the one that listens: its own queries, what is kept on its session
 *   target.c        a URL taken apart, checked, and made into libpq's keywords
 *   lookup.c        names to addresses, without blocking
 *   trouble.c       what is told to people, once
 *   schema.c        whether the database still serves this program
 *   counts.c        what is counted
 *   result.c array.c fault.c            values and verdicts
 *
 * Callbacks of users run only from a connection's reading and from the pump, never from within
 * db_query, db_stop or the loss of a connection: so no caller finds the ground moved under it. */
#ifndef FLEET_DB_INTERNAL_H
#define FLEET_DB_INTERNAL_H

#include <libpq-fe.h>

#include "common/db/db.h"
#include "common/db/trouble.h"
#include "common/list.h"
#include "common/log.h"

#define DB_CONNECTIONS_MAX 16
#define DB_FLYING_MAX 64  /* queries sent and not answered, on one connection */
#define DB_STATEMENTS 256 /* literals prepared on a connection; more are sent unprepared */
#define DB_RESENDS 3      /* losses that a DB_REPEAT query survives: one that kills servers stops */
#define DB_CHANGES 30 /* errors that it survives as signs of code made anew: one a cached plan */
#define DB_ADDRESSES_MAX 32 /* tried in one attempt to connect */

struct db_result {
    const PGresult *pg; /* borrowed from the query */
};

/* What one query at a time locks: there from its db_query_locking to its end. */
struct db_key {
    struct list link;   /* db->keys */
    struct list behind; /* queries that come after it */
    char name[];
};

/* A query is in exactly one list: waiting, locking, a key's behind, resting, a connection's flying,
 * or failed. */
struct db_query {
    struct list link;
    const char *sql; /* borrowed: a literal */
    enum db_repeat repeat;
    db_done_cb on_done;
    void *data;    /* borrowed, for on_done */
    int64_t since; /* clock_ms() when it began to wait: when asked, or when its connection broke */
    int losses;    /* times that connections broke under it: those that broke together count once */
    uint64_t lost_at;   /* db->stands at the last loss */
    int repeats;        /* errors after which it was sent again */
    int64_t until;      /* clock_ms: then an error is told, and it waits for no lock any more */
    int64_t rested;     /* clock_ms: resting until then */
    int64_t sent_us;    /* clock_us of the sending */
    char *key_name;     /* what it locks; NULL: nothing; owned: in the same block */
    struct db_key *key; /* owned while it is its turn; NULL: behind another, or locks nothing */
    int statement;      /* number of its prepared statement, -1 for none */
    unsigned renewal;   /* of that statement, when it was sent */
    bool preparing;     /* the answer of its Parse has yet to come */
    bool failed;        /* err is set */
    bool stale;         /* the prepared statement is unknown or outdated on that connection */
    PGresult *result;   /* owned */
    struct error err;
    int count;
    const char *values[]; /* owned: the texts follow in the same block */
};

struct db_address {
    char *host;     /* owned; "" is libpq's default socket */
    char *hostaddr; /* owned; "" when there is nothing to resolve */
    char *port;     /* owned; "" is libpq's default */
};
struct db_addresses {
    struct db_address *items; /* owned */
    size_t count;
};
void db_addresses_add(struct db_addresses *addresses, const char *host, const char *hostaddr,
                      const char *port);
void db_addresses_release(struct db_addresses *addresses);

/* A parsed URL. */
struct db_target {
    char **keywords, **values; /* owned, ended by NULL: all but host, hostaddr and port */
    size_t count;
    char *settings;            /* owned: the first statement of each session */
    struct db_addresses hosts; /* as given: at least one */
    int connect_ms;            /* time-out for one address */
    bool lookup;               /* some host is a name */
};
/* err holds nothing of the URL but a checked host name: the rest may be the password. */
bool db_target_init(struct db_target *target, const char *url, const char *application,
                    int statement_ms, bool allow_plaintext, struct error *err);
void db_target_release(struct db_target *target); /* wipes */
bool db_target_is_name(const struct db_address *address);
/* Starts to connect to the addresses in their order, from number `first` on and round. */
PGconn *db_target_connect(const struct db_target *target, const struct db_addresses *addresses,
                          size_t first);

/* Resolving all names of a target at once. Heap: outlives its owner until the resolver lets go. */
struct db_lookup;
/* on_done comes later, and only if all names got an answer: the owner has the time-out. */
struct db_lookup *db_lookup_start(struct loop *loop, const struct db_target *target,
                                  void (*on_done)(void *data), void *data);
/* Ends the lookup. Adds what is known to `addresses` (may be NULL), in the order of the URL. */
void db_lookup_take(struct db_lookup *lookup, struct db_addresses *addresses);

enum db_phase { DB_CLOSED, DB_BACKING_OFF, DB_LOOKING_UP, DB_CONNECTING, DB_SETTLING, DB_STANDING };

struct db_connection {
    struct db *db;                  /* borrowed */
    const struct db_target *target; /* borrowed from db */
    const char *channel;            /* borrowed from db; set: only listens; NULL: carries queries */
    char name[16];                  /* "listen" or its number */
    struct log_field about[2];      /* connection=… */
    enum db_phase phase;
    PGconn *pg;                    /* owned; from connecting on */
    struct watch *watch;           /* owned */
    struct timer timer;            /* of the phase: back-off, time-out, silence or probe */
    struct db_lookup *lookup;      /* owned; looking up */
    struct db_addresses addresses; /* of this attempt */
    size_t first, current, silent; /* began with, trying, how many never answered */
    unsigned failures;             /* in a row: the back-off */
    bool stood;                    /* before: the next time is a re-establishment */
    uint64_t stand;                /* db->stands when it stood up */
    struct list flying;
    size_t flying_count;
    bool locking;     /* one of them has a key */
    int64_t heard_at; /* clock_ms() of the last byte, or of the first query after rest */
    bool prepared[DB_STATEMENTS];    /* Parse was sent */
    unsigned renewed[DB_STATEMENTS]; /* part of the statement's name */
};
void db_connection_init(struct db_connection *connection, struct db *db,
                        const struct db_target *target, const char *channel, int number);
void db_connection_open(struct db_connection *connection);
void db_connection_send(struct db_connection *connection, struct db_query *query);
/* Between the two halves of its life. */
void db_connection_enter(struct db_connection *connection, enum db_phase phase);
void db_connection_drop(struct db_connection *connection); /* everything of libpq and libuv goes */
void db_connection_back_off(struct db_connection *connection);
void db_connection_settle(struct db_connection *connection);
void db_connection_on_connect_time(struct db_connection *connection);
/* No callback after; flying queries go to db_lost_query. The timer is still to be closed. */
void db_connection_shut(struct db_connection *connection, const char *reason);

/* A standing connection is no more. */
void db_connection_lost(struct db_connection *connection, const char *message);

/* Of the connection that listens. */
void db_listener_begin(struct db_connection *connection);
void db_listener_probe(struct db_connection *connection);
void db_listener_keep(struct db_connection *connection); /* sends db->kept */
void db_listener_notify(struct db_connection *connection, const char *payload);
/* Frees the query. False when the connection was lost. */
bool db_listener_finish(struct db_connection *connection, struct db_query *query);

struct db_statement {
    const char *sql; /* borrowed: the address is the key */
    char *copy;      /* owned: the text, in case that an address comes back with another */
};

/* db_keep() */
struct db_kept {
    const char *sql; /* borrowed: a literal; NULL: nothing */
    char *text;      /* owned */
    db_done_cb on_done;
    void *data; /* borrowed, for on_done */
};

struct db {
    struct loop *loop; /* borrowed */
    struct db_options options;
    char *channel;    /* owned; NULL for no listener */
    char *listen_sql; /* owned */
    struct db_kept kept;
    struct db_target target, listen_target;
    struct db_connection connections[DB_CONNECTIONS_MAX];
    struct db_connection listener;
    struct list waiting; /* for any connection */
    struct list locking; /* for one that may be held up by a lock: each the first of its key */
    struct list resting; /* to be sent again after a pause */
    struct list failed;
    struct list keys;
    size_t waiting_count; /* all but the failed ones */
    int up;               /* connections for queries that stand */
    int64_t down_since;   /* clock_ms() of the last moment with one, or of db_start */
    uint64_t generation;
    struct db_counts counts; /* its last two lines are not kept here */
    uint64_t stands;         /* how often one of the connections for queries stood up */
    struct db_statement statements[DB_STATEMENTS];
    int statement_count;
    uv_idle_t pump;                /* runs once in the next turn of the loop: db_pump */
    struct timer expiry, deadline; /* expiry: turns while something waits or rests */
    int handles;                   /* open */
    struct db_trouble trouble;     /* of all connections */
    bool read_only;                /* what was found last cannot be written */
    char refusal[300];             /* why the last try to connect failed */
    bool started, stopping, closing;
    void (*on_stopped)(void *data);
    void *stopped_data; /* borrowed */
    /* Times in ms, here so that tests can shorten them. */
    int connect_ms; /* 0: the target's */
    int silence_ms; /* a query without any answer for so long means a dead connection */
    int probe_ms;   /* how often the listener asks */
    int answer_ms;  /* how long it waits for the answer */
};
void db_pump(struct db *db);        /* in the next turn: calls back, sends, ends */
void db_call_failed(struct db *db); /* those that failed until now */
void db_expire(void *db);           /* a timer's: fails what waited too long, ends rests */
void db_abandon(void *db);          /* a timer's: fails everything, the time to stop is over */
void db_close(struct db *db);       /* nothing waits, flies or failed any more */
void db_connected(struct db_connection *connection);
void db_disconnected(struct db_connection *connection);
/* The query's connection broke: it waits again, or fails with "08006". */
void db_lost_query(struct db_connection *connection, struct db_query *query);
/* Sends it again, now or after a pause; its error stays for the case that its time is over. */
void db_again(struct db *db, struct db_query *query, bool rest);
void db_count(struct db *db, const struct db_query *query); /* it was answered */
void db_finish(struct db *db, struct db_query *query);      /* calls back and frees */
int db_statement_number(struct db *db, const char *sql);    /* -1: the table is full */
struct db_query *db_query_new(const char *key, const char *sql, enum db_repeat repeat, int count,
                              const char *const *params, db_done_cb on_done, void *data);
/* Takes the key when it is free: true; else the query is behind the one that has it. */
bool db_key_take(struct db *db, struct db_query *query);
/* Its turn is over. The next query of this key, which has the key now; NULL: none. */
struct db_query *db_key_pass(struct db_query *query);
void db_query_free(struct db_query *query);

#endif
