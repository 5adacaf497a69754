/*
 * Runs races: isolation [-v] [--long] [--seed N] [--reset SQL] [--invariants SQL] URL SPEC...
 *
 * Every order of every spec (of all interleavings LIMIT by chance, all with --long) is run on a
 * database that
 * --reset made empty. A step that ends in an error it does not allow, a deadlock, a row from
 * --invariants, or an expectation that is not true fails the order, and its trace is printed.
 * An order that asks a session for its next step while the last one waits for a lock that only a
 * later step would free cannot happen: it is counted apart.
 */
#include "session.h"
#include "spec.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT = 60, ROUNDS_LONG = 20 };

struct options {
    bool verbose;
    bool all;
    unsigned seed;
    const char *url;
    const char *reset;      /* SQL before every order; may be NULL */
    const char *invariants; /* a query that must answer no row; may be NULL */
};

/* One order being run. */
struct run {
    const struct options *options; /* borrowed */
    const struct spec *spec;       /* borrowed */
    struct session control;        /* the owner of the test: setup, checks, who waits */
    struct session sessions[SPEC_SESSIONS];
    FILE *trace;
    bool failed;
    bool impossible;
};

struct count {
    int passed;
    int failed;
    int impossible;
};

static void run_fail(struct run *run, const char *what, const char *detail)
{
    fprintf(run->trace, "  FAILED: %s %s\n", what, detail);
    run->failed = true;
}

/* Is `state` one of the SQLSTATEs, or of a class, in `allow`? */
static bool state_allowed(const char *allow, const char *state)
{
    while (allow != NULL && *allow != '\0') {
        size_t size = strcspn(allow, " ");
        if (size > 0 && strncmp(allow, state, size) == 0)
            return true;
        allow += size + strspn(allow + size, " ");
    }
    return false;
}

/* Judges a step's end. After an allowed error the rest of its transaction may only be refused. */
static void run_judge(struct run *run, struct session *session, const char *allow)
{
    if (session->state[0] == '\0') {
        if (PQtransactionStatus(session->conn) == PQTRANS_IDLE)
            session->failed = false;
        return;
    }
    if (session->failed && strcmp(session->state, "25P02") == 0)
        return;
    if (state_allowed(allow, session->state))
        session->failed = true;
    else
        run_fail(run, session->step, session->state);
}

static const struct spec_step *step_named(const struct spec *spec, const char *name)
{
    for (int i = 0; i < spec->step_count; i++)
        if (strcmp(spec->steps[i].name, name) == 0)
            return &spec->steps[i];
    abort();
}

static enum session_verdict run_settle(struct run *run, struct session *session)
{
    if (!session->busy)
        return SESSION_DONE;
    enum session_verdict verdict = session_settle(session, run->control.conn, run->trace);
    const struct spec_step *step = step_named(run->spec, session->step);
    if (verdict == SESSION_DONE)
        run_judge(run, session, step->allow);
    if (verdict == SESSION_BLOCKED && step->nowait)
        run_fail(run, session->step, "waits for a lock");
    if (verdict == SESSION_STUCK)
        run_fail(run, session->step, "neither ends nor waits for a lock");
    return verdict;
}

/* What one step freed may end others, and those more: until nothing moves. */
static int run_settle_all(struct run *run)
{
    int busy = 0;
    int before;
    do {
        before = busy;
        busy = 0;
        for (int i = 0; i < run->spec->session_count; i++)
            busy += run_settle(run, &run->sessions[i]) != SESSION_DONE;
    } while (busy != before && !run->failed);
    return busy;
}

static void run_steps(struct run *run, const struct spec_order *order)
{
    for (int i = 0; i < order->count && !run->failed; i++) {
        const struct spec_step *step = &run->spec->steps[order->steps[i]];
        struct session *session = &run->sessions[step->session];
        if (session->busy) {
            run->impossible = true;
            return;
        }
        session_send(session, step->name, step->sql);
        if (!order->race)
            run_settle_all(run);
    }
}

