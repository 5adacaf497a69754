/* Who we are in Forgejo, and the life of what talks to it. */
#include "worker/forgejo/tracker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"

#define TICK_MS 1000
#define TELL_AGAIN_MS 2000
#define ASK_FIRST_MS 1000
#define ASK_LAST_MS 60000
#define POLICY_MAX ((size_t)4 << 20)

static void set(struct tracker *tracker, enum tracker_state state)
{
    static const char *const names[] = {"off", "asking", "ready", "closing", "stopped"};
    log_debug(NULL, "forgejo %s after %s", names[state], names[tracker->state]);
    tracker->state = state;
}

static bool is_told(const struct tracker *tracker)
{
    return !tracker->tell_due && !tracker->telling && tracker->told_life == tracker->node->life;
}

bool tracker_ready(const struct tracker *tracker)
{
    return tracker->state == TRACKER_READY && node_live(tracker->node) && is_told(tracker);
}

/* --- what the database is told --- */

static void tell(struct tracker *tracker);

static void on_told(void *data, const struct db_result *res, const struct error *err)
{
    struct tracker *tracker = data;
    (void)res;
    tracker->telling = false;
    if (err == NULL || tracker->told_life != tracker->node->life) {
        tell(tracker); /* there may be more to tell by now, or another life to tell it for */
        looks_wake(&tracker->looks);
        outbox_wake(&tracker->outbox);
        return;
    }
    tracker->tell_due = true;
    tracker->next_tell = clock_ms() + TELL_AGAIN_MS;
    node_failed(tracker->node, "forgejo_configure", err);
}

static void tell(struct tracker *tracker)
{
    struct node *node = tracker->node;
    if (is_told(tracker) || tracker->telling || !node_live(node) || clock_ms() < tracker->next_tell)
        return;
    struct buf policy;
    char id[24];
    buf_init(&policy, POLICY_MAX);
    config_policy(node_settings(node), &policy);
    snprintf(id, sizeof id, "%" PRId64, tracker->user_id);
    const char *params[] = {node->id, buf_text(&policy), tracker->user_id != 0 ? id : NULL,
                            tracker->user_id != 0 ? tracker->login : NULL};
    tracker->telling = true;
    tracker->tell_due = false;
    tracker->told_life = node->life;
    db_query_locking(node->db, "forgejo", 0,
                     "select fleet.forgejo_configure($1::uuid, $2::jsonb, $3::bigint, $4)",
                     DB_REPEAT, 4, params, on_told, tracker);
    buf_release(&policy);
}

/* --- who we are --- */

static void ask_again(struct tracker *tracker, const struct forgejo_answer *answer)
{
    int pause = pause_jitter(pause_after(tracker->failures++, ASK_FIRST_MS, ASK_LAST_MS));
    int64_t wanted = answer->retry_secs * 1000;
    tracker->next_ask = clock_ms() + (wanted > pause ? wanted : pause);
    if (tracker->failures == 1)
        log_warn(NULL, "forgejo.url: it does not say who we are, and is asked again: %s",
                 answer->text);
}

static void on_user(void *data, const struct forgejo_answer *answer)
{
    struct tracker *tracker = data;
    tracker->asking = false;
    if (tracker->state != TRACKER_ASKING)
        return;
    int64_t id = json_int(answer->json, "id", 0);
    const char *login = json_string(answer->json, "login", "");
    if (answer->verdict != FORGEJO_OK || id <= 0 || login[0] == '\0') {
        ask_again(tracker, answer);
        return;
    }
    tracker->user_id = id;
    snprintf(tracker->login, sizeof tracker->login, "%s", login);
    tracker->failures = 0;
    tracker->tell_due = true;
    tracker->backfill.next_names = 0; /* the configuration may name others now */
    set(tracker, TRACKER_READY);
    log_info(NULL, "forgejo.token is that of %s (%" PRId64 ")", tracker->login, tracker->user_id);
    tell(tracker);
}

