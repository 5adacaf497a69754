/* Bodies of deliveries: checked for the shape that their event promises, and normalised. */
#include "server/webhook/payload.h"

#include <string.h>
#include <strings.h>

#include "server/api/value.h"

#define NUMBER_MAX 999999999
#define LOGIN_MAX 255
#define URL_MAX 2048

/* A body under way: `in` is Forgejo's, `out` ours. */
struct reading {
    const struct json_object *in; /* borrowed */
    struct json_object *out;      /* borrowed from the payload */
    struct error *err;            /* borrowed */
};

static bool invalid(const struct reading *reading, const char *what)
{
    error_set(reading->err, "the payload is not that of its event: %s", what);
    return false;
}

static bool is_object(const struct json_object *value)
{
    return value != NULL && json_object_is_type(value, json_type_object);
}

static bool has(const struct json_object *object, const char *name)
{
    return json_member(object, name) != NULL; /* null and absent mean the same */
}

static void put(struct json_object *object, const char *name, const char *text)
{
    json_object_object_add(object, name, json_object_new_string(text));
}

static void put_int(struct json_object *object, const char *name, int64_t value)
{
    json_object_object_add(object, name, json_object_new_int64(value));
}

static void put_flag(struct json_object *object, const char *name, bool value)
{
    json_object_object_add(object, name, json_object_new_boolean(value));
}

static struct json_object *put_object(struct json_object *object, const char *name)
{
    struct json_object *member = json_object_new_object();
    json_object_object_add(object, name, member);
    return member;
}

/* A member of the same name on both sides. */
static void copy(struct json_object *to, const struct json_object *from, const char *name)
{
    put(to, name, json_string(from, name, ""));
}

static void put_user(struct json_object *to, const struct json_object *user, const char *login,
                     const char *id)
{
    put(to, login, json_string(user, "login", ""));
    put_int(to, id, json_int(user, "id", 0));
}

/* --- what all have --- */

static bool read_repository(const struct reading *reading, bool wanted)
{
    const struct json_object *repository = json_member(reading->in, "repository");
    if (!is_object(repository))
        return !wanted || invalid(reading, "it has no \"repository\"");
    struct json_object *out = put_object(reading->out, "repository");
    put_int(out, "id", json_int(repository, "id", 0));
    copy(out, repository, "full_name");
    copy(out, repository, "default_branch");
    if (wanted && json_int(out, "id", 0) < 1)
        return invalid(reading, "it has no \"repository.id\"");
    if (wanted && json_string(out, "full_name", "")[0] == '\0')
        return invalid(reading, "it has no \"repository.full_name\"");
    return true;
}

static bool read_sender(const struct reading *reading, bool wanted)
{
    const struct json_object *sender = json_member(reading->in, "sender");
    const char *login = json_string(sender, "login", "");
    if (wanted && (login[0] == '\0' || strlen(login) > LOGIN_MAX))
        return invalid(reading, "it has no \"sender.login\"");
    put_user(put_object(reading->out, "sender"), sender, "login", "id");
    return true;
}

/* --- issues --- */

static bool read_labels(const struct reading *reading, struct json_object *out,
                        const struct json_object *item)
{
    struct json_object *labels = json_member(item, "labels"), *list = json_object_new_array();
    json_object_object_add(out, "labels", list);
    /* Forgejo still sends the old labels with label_cleared; null and [] mean the same. */
    if (labels == NULL || strcmp(json_string(reading->in, "action", ""), "label_cleared") == 0)
        return true;
    if (!json_object_is_type(labels, json_type_array))
        return invalid(reading, "\"labels\" is not a list of labels");
    for (size_t i = 0; i < json_object_array_length(labels); i++) {
        const struct json_object *label = json_object_array_get_idx(labels, i);
        if (json_string(label, "name", "")[0] == '\0')
            return invalid(reading, "a label has no name");
        struct json_object *one = json_object_new_object();
        put_int(one, "id", json_int(label, "id", 0));
        copy(one, label, "name");
        json_object_array_add(list, one);
    }
    return true;
}

/* Of an issue or a pull request. A database error of Forgejo's shows as number 0 and no user. */
static bool check_item(const struct reading *reading, const struct json_object *item)
{
    int64_t number = json_int(item, "number", 0);
    const char *state = json_string(item, "state", "");
    if (number < 1 || number > NUMBER_MAX || json_int(reading->in, "number", number) != number)
        return invalid(reading, "its number is not positive, or not that of its subject");
    if (json_int(item, "id", 0) < 1 || !is_object(json_member(item, "user")))
        return invalid(reading, "its subject has no \"id\", or no \"user\"");
    if (json_string(item, "title", "")[0] == '\0')
        return invalid(reading, "its subject has no \"title\"");
    if (strcmp(state, "open") != 0 && strcmp(state, "closed") != 0)
        return invalid(reading, "its subject's \"state\" is neither open nor closed");
    if (!value_is_time(json_string(item, "updated_at", "")))
        return invalid(reading, "its subject's \"updated_at\" is not a time");
    if (strlen(json_string(item, "html_url", "")) > URL_MAX)
        return invalid(reading, "its subject's \"html_url\" is too long");
    return true;
}

