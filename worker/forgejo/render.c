/* From a story to what people read in Forgejo. */
#include "worker/forgejo/render.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/forgejo/words.h"
#include "worker/forgejo/marker.h"
#include "worker/forgejo/place.h"

#define SPAN_MAX ((size_t)200)
#define LINE_MAX_BYTES ((size_t)400)
#define SUMMARY_MAX ((size_t)12 << 10)
#define ERROR_MAX ((size_t)4 << 10)
#define QUESTION_MAX ((size_t)8 << 10)
#define LOGIN_MAX 255

static const char *text_of(const struct json_object *object, const char *name)
{
    return json_string(object, name, "");
}

static bool is(const struct json_object *object, const char *name, const char *value)
{
    return strcmp(text_of(object, name), value) == 0;
}

static void span(struct buf *out, const char *text, const struct redact_words *secrets)
{
    words_span(out, text, strlen(text), SPAN_MAX, secrets);
}

/* One line of words in Markdown: nothing of them formats anything. */
static void prose(struct buf *out, const char *text, const struct redact_words *secrets)
{
    struct buf line;

    buf_init(&line, 4 * LINE_MAX_BYTES);
    words_plain(&line, text, strlen(text), LINE_MAX_BYTES, secrets);
    for (const char *at = buf_text(&line); *at != '\0'; at++) {
        if (strchr("\\`*_~[]|<>", *at) != NULL)
            buf_adds(out, "\\");
        buf_add(out, at, 1);
    }
    buf_release(&line);
}

void render_issue_url(struct buf *out, const struct json_object *story)
{
    place_numbered(out, story, "issues", json_int(story, "number", 0));
}

/* --- the state --- */

static void add_time(struct buf *out, int64_t secs)
{
    int64_t minutes = secs / 60;

    if (minutes < 1)
        buf_adds(out, "less than a minute");
    else if (minutes < 60)
        buf_addf(out, "%" PRId64 " min", minutes);
    else
        buf_addf(out, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60);
}

static const char *state_of(const struct json_object *story)
{
    static const struct {
        const char *status, *words;
    } states[] = {
        {"created", "queued"},  {"assigned", "starting"},
        {"running", "running"}, {"agent_lost", "running, but its host is out of reach"},
        {"completed", "done"},  {"review_pending", "waiting for a review"},
        {"failed", "failed"},   {"cancelled", "cancelled"},
    };

    if (is(json_member(story, "need"), "kind", "needs_input"))
        return "waiting for an answer";
    if (is(story, "status", "created") && text_of(story, "hold")[0] != '\0')
        return "on hold";
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (is(story, "status", states[i].status))
            return states[i].words;
    }
    return "unknown";
}

/* State, agent and host, attempt, elapsed time. */
static void add_head(struct buf *out, const struct json_object *story,
                     const struct redact_words *secrets)
{
    const struct json_object *attempt = json_member(story, "attempt");

    buf_addf(out, "**Agent Fleet: %s**", state_of(story));
    if (attempt != NULL && !is(story, "status", "created")) {
        buf_addf(out, " · attempt %" PRId64, json_int(attempt, "number", 0));
        if (text_of(attempt, "agent")[0] != '\0') {
            buf_adds(out, " by ");
            span(out, text_of(attempt, "agent"), secrets);
        }
        if (text_of(attempt, "host")[0] != '\0') {
            buf_adds(out, " on ");
            span(out, text_of(attempt, "host"), secrets);
        }
        buf_adds(out, json_flag(attempt, "ended", false) ? " · took " : " · for ");
        add_time(out, json_int(attempt, "elapsed_secs", 0));
    }
    buf_adds(out, "\n\n");
}

static const char *hold_words(const char *hold)
{
    static const struct {
        const char *hold, *words;
    } holds[] = {
        {"permission_pending", "it is being asked whether who added the label may start work here"},
        {"needs_approval", "somebody who may start work here has to approve it: `/agent approve`"},
        {"text_changed", "the text was changed since it was asked for; somebody who may start work "
                         "here has to approve it as it is now: `/agent approve`"},
        {"reading", "the issue is read once more before the start"},
        {"daily_limit", "the runs that are allowed in a day are used up; it starts by itself"},
    };

    for (size_t i = 0; i < sizeof holds / sizeof *holds; i++) {
        if (strcmp(hold, holds[i].hold) == 0)
            return holds[i].words;
    }
    return NULL;
}

static void add_hold(struct buf *out, const struct json_object *story,
                     const struct redact_words *secrets)
{
    const char *hold = text_of(story, "hold"), *until = text_of(story, "waits_until");

    if (hold[0] != '\0') {
        buf_adds(out, "- Waits: ");
        if (hold_words(hold) != NULL)
            buf_adds(out, hold_words(hold));
        else
            span(out, hold, secrets);
        buf_adds(out, "\n");
    }
    if (until[0] != '\0') {
        buf_adds(out, "- Not before: ");
        span(out, until, secrets);
        buf_adds(out, "\n");
    }
}

