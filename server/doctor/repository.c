/* Each repository of the configuration: may the fleet's account do there what it has to? */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "server/doctor/doctor.h"

#define REPOSITORIES_MAX 1000
#define BRANCH_EXAMPLE "task/acme-rocket-1"

/* --- what the account may --- */

static void say_unseen(struct doctor *doctor, const char *repo, const struct doctor_answer *answer)
{
    if (doctor_scope_missing(answer)) {
        doctor_say(doctor, DOCTOR_WRONG, "forgejo.token", "has not the scope read:repository");
        doctor_mend("as the fleet's account: %s/user/settings/applications, Generate new token: "
                    "read:user, write:issue, write:repository",
                    doctor->web);
    } else if (answer->verdict == FORGEJO_MOVED) {
        doctor_say(doctor, DOCTOR_WRONG, repo, "was renamed or moved");
        doctor_mend("open %s/%s, and put the name it has now into forgejo.repositories",
                    doctor->web, repo);
    } else {
        doctor_say(doctor, DOCTOR_WRONG, repo, "%s",
                   answer->verdict == FORGEJO_GONE ? "is not there, or not for the fleet to see"
                                                   : answer->text);
        doctor_mend("%s/%s/settings/collaboration: add %s, with Write", doctor->web, repo,
                    doctor->login);
    }
}

static void say_access(struct doctor *doctor, const char *repo, const struct json_object *seen)
{
    bool writes = json_flag(json_member(seen, "permissions"), "push", false);
    if (json_flag(seen, "archived", false)) {
        doctor_say(doctor, DOCTOR_WRONG, repo, "is archived: nothing can be written there");
        doctor_mend("%s/%s/settings: Un-archive repository; or take it out of "
                    "forgejo.repositories",
                    doctor->web, repo);
    } else if (!json_flag(seen, "has_issues", true)) {
        doctor_say(doctor, DOCTOR_WRONG, repo, "has no issues");
        doctor_mend("%s/%s/settings/units: Issues", doctor->web, repo);
    } else if (!writes) {
        doctor_say(doctor, DOCTOR_WRONG, repo,
                   "%s may only read: no labels, no commit statuses, no pull requests",
                   doctor->login);
        doctor_mend("%s/%s/settings/collaboration: %s, Write", doctor->web, repo, doctor->login);
    } else {
        doctor_say(doctor, DOCTOR_OK, repo, "%s may write", doctor->login);
    }
}

/* --- who may start work --- */

static void say_people(struct doctor *doctor, const char *repo, const struct json_object *seen)
{
    const char *owner = json_string(json_member(seen, "owner"), "login", "");
    bool trusting = doctor->config->forgejo.trigger_users.count > 0;
    struct doctor_answer answer;
    struct buf path;
    DOCTOR_PATH(&path, "/repos/%r/collaborators/%s/permission", repo, owner);
    doctor_ask(doctor, "GET", &path, NULL, true, &answer);
    if (answer.verdict == FORGEJO_OK) {
        doctor_say(doctor, DOCTOR_OK, repo, "tells who may start work there");
    } else {
        doctor_say(doctor, trusting ? DOCTOR_WARN : DOCTOR_WRONG, repo,
                   "does not tell the fleet what people may do: %s",
                   trusting ? "only forgejo.trigger_users start work" : "nobody starts work");
        doctor_mend("Forgejo tells that to the repository's administrators only: a token with "
                    "read:repository of one as forgejo.lookup_token");
    }
    doctor_answer_release(&answer);
}

/* --- what stands in the way of pushes --- */

static bool covers_tasks(const char *rule)
{
    return fnmatch(rule, BRANCH_EXAMPLE, FNM_PATHNAME) == 0 || strcmp(rule, "**") == 0 ||
           strcmp(rule, "task/**") == 0;
}

static void say_protection(struct doctor *doctor, const char *repo)
{
    struct doctor_answer answer;
    struct buf path;
    DOCTOR_PATH(&path, "/repos/%r/branch_protections", repo);
    doctor_ask(doctor, "GET", &path, NULL, true, &answer);
    size_t count = json_object_is_type(answer.json, json_type_array)
                       ? json_object_array_length(answer.json)
                       : 0;
    for (size_t i = 0; i < count; i++) {
        const struct json_object *rule = json_object_array_get_idx(answer.json, i);
        const char *name = json_string(rule, "rule_name", json_string(rule, "branch_name", ""));
        if (!covers_tasks(name) || (json_flag(rule, "enable_push", false) &&
                                    !json_flag(rule, "enable_push_whitelist", false)))
            continue;
        doctor_say(doctor, DOCTOR_WARN, repo, "protects '%s', and with it the branches task/*",
                   name);
        doctor_mend("%s/%s/settings/branches: let the account that pushes (git.username) push "
                    "there, or name the branches that are meant",
                    doctor->web, repo);
    }
    doctor_answer_release(&answer);
}

/* --- all of it --- */

static void look_at(struct doctor *doctor, const char *repo)
{
    struct doctor_answer answer;
    struct buf path;
    DOCTOR_PATH(&path, "/repos/%r", repo);
    doctor_ask(doctor, "GET", &path, NULL, false, &answer);
    if (answer.verdict != FORGEJO_OK) {
        say_unseen(doctor, repo, &answer);
        doctor_answer_release(&answer);
        return;
    }
    if (!doctor->scopes_tried)
        doctor_scopes(doctor, repo);
    doctor->scopes_tried = true;
    say_access(doctor, repo, answer.json);
    say_people(doctor, repo, answer.json);
    say_protection(doctor, repo);
    doctor_answer_release(&answer);
    doctor_labels(doctor, repo);
    doctor_hooks(doctor, repo);
}

/* Those that "owner/" and "*" mean, of the ones that the account reaches. */
static void look_at_meant(struct doctor *doctor)
{
    const struct config_list *wanted = &doctor->config->forgejo.repositories;
    struct doctor_answer answer;
    struct buf path;
    size_t meant = 0;
    DOCTOR_PATH(&path, "/user/repos");
    doctor_list(doctor, &path, REPOSITORIES_MAX, false, &answer);
    size_t count = answer.json != NULL ? json_object_array_length(answer.json) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct json_object *seen = json_object_array_get_idx(answer.json, i);
        const char *repo = json_string(seen, "full_name", "");
        if (!config_list_covers(wanted, repo) || config_list_has(wanted, repo))
            continue;
        look_at(doctor, repo);
        meant++;
    }
    if (meant == 0) {
        doctor_say(doctor, DOCTOR_WRONG, "forgejo.repositories", "%s",
                   answer.verdict == FORGEJO_OK ? "the account reaches none that \"*\" means"
                                                : answer.text);
        doctor_mend("make %s a collaborator with Write of each", doctor->login);
    }
    doctor_answer_release(&answer);
}

void doctor_repositories(struct doctor *doctor)
{
    const struct config_list *list = &doctor->config->forgejo.repositories;
    bool starred = false;
    if (list->count == 0) {
        doctor_say(doctor, DOCTOR_WRONG, "forgejo.repositories", "none is listed");
        doctor_mend("forgejo: { repositories: [ acme/rocket ] }");
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strchr(list->items[i], '*') != NULL)
            starred = true;
        else
            look_at(doctor, list->items[i]);
    }
    if (starred)
        look_at_meant(doctor);
}