/* In a race everybody may wait for everybody for a moment: wait for the end of all. */
static void run_end(struct run *run)
{
    for (int looks = 0; run_settle_all(run) > 0 && !run->failed; looks++) {
        if (run->impossible)
            return;
        if (looks > 2000)
            run_fail(run, "the order", "ends with a step that still waits");
    }
}

/* Ends what an order left: a step that waits is cancelled, a transaction rolled back. */
static void run_tidy(struct run *run)
{
    for (int i = 0; i < run->spec->session_count; i++) {
        struct session *session = &run->sessions[i];
        if (PQtransactionStatus(session->conn) == PQTRANS_INTRANS)
            session_must(session, "rollback");
    }
    for (int i = 0; i < run->spec->session_count; i++) {
        struct session *session = &run->sessions[i];
        if (session->busy) {
            char sql[64];
            PGresult *result;
            int pid = PQbackendPID(session->conn);
            snprintf(sql, sizeof sql, "select pg_cancel_backend(%d)", pid);
            session_must(&run->control, sql);
            while ((result = PQgetResult(session->conn)) != NULL)
                PQclear(result);
            session->busy = false;
        }
        if (PQtransactionStatus(session->conn) != PQTRANS_IDLE)
            session_must(session, "rollback");
    }
}

/* Expectations may ask t.notified: how many notifications each session heard. */
static void run_notified(struct run *run)
{
    for (int i = 0; i < run->spec->session_count; i++) {
        struct session *session = &run->sessions[i];
        session_listen(session);
        char count[16];
        snprintf(count, sizeof count, "%d", session->notified);
        PGresult *result =
            PQexecParams(run->control.conn, "insert into t.notified values ($1, $2)", 2, NULL,
                         (const char *[]){session->name, count}, NULL, NULL, 0);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            run_fail(run, "t.notified", PQerrorMessage(run->control.conn));
        PQclear(result);
        session_must(session, "unlisten *");
    }
}

