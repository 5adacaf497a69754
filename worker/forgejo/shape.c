/* Forgejo's JSON in, ours out. Facts of the members: Forgejo 7 to 17, modules/structs. */
#include "worker/forgejo/shape.h"

#include <string.h>

/* --- One member --- */

static void take(struct json_object *out, const char *name, const struct json_object *from,
                 const char *member, enum json_type type)
{
    struct json_object *value = from != NULL ? json_member(from, member) : NULL;
    if (value != NULL && !json_object_is_type(value, type))
        value = NULL;
    json_object_object_add(out, name, json_object_get(value));
}

static void take_text(struct json_object *out, const char *name, const struct json_object *from)
{
    take(out, name, from, name, json_type_string);
}

static void take_int(struct json_object *out, const char *name, const struct json_object *from)
{
    take(out, name, from, name, json_type_int);
}

static void take_flag(struct json_object *out, const char *name, const struct json_object *from)
{
    take(out, name, from, name, json_type_boolean);
}

/* The user of something, under two names. Who was deleted is the Ghost, with an id below 0. */
static void take_user(struct json_object *out, const char *login, const char *id,
                      const struct json_object *from)
{
    const struct json_object *user = json_member(from, "user");
    take(out, login, user, "login", json_type_string);
    take(out, id, user, "id", json_type_int);
}

static struct json_object *object_of(const struct json_object *from, const char *member)
{
    struct json_object *value = from != NULL ? json_member(from, member) : NULL;
    return value != NULL && json_object_is_type(value, json_type_object) ? value : NULL;
}

static bool is_list(const struct json_object *value)
{
    return value != NULL && json_object_is_type(value, json_type_array);
}

/* An empty issue (number 0, no user) is how Forgejo shows that its database failed. */
static bool is_whole(const struct json_object *thing)
{
    return thing != NULL && json_object_is_type(thing, json_type_object) &&
           json_int(thing, "id", 0) > 0 && json_int(thing, "number", 0) > 0 &&
           object_of(thing, "user") != NULL;
}

/* Calls `add` for each object of a list; a new array of what it answers, without its NULLs. */
static struct json_object *each(const struct json_object *list,
                                struct json_object *(*add)(const struct json_object *item))
{
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; is_list(list) && i < json_object_array_length(list); i++) {
        const struct json_object *item = json_object_array_get_idx(list, i);
        struct json_object *made = json_object_is_type(item, json_type_object) ? add(item) : NULL;
        if (made != NULL)
            json_object_array_add(out, made);
    }
    return out;
}

/* --- Repositories, issues, pull requests --- */

struct json_object *shape_repository(const struct json_object *repository)
{
    if (json_int(repository, "id", 0) <= 0 || json_string(repository, "full_name", NULL) == NULL)
        return NULL;
    struct json_object *out = json_object_new_object();
    take_int(out, "id", repository);
    take_text(out, "full_name", repository);
    take_text(out, "default_branch", repository);
    return out;
}

static struct json_object *label(const struct json_object *from)
{
    struct json_object *out = json_object_new_object();
    take_int(out, "id", from);
    take_text(out, "name", from);
    return out;
}

static struct json_object *label_name(const struct json_object *from)
{
    struct json_object *name = json_member(from, "name");
    return json_object_is_type(name, json_type_string) ? json_object_get(name) : NULL;
}

static void take_common(struct json_object *out, const struct json_object *from)
{
    static const char *const texts[] = {"title", "state", "html_url", "updated_at"};
    take_int(out, "id", from);
    take_int(out, "number", from);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        take_text(out, texts[i], from);
    take_user(out, "author", "author_id", from);
}

struct json_object *shape_issue(const struct json_object *issue)
{
    if (!is_whole(issue))
        return NULL;
    struct json_object *out = json_object_new_object();
    take_common(out, issue);
    take_text(out, "body", issue);
    json_object_object_add(out, "labels", each(json_member(issue, "labels"), label));
    take(out, "milestone", object_of(issue, "milestone"), "title", json_type_string);
    return out;
}

static struct json_object *branch(const struct json_object *from, bool head)
{
    struct json_object *out = json_object_new_object();
    take_text(out, "ref", from);
    if (head) {
        take_text(out, "sha", from);
        take(out, "repository_id", from, "repo_id", json_type_int);
    }
    return out;
}

struct json_object *shape_pull(const struct json_object *pull)
{
    if (!is_whole(pull) || object_of(pull, "head") == NULL || object_of(pull, "base") == NULL)
        return NULL;
    struct json_object *out = json_object_new_object();
    take_common(out, pull);
    take_flag(out, "merged", pull);
    take_flag(out, "draft", pull);
    json_object_object_add(out, "head", branch(object_of(pull, "head"), true));
    json_object_object_add(out, "base", branch(object_of(pull, "base"), false));
    return out;
}

/* --- Timelines --- */

