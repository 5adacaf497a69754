/* fleet-worker: claims tasks, runs agents on hosts, follows them to their proven end. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/config.h"
#include "common/db/db.h"
#include "common/db/schema.h"
#include "common/exit.h"
#include "common/health.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/measure.h"
#include "common/mem.h"
#include "common/notify.h"
#include "worker/check/check.h"
#include "worker/dispatch/dispatch.h"
#include "worker/forgejo/tracker.h"
#include "worker/link/carried.h"
#include "worker/ssh/ssh.h"

#define DB_STOP_MS 3000
#define DB_STATEMENT_MS 30000 /* then the database ends it */

static const char usage[] =
    "Usage: fleet-worker [OPTION]...              runs agents on hosts\n"
    "       fleet-worker check-hosts [HOST_ID]... can the hosts run work? has a --help\n"
    "       fleet-worker health                   how is the worker that writes\n"
    "                                             $FLEET_STATUS_FILE?\n\n"
    "Agent Fleet's dispatcher: claims tasks from the database, runs agents on the hosts of its\n"
    "configuration over SSH, stores their output and takes over the runs of workers that died.\n"
    "Signals: TERM or INT drains and ends (the runs go on), a second one ends at once; HUP reads\n"
    "the configuration again. FLEET_NODE_NAME names this process to people.\n";

static const struct config_program program = {
    .name = "fleet-worker",
    .usage = usage,
    .node = CONFIG_WORKER,
    .level = LOG_INFO_LEVEL,
    .check_host = ssh_check_file,
    .check_url = db_check_url,
    .unchecked =
        "not checked: the database; whether the hosts answer and take the keys; the agents'\n"
        "  commands there\n",
    .carries = carried_machines};

struct worker {
    struct loop loop;
    struct db *db;             /* owned */
    struct dispatch *dispatch; /* owned */
    struct tracker *tracker;   /* owned */
    struct db_schema schema;
    struct measure *measure; /* owned */
    struct notify notify;
    int status; /* to exit with */
    char *path; /* owned: the configuration's */
    bool told;  /* by a signal, to stop */
    bool stopping;
};

static void on_db_stopped(void *data)
{
    (void)data; /* the loop has nothing left and ends */
}

static void on_drained(void *data)
{
    struct worker *worker = data;
    measure_stop(worker->measure);
    db_stop(worker->db, DB_STOP_MS, on_db_stopped, worker);
}

static void on_tracker_stopped(void *data)
{
    struct worker *worker = data;
    dispatch_drain(worker->dispatch, on_drained, worker);
}

static void drain(struct worker *worker)
{
    worker->stopping = true;
    notify_stopping(&worker->notify);
    tracker_stop(worker->tracker, on_tracker_stopped, worker);
}

static void on_stop(void *data, int signal)
{
    struct worker *worker = data;
    if (worker->told) {
        log_warn(NULL, "signal %d again: ending at once", signal);
        _exit(EXIT_TROUBLE);
    }
    worker->told = true;
    if (worker->stopping)
        return; /* by itself, on_outdated */
    log_info(NULL, "signal %d: draining; runs go on on their hosts", signal);
    drain(worker);
}

static void on_outdated(void *data, const char *why)
{
    struct worker *worker = data;
    log_error(NULL, "%s", why);
    if (worker->stopping)
        return;
    worker->status = EXIT_NEVER;
    drain(worker);
}

static void log_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_warn(NULL, "%s", config->warnings.items[i]);
}

static void reload(struct worker *worker)
{
    struct error err;
    struct config *config = config_load(worker->path, CONFIG_WORKER, &err);
    if (config == NULL) {
        log_error(NULL, "the configuration stays as it was: %s", err.text);
        return;
    }
    log_warnings(config);
    dispatch_reload(worker->dispatch, config);
    tracker_reload(worker->tracker);
}

