/* The labels of a repository: is there one that starts work, and are ours as they have to be? */
#include <string.h>

#include "server/doctor/doctor.h"

#define LABELS_MAX 2000

static bool is_state(const char *name)
{
    static const char *const states[] = {"fleet/queued", "fleet/running", "fleet/review",
                                         "fleet/done", "fleet/failed"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(name, states[i]) == 0)
            return true;
    return false;
}

/* Without the exclusive scope Forgejo keeps the one before beside the new one. */
static void say_loose(struct doctor *doctor, const char *repo, const struct json_object *label)
{
    const char *name = json_string(label, "name", "");
    if (!doctor->config->forgejo.state_labels || !is_state(name) ||
        json_flag(label, "exclusive", false))
        return;
    doctor_say(doctor, DOCTOR_WARN, repo, "its label %s is not exclusive", name);
    doctor_mend("%s/%s/labels, %s, Edit: Exclusive", doctor->web, repo, name);
}

void doctor_labels(struct doctor *doctor, const char *repo)
{
    struct doctor_answer answer;
    struct buf path;
    size_t agents = 0;
    DOCTOR_PATH(&path, "/repos/%r/labels", repo);
    doctor_list(doctor, &path, LABELS_MAX, false, &answer);
    size_t count = answer.json != NULL ? json_object_array_length(answer.json) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct json_object *label = json_object_array_get_idx(answer.json, i);
        agents += strncmp(json_string(label, "name", ""), "agent:", 6) == 0;
        say_loose(doctor, repo, label);
    }
    if (answer.verdict != FORGEJO_OK)
        doctor_say(doctor, DOCTOR_WRONG, repo, "its labels: %s", answer.text);
    else if (agents == 0) {
        doctor_say(doctor, DOCTOR_WARN, repo,
                   "has no label agent:… of its own (those of an organisation were not looked at)");
        doctor_mend("%s/%s/labels, New label: agent: and a capability of an agent, say "
                    "agent:code:rust",
                    doctor->web, repo);
    } else
        doctor_say(doctor, DOCTOR_OK, repo, "has %zu labels that start work", agents);
    doctor_answer_release(&answer);
}
