/* Dispatchers that claim tasks and end their runs, as fast as the database lets them:
 *
 *   claim URL MODE DISPATCHERS BATCH MILLISECONDS [WINDOW-MILLISECONDS]
 *
 * A dispatcher is a thread with a session and a node of its own: w1, w2, … of schema bench. MODE is
 * "apart" (a claim, then the ends of what it gave: two calls) or "turn" (these ends and the next
 * tasks for the same slots in one call; a claim for what is lacking then) or "bare" (bench.bare():
 * the same rows are written, nothing is decided). The payload is read as a worker reads it. The
 * answer is one line: tasks per second, microseconds of the server's processor a task, tasks,
 * claims that gave nothing, ends that had to be told again. With a window, a line "window RATE CPU"
 * for each before it. Stops early when nothing is left to claim. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define DISPATCHERS_MAX 64
#define BEAT_US 3000000
#define DRY 300    /* claims in a row that gave nothing: so nothing is left */
#define PAUSE_MS 1 /* after one, and before all ends are told again */
#define WARM 6     /* turns before the clock runs: plans are made at the first calls */

struct run {
    char attempt[24], epoch[16];
};

struct dispatcher {
    struct session session;
    pthread_t thread;
    char *node;       /* owned */
    struct run *runs; /* owned; claimed, and not ended */
    int held, room_runs;
    struct array attempts, epochs, outcomes, nulls, exits, reports; /* of these, as arguments */
    char *payload; /* owned; the copy of what was read */
    size_t room;
    _Atomic uint64_t done; /* tasks */
    uint64_t empty;        /* claims that gave nothing */
    uint64_t again;        /* ends that were told again, because somebody held the task */
    uint64_t cpu_before, cpu;
};

static struct {
    const char *url;
    bool turn, bare;
    int count, batch;
    uint64_t end; /* no claim begins after this */
    _Atomic int running;
    pthread_barrier_t ready;
    struct dispatcher all[DISPATCHERS_MAX];
} bench;

static const char claim_sql[] = "select * from fleet.claim($1, $2)";
static const char turn_sql[] = "select t.ord, t.fault, t.detail, t.status, (t.job).* "
                               "from fleet.turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) t";

static void dispatcher_open(struct dispatcher *dispatcher, int number)
{
    char name[16];
    const char *values[] = {name};
    snprintf(name, sizeof name, "w%d", number);
    session_open(&dispatcher->session, bench.url);
    session_prepare(&dispatcher->session, "node", "select bench.node($1)");
    session_prepare(&dispatcher->session, "claim", claim_sql);
    session_prepare(&dispatcher->session, "turn", turn_sql);
    if (bench.bare)
        session_prepare(&dispatcher->session, "bare", "select bench.bare($1)");
    session_prepare(&dispatcher->session, "renew", "select count(*) from fleet.renew($1, '{}')");
    dispatcher->node = session_ask(&dispatcher->session, "node", 1, values);
}

static void send_claim(struct dispatcher *dispatcher, int count)
{
    char want[16];
    const char *values[] = {dispatcher->node, want};
    snprintf(want, sizeof want, "%d", count);
    session_send(&dispatcher->session, "claim", 2, values);
}

/* A copy of each value of a row, as a worker makes one. */
static void read_payload(struct dispatcher *dispatcher, const PGresult *res, int row)
{
    size_t at = 0;
    for (int column = 0; column < PQnfields(res); column++) {
        size_t len = (size_t)PQgetlength(res, row, column) + 1;
        if (at + len > dispatcher->room) {
            dispatcher->room = (at + len) * 2;
            dispatcher->payload = realloc(dispatcher->payload, dispatcher->room);
        }
        memcpy(dispatcher->payload + at, PQgetvalue(res, row, column), len);
        at += len;
    }
}

static void add_run(struct dispatcher *dispatcher, const char *attempt, const char *epoch)
{
    if (dispatcher->held == dispatcher->room_runs) {
        dispatcher->room_runs = dispatcher->room_runs * 2 + 64;
        dispatcher->runs =
            realloc(dispatcher->runs, (size_t)dispatcher->room_runs * sizeof *dispatcher->runs);
        if (dispatcher->runs == NULL)
            die("runs", "no memory");
    }
    struct run *run = &dispatcher->runs[dispatcher->held++];
    snprintf(run->attempt, sizeof run->attempt, "%s", attempt);
    snprintf(run->epoch, sizeof run->epoch, "%s", epoch);
}

static void read_jobs(struct dispatcher *dispatcher, const PGresult *res, int from)
{
    int attempt = PQfnumber(res, "attempt"), epoch = PQfnumber(res, "epoch");
    for (int row = from; row < PQntuples(res); row++) {
        read_payload(dispatcher, res, row);
        add_run(dispatcher, PQgetvalue(res, row, attempt), PQgetvalue(res, row, epoch));
    }
}

