/* The comments about a task: the tracking comment, and the one that calls a person. */
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "worker/forgejo/outbox.h"
#include "worker/forgejo/render.h"
#include "worker/forgejo/tell.h"

static void hash_body(struct tell *tell)
{
    uint8_t digest[SHA256_SIZE];

    crypto_sha256(buf_text(&tell->body), tell->body.len, digest);
    crypto_hex(digest, sizeof digest, tell->hash);
}

/* Perhaps it is not this comment that Forgejo refuses. */
static void refused(struct tell *tell, const char *what, const struct forgejo_answer *answer)
{
    snprintf(tell->failed, sizeof tell->failed, "%s: %s", what, answer->text);
    tell->how = answer->verdict;
    if (answer->verdict == FORGEJO_REFUSED)
        tell_failed(tell, "failed", tell->failed, -1);
    else
        tell_go(tell, TELL_PROBE);
}

/* --- the tracking comment --- */

static void on_comment(void *data, enum comment_end end, const struct forgejo_answer *why)
{
    struct tell *tell = data;

    if (!tell_posted(tell, end, why))
        return;
    if (end == COMMENT_FAILED) {
        refused(tell, "the comment", why);
        return;
    }
    tell_news_int(tell, "comment_id", tell->comment.id);
    tell_news(tell, "comment_hash", tell->hash);
    tell_go(tell, TELL_CALL);
}

void tell_comment(struct tell *tell)
{
    int64_t id = json_int(tell->told, "comment_id", 0);
    const char *items[2];
    struct redact_words words = tell_secrets(tell, items);

    buf_clear(&tell->body);
    render_marker(tell->marker, tell->story);
    render_comment(&tell->body, tell->story, &words);
    hash_body(tell);
    bool same = id > 0 && tell_told(tell, "posting")[0] == '\0' &&
                strcmp(tell_told(tell, "comment_hash"), tell->hash) == 0;
    if (!tell->comments || same)
        tell_go(tell, TELL_CALL);
    else
        tell_post(tell, "comment", tell->number, id, true, on_comment);
}

/* --- the call --- */

static void on_call(void *data, enum comment_end end, const struct forgejo_answer *why)
{
    struct tell *tell = data;

    if (!tell_posted(tell, end, why))
        return;
    if (end == COMMENT_FAILED) {
        refused(tell, "the call", why);
        return;
    }
    tell_news(tell, "called", tell->posting);
    tell_go(tell, TELL_LABEL);
}

void tell_call(struct tell *tell)
{
    const char *key = json_string(json_member(tell->story, "need"), "key", "");
    const char *items[2];
    struct redact_words words = tell_secrets(tell, items);

    if (!tell->comments || key[0] == '\0' || strcmp(tell_told(tell, "called"), key) == 0) {
        tell_go(tell, TELL_LABEL);
        return;
    }
    buf_clear(&tell->body);
    render_call_marker(tell->marker, tell->story);
    render_call(&tell->body, tell->story, &words);
    tell_post(tell, key, tell->number, 0, false, on_call);
}
