/* The comments of an issue that is told: the tracking comment, and the one that calls a person. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "worker/forgejo/outbox.h"
#include "worker/forgejo/render.h"
#include "worker/forgejo/tell.h"
#include "worker/forgejo/tracker.h"

#define POSTED_WITHIN_MS 5000 /* of its announcement: comment.c counts from that */

static struct tracker *tracker_of(const struct tell *tell)
{
    return tell->outbox->tracker;
}

/* Our own tokens are in no text that Forgejo gets. `items` holds what `words` borrows. */
static struct redact_words secrets_of(const struct tell *tell, const char *items[2])
{
    const struct config *config = node_settings(tracker_of(tell)->node);
    struct redact_words words = {.items = items, .count = 0};

    if (config->forgejo.token != NULL)
        items[words.count++] = config->forgejo.token;
    if (config->forgejo.lookup_token != NULL)
        items[words.count++] = config->forgejo.lookup_token;
    return words;
}

static void hash_body(struct tell *tell)
{
    uint8_t digest[SHA256_SIZE];

    crypto_sha256(buf_text(&tell->body), tell->body.len, digest);
    crypto_hex(digest, sizeof digest, tell->hash);
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
    const char *what = tell->state == TELL_CALL ? tell->key : "comment";
    char task[24], seq[24], key[40];

    snprintf(task, sizeof task, "%" PRId64, tell->task);
    snprintf(seq, sizeof seq, "%" PRId64, tell->seq);
    snprintf(key, sizeof key, "outbox %" PRId64, tell->task);
    const char *params[] = {node->id, task, seq, what};
    tell->announced = clock_ms();
    json_object_object_del(tell->news, "posting"); /* of the comment before it */
    db_query_locking(node->db, key, 0, "select fleet.telling($1, $2, $3, $4) as ours", DB_REPEAT, 4,
                     params, on_announced, tell);
}

/* --- what came of it --- */

/* Perhaps it is not this comment that Forgejo refuses. */
static void refused(struct tell *tell, const struct forgejo_answer *answer)
{
    snprintf(tell->failed, sizeof tell->failed, "%s: %s",
             tell->state == TELL_CALL ? "the call" : "the comment", answer->text);
    tell->how = answer->verdict;
    if (answer->verdict == FORGEJO_REFUSED)
        tell_failed(tell, "failed", tell->failed, -1);
    else
        tell_go(tell, TELL_PROBE);
}

/* True: it stands. */
static bool settled(struct tell *tell, enum comment_end end, const struct forgejo_answer *why)
{
    if (!tell->comment.open)
        tell_news(tell, "posting", NULL);
    switch (end) {
    case COMMENT_STANDS:
        return true;
    case COMMENT_LATER:
        tell_failed(tell, "wait", "", tell->comment.wait_secs);
        return false;
    case COMMENT_FAILED:
        if (tell_is_away(why))
            tell_away(tell, why);
        else
            refused(tell, why);
    }
    return false;
}

static void begin(struct tell *tell, bool edits, int64_t id,
                  void (*done)(void *, enum comment_end, const struct forgejo_answer *))
{
    const char *what = tell->state == TELL_CALL ? tell->key : "comment";
    bool announced = strcmp(tell_told(tell, "posting"), what) == 0;

    tell->comment = (struct comment){
        .tracker = tracker_of(tell),
        .repo = tell->repo,
        .number = tell->number,
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

/* --- the tracking comment --- */

static void on_comment(void *data, enum comment_end end, const struct forgejo_answer *why)
{
    struct tell *tell = data;

    if (!settled(tell, end, why))
        return;
    tell_news_int(tell, "comment_id", tell->comment.id);
    tell_news(tell, "comment_hash", tell->hash);
    tell_go(tell, TELL_CALL);
}

void tell_comment(struct tell *tell)
{
    int64_t id = json_int(tell->told, "comment_id", 0);
    const char *items[2];
    struct redact_words words = secrets_of(tell, items);

    buf_clear(&tell->body);
    render_marker(tell->marker, tell->story);
    render_comment(&tell->body, tell->story, &words);
    hash_body(tell);
    bool same = id > 0 && tell_told(tell, "posting")[0] == '\0' &&
                strcmp(tell_told(tell, "comment_hash"), tell->hash) == 0;
    if (!tell->comments || same)
        tell_go(tell, TELL_CALL);
    else
        begin(tell, true, id, on_comment);
}

/* --- the call --- */

static void on_call(void *data, enum comment_end end, const struct forgejo_answer *why)
{
    struct tell *tell = data;

    if (!settled(tell, end, why))
        return;
    tell_news(tell, "called", tell->key);
    tell_go(tell, TELL_LABEL);
}

void tell_call(struct tell *tell)
{
    const char *key = json_string(json_member(tell->story, "need"), "key", "");
    const char *items[2];
    struct redact_words words = secrets_of(tell, items);

    snprintf(tell->key, sizeof tell->key, "%s", key);
    if (!tell->comments || key[0] == '\0' || strcmp(tell_told(tell, "called"), tell->key) == 0) {
        tell_go(tell, TELL_LABEL);
        return;
    }
    buf_clear(&tell->body);
    render_call_marker(tell->marker, tell->story);
    render_call(&tell->body, tell->story, &words);
    begin(tell, false, 0, on_call);
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
