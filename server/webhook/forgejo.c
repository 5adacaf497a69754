/* Forgejo's headers and payloads, read. */
#include "server/webhook/forgejo.h"

#include <string.h>
#include <strings.h>

#include "server/api/value.h"

#include "common/text.h"

#define NUMBER_MAX 999999999

static bool parse_mac(const struct forgejo_header *header, uint8_t mac[SHA256_SIZE])
{
    static const char prefix[] = "sha256=";
    const char *text = header->value;
    size_t len = header->len;
    if (len > strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0) {
        text += strlen(prefix);
        len -= strlen(prefix);
    }
    return len == (size_t)2 * SHA256_SIZE && crypto_unhex(text, len, mac);
}

bool forgejo_signature(const struct forgejo_signatures *headers, uint8_t mac[SHA256_SIZE],
                       struct error *err)
{
    const struct forgejo_header *all[] = {&headers->forgejo, &headers->gitea, &headers->hub};
    static const char *const names[] = {"X-Forgejo-Signature", "X-Gitea-Signature",
                                        "X-Hub-Signature-256"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i]->count == 0)
            continue;
        if (all[i]->count > 1) {
            error_set(err, "%s is there %zu times", names[i], all[i]->count);
            return false;
        }
        if (!parse_mac(all[i], mac)) {
            error_set(err, "%s is not an HMAC-SHA256 of 64 hexadecimal digits", names[i]);
            return false;
        }
        return true;
    }
    error_set(err, "there is no X-Forgejo-Signature header");
    return false;
}

bool forgejo_signed_with(const char *secret, const void *body, size_t len,
                         const uint8_t mac[SHA256_SIZE])
{
    uint8_t own[SHA256_SIZE];
    if (secret == NULL || secret[0] == '\0')
        return false;
    crypto_hmac_sha256(secret, strlen(secret), body, len, own);
    bool equal = crypto_equal(own, mac, sizeof own);
    crypto_wipe(own, sizeof own);
    return equal;
}

/* Event names and types share one list: every one of them is known (modules/webhook/type.go). */
static const char *const known_events[] = {"issues",
                                           "issue_assign",
                                           "issue_label",
                                           "issue_milestone",
                                           "issue_comment",
                                           "pull_request",
                                           "pull_request_comment",
                                           "pull_request_assign",
                                           "pull_request_label",
                                           "pull_request_milestone",
                                           "pull_request_sync",
                                           "pull_request_review_request",
                                           "pull_request_review_approved",
                                           "pull_request_review_rejected",
                                           "pull_request_review_comment",
                                           "pull_request_approved",
                                           "pull_request_rejected",
                                           "push",
                                           "create",
                                           "delete",
                                           "fork",
                                           "wiki",
                                           "repository",
                                           "release",
                                           "action_run_failure",
                                           "action_run_recover",
                                           "action_run_success",
                                           "package",
                                           NULL};

enum forgejo_event forgejo_event_of(const char *event, const char *type)
{
    if (strcmp(event, "issues") == 0 &&
        (type[0] == '\0' || strcmp(type, "issues") == 0 || strcmp(type, "issue_label") == 0))
        return FORGEJO_ISSUE;
    if (text_listed(event, known_events) || (event[0] == '\0' && text_listed(type, known_events)))
        return FORGEJO_OTHER;
    return FORGEJO_UNKNOWN;
}

/* --- the payload --- */

static bool invalid(struct error *err, const char *what)
{
    error_set(err, "the payload is not that of an issue event: %s", what);
    return false;
}

static bool is_object(const struct json_object *value)
{
    return value != NULL && json_object_is_type(value, json_type_object);
}

/* The headers are not signed, so the body has to be of the shape they promise. */
static bool check_shape(const struct json_object *json, const struct json_object *item,
                        struct error *err)
{
    if (!is_object(json))
        return invalid(err, "it is not an object");
    if (json_member(json, "pull_request") != NULL || json_member(json, "comment") != NULL ||
        json_member(json, "review") != NULL || json_member(json, "commits") != NULL)
        return invalid(err, "it holds another kind of event");
    if (!is_object(item))
        return invalid(err, "it has no \"issue\"");
    if (json_member(item, "pull_request") != NULL)
        return invalid(err, "its issue is a pull request");
    if (!is_object(json_member(item, "user")))
        return invalid(err, "its issue has no \"user\"");
    return true;
}

static bool read_labels(struct forgejo_issue *issue, const struct json_object *item,
                        struct error *err)
{
    struct json_object *labels = json_member(item, "labels");
    issue->labels = json_object_new_array();
    /* Forgejo still sends the old labels with label_cleared; null and [] mean the same. */
    if (labels == NULL || strcmp(issue->action, "label_cleared") == 0)
        return true;
    if (!json_object_is_type(labels, json_type_array))
        return invalid(err, "\"issue.labels\" is not a list of labels");
    for (size_t i = 0; i < json_object_array_length(labels); i++) {
        const char *name = json_string(json_object_array_get_idx(labels, i), "name", "");
        if (name[0] == '\0')
            return invalid(err, "a label has no name");
        json_object_array_add(issue->labels, json_object_new_string(name));
    }
    return true;
}

