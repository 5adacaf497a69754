/* The webhook of a repository: what is wrong with it, one thing after the other, and whether what
 * Forgejo sends arrives. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/doctor/doctor.h"

#define FIXES_MAX 6
#define ARRIVE_MS 6000 /* Forgejo gives up after 5 s */
#define LOOK_MS 200

/* The hooks of a repository that are meant for a fleet. */
struct hooks {
    const char *repo;                /* borrowed */
    struct doctor_answer answer;     /* all of them */
    const struct json_object *first; /* to our address; borrowed from the answer */
    const struct json_object *other; /* the same path, another address */
    int64_t second;                  /* id of one more to our address; 0: none */
};

static const char *url_of(const struct json_object *hook)
{
    return json_string(json_member(hook, "config"), "url", json_string(hook, "url", ""));
}

static bool is_for_fleets(const char *url)
{
    size_t len = strlen(url), path = strlen(DOCTOR_HOOK_PATH);
    return len > path && strcmp(url + len - path, DOCTOR_HOOK_PATH) == 0;
}

static void sort_out(struct hooks *hooks, const char *ours)
{
    size_t count = json_object_array_length(hooks->answer.json);
    for (size_t i = 0; i < count; i++) {
        const struct json_object *hook = json_object_array_get_idx(hooks->answer.json, i);
        const char *url = url_of(hook);
        bool is_ours = ours != NULL ? strcmp(url, ours) == 0 : is_for_fleets(url);
        if (is_ours && hooks->first == NULL)
            hooks->first = hook;
        else if (is_ours)
            hooks->second = json_int(hook, "id", 0);
        else if (is_for_fleets(url))
            hooks->other = hook;
    }
}

/* By the token, else by the look-up token, which is an administrator's. */
static bool read_hooks(struct doctor *doctor, struct hooks *hooks)
{
    int last = doctor->config->forgejo.lookup_token != NULL ? 1 : 0;
    for (int lookup = 0; lookup <= last; lookup++) {
        struct buf path;
        doctor_answer_release(&hooks->answer);
        DOCTOR_PATH(&path, "/repos/%r/hooks?limit=%d", hooks->repo, (int64_t)FORGEJO_PAGE);
        doctor_ask(doctor, "GET", &path, NULL, lookup > 0, &hooks->answer);
        if (hooks->answer.verdict == FORGEJO_OK &&
            json_object_is_type(hooks->answer.json, json_type_array)) {
            sort_out(hooks, doctor->config->forgejo.webhook_url);
            return true;
        }
    }
    return false;
}

/* What is wrong first, if anything; true when it was mended, and is to be looked at again. */
static bool mend_missing(struct doctor *doctor, const struct hooks *hooks)
{
    const char *ours = doctor->config->forgejo.webhook_url;
    if (hooks->other != NULL) {
        doctor_say(doctor, DOCTOR_WRONG, hooks->repo, "its webhook goes to %s, not to %s",
                   url_of(hooks->other), ours);
        return doctor_may_fix(doctor, "change the address of that webhook") &&
               doctor_hook_edit(doctor, hooks->repo, hooks->other);
    }
    doctor_say(doctor, DOCTOR_WRONG, hooks->repo, "has no webhook to the fleet");
    if (ours == NULL) {
        doctor_mend("%s/%s/settings/hooks, Add webhook, Forgejo", doctor->web, hooks->repo);
        return false;
    }
    return doctor_may_fix(doctor, "make one to %s", ours) && doctor_hook_make(doctor, hooks->repo);
}

static bool mend_second(struct doctor *doctor, const struct hooks *hooks)
{
    doctor_say(doctor, DOCTOR_WRONG, hooks->repo,
               "has two webhooks to the fleet: it is told everything twice");
    return doctor_may_fix(doctor, "delete the one with the id %" PRId64, hooks->second) &&
           doctor_hook_delete(doctor, hooks->repo, hooks->second);
}

static bool mend_settings(struct doctor *doctor, const struct hooks *hooks)
{
    const char *lacks = doctor_hook_lacks(doctor->config, hooks->first);
    const char *filter = json_string(hooks->first, "branch_filter", "");
    const char *type = json_string(hooks->first, "type", "forgejo");
    if (!json_flag(hooks->first, "active", false))
        doctor_say(doctor, DOCTOR_WRONG, hooks->repo, "its webhook is not active");
    else if (lacks != NULL)
        doctor_say(doctor, DOCTOR_WRONG, hooks->repo, "its webhook does not tell of %s", lacks);
    else if (filter[0] != '\0' && strcmp(filter, "*") != 0)
        doctor_say(doctor, DOCTOR_WRONG, hooks->repo,
                   "its webhook tells of pushes to '%s' only (branch filter)", filter);
    else if (strcmp(type, "forgejo") != 0 && strcmp(type, "gitea") != 0) {
        doctor_say(doctor, DOCTOR_WRONG, hooks->repo, "its webhook speaks %s, not Forgejo", type);
        doctor_mend("%s/%s/settings/hooks: delete it; the doctor makes another", doctor->web,
                    hooks->repo);
        return false;
    } else
        return false;
    return doctor_may_fix(doctor, "make it active, for all events that the fleet takes") &&
           doctor_hook_edit(doctor, hooks->repo, hooks->first);
}

