/* A host's settings, checks and reports. */
#include "worker/host/host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/db.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "common/redact.h"
#include "worker/clean.h"
#include "worker/dispatch/dispatch.h"

#define CHECK_EVERY_MS 30000 /* a ready host says hello this often: disk space, identity */
#define VERSIONS_EVERY_MS 600000
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS 30000
#define HELLO_TIMEOUT_MS 20000

/* --- Settings --- */

struct settings *settings_new(struct config *config)
{
    struct settings *settings = mem_alloc(sizeof *settings);
    *settings = (struct settings){.config = config, .users = 1};
    return settings;
}

struct settings *settings_use(struct settings *settings)
{
    settings->users++;
    return settings;
}

void settings_drop(struct settings *settings)
{
    if (--settings->users > 0)
        return;
    config_free(settings->config);
    free(settings);
}

/* --- Life --- */

struct host *host_new(struct dispatch *dispatch, struct settings *settings,
                      const struct config_host *config)
{
    struct host *host = mem_alloc(sizeof *host);
    host->dispatch = dispatch;
    host->settings = settings_use(settings);
    host->config = config;
    host->exec = exec_host_new(dispatch->loop, config);
    list_init(&host->jobs);
    snprintf(host->id, sizeof host->id, "%s", config->host_id);
    host->about[0] = LOG_FIELD("host", host->id);
    timer_init(&host->timer, dispatch->loop, host_poll_now, host);
    list_append(&dispatch->hosts, &host->link);
    return host;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_way_in(const struct config_host *a, const struct config_host *b)
{
    return same_text(a->hostname, b->hostname) && same_text(a->ssh_user, b->ssh_user) &&
           a->ssh_port == b->ssh_port && same_text(a->ssh_key_path, b->ssh_key_path) &&
           same_text(a->known_hosts, b->known_hosts) && same_text(a->work_dir, b->work_dir);
}

/* The old connection's configuration lives until that connection is closed. */
static void on_old_closed(void *data)
{
    settings_drop(data);
}

static const char *state_name(enum host_state state)
{
    switch (state) {
    case HOST_CHECKING:
        return "checking";
    case HOST_READY:
        return "ready";
    case HOST_DOWN:
        return "down";
    }
    return "unknown";
}

/* The only place where the state changes. */
static void become(struct host *host, enum host_state state, int64_t next_check)
{
    if (host->state != state)
        log_debug(host->about, "%s, was %s", state_name(state), state_name(host->state));
    host->state = state;
    host->next_check = next_check;
}

/* What was asked before is another machine's, or was let in by another key. */
static void forget_way(struct host *host)
{
    host->way++;
    host->identity[0] = '\0';
    host->hello = (struct runner_hello){0};
    host->checking = host->polling = host->report_due = false;
    host->next_versions = 0;
    error_clear(&host->trouble);
    timer_stop(&host->timer);
    become(host, HOST_CHECKING, 0);
}

void host_reconfigure(struct host *host, struct settings *settings,
                      const struct config_host *config)
{
    host->leaving = false;
    if (same_way_in(host->config, config))
        return;
    log_info(host->about, "connection settings changed: connecting anew");
    exec_host_stop(host->exec, on_old_closed, host->settings);
    host->settings = settings_use(settings);
    host->config = config;
    host->exec = exec_host_new(host->dispatch->loop, config);
    forget_way(host);
}

static void stop_when_quiet(struct host *host)
{
    if (host->exec != NULL || host->calls > 0 || host->on_stopped == NULL)
        return;
    void (*on_stopped)(void *) = host->on_stopped;
    host->on_stopped = NULL;
    on_stopped(host->stopped_data);
}

static void on_timer_closed(void *data)
{
    struct host *host = data;
    host->exec = NULL;
    stop_when_quiet(host);
}

static void on_exec_stopped(void *data)
{
    struct host *host = data;
    timer_close(&host->timer, on_timer_closed);
}

void host_stop(struct host *host, void (*on_stopped)(void *data), void *data)
{
    become(host, HOST_DOWN, INT64_MAX);
    host->on_stopped = on_stopped;
    host->stopped_data = data;
    exec_host_stop(host->exec, on_exec_stopped, host);
}

void host_call_done(struct host *host)
{
    host->calls--;
    stop_when_quiet(host);
}

void host_free(struct host *host)
{
    list_remove(&host->link);
    settings_drop(host->settings);
    free(host);
}

/* --- Questions --- */

bool host_ready(const struct host *host)
{
    return host->state == HOST_READY;
}

bool host_down(const struct host *host)
{
    return host->state == HOST_DOWN;
}

const char *host_reason(const struct host *host)
{
    return host->trouble.text;
}

const char *host_id(const struct host *host)
{
    return host->id;
}

const char *host_machine(const struct host *host)
{
    return host->hello.machine;
}

const char *host_work_dir(const struct host *host)
{
    return host->config->work_dir;
}

struct list *host_jobs(struct host *host)
{
    return &host->jobs;
}

struct runner_place host_place(const struct host *host)
{
    return (struct runner_place){.work_dir = host->config->work_dir,
                                 .fleet_id = host->dispatch->fleet_id};
}

char *host_run_dir(const struct host *host, const char *run)
{
    return mem_printf("%s/.fleet/%s/runs/%s", host->config->work_dir, host->dispatch->fleet_id,
                      run);
}

bool host_boot_differs(const struct host *host, const char *boot)
{
    return boot[0] != '\0' && host->hello.boot[0] != '\0' && strcmp(boot, host->hello.boot) != 0;
}

const struct config_host *host_entry(const struct host *host)
{
    const struct config *config = dispatch_config(host->dispatch);
    for (size_t i = 0; i < config->host_count; i++)
        if (strcmp(config->hosts[i].host_id, host->config->host_id) == 0)
            return &config->hosts[i];
    return NULL;
}

bool host_template(const struct host *host, const char *agent_type, struct adapter_template *found)
{
    const struct config_host *entry = host_entry(host);
    for (size_t i = 0; entry != NULL && i < entry->agent_count; i++)
        if (strcmp(entry->agents[i].agent_type, agent_type) == 0)
            return adapter_find(dispatch_config(host->dispatch), &entry->agents[i], found);
    return false;
}

/* --- Reports to SQL --- */

static void identify(const struct host *host, char *text, size_t size)
{
    snprintf(text, size, "%s %s %s", host->hello.machine, host->hello.owner,
             exec_host_key(host->exec));
}

static void go_ready(struct host *host)
{
    bool news = host->state != HOST_READY;
    host->backoff_ms = 0;
    become(host, HOST_READY, clock_ms() + CHECK_EVERY_MS);
    if (!news)
        return;
    log_info(host->about, "ready, %" PRId64 " MiB free", host->hello.disk_free >> 20);
    error_clear(&host->trouble);
    host_poll_soon(host);
    dispatch_host_ready(host->dispatch);
}

static void go_down(struct host *host, const struct error *trouble)
{
    struct buf clean;
    buf_init(&clean, sizeof host->trouble.text - 1);
    clean_line(&clean, trouble->text, strlen(trouble->text), sizeof host->trouble.text);
    if (host->state != HOST_DOWN)
        log_warn(host->about, "down: %s", trouble->text);
    error_set_state(&host->trouble, trouble->state, "%s", buf_text(&clean));
    redact_text(host->trouble.text, NULL);
    buf_release(&clean);
    host->backoff_ms = pause_longer(host->backoff_ms, BACKOFF_FIRST_MS, BACKOFF_LAST_MS);
    become(host, HOST_DOWN, clock_ms() + pause_jitter(host->backoff_ms));
}

/* Said once, and again when it is something else. */
static void hear_differences(struct host *host, const char *differs)
{
    const char *now = differs != NULL ? differs : "";
    if (strncmp(host->differs, now, sizeof host->differs - 1) == 0)
        return;
    snprintf(host->differs, sizeof host->differs, "%s", now);
    if (now[0] != '\0')
        log_warn(host->about, "workers' configurations differ about it, the newest counts: %s",
                 now);
    else
        log_info(host->about, "workers' configurations agree about it again");
}

static void on_verdict(struct host *host, const struct db_result *res)
{
    const char *verdict = db_rows(res) == 1 ? db_text(res, 0, "verdict") : NULL;
    if (verdict != NULL)
        hear_differences(host, db_text(res, 0, "differs"));
    if (verdict != NULL && strcmp(verdict, "stale") == 0) {
        host->report_due = true; /* our newer configuration is still on its way to SQL */
        host->next_report = clock_ms() + BACKOFF_FIRST_MS;
    } else if (!host->report_down && verdict != NULL && strcmp(verdict, "ok") == 0) {
        identify(host, host->identity, sizeof host->identity);
        go_ready(host);
    } else if (!host->report_down) {
        struct error replaced;
        error_set_state(&replaced, "host_replaced",
                        "host_replaced: another machine answers; see fleet.host_accept()");
        host->identity[0] = '\0';
        go_down(host, &replaced);
    }
}

static void on_report(void *data, const struct db_result *res, const struct error *err)
{
    struct host *host = data;
    host->reporting = false;
    if (err != NULL) {
        host->report_due = true;
        host->next_report = clock_ms() + BACKOFF_FIRST_MS;
        if (host->report_life == host->dispatch->life)
            dispatch_failed(host->dispatch, "host_report", err);
    } else if (host->report_way == host->way && host->exec != NULL && host->on_stopped == NULL) {
        on_verdict(host, res);
    }
    host_call_done(host);
}

static void add_seen(const struct host *host, struct buf *agents)
{
    db_array_begin(agents);
    for (int i = 0; i < host->looked_count && i < host->hello.seen_count; i++) {
        const struct runner_seen *seen = &host->hello.seen[i];
        const char *fields[] = {host->looked[i], seen->found ? "t" : "f",
                                seen->version[0] != '\0' ? seen->version : NULL};
        db_array_row(agents, 3, fields);
    }
    db_array_end(agents);
}

static void report(struct host *host)
{
    const struct runner_hello *hello = &host->hello;
    char way[16], disk_free[24];
    struct buf identity, agents;
    bool down = host->state == HOST_DOWN;
    buf_init(&identity, 4096);
    buf_init(&agents, (size_t)1 << 16);
    db_row_begin(&identity);
    db_row_text(&identity, exec_host_key(host->exec));
    db_row_text(&identity, hello->machine);
    db_row_text(&identity, hello->owner);
    db_row_text(&identity, hello->boot);
    db_row_end(&identity);
    add_seen(host, &agents);
    snprintf(way, sizeof way, "%d", host->way);
    snprintf(disk_free, sizeof disk_free, "%" PRId64, hello->disk_free);
    const char *params[] = {dispatch_node(host->dispatch),
                            host_id(host),
                            way,
                            down ? "f" : "t",
                            down ? NULL : buf_text(&identity),
                            down ? NULL : disk_free,
                            down ? NULL : buf_text(&agents),
                            down ? host->trouble.state : NULL,
                            down ? host->trouble.text : NULL};
    host->report_due = false;
    host->reporting = true;
    host->report_down = down;
    host->report_life = host->dispatch->life;
    host->report_way = host->way;
    host->calls++;
    db_query_locking(dispatch_db(host->dispatch), host_id(host), 0,
                     "select * from fleet.host_report($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                     DB_REPEAT, 9, params, on_report, host);
    buf_release(&identity);
    buf_release(&agents);
}

void host_report_again(struct host *host)
{
    host->report_due = host->hello.owner[0] != '\0' || host->state == HOST_DOWN;
}

/* --- Checks --- */

/* A host whose identity SQL accepted before is used at once: runs are followed while the
 * database is away. */
static void greeted(struct host *host)
{
    char identity[sizeof host->identity];
    identify(host, identity, sizeof identity);
    host->report_due = true;
    if (strcmp(identity, host->identity) == 0) {
        go_ready(host);
    } else { /* nothing is sent before SQL knows it */
        become(host, HOST_CHECKING, clock_ms() + CHECK_EVERY_MS);
    }
}

static void on_hello(void *data, const char *bytes, size_t len, const struct error *err)
{
    struct host *host = data;
    struct error problem = {0};
    struct runner_hello hello = {0};
    host->checking = false;
    if (host->on_stopped != NULL)
        return;
    if (err != NULL)
        problem = *err;
    else if (runner_parse_hello(bytes, len, &hello, &problem) && hello.missing[0] != '\0')
        error_set_state(&problem, "runner_failed",
                        "the runner needs programs that the host lacks: %s", hello.missing);
    if (problem.text[0] == '\0') {
        host->hello = hello;
        greeted(host);
        return;
    }
    bool news = host->state != HOST_DOWN;
    go_down(host, &problem);
    if (news)
        host->report_due = true;
}

/* Which commands the host is to look for; the answer comes in the same order. */
static int choose_looks(struct host *host, struct runner_look looks[RUNNER_LOOKS_MAX])
{
    const struct config_host *entry = host_entry(host);
    bool versions = clock_ms() >= host->next_versions;
    int count = 0;
    for (size_t i = 0; entry != NULL && i < entry->agent_count && count < RUNNER_LOOKS_MAX; i++) {
        struct adapter_template found;
        const struct config_agent *agent = &entry->agents[i];
        bool may_ask = false;
        char *program = adapter_find(dispatch_config(host->dispatch), agent, &found)
                            ? adapter_program(&found, host_work_dir(host), &may_ask)
                            : NULL;
        if (program == NULL)
            continue;
        snprintf(host->looked[count], sizeof host->looked[count], "%s", agent->agent_type);
        looks[count++] = (struct runner_look){.command = program, .version = may_ask && versions};
    }
    host->looked_count = count;
    if (versions)
        host->next_versions = clock_ms() + VERSIONS_EVERY_MS;
    return count;
}

static void check(struct host *host)
{
    struct buf command, input;
    struct runner_place place = host_place(host);
    struct runner_look looks[RUNNER_LOOKS_MAX];
    int count = choose_looks(host, looks);
    host->checking = true;
    host_call_init(&command, &input);
    runner_build_hello(&command, &place, looks, count);
    for (int i = 0; i < count; i++)
        free((char *)looks[i].command);
    host_send(host, &command, &input, HELLO_TIMEOUT_MS, on_hello, host);
}

void host_trouble(struct host *host, const struct error *err)
{
    if (host->state != HOST_READY)
        return;
    log_warn(host->about, "a call failed: %s", err->text);
    become(host, HOST_CHECKING, 0);
}

void host_tick(struct host *host)
{
    if (host->on_stopped != NULL)
        return;
    if (!host->checking && clock_ms() >= host->next_check)
        check(host);
    if (host->report_due && !host->leaving && !host->reporting && clock_ms() >= host->next_report &&
        dispatch_live(host->dispatch))
        report(host);
    if (host->state == HOST_READY && !host->polling && !timer_active(&host->timer) &&
        !list_empty(&host->jobs))
        host_poll_soon(host);
}
