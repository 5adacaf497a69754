/* A session: one connection, the step that it runs, and whether it waits for a lock. */
#include "session.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 3, STUCK_SECS = 10, TRACE_ROWS = 8 };

__attribute__((noreturn)) static void conn_fail(PGconn *conn, const char *what)
{
    fprintf(stderr, "%s: %s", what, PQerrorMessage(conn));
    exit(2);
}

/* Notices say what the SQL does, not what it decided: dropped. */
static void on_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

void session_open(struct session *session, const char *url, const char *name, const char *role)
{
    const char *keys[] = {"dbname", "application_name", role == NULL ? NULL : "user", NULL};
    const char *values[] = {url, name, role, NULL};
    memset(session, 0, sizeof *session);
    session->name = name;
    session->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(session->conn) != CONNECTION_OK)
        conn_fail(session->conn, name);
    PQsetNoticeReceiver(session->conn, on_notice, NULL);
}

void session_must(struct session *session, const char *sql)
{
    PGresult *result = PQexec(session->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        conn_fail(session->conn, session->name);
    PQclear(result);
}

void session_send(struct session *session, const char *step, const char *sql)
{
    session->step = step;
    session->busy = true;
    session->told_blocked = false;
    session->state[0] = '\0';
    if (!PQsendQuery(session->conn, sql))
        conn_fail(session->conn, step);
}

static void trace_rows(FILE *trace, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result) && row < TRACE_ROWS; row++) {
        fputs("      ", trace);
        for (int col = 0; col < PQnfields(result); col++)
            fprintf(trace, "%s%.60s", col == 0 ? "" : "|", PQgetvalue(result, row, col));
        fputc('\n', trace);
    }
}

static void session_collect(struct session *session, FILE *trace)
{
    PGresult *result;
    fprintf(trace, "  %s.%s\n", session->name, session->step);
    while ((result = PQgetResult(session->conn)) != NULL) {
        if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
            const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
            snprintf(session->state, sizeof session->state, "%s", state == NULL ? "?????" : state);
            fprintf(trace, "      %s", PQresultErrorMessage(result));
        }
        trace_rows(trace, result);
        PQclear(result);
    }
    session->busy = false;
}

/*
 * Waits for a lock that only another step can free? A request that has been granted leaves
 * pg_blocking_pids() before its holder's answer. A circle (the session waits for itself) will end
 * as a deadlock: that is not waiting, look on.
 */
static const char waits_sql[] =
    "with recursive chain(pid) as (select unnest(pg_blocking_pids($1::int)) union "
    "select unnest(pg_blocking_pids(pid)) from chain) "
    "select count(*) > 0 and not coalesce(bool_or(pid = $1::int), false) from chain";

static bool session_waits(const struct session *session, PGconn *control)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", PQbackendPID(session->conn));
    PGresult *result =
        PQexecParams(control, waits_sql, 1, NULL, (const char *[]){pid}, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        conn_fail(control, "pg_blocking_pids");
    bool waits = PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return waits;
}

enum session_verdict session_settle(struct session *session, PGconn *control, FILE *trace)
{
    time_t until = time(NULL) + STUCK_SECS;
    while (session->busy) {
        struct pollfd look = {.fd = PQsocket(session->conn), .events = POLLIN};
        poll(&look, 1, LOOK_MS);
        if (!PQconsumeInput(session->conn))
            conn_fail(session->conn, session->step);
        if (!PQisBusy(session->conn)) {
            session_collect(session, trace);
            return SESSION_DONE;
        }
        if (session_waits(session, control)) {
            if (!session->told_blocked)
                fprintf(trace, "  %s.%s waits\n", session->name, session->step);
            session->told_blocked = true;
            return SESSION_BLOCKED;
        }
        if (time(NULL) > until)
            return SESSION_STUCK;
    }
    return SESSION_DONE;
}

void session_listen(struct session *session)
{
    PGnotify *notify;
    session_must(session, "select 1");
    PQconsumeInput(session->conn);
    while ((notify = PQnotifies(session->conn)) != NULL) {
        session->notified++;
        PQfreemem(notify);
    }
}

void session_close(struct session *session)
{
    PQfinish(session->conn);
    session->conn = NULL;
}
