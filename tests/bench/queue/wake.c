/* How long a task that is submitted to an idle fleet takes until a dispatcher has it:
 *
 *   wake WORKER-URL SERVER-URL ROUNDS
 *
 * Strict ping-pong: a dispatcher sleeps and listens, as worker/dispatch does; a task is submitted
 * and the dispatcher woken, as server/submit.c does; it claims, and ends the run. Measured from
 * before the submission to the claim's answer. The answer is one line: the 50th and the 99th
 * percentile, in microseconds. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define WARM 20 /* rounds that do not count */
#define PATIENCE_MS 10000

static struct session worker, listener, server;
static char *node; /* owned */

static const char claim_sql[] =
    "select attempt, epoch, title, body, labels from fleet.claim($1, 64)";
static const char finish_sql[] =
    "select status from fleet.finish_runs($1, array[$2::bigint], array[$3::int], '{succeeded}',"
    " '{NULL}', '{0}', '{NULL}', '{\"{}\"}', '{NULL}', '{NULL}')";
static const char submit_sql[] =
    "select task_id from fleet.submit_tasks("
    "array[row(null, '192.0.2.7', $1, null, null, 'one', 1800, 2, 10)::fleet.submission], '{1}',"
    "array[row(true, $1, 'Do it', 'Body of the task', '{agent:lane1}', null, null, null, null,"
    " null, null, null, null, null, null, null)::fleet.wanted_task])";

static void open_all(char **argv)
{
    static const char *const name[] = {"w1"};
    session_open(&worker, argv[1]);
    session_open(&listener, argv[1]);
    session_open(&server, argv[2]);
    session_prepare(&worker, "node", "select bench.node($1)");
    session_prepare(&worker, "claim", claim_sql);
    session_prepare(&worker, "finish", finish_sql);
    session_prepare(&worker, "sleep", "select fleet.sleep_begin($1)");
    session_prepare(&worker, "awake", "select fleet.sleep_end($1)");
    session_prepare(&listener, "listen", "listen fleet_work");
    session_prepare(&server, "submit", submit_sql);
    session_prepare(&server, "wake", "select fleet.wake()");
    node = session_ask(&worker, "node", 1, name);
    free(session_ask(&listener, "listen", 0, NULL));
}

static void hear(void)
{
    struct pollfd fd = {.fd = PQsocket(listener.pg), .events = POLLIN};
    PGnotify *note;
    while ((note = PQnotifies(listener.pg)) == NULL) {
        if (poll(&fd, 1, PATIENCE_MS) != 1 || PQconsumeInput(listener.pg) != 1)
            die("wake", "the dispatcher was not woken");
    }
    for (; note != NULL; note = PQnotifies(listener.pg))
        PQfreemem(note);
}

/* What a claim gave; to be cleared. */
static PGresult *claim(void)
{
    const char *values[] = {node};
    session_send(&worker, "claim", 1, values);
    session_sync(&worker);
    PGresult *res = session_rows(&worker);
    session_synced(&worker);
    return res;
}

static void finish(PGresult *res)
{
    for (int row = 0; row < PQntuples(res); row++) {
        const char *values[] = {node, PQgetvalue(res, row, 0), PQgetvalue(res, row, 1)};
        free(session_ask(&worker, "finish", 3, values));
    }
    PQclear(res);
}

/* The microseconds that one took. */
static uint32_t round_of(int number)
{
    char id[32];
    const char *values[] = {id}, *self[] = {node};
    snprintf(id, sizeof id, "w-%llx-%d", (unsigned long long)now_us(), number);
    free(session_ask(&worker, "sleep", 1, self));
    finish(claim()); /* once more before it sleeps */
    uint64_t began = now_us();
    free(session_ask(&server, "submit", 1, values));
    free(session_ask(&server, "wake", 0, NULL));
    hear();
    PGresult *res = claim();
    uint64_t took = now_us() - began;
    if (PQntuples(res) != 1)
        die("claim", "woken for nothing");
    free(session_ask(&worker, "awake", 1, self));
    finish(res);
    return (uint32_t)took;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    int rounds = argc == 4 ? atoi(argv[3]) : 0;
    if (rounds < 1)
        return 2;
    uint32_t *took = calloc((size_t)rounds, sizeof *took);
    if (took == NULL)
        die("rounds", "no memory");
    open_all(argv);
    for (int i = 0; i < WARM; i++)
        round_of(-i);
    for (int i = 0; i < rounds; i++)
        took[i] = round_of(i);
    qsort(took, (size_t)rounds, sizeof *took, by_size);
    printf("%u %u\n", took[rounds / 2], took[rounds * 99 / 100]);
    free(took);
    free(node);
    return 0;
}