static void claim(struct dispatcher *dispatcher, int count)
{
    send_claim(dispatcher, count);
    session_sync(&dispatcher->session);
    PGresult *res = session_rows(&dispatcher->session);
    dispatcher->empty += PQntuples(res) == 0;
    read_jobs(dispatcher, res, 0);
    PQclear(res);
    session_synced(&dispatcher->session);
}

/* The arguments of turn() for all that is held. */
static void make_ends(struct dispatcher *dispatcher)
{
    struct array *arrays[] = {&dispatcher->attempts, &dispatcher->epochs, &dispatcher->outcomes,
                              &dispatcher->nulls,    &dispatcher->exits,  &dispatcher->reports};
    for (int i = 0; i < 6; i++)
        array_begin(arrays[i]);
    for (int i = 0; i < dispatcher->held; i++) {
        const char *values[] = {dispatcher->runs[i].attempt,
                                dispatcher->runs[i].epoch,
                                "succeeded",
                                "NULL",
                                "0",
                                "\"{}\""};
        for (int k = 0; k < 6; k++)
            array_add(arrays[k], values[k]);
    }
    for (int i = 0; i < 6; i++)
        array_end(arrays[i]);
}

static void send_ends(struct dispatcher *dispatcher, int want)
{
    char text[16];
    snprintf(text, sizeof text, "%d", want);
    make_ends(dispatcher);
    const char *nulls = dispatcher->nulls.text;
    const char *values[] = {dispatcher->node,
                            dispatcher->attempts.text,
                            dispatcher->epochs.text,
                            dispatcher->outcomes.text,
                            nulls,
                            dispatcher->exits.text,
                            nulls,
                            dispatcher->reports.text,
                            nulls,
                            nulls,
                            text};
    session_send(&dispatcher->session, "turn", 11, values);
}

/* Whether a run has ended. 55P03: somebody held its task for a moment, it is told again. Any other
 * fault is one of the bench, or of the queue: nobody else touches these tasks. */
static bool has_ended(const PGresult *res, int row)
{
    int fault = PQfnumber(res, "fault"), status = PQfnumber(res, "status");
    if (!PQgetisnull(res, row, fault)) {
        if (strcmp(PQgetvalue(res, row, fault), "55P03") == 0)
            return false;
        die("turn", PQgetvalue(res, row, PQfnumber(res, "detail")));
    }
    if (strcmp(PQgetvalue(res, row, status), "completed") != 0)
        die("turn", PQgetvalue(res, row, status));
    return true;
}

static void read_turn(struct dispatcher *dispatcher)
{
    PGresult *res = session_rows(&dispatcher->session);
    int count = dispatcher->held;
    if (PQntuples(res) < count)
        die("turn", "not as many answers as runs");
    dispatcher->held = 0;
    for (int row = 0; row < count; row++) {
        if (!has_ended(res, row))
            dispatcher->runs[dispatcher->held++] = dispatcher->runs[row];
    }
    dispatcher->again += (uint64_t)dispatcher->held;
    atomic_fetch_add(&dispatcher->done, (uint64_t)(count - dispatcher->held));
    read_jobs(dispatcher, res, count);
    PQclear(res);
}

/* The ends of all that is held, and tasks for their slots, up to so many. */
static void turn(struct dispatcher *dispatcher, int want)
{
    uint64_t before = atomic_load(&dispatcher->done);
    send_ends(dispatcher, want);
    session_sync(&dispatcher->session);
    read_turn(dispatcher);
    session_synced(&dispatcher->session);
    if (atomic_load(&dispatcher->done) == before)
        pause_ms(PAUSE_MS);
}

static bool bare(struct dispatcher *dispatcher, int want)
{
    char text[16];
    const char *values[] = {text};
    snprintf(text, sizeof text, "%d", want);
    char *tasks = session_ask(&dispatcher->session, "bare", 1, values);
    int count = tasks != NULL ? atoi(tasks) : 0;
    atomic_fetch_add(&dispatcher->done, (uint64_t)count);
    free(tasks);
    return count > 0;
}

/* False: nothing was to be done. */
static bool step(struct dispatcher *dispatcher, int want)
{
    if (bench.bare)
        return want > 0 && bare(dispatcher, want);
    bool ends = dispatcher->held > 0;
    if (ends)
        turn(dispatcher, want);
    if (dispatcher->held < want)
        claim(dispatcher, want - dispatcher->held);
    return ends || dispatcher->held > 0;
}

