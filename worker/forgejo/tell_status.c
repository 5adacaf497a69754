/* The commit status on the head that the task pushed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/forgejo/outbox.h"
#include "worker/forgejo/render.h"
#include "worker/forgejo/tell.h"
#include "worker/forgejo/tracker.h"

#define UNKNOWN_TRIES 5 /* of a head that the server does not know: 404, or 500 before 15.0.3 */
#define UNKNOWN_SECS 20

/* What is told, in one word to be compared with what was told last. */
static void mark(const struct json_object *commit, char *text, size_t size)
{
    snprintf(text, size, "%s %s %s", json_string(commit, "sha", ""),
             json_string(commit, "state", ""), json_string(commit, "context", ""));
}

/* The head may come to be known: the push and its processing are not one. */
static void unknown(struct tell *tell, const char *now, const struct forgejo_answer *answer)
{
    int64_t tries = json_int(tell->told, "status_tries", 0) + 1;

    if (tries < UNKNOWN_TRIES) {
        tell_news_int(tell, "status_tries", tries);
        tell_failed(tell, "wait", "", UNKNOWN_SECS * tries);
        return;
    }
    tell_news(tell, "status_told", now);
    tell_news_int(tell, "status_tries", 0);
    tell_trouble(tell, "the commit status", answer);
    tell_go(tell, TELL_REPLY);
}

static void on_status(void *data, const struct forgejo_answer *answer)
{
    struct tell *tell = data;
    char now[512];

    mark(json_member(tell->story, "commit"), now, sizeof now);
    if (answer->verdict == FORGEJO_GONE || answer->status == 500) {
        unknown(tell, now, answer);
        return;
    }
    if (tell_is_away(answer)) {
        tell_news(tell, "status_told", NULL); /* it may be there all the same */
        tell_away(tell, answer);
        return;
    }
    if (answer->verdict != FORGEJO_OK)
        tell_trouble(tell, "the commit status", answer);
    tell_news(tell, "status_told", now);
    tell_news_int(tell, "status_tries", 0);
    tell_go(tell, TELL_REPLY);
}

static void post(struct tell *tell, const struct json_object *commit, const struct buf *path)
{
    struct tracker *tracker = tell->outbox->tracker;
    struct json_object *body = json_object_new_object();
    struct buf text;

    buf_init(&text, 4096);
    render_status(&text, tell->story);
    json_object_object_add(body, "description", json_object_new_string(buf_text(&text)));
    buf_clear(&text);
    render_issue_url(&text, tell->story);
    json_object_object_add(body, "target_url", json_object_new_string(buf_text(&text)));
    json_object_object_add(body, "state", json_object_new_string(json_string(commit, "state", "")));
    json_object_object_add(body, "context",
                           json_object_new_string(json_string(commit, "context", "")));
    forgejo_call(tracker->forgejo, "POST", buf_text(path), json_object_to_json_string(body), false,
                 on_status, tell);
    buf_release(&text);
    json_object_put(body);
}

void tell_status(struct tell *tell)
{
    const struct json_object *commit = json_member(tell->story, "commit");
    struct buf path;
    char now[512];

    mark(commit, now, sizeof now);
    buf_init(&path, 2048);
    if (!tell->statuses || commit == NULL || strcmp(tell_told(tell, "status_told"), now) == 0 ||
        !forgejo_path(&path, "/repos/%r/statuses/%s", tell->repo, json_string(commit, "sha", "")))
        tell_go(tell, TELL_REPLY);
    else if (!tracker_ready(tell->outbox->tracker))
        tell_failed(tell, "wait", "", 0);
    else
        post(tell, commit, &path);
    buf_release(&path);
}
