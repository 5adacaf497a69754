/* The table of events (Forgejo: modules/webhook/type.go). */
#include "server/webhook/event.h"

#include <stddef.h>
#include <string.h>

#include "common/text.h"

#define ACTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASSIGN ACTIONS("assigned", "unassigned")
#define LABEL ACTIONS("label_updated", "label_cleared")
#define MILESTONE ACTIONS("milestoned", "demilestoned")
#define STATE ACTIONS("opened", "closed", "reopened", "edited")
#define TEXT ACTIONS("created", "edited", "deleted")

struct event {
    const char *type, *event;
    enum event_kind kind;
    const char *const *actions; /* ended by NULL; NULL: the body names none */
};

static const struct event events[] = {
    {"issues", "issues", EVENT_ISSUE, STATE},
    {"issue_assign", "issues", EVENT_ISSUE, ASSIGN},
    {"issue_label", "issues", EVENT_ISSUE, LABEL},
    {"issue_milestone", "issues", EVENT_ISSUE, MILESTONE},
    {"issue_comment", "issue_comment", EVENT_COMMENT, TEXT},
    {"pull_request_comment", "issue_comment", EVENT_COMMENT, TEXT},
    {"pull_request", "pull_request", EVENT_PULL, STATE},
    {"pull_request_assign", "pull_request", EVENT_PULL, ASSIGN},
    {"pull_request_label", "pull_request", EVENT_PULL, LABEL},
    {"pull_request_milestone", "pull_request", EVENT_PULL, MILESTONE},
    {"pull_request_sync", "pull_request", EVENT_PULL, ACTIONS("synchronized")},
    {"pull_request_review_request", "pull_request", EVENT_PULL,
     ACTIONS("review_requested", "review_request_removed")},
    {"pull_request_review_approved", "pull_request_approved", EVENT_REVIEW, ACTIONS("reviewed")},
    {"pull_request_review_rejected", "pull_request_rejected", EVENT_REVIEW, ACTIONS("reviewed")},
    {"pull_request_review_comment", "pull_request_comment", EVENT_REVIEW, ACTIONS("reviewed")},
    {"push", "push", EVENT_PUSH, NULL},
    {"delete", "delete", EVENT_DELETE, NULL},
    {"create", "create", EVENT_UNUSED, NULL},
    {"fork", "fork", EVENT_UNUSED, NULL},
    {"wiki", "wiki", EVENT_UNUSED, NULL},
    {"repository", "repository", EVENT_UNUSED, NULL},
    {"release", "release", EVENT_UNUSED, NULL},
    {"action_run_failure", "action_run_failure", EVENT_UNUSED, NULL},
    {"action_run_recover", "action_run_recover", EVENT_UNUSED, NULL},
    {"action_run_success", "action_run_success", EVENT_UNUSED, NULL},
    {"package", "", EVENT_UNUSED, NULL},
};
#define EVENTS (sizeof events / sizeof events[0])

const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[] = {
        [EVENT_ISSUE] = "issue",   [EVENT_COMMENT] = "comment", [EVENT_PULL] = "pull",
        [EVENT_REVIEW] = "review", [EVENT_PUSH] = "push",       [EVENT_DELETE] = "delete",
        [EVENT_UNUSED] = "unused", [EVENT_UNKNOWN] = "unknown"};
    return names[kind];
}

static bool is_meant(const struct event *entry, const char *event, const char *type)
{
    if (type[0] == '\0')
        return event[0] != '\0' && strcmp(entry->event, event) == 0;
    return strcmp(entry->type, type) == 0 && (event[0] == '\0' || strcmp(entry->event, event) == 0);
}

enum event_kind event_kind_of(const char *event, const char *type)
{
    for (size_t i = 0; i < EVENTS; i++)
        if (is_meant(&events[i], event, type))
            return events[i].kind;
    return EVENT_UNKNOWN;
}

enum event_action event_action_of(const char *event, const char *type, const char *action)
{
    enum event_action verdict = ACTION_NEW;
    for (size_t i = 0; i < EVENTS; i++) {
        const char *const *actions = events[i].actions;
        bool meant = is_meant(&events[i], event, type);
        if (meant && actions == NULL)
            return action[0] == '\0' ? ACTION_USED : ACTION_FOREIGN;
        if (actions == NULL || !text_listed(action, actions))
            continue;
        if (meant)
            return ACTION_USED;
        verdict = ACTION_FOREIGN;
    }
    return verdict;
}

const char *event_word(const char *event, const char *type)
{
    return type[0] != '\0' ? type : event;
}
