/* fleet-server: an API node. HTTP in, one SQL call, HTTP out. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/exit.h"
#include "common/health.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/api/enter.h"
#include "server/doctor/command.h"
#include "server/metrics/table.h"
#include "server/routes.h"
#include "server/server.h"
#include "server/token_command.h"

#define LAME_DUCK_MS 2500 /* answers go on while /readyz already says no; FLEET_LAME_DUCK_MS */
#define FINISH_MS 15000   /* for requests under way, once the listener is closed */
#define DB_STOP_MS 3000
#define DB_WAIT_MS 3000            /* how long a query waits for a connection */
#define DB_LOCK_MS 12000           /* and for locks: an update holds some as long as it takes */
#define DB_STATEMENT_MS 20000      /* then the database ends it: nobody waits any more */
#define CONNECTIONS_MAX 16384      /* two descriptors each; half of them may wait for tasks */
#define DESCRIPTORS_RESERVED 128   /* for the database, logs, lingering connections */
#define BODY_READ_MAX (24 << 20)   /* read in full, so that 413 can be said without a reset */
#define BODIES_READ_MAX (64 << 20) /* of all requests together */
#define STACK_BYTES (8 << 20)      /* h2o 2.2.5 copies header names (up to 400 KB) to the stack */

static const struct config_program program = {
    .name = "fleet-server",
    .usage =
        "Usage: fleet-server [OPTION]...                  serves the API\n"
        "       fleet-server token create|list|revoke     see fleet-server token --help\n"
        "       fleet-server forgejo doctor [--fix]       see fleet-server forgejo doctor --help\n"
        "       fleet-server health                       how the server is that writes "
        "$FLEET_STATUS_FILE\n"
        "       fleet-server --explain-metrics            every metric that /metrics may show\n"
        "\n"
        "Agent Fleet's API node: answers REST, streams and agents that poll over HTTP, and takes\n"
        "Forgejo's webhook. All state is in the database, so that any number of them may run.\n",
    .node = CONFIG_SERVER,
    .level = LOG_INFO_LEVEL,
    .check_url = db_check_url,
    .unchecked = "not checked: the database, Forgejo; the hosts' keys and known_hosts, which\n"
                 "  fleet-worker --check-config looks at\n"};

/* --- configuration --- */

static void say_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_warn(NULL, "%s", config->warnings.items[i]);
}

static void say_fixed(const struct config *old, const struct config *fresh)
{
    if (old->server.port != fresh->server.port ||
        strcmp(old->server.bind, fresh->server.bind) != 0 ||
        strcmp(old->database.url, fresh->database.url) != 0 ||
        old->database.connections != fresh->database.connections)
        log_warn(NULL, "server.bind, server.port and database need a restart to change");
}

static void reload(struct server *server)
{
    struct error err = {0};
    struct config *fresh = config_load(server->config->path, CONFIG_SERVER, &err);
    if (fresh == NULL) {
        log_error(NULL, "the configuration was not reloaded, the old one stays: %s", err.text);
        return;
    }
    say_fixed(server->config, fresh);
    config_free(server->config);
    server->config = fresh;
    node_config(server->node, fresh->hash);
    pull_set_poll(server->pull, fresh->orchestrator.dispatch_interval_secs);
    say_warnings(fresh);
    log_info(NULL, "the configuration was reloaded: %s", fresh->path);
}

static void on_reload(void *data)
{
    struct server *server = data;
    if (server->draining)
        return;
    notify_reloading(&server->notify);
    reload(server);
    notify_ready(&server->notify);
}

/* --- the end, step by step --- */

static void on_db_stopped(void *data)
{
    struct server *server = data;
    uv_stop(&server->loop.uv); /* h2o keeps a handle open until it is freed outside of the loop */
}

static void on_node_stopped(void *data)
{
    struct server *server = data;
    db_stop(server->db, DB_STOP_MS, on_db_stopped, server);
}

static void on_http_stopped(void *data)
{
    struct server *server = data;
    pull_stop(server->pull);
    tend_stop(server->tend);
    measure_stop(server->measure);
    node_stop(server->node, on_node_stopped, server);
}