static bool mend_one(struct doctor *doctor, const struct hooks *hooks)
{
    if (hooks->first == NULL)
        return mend_missing(doctor, hooks);
    return hooks->second != 0 ? mend_second(doctor, hooks) : mend_settings(doctor, hooks);
}

/* --- does what Forgejo sends arrive? --- */

static void say_last(struct doctor *doctor, const char *repo)
{
    struct doctor_delivery last;
    if (!doctor_delivery(doctor, repo, 0, &last))
        return;
    if (last.number == 0)
        doctor_say(doctor, DOCTOR_WARN, repo, "no delivery of it has come yet");
    else
        doctor_say(doctor, DOCTOR_OK, repo, "its last delivery came %" PRId64 " s ago: %s",
                   last.age_secs, last.words);
}

static bool arrives(struct doctor *doctor, const char *repo, int64_t after)
{
    struct doctor_delivery came;
    for (int ms = 0; ms < ARRIVE_MS; ms += LOOK_MS) {
        if (!doctor_delivery(doctor, repo, after, &came))
            return false;
        if (came.number != 0)
            return true;
        doctor_pause(doctor, LOOK_MS);
    }
    return false;
}

/* 1: it arrived, 0: it did not, -1: none could be asked for. */
static int try_delivery(struct doctor *doctor, const char *repo, int64_t id)
{
    struct doctor_delivery last;
    struct doctor_answer answer;
    struct buf path;
    if (!doctor->options.test || !doctor_delivery(doctor, repo, 0, &last))
        return -1;
    DOCTOR_PATH(&path, "/repos/%r/hooks/%d/tests", repo, id);
    doctor_ask(doctor, "POST", &path, "{}", false, &answer);
    bool asked = answer.verdict == FORGEJO_OK;
    doctor_answer_release(&answer);
    return !asked ? -1 : arrives(doctor, repo, last.number);
}

/* Signed with another key than ours, perhaps: that cannot be changed, nor read. */
static bool mend_lost(struct doctor *doctor, const struct hooks *hooks, bool made_anew)
{
    int64_t id = json_int(hooks->first, "id", 0);
    doctor_say(doctor, DOCTOR_WRONG, hooks->repo,
               "the test delivery of its webhook has not arrived within %d s", ARRIVE_MS / 1000);
    doctor_mend("%s/%s/settings/hooks/%" PRId64 ", Recent deliveries: 401 is another secret than "
                "forgejo.webhook_secret, \"can only call allowed HTTP servers\" is "
                "ALLOWED_HOST_LIST, anything else the way to the fleet",
                doctor->web, hooks->repo, id);
    return !made_anew &&
           doctor_may_fix(doctor, "make the webhook anew, with the secret of the configuration") &&
           doctor_hook_make(doctor, hooks->repo) && doctor_hook_delete(doctor, hooks->repo, id);
}

static bool look_at_delivery(struct doctor *doctor, const struct hooks *hooks, bool *made_anew)
{
    int came = try_delivery(doctor, hooks->repo, json_int(hooks->first, "id", 0));
    if (came == 0) {
        bool again = mend_lost(doctor, hooks, *made_anew);
        *made_anew = true;
        return again;
    }
    doctor_say(doctor, DOCTOR_OK, hooks->repo, "its webhook is right%s",
               came > 0 ? ", a test delivery came" : "");
    if (came < 0)
        say_last(doctor, hooks->repo);
    return false;
}

static bool look_once(struct doctor *doctor, const char *repo, bool *made_anew)
{
    struct hooks hooks = {.repo = repo};
    bool again = false;
    int wrong = doctor->found[DOCTOR_WRONG];
    if (!read_hooks(doctor, &hooks)) {
        doctor_say(doctor, DOCTOR_WARN, repo,
                   "its webhooks are shown to the repository's administrators only");
        doctor_mend("a token with read:repository of one as forgejo.lookup_token; or by hand: "
                    "%s/%s/settings/hooks",
                    doctor->web, repo);
        say_last(doctor, repo);
    } else {
        again = mend_one(doctor, &hooks);
        if (doctor->found[DOCTOR_WRONG] == wrong)
            again = look_at_delivery(doctor, &hooks, made_anew);
    }
    doctor_answer_release(&hooks.answer);
    return again;
}

void doctor_hooks(struct doctor *doctor, const char *repo)
{
    bool made_anew = false;
    if (doctor->config->forgejo.poll_only)
        return;
    if (doctor_secret(doctor->config, repo) == NULL) {
        doctor_say(doctor, DOCTOR_WRONG, repo, "no secret signs for it: its webhook is refused");
        doctor_mend("openssl rand -hex 32, as forgejo.webhook_secret of the servers, and in the "
                    "webhook");
    }
    for (int i = 0; i < FIXES_MAX && look_once(doctor, repo, &made_anew); i++)
        doctor_mended(doctor);
}
