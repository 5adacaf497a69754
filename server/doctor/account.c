/* The Forgejo itself: which version it is, whose account the token is, and what time it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/doctor/doctor.h"

#define MAJOR_FIRST 7 /* what the calls were written for */
#define MAJOR_LAST 17
#define CLOCK_SECS 60

/* GET of a path without words. */
static void get(struct doctor *doctor, const char *where, bool lookup, struct doctor_answer *answer)
{
    struct buf path;
    buf_init(&path, 256);
    buf_adds(&path, where);
    doctor_ask(doctor, "GET", &path, NULL, lookup, answer);
}

static void say_clock(struct doctor *doctor, int64_t date)
{
    int64_t ahead = date - (int64_t)time(NULL);
    if (date < 0)
        return;
    if (llabs((long long)ahead) <= CLOCK_SECS) {
        doctor_say(doctor, DOCTOR_OK, "clock", "as that of this machine");
        return;
    }
    doctor_say(doctor, DOCTOR_WARN, "clock", "that of the Forgejo is %lld s %s this machine's",
               llabs((long long)ahead), ahead > 0 ? "ahead of" : "behind");
    doctor_mend("timedatectl set-ntp true, on both machines");
}

static void say_version(struct doctor *doctor, const struct doctor_answer *answer)
{
    const char *version = json_string(answer->json, "version", "");
    long major = strtol(version, NULL, 10);
    int len = (int)strcspn(version, "+");
    if (answer->verdict == FORGEJO_GONE)
        doctor_say(doctor, DOCTOR_WARN, "version",
                   "%s is no Forgejo (a Gitea?): the fleet was not written for it", doctor->web);
    else if (version[0] == '\0')
        doctor_say(doctor, DOCTOR_WARN, "version", "is not told: %s", answer->text);
    else if (major < MAJOR_FIRST || major > MAJOR_LAST)
        doctor_say(doctor, DOCTOR_WARN, "version",
                   "Forgejo %.*s is unknown: the fleet was written for %d to %d", len, version,
                   MAJOR_FIRST, MAJOR_LAST);
    else
        doctor_say(doctor, DOCTOR_OK, "version", "Forgejo %.*s", len, version);
}

bool doctor_reaches(struct doctor *doctor)
{
    struct doctor_answer answer;
    get(doctor, "/api/forgejo/v1/version", false, &answer);
    bool reaches = answer.status > 0;
    if (reaches) {
        say_version(doctor, &answer);
        say_clock(doctor, answer.date);
    } else {
        doctor_say(doctor, DOCTOR_WRONG, doctor->web, "does not answer: %s", answer.text);
        doctor_mend("forgejo.url has to be the Forgejo's ROOT_URL as this machine reaches it: curl "
                    "-v %s/api/v1/version",
                    doctor->web);
    }
    doctor_answer_release(&answer);
    return reaches;
}

static void say_refused(struct doctor *doctor, const char *which, const char *scopes,
                        const struct doctor_answer *answer)
{
    if (doctor_scope_missing(answer))
        doctor_say(doctor, DOCTOR_WRONG, which, "it has not the scope read:user");
    else if (answer->status == 401)
        doctor_say(doctor, DOCTOR_WRONG, which, "is none that the Forgejo knows");
    else
        doctor_say(doctor, DOCTOR_WRONG, which, "%s", answer->text);
    doctor_mend("as the fleet's account: %s/user/settings/applications, Generate new token: %s",
                doctor->web, scopes);
}

/* An account that does other things as well: what it does itself is never taken for a wish. */
static void say_account(struct doctor *doctor, const struct doctor_answer *answer)
{
    bool person = config_list_has(&doctor->config->forgejo.trigger_users, doctor->login);
    if (json_flag(answer->json, "is_admin", false))
        doctor_say(doctor, DOCTOR_WARN, "forgejo.token",
                   "is that of %s, a site administrator: whoever gets it owns the Forgejo",
                   doctor->login);
    else if (person)
        doctor_say(doctor, DOCTOR_WARN, "forgejo.token",
                   "is that of %s, who is one of trigger_users: what the fleet's own account does "
                   "starts nothing, so this person's labels would not",
                   doctor->login);
    else
        doctor_say(doctor, DOCTOR_OK, "forgejo.token",
                   "is that of %s, by whom no label, comment or review counts", doctor->login);
    if (person || json_flag(answer->json, "is_admin", false))
        doctor_mend("make an account for the fleet alone (%s/user/sign_up), a collaborator with "
                    "Write in each repository, and a token of it",
                    doctor->web);
}

void doctor_server(struct doctor *doctor)
{
    struct doctor_answer answer;
    get(doctor, "/user", false, &answer);
    snprintf(doctor->login, sizeof doctor->login, "%s", json_string(answer.json, "login", ""));
    if (doctor->login[0] != '\0')
        say_account(doctor, &answer);
    else
        say_refused(doctor, "forgejo.token", "read:user, write:issue, write:repository", &answer);
    doctor_answer_release(&answer);
    if (doctor->config->forgejo.lookup_token == NULL)
        return;
    get(doctor, "/user", true, &answer);
    if (answer.status == 401) /* it need not have read:user */
        say_refused(doctor, "forgejo.lookup_token", "read:repository", &answer);
    doctor_answer_release(&answer);
}
