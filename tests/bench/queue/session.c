/* Sessions with the database, and array literals: session.h. */
#include "session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

uint64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

void session_open(struct session *session, const char *url)
{
    static const char settings[] =
        "select set_config('bytea_output', 'hex', false), set_config('TimeZone', 'UTC', false),"
        " set_config('extra_float_digits', '1', false),"
        " set_config('search_path', 'pg_catalog,fleet,pg_temp', false)";
    session->pg = PQconnectdb(url);
    if (PQstatus(session->pg) != CONNECTION_OK)
        die("connect", PQerrorMessage(session->pg));
    PGresult *res = PQexec(session->pg, settings);
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        die("settings", PQresultErrorMessage(res));
    PQclear(res);
    session->pid = PQbackendPID(session->pg);
    if (PQenterPipelineMode(session->pg) != 1)
        die("pipeline", PQerrorMessage(session->pg));
}

void session_close(struct session *session)
{
    PQfinish(session->pg);
    session->pg = NULL;
}

uint64_t session_cpu(const struct session *session)
{
    char path[64];
    unsigned long long spent = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", session->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%llu", &spent) != 1)
        spent = 0;
    if (file != NULL)
        fclose(file);
    return spent;
}

void session_prepare(struct session *session, const char *name, const char *sql)
{
    if (PQsendPrepare(session->pg, name, sql, 0, NULL) != 1)
        die(name, PQerrorMessage(session->pg));
    session_sync(session);
    PQclear(session_rows(session));
    session_synced(session);
}

void session_send(struct session *session, const char *name, int count, const char *const *values)
{
    if (PQsendQueryPrepared(session->pg, name, count, values, NULL, NULL, 0) != 1)
        die(name, PQerrorMessage(session->pg));
}

void session_sync(struct session *session)
{
    if (PQpipelineSync(session->pg) != 1)
        die("sync", PQerrorMessage(session->pg));
}

PGresult *session_rows(struct session *session)
{
    PGresult *res = PQgetResult(session->pg);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        die("statement", PQresultErrorMessage(res));
    PGresult *end = PQgetResult(session->pg);
    if (end != NULL)
        die("statement", "more than one result");
    return res;
}

void session_synced(struct session *session)
{
    PGresult *res = PQgetResult(session->pg);
    if (PQresultStatus(res) != PGRES_PIPELINE_SYNC)
        die("sync", PQerrorMessage(session->pg));
    PQclear(res);
}

char *session_ask(struct session *session, const char *name, int count, const char *const *values)
{
    session_send(session, name, count, values);
    session_sync(session);
    PGresult *res = session_rows(session);
    session_synced(session);
    char *answer = PQntuples(res) > 0 ? strdup(PQgetvalue(res, 0, 0)) : NULL;
    PQclear(res);
    return answer;
}

static void array_put(struct array *array, const char *text)
{
    size_t len = strlen(text);
    if (array->len + len + 1 > array->size) {
        array->size = (array->len + len + 1) * 2;
        array->text = realloc(array->text, array->size);
        if (array->text == NULL)
            die("array", "no memory");
    }
    memcpy(array->text + array->len, text, len + 1);
    array->len += len;
}

void array_begin(struct array *array)
{
    array->len = 0;
    array_put(array, "{");
}

void array_add(struct array *array, const char *element)
{
    if (array->len > 1)
        array_put(array, ",");
    array_put(array, element);
}

void array_end(struct array *array)
{
    array_put(array, "}");
}
