/* The draft pull request of what a run pushed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/forgejo/outbox.h"
#include "worker/forgejo/render.h"
#include "worker/forgejo/shape.h"
#include "worker/forgejo/tell.h"
#include "worker/forgejo/tracker.h"

static const struct json_object *wanted(const struct tell *tell)
{
    return json_member(tell->story, "open_pull");
}

/* Whatever came of it: it was asked for, once for this head. */
static void asked(struct tell *tell)
{
    tell_news(tell, "pull_asked", json_string(wanted(tell), "sha", ""));
}

/* --- it is there --- */

/* With it the task is another one: it is told anew. */
static void on_known(void *data, const struct db_result *res, const struct error *err)
{
    struct tell *tell = data;

    (void)res;
    if (err != NULL) {
        node_failed(tell->outbox->tracker->node, "pull_opened", err);
        tell_failed(tell, "away", "the database could not be told of the pull request", -1);
        return;
    }
    asked(tell);
    tell_failed(tell, "wait", "", 0);
}

static void opened(struct tell *tell, const struct json_object *pull)
{
    struct node *node = tell->outbox->tracker->node;
    struct json_object *seen = json_object_new_object();
    char key[40];

    json_object_object_add(seen, "repository",
                           shape_repository(json_member(json_member(pull, "base"), "repo")));
    json_object_object_add(seen, "pull", shape_pull(pull));
    const char *params[] = {node->id, json_object_to_json_string(seen)};
    snprintf(key, sizeof key, "task %" PRId64, tell->task);
    db_query_locking(node->db, key, 0, "select fleet.pull_opened($1, $2::jsonb)", DB_REPEAT, 2,
                     params, on_known, tell);
    json_object_put(seen);
}

/* --- it is asked for --- */

static void without(struct tell *tell, const struct forgejo_answer *answer)
{
    if (tell_is_away(answer)) {
        tell_away(tell, answer);
        return;
    }
    asked(tell);
    tell_trouble(tell, "the draft pull request", answer);
    tell_go(tell, TELL_COMMENT);
}

static void on_found(void *data, const struct forgejo_answer *answer)
{
    struct tell *tell = data;

    if (answer->verdict == FORGEJO_OK)
        opened(tell, answer->json);
    else
        without(tell, answer);
}

/* 409: there is one of this branch already, perhaps made by us before our answer was lost. */
static void find(struct tell *tell)
{
    struct tracker *tracker = tell->outbox->tracker;
    struct buf path;

    buf_init(&path, 4096);
    forgejo_path(&path, "/repos/%r/pulls/%s/%s", tell->repo, json_string(wanted(tell), "base", ""),
                 json_string(wanted(tell), "head", ""));
    if (!tracker_ready(tracker))
        tell_failed(tell, "wait", "", 0);
    else if (path.failed)
        tell_go(tell, TELL_COMMENT);
    else
        forgejo_call(tracker->forgejo, "GET", buf_text(&path), NULL, false, on_found, tell);
    buf_release(&path);
}

static void on_asked(void *data, const struct forgejo_answer *answer)
{
    struct tell *tell = data;

    if (answer->verdict == FORGEJO_OK && answer->json != NULL)
        opened(tell, answer->json);
    else if (answer->status == 409)
        find(tell);
    else
        without(tell, answer);
}

static void ask(struct tell *tell, const struct buf *path)
{
    struct json_object *body = json_object_new_object();
    struct buf title, text;
    const char *items[2];
    struct redact_words words = tell_secrets(tell, items);

    buf_init(&title, 4096);
    buf_init(&text, 2 * RENDER_MAX);
    render_pull_title(&title, tell->story, &words);
    render_pull_body(&text, tell->story, &words);
    json_object_object_add(body, "title", json_object_new_string(buf_text(&title)));
    json_object_object_add(body, "body", json_object_new_string(buf_text(&text)));
    json_object_object_add(body, "head",
                           json_object_new_string(json_string(wanted(tell), "head", "")));
    json_object_object_add(body, "base",
                           json_object_new_string(json_string(wanted(tell), "base", "")));
    forgejo_call(tell->outbox->tracker->forgejo, "POST", buf_text(path),
                 json_object_to_json_string(body), false, on_asked, tell);
    buf_release(&title);
    buf_release(&text);
    json_object_put(body);
}

void tell_pull(struct tell *tell)
{
    struct buf path;

    buf_init(&path, 2048);
    if (wanted(tell) == NULL || !forgejo_path(&path, "/repos/%r/pulls", tell->repo))
        tell_go(tell, TELL_COMMENT);
    else if (!tracker_ready(tell->outbox->tracker))
        tell_failed(tell, "wait", "", 0);
    else
        ask(tell, &path);
    buf_release(&path);
}
