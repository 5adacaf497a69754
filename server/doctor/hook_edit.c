/* Changes to a webhook. */
#include <string.h>

#include "server/doctor/doctor.h"

#define BODY_MAX ((size_t)64 << 10)

const char *doctor_secret(const struct config *config, const char *repo)
{
    for (size_t i = 0; i < config->forgejo.signer_count; i++)
        if (config_list_covers(&config->forgejo.signers[i].repositories, repo))
            return config->forgejo.signers[i].secret;
    return config->forgejo.webhook_secret;
}

/* As Forgejo lists them; "issues" and "pull_request" switch on all that begin so. */
static const char *const wanted[] = {"issues",
                                     "issue_label",
                                     "issue_milestone",
                                     "issue_comment",
                                     "pull_request",
                                     "pull_request_label",
                                     "pull_request_comment",
                                     "pull_request_sync",
                                     "pull_request_review_approved",
                                     "pull_request_review_rejected",
                                     "push"};

static bool has(const struct json_object *list, const char *word)
{
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), word) == 0)
            return true;
    return false;
}

const char *doctor_hook_lacks(const struct config *config, const struct json_object *hook)
{
    const struct config_list *taken = &config->forgejo.events;
    const struct json_object *events = json_member(hook, "events");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if ((taken->count == 0 || config_list_has(taken, wanted[i])) && !has(events, wanted[i]))
            return wanted[i];
    return NULL;
}

static struct json_object *settings(struct doctor *doctor)
{
    struct json_object *config = json_object_new_object();
    json_object_object_add(config, "url",
                           json_object_new_string(doctor->config->forgejo.webhook_url));
    json_object_object_add(config, "content_type", json_object_new_string("json"));
    return config;
}

/* What the hook had, and all that the fleet takes. */
static struct json_object *events_of(const struct json_object *hook)
{
    static const char *const all[] = {"issues", "pull_request", "push"};
    const struct json_object *had = json_member(hook, "events");
    struct json_object *events = json_object_new_array();
    size_t count = json_object_is_type(had, json_type_array) ? json_object_array_length(had) : 0;
    for (size_t i = 0; i < count; i++)
        json_object_array_add(events, json_object_get(json_object_array_get_idx(had, i)));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        json_object_array_add(events, json_object_new_string(all[i]));
    return events;
}

/* The common end: sends `body`, which is put, and says what went wrong. */
static bool change(struct doctor *doctor, const char *repo, const char *method, struct buf *path,
                   struct json_object *body)
{
    struct doctor_answer answer;
    doctor_ask(doctor, method, path,
               body != NULL ? json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN) : NULL,
               false, &answer);
    json_object_put(body);
    if (answer.verdict == FORGEJO_DENIED)
        doctor_mend("not done: only an administrator of the repository may: by hand, at "
                    "%s/%s/settings/hooks; or make %s one while the doctor works",
                    doctor->web, repo, doctor->login);
    else if (answer.verdict != FORGEJO_OK)
        doctor_mend("not done: %s", answer.text);
    else
        doctor_mend("done");
    doctor_answer_release(&answer);
    return answer.verdict == FORGEJO_OK;
}

static struct json_object *form(struct doctor *doctor, const struct json_object *hook)
{
    struct json_object *body = json_object_new_object();
    const char *header = json_string(hook, "authorization_header", "");
    json_object_object_add(body, "active", json_object_new_boolean(true));
    json_object_object_add(body, "branch_filter", json_object_new_string("*"));
    json_object_object_add(body, "authorization_header", json_object_new_string(header));
    json_object_object_add(body, "events", events_of(hook));
    json_object_object_add(body, "config", settings(doctor));
    return body;
}

bool doctor_hook_make(struct doctor *doctor, const char *repo)
{
    const char *secret = doctor_secret(doctor->config, repo);
    struct buf path;
    if (secret == NULL) {
        doctor_mend("not done: there is no secret for it yet");
        return false;
    }
    struct json_object *body = form(doctor, NULL);
    json_object_object_add(body, "type", json_object_new_string("forgejo"));
    json_object_object_add(json_member(body, "config"), "secret", json_object_new_string(secret));
    DOCTOR_PATH(&path, "/repos/%r/hooks", repo);
    return change(doctor, repo, "POST", &path, body);
}

/* What is left out would be set back. */
bool doctor_hook_edit(struct doctor *doctor, const char *repo, const struct json_object *hook)
{
    struct buf path;
    if (doctor->config->forgejo.webhook_url == NULL) {
        doctor_mend("not done: forgejo.webhook_url is not set");
        return false;
    }
    DOCTOR_PATH(&path, "/repos/%r/hooks/%d", repo, json_int(hook, "id", 0));
    return change(doctor, repo, "PATCH", &path, form(doctor, hook));
}

bool doctor_hook_delete(struct doctor *doctor, const char *repo, int64_t id)
{
    struct buf path;
    DOCTOR_PATH(&path, "/repos/%r/hooks/%d", repo, id);
    return change(doctor, repo, "DELETE", &path, NULL);
}
