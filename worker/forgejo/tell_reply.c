/* What is said to people's comments: a reaction, and a line below them where words are needed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/forgejo/outbox.h"
#include "worker/forgejo/render.h"
#include "worker/forgejo/tell.h"
#include "worker/forgejo/tracker.h"

static const struct json_object *response(const struct tell *tell)
{
    const struct json_object *all = json_member(tell->story, "responses");
    bool left = all != NULL && json_object_is_type(all, json_type_array) &&
                tell->reply < json_object_array_length(all);

    return left ? json_object_array_get_idx(all, tell->reply) : NULL;
}

/* All was said to it that can be: one that is gone, or that we may not answer, gets nothing. */
static void answered(struct tell *tell)
{
    struct json_object *list = json_member(tell->news, "answered");

    if (list == NULL) {
        list = json_object_new_array();
        json_object_object_add(tell->news, "answered", list);
    }
    json_object_array_add(list, json_object_new_int64(json_int(response(tell), "comment", 0)));
    tell->reply++;
    tell_reply(tell);
}

static void on_line(void *data, enum comment_end end, const struct forgejo_answer *why)
{
    struct tell *tell = data;

    if (!tell_posted(tell, end, why))
        return;
    if (end == COMMENT_FAILED)
        tell_trouble(tell, "the answer to a comment", why);
    answered(tell);
}

static void line(struct tell *tell)
{
    const char *text = json_string(response(tell), "text", "");
    char what[40];

    if (text[0] == '\0' || !tell->comments) {
        answered(tell);
        return;
    }
    snprintf(what, sizeof what, "reply.%" PRId64, json_int(response(tell), "comment", 0));
    marker_make(tell->marker, json_string(tell->story, "fleet", ""), what);
    buf_clear(&tell->body);
    buf_addf(&tell->body, "%s\n%s\n", tell->marker, text);
    tell_post(tell, what, json_int(response(tell), "number", 0), 0, false, on_line);
}

static void on_reacted(void *data, const struct forgejo_answer *answer)
{
    struct tell *tell = data;

    if (tell_is_away(answer)) {
        tell_away(tell, answer);
    } else if (answer->verdict == FORGEJO_GONE) {
        answered(tell);
    } else {
        if (answer->verdict != FORGEJO_OK)
            tell_trouble(tell, "the reaction to a comment", answer);
        line(tell);
    }
}

/* The same reaction again changes nothing. */
static void react(struct tell *tell, const struct buf *path)
{
    struct json_object *body = json_object_new_object();

    json_object_object_add(body, "content",
                           json_object_new_string(json_string(response(tell), "reaction", "eyes")));
    forgejo_call(tell->outbox->tracker->forgejo, "POST", buf_text(path),
                 json_object_to_json_string(body), false, on_reacted, tell);
    json_object_put(body);
}

void tell_reply(struct tell *tell)
{
    struct buf path;

    buf_init(&path, 2048);
    if (response(tell) == NULL || !forgejo_path(&path, "/repos/%r/issues/comments/%d/reactions",
                                                tell->repo, json_int(response(tell), "comment", 0)))
        tell_go(tell, TELL_OVER);
    else if (!tracker_ready(tell->outbox->tracker))
        tell_failed(tell, "wait", "", 0);
    else
        react(tell, &path);
    buf_release(&path);
}
