/* Submits tasks as fast as the database lets it, by the statement of server/submit.c:
 *
 *   submit URL CONNECTIONS REQUESTS TASKS MILLISECONDS
 *
 * Each statement carries REQUESTS requests of TASKS tasks each; a server gathers into one what came
 * in while another was under way. After each, workers that sleep are woken, as a server does. The
 * answer is one line: tasks per second, microseconds of the server's processor a task, tasks. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define CONNECTIONS_MAX 64
#define WARM 6 /* statements before the clock runs */
#define LANES 8

struct client {
    struct session session;
    pthread_t thread;
    int number;
    uint64_t made; /* tasks so far */
    uint64_t tasks, cpu;
    struct array requests, of, items;
};

static struct {
    int requests, tasks;
    uint64_t end; /* no statement begins after this */
    uint64_t run; /* makes ids of this run its own */
    pthread_barrier_t ready;
    struct client all[CONNECTIONS_MAX];
} bench;

static const char submit_sql[] =
    "select request, status, body, task_id, created from fleet.submit_tasks("
    "$1::fleet.submission[], $2::int[], $3::fleet.wanted_task[])";

static void add_item(struct client *client, int request)
{
    char row[256], place[16];
    uint64_t number = client->made++;
    snprintf(place, sizeof place, "%d", request);
    snprintf(
        row, sizeof row,
        "\"(t,t-%llx-%d-%llu,Do number %llu,Body of the task %llu,{agent:lane%d},,,,,,,,,,,)\"",
        (unsigned long long)bench.run, client->number, (unsigned long long)number,
        (unsigned long long)number, (unsigned long long)number, (int)(number % LANES) + 1);
    array_add(&client->items, row);
    array_add(&client->of, place);
}

static void make(struct client *client)
{
    char row[160];
    array_begin(&client->requests);
    array_begin(&client->of);
    array_begin(&client->items);
    for (int request = 1; request <= bench.requests; request++) {
        snprintf(row, sizeof row, "\"(,192.0.2.7,req-%d-%llu,,,%s,1800,2,10)\"", client->number,
                 (unsigned long long)client->made, bench.tasks > 1 ? "list" : "one");
        array_add(&client->requests, row);
        for (int i = 0; i < bench.tasks; i++)
            add_item(client, request);
    }
    array_end(&client->requests);
    array_end(&client->of);
    array_end(&client->items);
}

static void read_answers(struct client *client)
{
    PGresult *res = session_rows(&client->session);
    if (PQntuples(res) != bench.requests)
        die("submit_tasks", "not as many answers as requests");
    for (int row = 0; row < bench.requests; row++) {
        if (strcmp(PQgetvalue(res, row, 1), "201") != 0)
            die("submit_tasks", PQgetvalue(res, row, 2));
    }
    PQclear(res);
}

/* The wake is a transaction of its own, behind the commit. */
static void submit(struct client *client)
{
    make(client);
    const char *values[] = {client->requests.text, client->of.text, client->items.text};
    session_send(&client->session, "submit", 3, values);
    session_sync(&client->session);
    session_send(&client->session, "wake", 0, NULL);
    session_sync(&client->session);
    read_answers(client);
    session_synced(&client->session);
    PQclear(session_rows(&client->session));
    session_synced(&client->session);
}

static void *run(void *data)
{
    struct client *client = data;
    for (int i = 0; i < WARM; i++)
        submit(client);
    uint64_t made = client->made, cpu = session_cpu(&client->session);
    pthread_barrier_wait(&bench.ready);
    pthread_barrier_wait(&bench.ready); /* the clock runs */
    while (now_us() < bench.end)
        submit(client);
    client->tasks = client->made - made;
    client->cpu = session_cpu(&client->session) - cpu;
    return NULL;
}

int main(int argc, char **argv)
{
    int count = argc == 6 ? atoi(argv[2]) : 0;
    uint64_t tasks = 0, cpu = 0;
    if (count < 1 || count > CONNECTIONS_MAX)
        return 2;
    bench.requests = atoi(argv[3]);
    bench.tasks = atoi(argv[4]);
    bench.run = now_us();
    pthread_barrier_init(&bench.ready, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++) {
        bench.all[i].number = i;
        session_open(&bench.all[i].session, argv[1]);
        session_prepare(&bench.all[i].session, "submit", submit_sql);
        session_prepare(&bench.all[i].session, "wake", "select fleet.wake()");
        pthread_create(&bench.all[i].thread, NULL, run, &bench.all[i]);
    }
    pthread_barrier_wait(&bench.ready);
    uint64_t began = now_us();
    bench.end = began + strtoull(argv[5], NULL, 10) * 1000;
    pthread_barrier_wait(&bench.ready);
    for (int i = 0; i < count; i++) {
        pthread_join(bench.all[i].thread, NULL);
        tasks += bench.all[i].tasks;
        cpu += bench.all[i].cpu;
    }
    printf("%.0f %.1f %llu\n", (double)tasks * 1e6 / (double)(now_us() - began),
           tasks > 0 ? (double)cpu / 1000 / (double)tasks : 0, (unsigned long long)tasks);
    return 0;
}
