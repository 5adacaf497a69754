/* One issue's steps, and their end. */
#include "worker/forgejo/tell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/forgejo/outbox.h"
#include "worker/forgejo/render.h"
#include "worker/forgejo/tracker.h"

static struct tracker *tracker_of(const struct tell *tell)
{
    return tell->outbox->tracker;
}

void tell_free(struct tell *tell)
{
    list_remove(&tell->link);
    json_object_put(tell->story);
    json_object_put(tell->told);
    json_object_put(tell->news);
    buf_release(&tell->body);
    free(tell->repo);
    free(tell);
}

/* --- what stood, and what stands now --- */

const char *tell_told(const struct tell *tell, const char *name)
{
    return json_string(tell->told, name, "");
}

void tell_news(struct tell *tell, const char *name, const char *value)
{
    json_object_object_add(tell->news, name, value != NULL ? json_object_new_string(value) : NULL);
}

void tell_news_int(struct tell *tell, const char *name, int64_t value)
{
    json_object_object_add(tell->news, name, json_object_new_int64(value));
}

void tell_trouble(struct tell *tell, const char *what, const struct forgejo_answer *answer)
{
    char text[400];

    snprintf(text, sizeof text, "%s: %s", what, answer->text);
    log_debug(LOG_ABOUT(LOG_FIELD("repo", tell->repo)), "issue %" PRId64 ": %s", tell->number,
              text);
    tell_news(tell, "trouble", text);
}

/* --- the end --- */

static void on_end(void *data, const struct db_result *res, const struct error *err)
{
    struct tell *tell = data;
    struct outbox *outbox = tell->outbox;

    (void)res; /* false: another worker has it by now */
    if (err != NULL)
        node_failed(outbox->tracker->node, "told", err);
    outbox->count--;
    tell_free(tell);
    outbox_tick(outbox, clock_ms());
}

static void lock_key(const struct tell *tell, char key[40])
{
    snprintf(key, 40, "outbox %" PRId64, tell->task);
}

void tell_done(struct tell *tell)
{
    struct node *node = tracker_of(tell)->node;
    char task[24], seq[24], key[40];

    snprintf(task, sizeof task, "%" PRId64, tell->task);
    snprintf(seq, sizeof seq, "%" PRId64, tell->seq);
    lock_key(tell, key);
    if (json_member(tell->news, "trouble") == NULL)
        tell_news(tell, "trouble", NULL);
    const char *params[] = {node->id, task, seq, json_object_to_json_string(tell->news)};
    tell->state = TELL_OVER;
    db_query_locking(node->db, key, 0, "select fleet.told($1, $2, $3, $4::jsonb)", DB_REPEAT, 4,
                     params, on_end, tell);
}

void tell_failed(struct tell *tell, const char *kind, const char *why, int64_t retry_secs)
{
    struct node *node = tracker_of(tell)->node;
    char task[24], seq[24], secs[24], key[40];

    snprintf(task, sizeof task, "%" PRId64, tell->task);
    snprintf(seq, sizeof seq, "%" PRId64, tell->seq);
    snprintf(secs, sizeof secs, "%" PRId64, retry_secs > 0 ? retry_secs : 0);
    lock_key(tell, key);
    const char *params[] = {
        node->id, task, seq, kind, why, secs, json_object_to_json_string(tell->news)};
    tell->state = TELL_OVER;
    db_query_locking(node->db, key, 0,
                     "select fleet.tell_failed($1, $2, $3, $4, $5, $6, $7::jsonb)", DB_REPEAT, 7,
                     params, on_end, tell);
}

bool tell_is_away(const struct forgejo_answer *answer)
{
    return answer->verdict == FORGEJO_AWAY || answer->verdict == FORGEJO_GARBLED;
}

void tell_away(struct tell *tell, const struct forgejo_answer *answer)
{
    bool ours = !tracker_ready(tracker_of(tell));

    tell_failed(tell, ours ? "wait" : "away", answer->text, answer->retry_secs);
}

/* --- the label --- */

static void on_label(void *data, const struct forgejo_answer *answer)
{
    struct tell *tell = data;

    /* one that failed on its way may have set it all the same */
    tell_news(tell, "label", answer == NULL ? tell->label.name : "?");
    if (answer != NULL && tell_is_away(answer)) {
        tell_away(tell, answer);
        return;
    }
    if (answer != NULL)
        tell_trouble(tell, "the state label", answer);
    tell_go(tell, TELL_STATUS);
}

static void set_label(struct tell *tell)
{
    const char *name = json_string(tell->story, "label", NULL), *stands = tell_told(tell, "label");

    if (!tell->labels || strcmp(name != NULL ? name : "", stands) == 0) {
        tell_go(tell, TELL_STATUS);
        return;
    }
    tell->label = (struct label){.tracker = tracker_of(tell),
                                 .sets = &tell->outbox->labels,
                                 .repo = tell->repo,
                                 .number = tell->number,
                                 .name = name,
                                 .done = on_label,
                                 .data = tell};
    label_settle(&tell->label);
}

/* --- the steps --- */

void tell_go(struct tell *tell, enum tell_state state)
{
    static const char *const names[] = {"pull",   "comment", "call",  "label",
                                        "status", "reply",   "probe", "over"};
    log_debug(LOG_ABOUT(LOG_FIELD("repo", tell->repo)), "issue %" PRId64 ": tell %s", tell->number,
              names[state]);
    tell->state = state;
    switch (state) {
    case TELL_PULL:
        tell_pull(tell);
        return;
    case TELL_COMMENT:
        tell_comment(tell);
        return;
    case TELL_CALL:
        tell_call(tell);
        return;
    case TELL_LABEL:
        set_label(tell);
        return;
    case TELL_STATUS:
        tell_status(tell);
        return;
    case TELL_REPLY:
        tell_reply(tell);
        return;
    case TELL_PROBE:
        tell_probe(tell);
        return;
    case TELL_OVER:
        tell_done(tell);
    }
}

static struct json_object *object_of(const struct db_result *res, int row, const char *column)
{
    struct error err = {0};
    const char *text = db_text(res, row, column);
    struct json_object *object = text != NULL ? json_parse(text, strlen(text), &err) : NULL;

    return object != NULL ? object : json_object_new_object();
}

void tell_begin(struct outbox *outbox, const struct db_result *res, int row)
{
    struct tell *tell = mem_alloc(sizeof *tell);
    const char *repo = db_text(res, row, "repo");

    tell->outbox = outbox;
    tell->task = db_int(res, row, "task", 0);
    tell->seq = db_int(res, row, "seq", 0);
    tell->number = db_int(res, row, "issue_number", 0);
    tell->repo = mem_strdup(repo != NULL ? repo : "");
    tell->comments = db_bool(res, row, "comments");
    tell->labels = db_bool(res, row, "state_labels");
    tell->statuses = db_bool(res, row, "commit_statuses");
    tell->story = object_of(res, row, "story");
    tell->told = object_of(res, row, "told");
    tell->news = json_object_new_object();
    buf_init(&tell->body, 2 * RENDER_MAX);
    list_append(&outbox->tells, &tell->link);
    outbox->count++;
    tell_go(tell, TELL_PULL);
}