static void on_lame_duck_over(void *data)
{
    struct server *server = data;
    log_info(NULL, "the listener is closed; requests under way are finished");
    timer_close(&server->lame_duck, NULL);
    http_stop(server->http, FINISH_MS, on_http_stopped, server);
}

/* Of the environment; what is none is as if it were not there. */
static int span_ms(const char *name, int fallback)
{
    const char *text = getenv(name);
    char *end;
    long value = text != NULL ? strtol(text, &end, 10) : -1;
    return text != NULL && *text != '\0' && *end == '\0' && value >= 0 && value <= 600000
               ? (int)value
               : fallback;
}

static void drain(struct server *server)
{
    server->draining = true;
    notify_stopping(&server->notify);
    http_lame(server->http);
    pull_drain(server->pull);
    timer_start(&server->lame_duck, (uint64_t)span_ms("FLEET_LAME_DUCK_MS", LAME_DUCK_MS), 0);
}

static void on_stop(void *data, int number)
{
    struct server *server = data;
    if (server->told) {
        log_warn(NULL, "stopped at once by a second signal (%d)", number);
        _exit(EXIT_TROUBLE);
    }
    server->told = true;
    if (server->draining)
        return; /* by itself, on_outdated */
    log_info(NULL, "stopping (signal %d): /readyz says so first", number);
    drain(server);
}

static void on_outdated(void *data, const char *why)
{
    struct server *server = data;
    log_error(NULL, "%s", why);
    if (server->draining)
        return;
    server->status = EXIT_NEVER;
    drain(server);
}

/* --- the beginning --- */

static size_t connection_ceiling(uint64_t descriptors)
{
    uint64_t usable = descriptors > DESCRIPTORS_RESERVED ? descriptors - DESCRIPTORS_RESERVED : 0;
    uint64_t fit = usable / 2;
    return fit < 16 ? 16 : fit < CONNECTIONS_MAX ? (size_t)fit : CONNECTIONS_MAX;
}

static void raise_stack(void)
{
    struct rlimit stack;
    if (getrlimit(RLIMIT_STACK, &stack) != 0 || stack.rlim_cur >= STACK_BYTES)
        return;
    stack.rlim_cur = stack.rlim_max < STACK_BYTES ? stack.rlim_max : STACK_BYTES;
    setrlimit(RLIMIT_STACK, &stack);
}

/* "work", "slot": a task or a free slot may be waiting; "token": one was revoked; "": what was told
 * while nobody listened is unknown. */
static void on_notify(void *data, const char *word)
{
    struct server *server = data;
    bool unknown = word[0] == '\0';
    if (server->auth == NULL)
        return; /* not open yet */
    if (unknown || strcmp(word, "token") == 0) {
        auth_forget(server->auth);
        ceiling_check(server->ceiling);
    }
    if (unknown)
        pull_reconnected(server->pull);
    else if (strcmp(word, "work") == 0 || strcmp(word, "slot") == 0)
        pull_notify(server->pull);
}

static void on_up(void *data, uint64_t generation)
{
    struct server *server = data;
    (void)generation;
    if (server->pull != NULL)
        pull_reconnected(server->pull);
}

static struct db *open_database(struct server *server, struct error *err)
{
    const struct config *config = server->config;
    struct db_options options = {.url = config->database.url,
                                 .listen_url = config->database.listen_url,
                                 .application = "fleet-server",
                                 .channel = "fleet_work",
                                 .on_notify = on_notify,
                                 .on_up = on_up,
                                 .connections = config->database.connections,
                                 .wait_ms = DB_WAIT_MS,
                                 .lock_ms = DB_LOCK_MS,
                                 .statement_ms = DB_STATEMENT_MS,
                                 .allow_plaintext = config->database.insecure_plaintext,
                                 .data = server};
    return db_new(&server->loop, &options, err);
}

static char *node_name(int port)
{
    const char *given = getenv("FLEET_NODE_NAME");
    char host[256] = "server";
    if (given != NULL && *given != '\0')
        return mem_strdup(given);
    gethostname(host, sizeof host - 1);
    return mem_printf("%s:%d", host, port);
}

