/* Comments of an issue that is told: announced, posted, and whose fault it is when they cannot be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "worker/forgejo/outbox.h"
#include "worker/forgejo/tell.h"
#include "worker/forgejo/tracker.h"

#define POSTED_WITHIN_MS 5000 /* of its announcement: comment.c counts from that */

static struct tracker *tracker_of(const struct tell *tell)
{
    return tell->outbox->tracker;
}

struct redact_words tell_secrets(const struct tell *tell, const char *items[2])
{
    const struct config *config = node_settings(tracker_of(tell)->node);
    struct redact_words words = {.items = items, .count = 0};

    if (config->forgejo.token != NULL)
        items[words.count++] = config->forgejo.token;
    if (config->forgejo.lookup_token != NULL)
        items[words.count++] = config->forgejo.lookup_token;
    return words;
}

/* --- announcing --- */

static void on_announced(void *data, const struct db_result *res, const struct error *err)
{
    struct tell *tell = data;
    bool ours = err == NULL && db_rows(res) == 1 && db_bool(res, 0, "ours");
    bool late = clock_ms() - tell->announced > POSTED_WITHIN_MS;

    if (err != NULL)
        node_failed(tracker_of(tell)->node, "telling", err);
    if (!ours || late)
        tell_failed(tell, "wait", "", 0);
    else
        comment_announced(&tell->comment);
}

static void announce(void *data)
{
    struct tell *tell = data;
    struct node *node = tracker_of(tell)->node;
    char task[24], seq[24], key[40];

    snprintf(task, sizeof task, "%" PRId64, tell->task);
    snprintf(seq, sizeof seq, "%" PRId64, tell->seq);
    snprintf(key, sizeof key, "outbox %" PRId64, tell->task);
    const char *params[] = {node->id, task, seq, tell->posting};
    tell->announced = clock_ms();
    json_object_object_del(tell->news, "posting"); /* of the comment before it */
    db_query_locking(node->db, key, 0, "select fleet.telling($1, $2, $3, $4) as ours", DB_REPEAT, 4,
                     params, on_announced, tell);
}

/* --- posting --- */

void tell_post(struct tell *tell, const char *posting, int64_t number, int64_t id, bool edits,
               void (*done)(void *, enum comment_end, const struct forgejo_answer *))
{
    bool announced = strcmp(tell_told(tell, "posting"), posting) == 0;

    snprintf(tell->posting, sizeof tell->posting, "%s", posting);
    tell->comment = (struct comment){
        .tracker = tracker_of(tell),
        .repo = tell->repo,
        .number = number,
        .marker = tell->marker,
        .body = buf_text(&tell->body),
        .id = id,
        .posting_secs = announced ? json_int(tell->told, "posting_secs", 0) : -1,
        .edits = edits,
        .announce = announce,
        .done = done,
        .data = tell,
    };
    comment_settle(&tell->comment);
}

bool tell_posted(struct tell *tell, enum comment_end end, const struct forgejo_answer *why)
{
    if (!tell->comment.open)
        tell_news(tell, "posting", NULL);
    if (end == COMMENT_FAILED && strcmp(tell->posting, "comment") == 0)
        tell_news(tell, "comment_hash", NULL); /* it may have been edited all the same */
    if (end == COMMENT_LATER)
        tell_failed(tell, "wait", "", tell->comment.wait_secs);
    else if (end == COMMENT_FAILED && tell_is_away(why))
        tell_away(tell, why);
    else
        return true;
    return false;
}

/* --- whose fault it is --- */

/* A scope that the token lacks is lacking for each issue. */
static bool is_general(const struct tell *tell)
{
    return strstr(tell->failed, "scope") != NULL;
}

static void on_repository(void *data, const struct forgejo_answer *answer)
{
    struct tell *tell = data;
    char why[800];

    if (tell_is_away(answer)) {
        tell_away(tell, answer);
    } else if (answer->verdict == FORGEJO_MOVED) {
        tell_failed(tell, "moved", answer->text, -1);
    } else if (answer->verdict != FORGEJO_OK) {
        snprintf(why, sizeof why, "%s: %s", forgejo_verdict_word(answer->verdict), answer->text);
        tell_failed(tell, "repository", why, -1);
    } else if (json_flag(answer->json, "archived", false)) {
        tell_failed(tell, "repository", "locked: the repository is archived", -1);
    } else if (is_general(tell)) {
        snprintf(why, sizeof why, "%s: %s", forgejo_verdict_word(tell->how), tell->failed);
        tell_failed(tell, "repository", why, -1);
    } else {
        tell_failed(tell, "park", tell->failed, -1);
    }
}

void tell_probe(struct tell *tell)
{
    struct tracker *tracker = tracker_of(tell);
    struct buf path;

    buf_init(&path, 2048);
    if (!forgejo_path(&path, "/repos/%r", tell->repo))
        tell_failed(tell, "park", "the repository has no name that can be asked for", -1);
    else if (!tracker_ready(tracker))
        tell_failed(tell, "wait", "", 0);
    else
        forgejo_call(tracker->forgejo, "GET", buf_text(&path), NULL, false, on_repository, tell);
    buf_release(&path);
}