static bool read_item(const struct reading *reading, struct json_object *out,
                      const struct json_object *item)
{
    static const char *const texts[] = {"title", "body", "state", "updated_at", "html_url"};
    if (!check_item(reading, item))
        return false;
    put_int(out, "id", json_int(item, "id", 0));
    put_int(out, "number", json_int(item, "number", 0));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        copy(out, item, texts[i]);
    put_user(out, json_member(item, "user"), "author", "author_id");
    return read_labels(reading, out, item);
}

/* `pull`: does the body have to be about a pull request? */
static bool check_issue(const struct reading *reading, const struct json_object *item, bool pull)
{
    const struct json_object *repository = json_member(reading->in, "repository");
    const char *repo = json_string(repository, "full_name", "");
    if (!is_object(item))
        return invalid(reading, "it has no \"issue\"");
    if (has(item, "pull_request") != pull)
        return invalid(reading,
                       pull ? "its issue is no pull request" : "its issue is a pull request");
    if (strcasecmp(json_string(json_member(item, "repository"), "full_name", repo), repo) != 0)
        return invalid(reading, "\"issue.repository\" is not \"repository\"");
    return true;
}

static bool read_issue(const struct reading *reading)
{
    const struct json_object *item = json_member(reading->in, "issue");
    if (!check_issue(reading, item, false))
        return false;
    struct json_object *out = put_object(reading->out, "issue");
    put(out, "milestone", json_string(json_member(item, "milestone"), "title", ""));
    return read_item(reading, out, item);
}

/* --- pull requests --- */

static void put_branch(struct json_object *out, const char *name, const struct json_object *branch)
{
    struct json_object *side = put_object(out, name);
    copy(side, branch, "ref");
    copy(side, branch, "sha");
    put_int(side, "repository_id", json_int(branch, "repo_id", 0));
}

static bool read_pull(const struct reading *reading)
{
    const struct json_object *pull = json_member(reading->in, "pull_request");
    if (!is_object(pull))
        return invalid(reading, "it has no \"pull_request\"");
    if (!is_object(json_member(pull, "head")) || !is_object(json_member(pull, "base")))
        return invalid(reading, "its pull request has no \"head\", or no \"base\"");
    struct json_object *out = put_object(reading->out, "pull");
    put_flag(out, "merged", json_flag(pull, "merged", false));
    put_flag(out, "draft", json_flag(pull, "draft", false));
    put_branch(out, "head", json_member(pull, "head"));
    put_branch(out, "base", json_member(pull, "base"));
    return read_item(reading, out, pull);
}

static bool read_review(const struct reading *reading)
{
    const struct json_object *review = json_member(reading->in, "review");
    if (!is_object(review))
        return invalid(reading, "it has no \"review\"");
    struct json_object *out = put_object(reading->out, "review");
    copy(out, review, "type");
    copy(out, review, "content");
    return read_pull(reading);
}

/* --- comments --- */

static bool read_comment(const struct reading *reading, const char *type)
{
    const struct json_object *comment = json_member(reading->in, "comment"),
                             *item = json_member(reading->in, "issue");
    bool pull = json_flag(reading->in, "is_pull", has(item, "pull_request"));
    bool other =
        pull ? strcmp(type, "issue_comment") == 0 : strcmp(type, "pull_request_comment") == 0;
    if (!is_object(comment) || json_int(comment, "id", 0) < 1)
        return invalid(reading, "it has no \"comment\" with an \"id\"");
    if (other)
        return invalid(reading, "\"is_pull\" is not what its event type says");
    struct json_object *out = put_object(reading->out, "comment");
    static const char *const texts[] = {"body", "created_at", "updated_at"};
    put_int(out, "id", json_int(comment, "id", 0));
    put_user(out, json_member(comment, "user"), "by", "by_id");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        copy(out, comment, texts[i]);
    if (!pull)
        return read_issue(reading);
    if (!check_issue(reading, item, true) || !check_item(reading, item))
        return false;
    int64_t number = json_int(item, "number", 0);
    if (has(reading->in, "pull_request"))
        return read_pull(reading) &&
               (json_int(json_member(reading->out, "pull"), "number", 0) == number ||
                invalid(reading, "its issue and its pull request have two numbers"));
    /* before Forgejo 10 it is not there: only its number is known */
    put_int(put_object(reading->out, "pull"), "number", number);
    return true;
}