/* Why it is as it is, and what to do. */
static void add_why(struct buf *out, const struct json_object *story,
                    const struct redact_words *secrets)
{
    const char *reason = text_of(story, "reason"), *why = text_of(story, "cancel_reason");
    bool cancelled = is(story, "status", "cancelled");

    add_hold(out, story, secrets);
    if (cancelled) {
        buf_adds(out, "- Cancelled by ");
        span(out, json_string(story, "cancel_by", "the fleet"), secrets);
        if (why[0] != '\0') {
            buf_adds(out, ": ");
            prose(out, why, secrets);
        }
        buf_adds(out, "\n");
    }
    if (reason[0] == '\0' || (cancelled && strcmp(reason, "cancelled") == 0))
        return;
    buf_adds(out, is(story, "status", "created") ? "- Its last run ended: " : "- Why: ");
    span(out, reason, secrets);
    if (text_of(story, "advice")[0] != '\0') {
        buf_adds(out, " · ");
        prose(out, text_of(story, "advice"), secrets);
    }
    buf_adds(out, "\n");
}

/* --- the work --- */

static void add_branch(struct buf *out, const struct json_object *story,
                       const struct redact_words *secrets)
{
    const struct json_object *attempt = json_member(story, "attempt"),
                             *work = json_member(attempt, "work");
    const char *branch = json_string(work, "branch", text_of(story, "branch"));
    struct buf name, url;

    if (is(attempt, "outcome", "no_change"))
        buf_adds(out, "- It changed nothing.\n");
    if (json_member(work, "pushed") == NULL || branch[0] == '\0')
        return;
    buf_init(&name, 4 * SPAN_MAX);
    buf_init(&url, PLACE_MAX);
    span(&name, branch, secrets);
    place_branch(&url, story, branch);
    buf_adds(out, "- Branch: ");
    place_link(out, buf_text(&name), &url);
    int64_t commits = json_int(work, "commits", 0), files = json_int(work, "files", 0);
    buf_addf(out, ", %" PRId64 " commit%s, %" PRId64 " file%s, +%" PRId64 " −%" PRId64 "\n",
             commits, commits == 1 ? "" : "s", files, files == 1 ? "" : "s",
             json_int(work, "insertions", 0), json_int(work, "deletions", 0));
    buf_release(&name);
    buf_release(&url);
}

static void add_pull(struct buf *out, const struct json_object *story)
{
    const struct json_object *pull = json_member(story, "pull");
    int64_t number = json_int(pull, "number", 0);
    bool open = is(pull, "state", "open"), merged = json_flag(pull, "merged", false);
    char text[64];
    struct buf url;

    if (number <= 0)
        return;
    buf_init(&url, PLACE_MAX);
    place_numbered(&url, story, "pulls", number);
    snprintf(text, sizeof text, "%" PRId64, number);
    buf_adds(out, "- Pull request: ");
    place_link(out, text, &url);
    buf_addf(out, ", %s%s\n",
             open     ? "open"
             : merged ? "merged"
                      : "closed",
             open && json_flag(pull, "draft", false) ? ", a draft" : "");
    buf_release(&url);
}

static void add_spent(struct buf *out, const struct json_object *story)
{
    const struct json_object *spent = json_member(story, "spent"),
                             *cost = json_member(spent, "cost_usd");

    if (json_member(spent, "input") == NULL && json_member(spent, "output") == NULL && cost == NULL)
        return;
    buf_adds(out, "- Used, as the agent says:");
    if (json_member(spent, "input") != NULL)
        buf_addf(out, " %" PRId64 " tokens in", json_int(spent, "input", 0));
    if (json_int(spent, "cached_input", 0) > 0)
        buf_addf(out, " (%" PRId64 " of them cached)", json_int(spent, "cached_input", 0));
    if (json_member(spent, "output") != NULL)
        buf_addf(out, ", %" PRId64 " out", json_int(spent, "output", 0));
    if (cost != NULL)
        buf_addf(out, " · $%.2f", json_object_get_double(cost));
    buf_adds(out, "\n");
}

static void add_block(struct buf *out, const char *summary, const struct json_object *object,
                      const char *name, size_t max, const struct redact_words *secrets)
{
    const char *text = text_of(object, name);

    words_block(out, summary, text, strlen(text), max, secrets);
}

static void add_words(struct buf *out, const struct json_object *story,
                      const struct redact_words *secrets)
{
    const struct json_object *attempt = json_member(story, "attempt");

    if (is(json_member(story, "need"), "kind", "needs_input"))
        add_block(out, "What it asks", attempt, "question", QUESTION_MAX, secrets);
    add_block(out, "What the agent says", attempt, "summary", SUMMARY_MAX, secrets);
    if (is(story, "status", "failed") || is(story, "status", "created"))
        add_block(out, "What went wrong", attempt, "error", ERROR_MAX, secrets);
}