static void on_reload(void *data)
{
    struct worker *worker = data;
    if (worker->stopping)
        return;
    notify_reloading(&worker->notify);
    reload(worker);
    notify_ready(&worker->notify);
}

static void on_notify(void *data, const char *payload)
{
    struct worker *worker = data;
    if (worker->dispatch == NULL || worker->stopping)
        return;
    tracker_told(worker->tracker, payload);
    dispatch_told(worker->dispatch, payload);
}

static void on_up(void *data, uint64_t generation)
{
    (void)generation;
    on_notify(data, "");
}

static struct db *open_db(struct worker *worker, const struct config *config, struct error *err)
{
    return db_new(&worker->loop,
                  &(struct db_options){.url = config->database.url,
                                       .listen_url = config->database.listen_url,
                                       .application = "fleet-worker",
                                       .channel = "fleet_work",
                                       .connections = config->database.connections,
                                       .statement_ms = DB_STATEMENT_MS,
                                       .allow_plaintext = config->database.insecure_plaintext,
                                       .on_notify = on_notify,
                                       .on_up = on_up,
                                       .data = worker},
                  err);
}

/* What people call this process: FLEET_NODE_NAME, else host name and pid. The caller owns it. */
static char *node_name(void)
{
    const char *given = getenv("FLEET_NODE_NAME");
    char host[65] = "worker";
    if (given != NULL && given[0] != '\0')
        return mem_strdup(given);
    gethostname(host, sizeof host - 1);
    return mem_printf("%.48s-%d", host, (int)getpid());
}

/* --- what is measured --- */

static const char *measure_id(void *data)
{
    const struct worker *worker = data;
    return node_live(&worker->dispatch->node) ? worker->dispatch->node.id : NULL;
}

static void measure_say(void *data, struct buf *out)
{
    const struct worker *worker = data;
    dispatch_say(worker->dispatch, measure_lag(worker->measure), out);
}

static void run(struct worker *worker, struct config *config)
{
    char *name = node_name();
    worker->path = mem_strdup(config->path);
    worker->dispatch = dispatch_new(&worker->loop, worker->db, config, name);
    free(name);
    worker->tracker = tracker_new(&worker->dispatch->node);
    loop_signals(&worker->loop, on_stop, on_reload, worker);
    db_start(worker->db);
    dispatch_start(worker->dispatch);
    tracker_start(worker->tracker);
    db_schema_watch(&worker->schema, &worker->loop, worker->db, "worker", on_outdated, worker);
    worker->measure =
        measure_new(&worker->loop, worker->db,
                    &(struct measure_node){.id = measure_id, .say = measure_say, .data = worker});
    notify_open(&worker->notify, &worker->loop, dispatch_status, worker->dispatch);
    notify_ready(&worker->notify);
    loop_run(&worker->loop);
    notify_close(&worker->notify);
    db_schema_close(&worker->schema);
    db_free(worker->db);
    measure_free(worker->measure);
    tracker_free(worker->tracker);
    dispatch_free(worker->dispatch);
    free(worker->path);
}

int main(int argc, char **argv)
{
    loop_limits(); /* before a secret is read */
    if (health_wanted(argc, argv))
        return health_command("fleet-worker");
    if (check_wanted(argc, argv))
        return check_command(argc, argv);
    struct config *config = NULL;
    struct error err;
    struct worker worker = {0};
    int status = config_command_line(argc, argv, &program, &config);
    if (status >= 0)
        return status;
    log_info(NULL, "version " FLEET_VERSION ", %llu file descriptors",
             (unsigned long long)loop_limits());
    log_warnings(config);
    loop_init(&worker.loop);
    worker.db = open_db(&worker, config, &err);
    if (worker.db == NULL) {
        log_error(NULL, "%s: database.url: %s", config->path, err.text);
        config_free(config);
        loop_release(&worker.loop);
        return EXIT_NEVER; /* the URL is wrong */
    }
    run(&worker, config);
    loop_release(&worker.loop);
    log_info(NULL, "ended");
    return worker.status;
}
