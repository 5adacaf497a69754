/*
 * A session is one connection that runs steps. Life: session_open, then any number of
 * session_send + session_settle, session_close. While a step runs the session is busy; a busy
 * session is either done soon or waits for a lock, and session_settle says which.
 */
#ifndef FLEET_TESTS_ISOLATION_SESSION_H
#define FLEET_TESTS_ISOLATION_SESSION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>

struct session {
    const char *name; /* borrowed from the spec */
    PGconn *conn;     /* owned */
    const char *step; /* borrowed from the spec; what runs now or ran last */
    bool busy;
    bool told_blocked; /* the trace says already that it waits */
    bool failed;       /* its transaction was ended by an allowed error */
    char state[6];     /* SQLSTATE of the last step, "" when it went well */
    int notified;      /* notifications heard since the last reset */
};

enum session_verdict { SESSION_DONE, SESSION_BLOCKED, SESSION_STUCK };

/* Connects as `role` (NULL: as the URL says). A failure ends the program. */
void session_open(struct session *session, const char *url, const char *name, const char *role);

/* Runs SQL to its end; a failure is written to stderr and ends the program. Results are dropped. */
void session_must(struct session *session, const char *sql);

/* Starts a step. */
void session_send(struct session *session, const char *step, const char *sql);

/*
 * Waits until the step is done (its rows are written to `trace`), or is seen to wait for a lock
 * (by `control`, another connection), or has done neither for ten seconds.
 */
enum session_verdict session_settle(struct session *session, PGconn *control, FILE *trace);

/* Counts the notifications that have arrived, after a round trip that brings the last ones. */
void session_listen(struct session *session);

void session_close(struct session *session);

#endif
