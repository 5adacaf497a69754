/* What the tokens may. Forgejo does not tell: a read is tried, and for writing a call without the
 * members that it needs, which is refused before it changes anything, but for a missing scope
 * earlier and in other words. */
#include <stdio.h>
#include <strings.h>

#include "server/doctor/doctor.h"

static const struct {
    const char *scope, *method, *path;
    const char *for_what;
} probes[] = {
    {"write:issue", "POST", "/repos/%r/labels", "to comment and to set labels"},
    {"write:repository", "POST", "/repos/%r/pulls",
     "to open pull requests and to set commit statuses"},
};

void doctor_scopes(struct doctor *doctor, const char *repo)
{
    size_t missing = 0;
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        struct doctor_answer answer;
        struct buf path;
        DOCTOR_PATH(&path, probes[i].path, repo);
        doctor_ask(doctor, probes[i].method, &path, "{}", false, &answer);
        if (doctor_scope_missing(&answer)) {
            doctor_say(doctor, DOCTOR_WRONG, "forgejo.token", "has not the scope %s, %s",
                       probes[i].scope, probes[i].for_what);
            missing++;
        }
        doctor_answer_release(&answer);
    }
    if (missing > 0)
        doctor_mend("as the fleet's account: %s/user/settings/applications, Generate new token: "
                    "read:user, write:issue, write:repository",
                    doctor->web);
    else
        doctor_say(doctor, DOCTOR_OK, "forgejo.token", "has write:issue and write:repository");
}