static void run_query(struct run *run, const char *name, const char *sql, bool must_be_empty)
{
    PGresult *result = PQexec(run->control.conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        run_fail(run, name, PQerrorMessage(run->control.conn));
    else if (must_be_empty && PQntuples(result) > 0)
        run_fail(run, name, PQgetvalue(result, 0, 0));
    else if (!must_be_empty &&
             (PQntuples(result) != 1 || strcmp(PQgetvalue(result, 0, 0), "t") != 0))
        run_fail(run, name,
                 PQntuples(result) == 1 && PQnfields(result) > 1 ? PQgetvalue(result, 0, 1) : "");
    PQclear(result);
}

static void run_check(struct run *run)
{
    if (run->options->invariants != NULL)
        run_query(run, "invariants", run->options->invariants, true);
    for (int i = 0; i < run->spec->expect_count; i++)
        run_query(run, run->spec->expects[i].name, run->spec->expects[i].sql, false);
}

static void run_setup(struct run *run)
{
    if (run->options->reset != NULL)
        session_must(&run->control, run->options->reset);
    session_must(&run->control, "create schema if not exists t; "
                                "create table if not exists t.notified(session text, heard int); "
                                "truncate t.notified");
    if (run->spec->setup != NULL)
        session_must(&run->control, run->spec->setup);
    for (int i = 0; i < run->spec->session_count; i++) {
        run->sessions[i].failed = false;
        run->sessions[i].notified = 0;
        if (run->spec->sessions[i].setup != NULL)
            session_must(&run->sessions[i], run->spec->sessions[i].setup);
    }
}

static void run_print(const struct run *run, const struct spec_order *order, const char *trace)
{
    if (!run->failed && !run->options->verbose)
        return;
    printf("%s %s:",
           run->failed       ? "not ok"
           : run->impossible ? "impossible"
                             : "ok",
           run->spec->path);
    for (int i = 0; i < order->count; i++)
        printf(" \"%s\"", run->spec->steps[order->steps[i]].name);
    printf("\n%s", trace);
}

static void run_order(struct run *run, const struct spec_order *order, struct count *count)
{
    char *text = NULL;
    size_t size = 0;
    run->failed = false;
    run->impossible = false;
    run->trace = open_memstream(&text, &size);
    run_setup(run);
    run_steps(run, order);
    run_end(run);
    run_tidy(run);
    run_notified(run);
    if (!run->impossible && !run->failed)
        run_check(run);
    if (run->spec->teardown != NULL)
        session_must(&run->control, run->spec->teardown);
    fclose(run->trace);
    run_print(run, order, text);
    free(text);
    *(run->failed ? &count->failed : run->impossible ? &count->impossible : &count->passed) += 1;
}

/* Orders that cannot happen cost time too. */
static bool run_enough(const struct run *run, const struct count *count)
{
    return run->spec->generated && !run->options->all &&
           (count->passed + count->failed >= LIMIT || count->impossible >= 2 * LIMIT);
}

static void run_spec(const struct options *options, const char *path, struct count *total)
{
    struct spec spec;
    struct count count = {0};
    spec_load(&spec, path);
    spec_shuffle(&spec, options->seed);
    struct run run = {.options = options, .spec = &spec};
    session_open(&run.control, options->url, "control", NULL);
    for (int i = 0; i < spec.session_count; i++)
        session_open(&run.sessions[i], options->url, spec.sessions[i].name, spec.sessions[i].role);
    for (int i = 0; i < spec.order_count && !run_enough(&run, &count); i++) {
        int rounds =
            spec.orders[i].rounds * (options->all && spec.orders[i].race ? ROUNDS_LONG : 1);
        for (int round = 0; round < rounds; round++)
            run_order(&run, &spec.orders[i], &count);
    }
    for (int i = 0; i < spec.session_count; i++)
        session_close(&run.sessions[i]);
    session_close(&run.control);
    if (count.passed == 0)
        count.failed++;
    printf("%s %s: %d orders, %d cannot happen\n", count.failed > 0 ? "not ok" : "ok", path,
           count.passed + count.failed, count.impossible);
    fflush(stdout);
    total->passed += count.passed;
    total->failed += count.failed;
    spec_release(&spec);
}

/* Reads the options; answers the index of the first argument that is none, or 0 for a mistake. */
static int options_read(struct options *options, int argc, char **argv)
{
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "-v") == 0)
            options->verbose = true;
        else if (strcmp(argv[at], "--long") == 0)
            options->all = true;
        else if (at + 1 < argc && strcmp(argv[at], "--seed") == 0)
            options->seed = (unsigned)strtoul(argv[++at], NULL, 10);
        else if (at + 1 < argc && strcmp(argv[at], "--reset") == 0)
            options->reset = argv[++at];
        else if (at + 1 < argc && strcmp(argv[at], "--invariants") == 0)
            options->invariants = argv[++at];
        else
            return 0;
    }
    return at + 1 < argc ? at : 0;
}

int main(int argc, char **argv)
{
    /* another one at each call: it is printed, and --seed tries it again */
    struct options options = {.seed = (unsigned)time(NULL) ^ (unsigned)getpid() << 16};
    struct count total = {0};
    int at = options_read(&options, argc, argv);
    if (at == 0) {
        fprintf(stderr, "usage: isolation [-v] [--long] [--seed N] [--reset SQL] "
                        "[--invariants SQL] URL SPEC...\n");
        return 2;
    }
    options.url = argv[at];
    printf("seed %u\n", options.seed);
    for (int i = at + 1; i < argc; i++)
        run_spec(&options, argv[i], &total);
    printf("%d passed, %d failed\n", total.passed, total.failed);
    return total.failed == 0 ? 0 : 1;
}