/* False: the listener could not be opened; the loop has nothing to run for. */
static bool open_listener(struct server *server, uint64_t descriptors, struct error *err)
{
    const struct config *config = server->config;
    size_t body_max = (size_t)config->server.max_body_bytes;
    struct http_options options = {.bind = config->server.bind,
                                   .port = config->server.port,
                                   .connections = connection_ceiling(descriptors),
                                   .body_max = body_max > BODY_READ_MAX ? body_max : BODY_READ_MAX,
                                   .bodies_max = BODIES_READ_MAX,
                                   .quiet_ms = span_ms("FLEET_STREAM_QUIET_MS", 0),
                                   .stall_ms = span_ms("FLEET_STREAM_STALL_MS", 0),
                                   .on_request = api_enter,
                                   .on_answer = api_answered,
                                   .data = server};
    server->http = http_new(&server->loop, &options);
    if (!http_listen(server->http, &options, err))
        return false;
    log_info(NULL, "listening on %s port %d: up to %zu connections (%llu descriptors), pid %d",
             config->server.bind, http_port(server->http), options.connections,
             (unsigned long long)descriptors, (int)getpid());
    return true;
}

static const char *measure_id(void *data)
{
    const struct server *server = data;
    return node_id(server->node);
}

/* 0, or the exit status. */
static int open_parts(struct server *server, struct error *err)
{
    uint64_t descriptors = loop_limits();
    raise_stack();
    server->db = open_database(server, err);
    if (server->db == NULL)
        return EXIT_NEVER; /* the URL is wrong */
    if (!open_listener(server, descriptors, err))
        return strcmp(err->state, HTTP_NEVER) == 0 ? EXIT_NEVER : EXIT_TROUBLE;
    char *name = node_name(http_port(server->http));
    server->auth = auth_new(server->db);
    server->ceiling = ceiling_new(&server->loop, server->db, connection_ceiling(descriptors));
    server->follow = follow_new(&server->loop, server->db, server->ceiling);
    server->submit = submit_new(server->db);
    turns_init(&server->turns, server->db, server->config->database.connections);
    server->node = node_new(&server->loop, server->db, name, server->config->hash);
    server->pull = pull_new(&server->loop, server->db, server->node, server->ceiling,
                            server->config->orchestrator.dispatch_interval_secs);
    server->tend = tend_new(&server->loop, server->db, server->node, TEND_REAP_MS);
    server->measure = measure_new(&server->loop, server->db,
                                  &(struct measure_node){.id = measure_id, .data = server});
    free(name);
    return 0;
}

static void serve(struct server *server)
{
    timer_init(&server->lame_duck, &server->loop, on_lame_duck_over, server);
    loop_signals(&server->loop, on_stop, on_reload, server);
    say_warnings(server->config);
    db_start(server->db);
    node_start(server->node);
    db_schema_watch(&server->schema, &server->loop, server->db, "server", on_outdated, server);
    notify_open(&server->notify, &server->loop, server_status, server);
    notify_ready(&server->notify);
    loop_run(&server->loop);
    notify_close(&server->notify);
    db_schema_close(&server->schema);
    submit_free(server->submit);
    http_free(server->http);
    pull_free(server->pull);
    tend_free(server->tend);
    measure_free(server->measure);
    meter_release(&server->meter);
    node_free(server->node);
    auth_free(server->auth);
    follow_free(server->follow);
    ceiling_free(server->ceiling);
    db_free(server->db);
    loop_release(&server->loop);
    log_info(NULL, "stopped");
}

int main(int argc, char **argv)
{
    loop_limits(); /* before a secret is read */
    if (health_wanted(argc, argv))
        return health_command("fleet-server");
    if (token_command_wanted(argc, argv))
        return token_command(argc, argv);
    if (doctor_command_wanted(argc, argv))
        return doctor_command(argc, argv);
    static struct server server;
    struct error err = {0};
    if (argc == 2 && strcmp(argv[1], "--explain-metrics") == 0) {
        metrics_explain(stdout);
        return 0;
    }
    server.routes = server_routes;
    meter_init(&server.meter, server_routes);
    int status = config_command_line(argc, argv, &program, &server.config);
    if (status >= 0)
        return status;
    loop_init(&server.loop);
    status = open_parts(&server, &err);
    if (status != 0) {
        log_error(NULL, "%s", err.text);
        config_free(server.config);
        _exit(status); /* nothing has been started */
    }
    serve(&server);
    config_free(server.config);
    return server.status;
}