static void ask(struct tracker *tracker)
{
    if (tracker->state != TRACKER_ASKING || tracker->asking || clock_ms() < tracker->next_ask)
        return;
    tracker->asking = true;
    forgejo_call(tracker->forgejo, "GET", "/user", NULL, false, on_user, tracker);
}

/* --- life --- */

static void open_way(struct tracker *tracker)
{
    const struct config *config = node_settings(tracker->node);
    struct error err = {0};
    set(tracker, TRACKER_OFF);
    if (config->forgejo.token == NULL || config->forgejo.url == NULL)
        return;
    tracker->fetch = fetch_new(tracker->node->loop,
                               &(struct fetch_options){
                                   .base = config->forgejo.url,
                                   .allow_http = config->forgejo.insecure_http,
                                   .connections = config->forgejo.connections,
                                   .timeout_ms = config->forgejo.timeout_secs * 1000,
                                   .ca_file = config->forgejo.ca_file,
                               },
                               &err);
    if (tracker->fetch == NULL) {
        log_error(NULL, "forgejo.url: %s", err.text);
        return;
    }
    tracker->forgejo =
        forgejo_new(tracker->fetch, config->forgejo.token, config->forgejo.lookup_token);
    forgejo_count(tracker->forgejo, tracker->node->counts.answers);
    outbox_forget(&tracker->outbox);
    tracker->user_id = 0;
    tracker->next_ask = 0;
    set(tracker, TRACKER_ASKING);
}

static void on_tick(void *data)
{
    struct tracker *tracker = data;
    ask(tracker);
    tell(tracker);
    looks_tick(&tracker->looks, clock_ms());
    backfill_tick(&tracker->backfill, clock_ms());
    outbox_tick(&tracker->outbox, clock_ms());
}

static void close_way(struct tracker *tracker)
{
    forgejo_free(tracker->forgejo);
    fetch_free(tracker->fetch);
    tracker->forgejo = NULL;
    tracker->fetch = NULL;
}

static void finish(struct tracker *tracker)
{
    set(tracker, TRACKER_STOPPED);
    timer_close(&tracker->tick, NULL);
    tracker->on_stopped(tracker->data);
}

static void on_way_closed(void *data)
{
    struct tracker *tracker = data;
    close_way(tracker);
    if (tracker->on_stopped != NULL) {
        finish(tracker);
        return;
    }
    open_way(tracker);
    timer_start(&tracker->tick, 0, TICK_MS);
}

static void begin_close(struct tracker *tracker)
{
    if (tracker->state == TRACKER_CLOSING)
        return;
    set(tracker, TRACKER_CLOSING);
    if (tracker->fetch != NULL)
        fetch_stop(tracker->fetch, on_way_closed, tracker);
    else
        on_way_closed(tracker);
}

struct tracker *tracker_new(struct node *node)
{
    struct tracker *tracker = mem_alloc(sizeof *tracker);
    tracker->node = node;
    timer_init(&tracker->tick, node->loop, on_tick, tracker);
    looks_init(&tracker->looks, tracker);
    backfill_init(&tracker->backfill, tracker);
    outbox_init(&tracker->outbox, tracker);
    return tracker;
}

void tracker_start(struct tracker *tracker)
{
    open_way(tracker);
    timer_start(&tracker->tick, 0, TICK_MS);
}

void tracker_told(struct tracker *tracker, const char *word)
{
    if (strcmp(word, "look") == 0 || word[0] == '\0')
        looks_wake(&tracker->looks);
    if (strcmp(word, "tell") == 0 || word[0] == '\0')
        outbox_wake(&tracker->outbox);
}

void tracker_reload(struct tracker *tracker)
{
    if (tracker->on_stopped != NULL)
        return;
    tracker->tell_due = true;
    begin_close(tracker);
}

void tracker_stop(struct tracker *tracker, void (*on_stopped)(void *data), void *data)
{
    tracker->on_stopped = on_stopped;
    tracker->data = data;
    begin_close(tracker);
}

void tracker_free(struct tracker *tracker)
{
    looks_release(&tracker->looks);
    backfill_release(&tracker->backfill);
    outbox_release(&tracker->outbox);
    free(tracker);
}