static void warm_up(struct dispatcher *dispatcher)
{
    for (int i = 0; i < WARM; i++)
        step(dispatcher, 1);
    while (dispatcher->held > 0)
        step(dispatcher, 0);
    atomic_store(&dispatcher->done, 0);
    dispatcher->empty = dispatcher->again = 0;
    dispatcher->cpu_before = session_cpu(&dispatcher->session);
}

static void *dispatch(void *data)
{
    struct dispatcher *dispatcher = data;
    int dry = 0;
    warm_up(dispatcher);
    pthread_barrier_wait(&bench.ready);
    pthread_barrier_wait(&bench.ready); /* the clock runs */
    while (now_us() < bench.end && dry < DRY) {
        bool more = step(dispatcher, bench.turn || dispatcher->held == 0 ? bench.batch : 0);
        dry = more ? 0 : dry + 1;
        if (!more)
            pause_ms(PAUSE_MS);
    }
    while (dispatcher->held > 0)
        step(dispatcher, 0);
    dispatcher->cpu = session_cpu(&dispatcher->session) - dispatcher->cpu_before;
    atomic_fetch_sub(&bench.running, 1);
    return NULL;
}

static uint64_t done(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < bench.count; i++)
        sum += atomic_load(&bench.all[i].done);
    return sum;
}

static uint64_t spent(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < bench.count; i++)
        sum += session_cpu(&bench.all[i].session);
    return sum;
}

static void beat(struct session *heart)
{
    for (int i = 0; i < bench.count; i++) {
        const char *values[] = {bench.all[i].node};
        free(session_ask(heart, "renew", 1, values));
    }
}

struct window {
    uint64_t began, tasks, cpu;
};

/* What was done since it began; begins the next one. */
static void window_end(struct window *window)
{
    struct window next = {now_us(), done(), spent()};
    uint64_t tasks = next.tasks - window->tasks;
    printf("window %.0f %.1f\n", (double)tasks * 1e6 / (double)(next.began - window->began),
           tasks > 0 ? (double)(next.cpu - window->cpu) / 1000 / (double)tasks : 0);
    fflush(stdout);
    *window = next;
}

/* The beats of the nodes, and the windows, until the end; a last one that is not whole is left out.
 */
static void watch(struct session *heart, uint64_t length)
{
    struct window window = {now_us(), done(), spent()};
    uint64_t next_beat = window.began;
    while (atomic_load(&bench.running) > 0) {
        pause_ms(10);
        if (now_us() >= next_beat) {
            beat(heart);
            next_beat = now_us() + BEAT_US;
        }
        if (length > 0 && now_us() - window.began >= length)
            window_end(&window);
    }
}

static void report(uint64_t took)
{
    uint64_t tasks = done(), cpu = 0, empty = 0, again = 0;
    for (int i = 0; i < bench.count; i++) {
        cpu += bench.all[i].cpu;
        empty += bench.all[i].empty;
        again += bench.all[i].again;
    }
    printf("%.0f %.1f %llu %llu %llu\n", (double)tasks * 1e6 / (double)took,
           tasks > 0 ? (double)cpu / 1000 / (double)tasks : 0, (unsigned long long)tasks,
           (unsigned long long)empty, (unsigned long long)again);
}

int main(int argc, char **argv)
{
    struct dispatcher heart = {0};
    if (argc < 6)
        return 2;
    bench.url = argv[1];
    bench.turn = strcmp(argv[2], "turn") == 0;
    bench.bare = strcmp(argv[2], "bare") == 0;
    bench.count = atoi(argv[3]);
    bench.batch = atoi(argv[4]);
    if (bench.count < 1 || bench.count > DISPATCHERS_MAX)
        return 2;
    dispatcher_open(&heart, 1);
    pthread_barrier_init(&bench.ready, NULL, (unsigned)bench.count + 1);
    for (int i = 0; i < bench.count; i++)
        dispatcher_open(&bench.all[i], i + 1);
    atomic_store(&bench.running, bench.count);
    for (int i = 0; i < bench.count; i++)
        pthread_create(&bench.all[i].thread, NULL, dispatch, &bench.all[i]);
    pthread_barrier_wait(&bench.ready);
    uint64_t began = now_us();
    bench.end = began + strtoull(argv[5], NULL, 10) * 1000;
    pthread_barrier_wait(&bench.ready);
    watch(&heart.session, argc > 6 ? strtoull(argv[6], NULL, 10) * 1000 : 0);
    for (int i = 0; i < bench.count; i++)
        pthread_join(bench.all[i].thread, NULL);
    report(now_us() - began);
    for (int i = 0; i < bench.count; i++)
        session_close(&bench.all[i].session);
    session_close(&heart.session);
    return 0;
}
