/* What SQL is told of a host, and what it says to that. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/db.h"
#include "common/log.h"
#include "worker/host/host.h"

#define AGAIN_MS 1000

void host_identify(const struct host *host, char *text, size_t size)
{
    snprintf(text, size, "%s %s %s", host->hello.machine, host->hello.owner,
             link_host_key(host->channel));
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

/* The host that was reported, which may be another one than answers now. */
static void accepted(struct host *host)
{
    char now[sizeof host->identity];
    memcpy(host->identity, host->reported, sizeof host->identity);
    if (host->channel == NULL || !link_up(host->channel))
        return;
    host_identify(host, now, sizeof now);
    if (strcmp(host->identity, now) == 0)
        host_go_ready(host);
}

static void replaced(struct host *host)
{
    struct error why;
    error_set_state(&why, "host_replaced",
                    "host_replaced: another machine answers; see fleet.host_accept()");
    host->identity[0] = '\0';
    host_go_down(host, &why);
    host->report_due = false; /* it was SQL that said so */
}

static void on_verdict(struct host *host, const struct db_result *res)
{
    const char *verdict = db_rows(res) == 1 ? db_text(res, 0, "verdict") : NULL;
    if (verdict != NULL)
        hear_differences(host, db_text(res, 0, "differs"));
    if (verdict != NULL && db_text(res, 0, "told") != NULL)
        log_warn(host->about, "%s: accepted, for host key, machine and boot are the same",
                 db_text(res, 0, "told"));
    if (verdict != NULL && strcmp(verdict, "stale") == 0) {
        host->report_due = true; /* our newer configuration is still on its way to SQL */
        host->next_report = clock_ms() + AGAIN_MS;
    } else if (!host->report_down && verdict != NULL && strcmp(verdict, "ok") == 0) {
        accepted(host);
    } else if (!host->report_down) {
        replaced(host);
    }
}

static void on_report(void *data, const struct db_result *res, const struct error *err)
{
    struct host *host = data;
    host->reporting = false;
    if (err != NULL) {
        host->report_due = true;
        host->next_report = clock_ms() + AGAIN_MS;
        if (host->report_life == host->node->life)
            node_failed(host->node, "host_report", err);
    } else if (host->report_way == host->way && host->on_stopped == NULL) {
        on_verdict(host, res);
    }
    host_stop_when_quiet(host);
}

/* We look with our own account's eyes: another one may have what ours has not. */
static bool is_unknown(const struct host *host, int look)
{
    const struct config_agent *agent = host_agent(host, host->looked[look]);
    return !host->hello.seen[look].found && agent != NULL &&
           strcmp(agent->isolation, "separate") == 0;
}

static void add_seen(const struct host *host, struct buf *agents)
{
    db_array_begin(agents);
    for (int i = 0; i < host->looked_count && i < host->hello.seen_count; i++) {
        const struct runner_seen *seen = &host->hello.seen[i];
        if (is_unknown(host, i))
            continue;
        const char *fields[] = {host->looked[i], seen->found ? "t" : "f",
                                seen->version[0] != '\0' ? seen->version : NULL};
        db_array_row(agents, 3, fields);
    }
    db_array_end(agents);
}

void host_report(struct host *host)
{
    const struct runner_greeting *hello = &host->hello;
    char way[16], disk_free[24];
    struct buf identity, agents;
    bool down = host->state == HOST_DOWN;
    buf_init(&identity, 4096);
    buf_init(&agents, (size_t)1 << 16);
    db_row_begin(&identity);
    db_row_text(&identity, down ? "" : link_host_key(host->channel));
    db_row_text(&identity, hello->machine);
    db_row_text(&identity, hello->owner);
    db_row_text(&identity, hello->boot);
    db_row_end(&identity);
    add_seen(host, &agents);
    snprintf(way, sizeof way, "%d", host->way);
    snprintf(disk_free, sizeof disk_free, "%" PRId64, hello->disk_free);
    const char *params[] = {host->node->id,
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
    host->report_life = host->node->life;
    host->report_way = host->way;
    if (!down)
        host_identify(host, host->reported, sizeof host->reported);
    db_query_locking(host->node->db, host_id(host), 0,
                     "select * from fleet.host_report($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                     DB_REPEAT, 9, params, on_report, host);
    buf_release(&identity);
    buf_release(&agents);
}

void host_report_again(struct host *host)
{
    host->report_due = host->hello.owner[0] != '\0' || host->state == HOST_DOWN;
}
