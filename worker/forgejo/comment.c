/* A comment, step by step. */
#include "worker/forgejo/comment.h"

#include <inttypes.h>
#include <string.h>

#include "worker/forgejo/marker.h"

#define PATH_MAX_BYTES 2048
#define TIMELINE_MAX 20000
#define SLACK_SECS 5 /* from its announcement to the sending of a POST, at most */

static void look(struct comment *comment);

/* What a call of a path that cannot be is answered by. */
static const struct forgejo_answer impossible = {
    .verdict = FORGEJO_REFUSED,
    .retry_secs = -1,
    .text = "the repository has no name that can be asked for"};
static const struct forgejo_answer endless = {
    .verdict = FORGEJO_REFUSED, .retry_secs = -1, .text = "the timeline of the issue is too long"};
static const struct forgejo_answer stopped = {
    .verdict = FORGEJO_AWAY, .retry_secs = -1, .text = "this worker stops"};

static void end(struct comment *comment, enum comment_end how, const struct forgejo_answer *why)
{
    comment->done(comment->data, how, why);
}

/* Sends `method` to a path of the repository's issues; releases it. */
static void call(struct comment *comment, const char *method, struct buf *path, bool with_body,
                 forgejo_done_cb done)
{
    struct buf body;

    buf_init(&body, 8 * strlen(comment->body) + 64);
    if (with_body) {
        buf_adds(&body, "{\"body\":");
        json_quote(&body, comment->body, strlen(comment->body));
        buf_adds(&body, "}");
    }
    if (!tracker_ready(comment->tracker))
        end(comment, COMMENT_FAILED, &stopped);
    else if (path->failed)
        end(comment, COMMENT_FAILED, &impossible);
    else
        forgejo_call(comment->tracker->forgejo, method, buf_text(path),
                     with_body ? buf_text(&body) : NULL, false, done, comment);
    buf_release(&body);
    buf_release(path);
}

static void by_id(struct comment *comment, const char *method, int64_t id, bool with_body,
                  forgejo_done_cb done)
{
    struct buf path;

    buf_init(&path, PATH_MAX_BYTES);
    forgejo_path(&path, "/repos/%r/issues/comments/%d", comment->repo, id);
    call(comment, method, &path, with_body, done);
}

static void of_issue(struct comment *comment, const char *method, bool with_body,
                     forgejo_done_cb done)
{
    struct buf path;

    buf_init(&path, PATH_MAX_BYTES);
    forgejo_path(&path, "/repos/%r/issues/%d/comments", comment->repo, comment->number);
    call(comment, method, &path, with_body, done);
}

/* --- one that stands --- */

static void on_edited(void *data, const struct forgejo_answer *answer)
{
    struct comment *comment = data;

    if (answer->verdict == FORGEJO_OK) {
        end(comment, COMMENT_STANDS, NULL);
    } else if (answer->verdict == FORGEJO_GONE) {
        comment->id = 0;
        look(comment);
    } else {
        end(comment, COMMENT_FAILED, answer);
    }
}

static void edit(struct comment *comment)
{
    by_id(comment, "PATCH", comment->id, true, on_edited);
}

static void on_dropped(void *data, const struct forgejo_answer *answer);

/* Those that are too many go first, so that one that is found is the only one. */
static void drop(struct comment *comment)
{
    if (comment->extra_count > 0)
        by_id(comment, "DELETE", comment->extras[--comment->extra_count], false, on_dropped);
    else if (comment->edits)
        edit(comment);
    else
        end(comment, COMMENT_STANDS, NULL);
}

static void on_dropped(void *data, const struct forgejo_answer *answer)
{
    struct comment *comment = data;

    if (answer->verdict == FORGEJO_OK || answer->verdict == FORGEJO_GONE)
        drop(comment);
    else
        end(comment, COMMENT_FAILED, answer);
}

/* --- one that is not known --- */

static void on_posted(void *data, const struct forgejo_answer *answer)
{
    struct comment *comment = data;

    comment->id = json_int(answer->json, "id", 0);
    comment->open = comment->id <= 0 && (answer->verdict == FORGEJO_OK || answer->sent);
    if (comment->id > 0)
        end(comment, COMMENT_STANDS, NULL);
    else
        end(comment, COMMENT_FAILED, answer);
}

void comment_announced(struct comment *comment)
{
    comment->open = true;
    of_issue(comment, "POST", true, on_posted);
}

/* None is there. One that was announced may still come. */
static void post(struct comment *comment)
{
    int64_t timeout = node_settings(comment->tracker->node)->forgejo.timeout_secs;

    comment->wait_secs = 2 * timeout + SLACK_SECS - comment->posting_secs;
    if (comment->posting_secs >= 0 && comment->wait_secs > 0) {
        comment->open = true;
        end(comment, COMMENT_LATER, NULL);
    } else {
        comment->announce(comment->data);
    }
}

static void on_timeline(void *data, const struct forgejo_answer *answer)
{
    struct comment *comment = data;
    int64_t ids[COMMENT_EXTRAS + 1];

    if (answer->verdict != FORGEJO_OK) {
        end(comment, COMMENT_FAILED, answer);
        return;
    }
    size_t count = marker_find(answer->json, comment->marker, comment->tracker->user_id, ids,
                               COMMENT_EXTRAS + 1);
    if (count == 0 && answer->more) {
        end(comment, COMMENT_FAILED, &endless);
        return;
    }
    if (count == 0) {
        post(comment);
        return;
    }
    comment->open = false;
    comment->id = ids[0];
    comment->extra_count = count - 1;
    memcpy(comment->extras, ids + 1, (count - 1) * sizeof *ids);
    drop(comment);
}

/* In the timeline, which has pages: the list of comments comes in one piece, however large. */
static void look(struct comment *comment)
{
    struct buf path;

    buf_init(&path, PATH_MAX_BYTES);
    forgejo_path(&path, "/repos/%r/issues/%d/timeline", comment->repo, comment->number);
    if (!tracker_ready(comment->tracker))
        end(comment, COMMENT_FAILED, &stopped);
    else if (path.failed)
        end(comment, COMMENT_FAILED, &impossible);
    else
        forgejo_list_shaped(comment->tracker->forgejo, buf_text(&path), TIMELINE_MAX, marker_shape,
                            on_timeline, comment);
    buf_release(&path);
}

void comment_settle(struct comment *comment)
{
    comment->open = comment->posting_secs >= 0;
    if (comment->id > 0)
        edit(comment);
    else
        look(comment);
}