static struct json_object *label_event(const struct json_object *item)
{
    const struct json_object *of = object_of(item, "label");
    if (strcmp(json_string(item, "type", ""), "label") != 0 || of == NULL)
        return NULL; /* something else, or a label that was deleted since */
    struct json_object *out = json_object_new_object();
    take_int(out, "id", item);
    take(out, "label", of, "name", json_type_string);
    take(out, "label_id", of, "id", json_type_int);
    bool added = strcmp(json_string(item, "body", ""), "1") == 0;
    json_object_object_add(out, "added", json_object_new_boolean(added));
    take_user(out, "by", "by_id", item);
    take(out, "at", item, "created_at", json_type_string);
    return out;
}

struct json_object *shape_label_events(const struct json_object *timeline)
{
    return each(timeline, label_event);
}

static struct json_object *comment(const struct json_object *item)
{
    if (strcmp(json_string(item, "type", ""), "comment") != 0)
        return NULL;
    struct json_object *out = json_object_new_object();
    take_int(out, "id", item);
    take_user(out, "by", "by_id", item);
    take_text(out, "body", item);
    take_text(out, "created_at", item);
    take_text(out, "updated_at", item);
    return out;
}

/* Those of a list that are new and not ours. */
static struct json_object *fresh(struct json_object *list, int64_t after, int64_t own)
{
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        int64_t by = json_int(item, "by_id", 0);
        if (json_int(item, "id", 0) > after && (own <= 0 || by != own))
            json_object_array_add(out, json_object_get(item));
    }
    json_object_put(list);
    return out;
}

struct json_object *shape_comments(const struct json_object *timeline, int64_t after, int64_t own)
{
    return fresh(each(timeline, comment), after, own);
}

/* --- Reviews and checks --- */

static struct json_object *review(const struct json_object *item)
{
    static const char *const given[] = {"APPROVED", "REQUEST_CHANGES", "COMMENT"};
    const char *state = json_string(item, "state", "");
    bool is_given = false;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        is_given = is_given || strcmp(state, given[i]) == 0;
    if (!is_given || json_flag(item, "dismissed", false))
        return NULL;
    struct json_object *out = json_object_new_object();
    take_int(out, "id", item);
    take_text(out, "state", item);
    take_user(out, "by", "by_id", item);
    take_text(out, "body", item);
    take_text(out, "submitted_at", item);
    json_object_object_add(out, "comments", json_object_new_array());
    return out;
}

struct json_object *shape_reviews(const struct json_object *reviews, int64_t after)
{
    return fresh(each(reviews, review), after, 0);
}

/* The line is that of the new file; of what was taken away, that of the old one. */
static struct json_object *review_comment(const struct json_object *item)
{
    struct json_object *out = json_object_new_object();
    take_text(out, "path", item);
    bool is_new = json_int(item, "position", 0) > 0;
    take(out, "line", item, is_new ? "position" : "original_position", json_type_int);
    take_text(out, "body", item);
    return out;
}

struct json_object *shape_review_comments(const struct json_object *comments)
{
    return each(comments, review_comment);
}

/* In a list of statuses the state is called status; the newest of a context has the highest id. */
static bool is_newest(const struct json_object *list, size_t at)
{
    const struct json_object *item = json_object_array_get_idx(list, at);
    const char *context = json_string(item, "context", "");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const struct json_object *other = json_object_array_get_idx(list, i);
        if (strcmp(json_string(other, "context", ""), context) == 0 &&
            json_int(other, "id", 0) > json_int(item, "id", 0))
            return false;
    }
    return true;
}

static struct json_object *one_check(const struct json_object *item)
{
    struct json_object *out = json_object_new_object();
    take_text(out, "context", item);
    bool short_word = json_string(item, "status", NULL) == NULL;
    take(out, "state", item, short_word ? "state" : "status", json_type_string);
    take_text(out, "description", item);
    return out;
}

struct json_object *shape_checks(const struct json_object *status, const char *sha)
{
    struct json_object *out = json_object_new_object(), *newest = json_object_new_array();
    const struct json_object *list = json_member(status, "statuses");
    for (size_t i = 0; is_list(list) && i < json_object_array_length(list); i++)
        if (is_newest(list, i))
            json_object_array_add(newest, one_check(json_object_array_get_idx(list, i)));
    json_object_object_add(out, "sha", json_object_new_string(sha));
    take_text(out, "state", status);
    json_object_object_add(out, "statuses", newest);
    return out;
}

/* --- Lists of a repository --- */

struct json_object *shape_listed(const struct json_object *issue)
{
    if (json_int(issue, "id", 0) <= 0 || json_int(issue, "number", 0) <= 0)
        return NULL;
    struct json_object *out = json_object_new_object();
    bool is_pull = object_of(issue, "pull_request") != NULL;
    take_int(out, "id", issue);
    take_int(out, "number", issue);
    take_text(out, "state", issue);
    take_text(out, "updated_at", issue);
    json_object_object_add(out, "labels", each(json_member(issue, "labels"), label_name));
    json_object_object_add(out, "is_pull", json_object_new_boolean(is_pull));
    return out;
}

struct json_object *shape_listed_pull(const struct json_object *pull)
{
    struct json_object *out = shape_listed(pull), *head = object_of(pull, "head");
    if (out == NULL || head == NULL) {
        json_object_put(out);
        return NULL;
    }
    json_object_object_add(out, "is_pull", json_object_new_boolean(true));
    json_object_object_add(out, "pull_head", branch(head, true));
    return out;
}
