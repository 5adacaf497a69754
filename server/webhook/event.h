/* Events of Forgejo by their (unsigned) headers: which kind of body belongs to them, and which
 * actions. Pure. */
#ifndef FLEET_WEBHOOK_EVENT_H
#define FLEET_WEBHOOK_EVENT_H

#include <stdbool.h>

enum event_kind {
    EVENT_ISSUE,
    EVENT_COMMENT, /* on an issue or a pull request */
    EVENT_PULL,
    EVENT_REVIEW,
    EVENT_PUSH,
    EVENT_DELETE,  /* of a branch or tag */
    EVENT_UNUSED,  /* known, of no use here */
    EVENT_UNKNOWN, /* not an event of Forgejo, or headers that contradict each other */
};

/* As it is called in the normalised delivery: "issue", "comment", … */
const char *event_kind_name(enum event_kind kind);

/* X-Forgejo-Event and X-Forgejo-Event-Type, "" when absent. The same word may be an event's name
 * and another one's type ("pull_request_comment"): the type decides where there is one. */
enum event_kind event_kind_of(const char *event, const char *type);

enum event_action {
    ACTION_USED,
    ACTION_NEW,     /* no Forgejo that is known here sends it */
    ACTION_FOREIGN, /* it belongs to another event: header and body do not fit */
};

enum event_action event_action_of(const char *event, const char *type, const char *action);

/* What an allow-list of events is about: its type, or its name where there is none. */
const char *event_word(const char *event, const char *type);

#endif