static void read_texts(struct forgejo_issue *issue, const struct json_object *json,
                       const struct json_object *item)
{
    issue->repo = json_string(json_member(json, "repository"), "full_name", "");
    issue->sender = json_string(json_member(json, "sender"), "login", "");
    issue->number = json_int(item, "number", 0);
    issue->title = json_string(item, "title", "");
    issue->body = json_string(item, "body", "");
    issue->state = json_string(item, "state", "");
    issue->updated_at = json_string(item, "updated_at", "");
    issue->html_url = json_string(item, "html_url", "");
}

static bool check_texts(const struct forgejo_issue *issue, const struct json_object *json,
                        const struct json_object *item, struct error *err)
{
    const char *inner = json_string(json_member(item, "repository"), "full_name", issue->repo);
    if (issue->repo[0] == '\0')
        return invalid(err, "it has no \"repository.full_name\"");
    if (strcasecmp(inner, issue->repo) != 0)
        return invalid(err, "\"issue.repository\" is not \"repository\"");
    if (issue->number < 1 || issue->number > NUMBER_MAX ||
        json_int(json, "number", issue->number) != issue->number)
        return invalid(err, "\"issue.number\" is not a positive number, or not \"number\"");
    if (issue->sender[0] == '\0' || strlen(issue->sender) > 255)
        return invalid(err, "it has no \"sender.login\"");
    if (issue->title[0] == '\0')
        return invalid(err, "it has no \"issue.title\"");
    if (strcmp(issue->state, "open") != 0 && strcmp(issue->state, "closed") != 0)
        return invalid(err, "\"issue.state\" is neither open nor closed");
    if (!value_is_time(issue->updated_at))
        return invalid(err, "\"issue.updated_at\" is not a time");
    if (strlen(issue->html_url) > 2048)
        return invalid(err, "\"issue.html_url\" is too long");
    return true;
}

/* FORGEJO_PARSED: the action may change what is wanted. */
static enum forgejo_parse judge_action(const char *action, const char *type, struct error *err)
{
    static const char *const issue_actions[] = {"opened", "closed", "reopened", "edited", NULL};
    static const char *const label_actions[] = {"label_updated", "label_cleared", NULL};
    if (action[0] == '\0') {
        invalid(err, "it has no \"action\"");
        return FORGEJO_INVALID;
    }
    bool about_issue = text_listed(action, issue_actions),
         about_label = text_listed(action, label_actions);
    if ((about_issue && strcmp(type, "issue_label") == 0) ||
        (about_label && strcmp(type, "issues") == 0)) {
        error_set(err, "the action '%.32s' does not belong to the event type '%.32s'", action,
                  type);
        return FORGEJO_INVALID;
    }
    return about_issue || about_label ? FORGEJO_PARSED : FORGEJO_IGNORED;
}

enum forgejo_parse forgejo_issue_parse(struct forgejo_issue *issue, const char *bytes, size_t len,
                                       const char *type, struct error *err)
{
    error_clear(err);
    *issue = (struct forgejo_issue){.json = json_parse(bytes, len, err)};
    if (issue->json == NULL) {
        if (err->text[0] == '\0')
            invalid(err, "it is null");
        return FORGEJO_INVALID;
    }
    const struct json_object *item =
        is_object(issue->json) ? json_member(issue->json, "issue") : NULL;
    if (!check_shape(issue->json, item, err))
        return FORGEJO_INVALID;
    issue->action = json_string(issue->json, "action", "");
    enum forgejo_parse verdict = judge_action(issue->action, type, err);
    if (verdict != FORGEJO_PARSED)
        return verdict;
    read_texts(issue, issue->json, item);
    if (!check_texts(issue, issue->json, item, err) || !read_labels(issue, item, err))
        return FORGEJO_INVALID;
    return FORGEJO_PARSED;
}

void forgejo_issue_release(struct forgejo_issue *issue)
{
    json_object_put(issue->labels);
    json_object_put(issue->json);
    *issue = (struct forgejo_issue){0};
}

const char *forgejo_refusal(const struct forgejo_issue *issue,
                            const struct config_list *repositories,
                            const struct config_list *trigger_users)
{
    bool sender = false, repository = config_list_covers(repositories, issue->repo);
    for (size_t i = 0; i < trigger_users->count; i++)
        sender = sender || strcmp(trigger_users->items[i], "*") == 0 ||
                 strcasecmp(trigger_users->items[i], issue->sender) == 0;
    if (!repository)
        return "repository_not_allowed";
    return sender ? NULL : "sender_not_allowed";
}