/* --- what one can do --- */

static const char *commands_of(const struct json_object *story)
{
    const char *kind = text_of(json_member(story, "need"), "kind");

    if (strcmp(kind, "needs_input") == 0)
        return "`/agent answer …` (or a plain comment) · `/agent cancel`";
    if (strcmp(kind, "needs_approval") == 0 || strcmp(kind, "text_changed") == 0)
        return "`/agent approve` · `/agent cancel`";
    if (is(story, "status", "completed"))
        return "`/agent continue …` · `/agent rerun`";
    if (is(story, "status", "review_pending"))
        return "`/agent continue …` · `/agent cancel`";
    if (is(story, "status", "failed"))
        return "`/agent retry` · `/agent rerun` · `/agent continue …`";
    if (is(story, "status", "cancelled"))
        return "`/agent rerun`";
    return "`/agent cancel`";
}

void render_marker(char *text, const struct json_object *story)
{
    marker_make(text, text_of(story, "fleet"), NULL);
}

void render_comment(struct buf *out, const struct json_object *story,
                    const struct redact_words *secrets)
{
    char marker[MARKER_SIZE];

    render_marker(marker, story);
    buf_addf(out, "%s\n", marker);
    add_head(out, story, secrets);
    add_why(out, story, secrets);
    add_branch(out, story, secrets);
    add_pull(out, story);
    add_spent(out, story);
    add_words(out, story, secrets);
    buf_addf(out, "\n<sub>As the first line of a comment: %s · `/agent help`</sub>\n",
             commands_of(story));
}

/* --- who is called --- */

bool render_call_marker(char *text, const struct json_object *story)
{
    const char *key = text_of(json_member(story, "need"), "key");
    char what[100];

    snprintf(what, sizeof what, "call.%s", key);
    marker_make(text, text_of(story, "fleet"), what);
    return key[0] != '\0';
}

/* A login as Forgejo has them; "" for all else, which mentions nobody. */
static bool is_login(const char *login)
{
    size_t len = strspn(login, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

    return len > 0 && len <= LOGIN_MAX && login[len] == '\0' && isalnum((unsigned char)login[0]);
}

static const char *call_words(const char *kind)
{
    if (strcmp(kind, "needs_input") == 0)
        return "the agent asks something. Answer with a comment here, or `/agent answer …`.";
    if (strcmp(kind, "needs_approval") == 0)
        return "this waits for somebody who may start work here to approve it: `/agent approve`.";
    if (strcmp(kind, "text_changed") == 0)
        return "the text was changed before the work began. Somebody who may start work here has "
               "to approve it as it is now: `/agent approve`.";
    return "this failed, and is not tried again by itself. `/agent retry` tries it again.";
}

void render_call(struct buf *out, const struct json_object *story,
                 const struct redact_words *secrets)
{
    const struct json_object *need = json_member(story, "need");
    const char *login = text_of(need, "login"), *kind = text_of(need, "kind");
    char marker[MARKER_SIZE];

    render_call_marker(marker, story);
    buf_addf(out, "%s\n", marker);
    if (is_login(login))
        buf_addf(out, "@%s: ", login);
    buf_addf(out, "%s\n", call_words(kind));
    if (strcmp(kind, "needs_input") == 0)
        add_block(out, "What it asks", json_member(story, "attempt"), "question", QUESTION_MAX,
                  secrets);
    else
        add_why(out, story, secrets);
}

/* --- pull requests and commits --- */

void render_pull_title(struct buf *out, const struct json_object *story,
                       const struct redact_words *secrets)
{
    const char *title = text_of(story, "title");

    buf_adds(out, "WIP: ");
    words_plain(out, title, strlen(title), RENDER_TITLE_MAX - 5, secrets);
}

void render_pull_body(struct buf *out, const struct json_object *story,
                      const struct redact_words *secrets)
{
    const struct json_object *attempt = json_member(story, "attempt");

    buf_addf(out, "For #%" PRId64 ". Made by Agent Fleet, attempt %" PRId64 " by ",
             json_int(story, "number", 0), json_int(attempt, "number", 0));
    span(out, json_string(attempt, "agent", "an agent"), secrets);
    buf_adds(out, ". A person has to look at it: merging completes the task, closing it unmerged "
                  "fails it, and a review that requests changes starts another run.\n");
    add_block(out, "What the agent says", attempt, "summary", SUMMARY_MAX, secrets);
}

void render_status(struct buf *out, const struct json_object *story)
{
    struct buf line;

    buf_init(&line, 4 * LINE_MAX_BYTES);
    buf_addf(&line, "attempt %" PRId64 ": %s", json_int(json_member(story, "commit"), "attempt", 0),
             state_of(story));
    if (text_of(story, "reason")[0] != '\0')
        buf_addf(&line, ", %s", text_of(story, "reason"));
    words_plain(out, buf_text(&line), line.len, RENDER_STATUS_MAX, NULL);
    buf_release(&line);
}