/* --- branches --- */

static bool read_push(const struct reading *reading)
{
    static const char *const members[] = {"ref", "before", "after"};
    struct json_object *out = put_object(reading->out, "push");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (json_string(reading->in, members[i], "")[0] == '\0')
            return invalid(reading, "\"ref\", \"before\" or \"after\" is missing");
        copy(out, reading->in, members[i]);
    }
    return true;
}

static bool read_delete(const struct reading *reading)
{
    const char *ref = json_string(reading->in, "ref", ""),
               *ref_type = json_string(reading->in, "ref_type", "");
    if (ref[0] == '\0' || ref_type[0] == '\0')
        return invalid(reading, "\"ref\" or \"ref_type\" is missing");
    struct json_object *out = put_object(reading->out, "push");
    put(out, "ref", ref);
    put(out, "ref_type", ref_type);
    return true;
}

/* --- the whole --- */

/* Members that belong to other events; a body that has one was sent under another name. */
static bool check_strangers(const struct reading *reading, enum event_kind kind)
{
    const struct {
        const char *name;
        bool fits;
    } members[] = {
        {"issue", kind == EVENT_ISSUE || kind == EVENT_COMMENT},
        {"comment", kind == EVENT_COMMENT},
        {"pull_request", kind == EVENT_COMMENT || kind == EVENT_PULL || kind == EVENT_REVIEW},
        {"review", kind == EVENT_REVIEW},
        {"commits", kind == EVENT_PUSH},
        {"ref_type", kind == EVENT_DELETE}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (has(reading->in, members[i].name) && !members[i].fits)
            return invalid(reading, "it holds another kind of event");
    return true;
}

static bool read_kind(const struct reading *reading, enum event_kind kind, const char *type)
{
    switch (kind) {
    case EVENT_ISSUE:
        return read_issue(reading);
    case EVENT_COMMENT:
        return read_comment(reading, type);
    case EVENT_PULL:
        return read_pull(reading);
    case EVENT_REVIEW:
        return read_review(reading);
    case EVENT_PUSH:
        return read_push(reading);
    case EVENT_DELETE:
        return read_delete(reading);
    case EVENT_UNUSED:
    case EVENT_UNKNOWN:
        break;
    }
    return true;
}

static enum payload_verdict judge_action(const struct reading *reading, const char *event,
                                         const char *type, const char *action)
{
    switch (event_action_of(event, type, action)) {
    case ACTION_USED:
        return PAYLOAD_READ;
    case ACTION_NEW:
        if (action[0] != '\0')
            return PAYLOAD_IGNORED;
        invalid(reading, "it has no \"action\"");
        return PAYLOAD_INVALID;
    case ACTION_FOREIGN:
        break;
    }
    error_set(reading->err, "the action '%.32s' does not belong to the event type '%.32s'", action,
              event_word(event, type));
    return PAYLOAD_INVALID;
}

static enum payload_verdict read_whole(const struct reading *reading, const char *event,
                                       const char *type)
{
    enum event_kind kind = event_kind_of(event, type);
    bool used = kind < EVENT_UNUSED;
    const char *action = json_string(reading->in, "action", "");
    put(reading->out, "kind", event_kind_name(kind));
    put(reading->out, "action", action);
    if (!read_repository(reading, used) || !read_sender(reading, used))
        return PAYLOAD_INVALID;
    if (!used)
        return PAYLOAD_READ;
    if (!check_strangers(reading, kind))
        return PAYLOAD_INVALID;
    enum payload_verdict verdict = judge_action(reading, event, type, action);
    if (verdict == PAYLOAD_READ && !read_kind(reading, kind, type))
        return PAYLOAD_INVALID;
    return verdict;
}

enum payload_verdict payload_read(struct payload *payload, const char *event, const char *type,
                                  const char *bytes, size_t len, struct error *err)
{
    error_clear(err);
    *payload = (struct payload){.json = json_object_new_object()};
    struct json_object *in = json_parse(bytes, len, err);
    struct reading reading = {in, payload->json, err};
    enum payload_verdict verdict = PAYLOAD_INVALID;
    if (is_object(in))
        verdict = read_whole(&reading, event, type);
    else if (err->text[0] == '\0')
        invalid(&reading, "it is not an object");
    json_object_put(in);
    const struct json_object *issue = json_member(payload->json, "issue");
    const struct json_object *subject = issue != NULL ? issue : json_member(payload->json, "pull");
    payload->repo = json_string(json_member(payload->json, "repository"), "full_name", "");
    payload->sender = json_string(json_member(payload->json, "sender"), "login", "");
    payload->number = json_int(subject, "number", 0);
    return verdict;
}

void payload_release(struct payload *payload)
{
    json_object_put(payload->json);
    *payload = (struct payload){0};
}
