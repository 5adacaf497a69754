/* What a Forgejo webhook delivery says: its signature headers, its event, its issue. Pure: bytes
 * in, struct out; nothing here knows HTTP or the database. */
#ifndef FLEET_WEBHOOK_FORGEJO_H
#define FLEET_WEBHOOK_FORGEJO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/crypto.h"
#include "common/error.h"
#include "common/json.h"

/* A header as it came: its last value and how often it was there. */
struct forgejo_header {
    const char *value; /* borrowed; not NUL-ended; NULL when absent */
    size_t len;
    size_t count;
};

/* In the order in which they count: the first that is present decides, alone. */
struct forgejo_signatures {
    struct forgejo_header forgejo; /* X-Forgejo-Signature */
    struct forgejo_header gitea;   /* X-Gitea-Signature */
    struct forgejo_header hub;     /* X-Hub-Signature-256 */
};

/* The MAC that the headers claim. False with err when none, more than one, or not 64 hexadecimal
 * digits (with or without the prefix "sha256="). */
bool forgejo_signature(const struct forgejo_signatures *headers, uint8_t mac[SHA256_SIZE],
                       struct error *err);

/* HMAC-SHA256 over the raw bytes, compared in constant time. A NULL or empty secret fits nothing.
 */
bool forgejo_signed_with(const char *secret, const void *body, size_t len,
                         const uint8_t mac[SHA256_SIZE]);

enum forgejo_event {
    FORGEJO_ISSUE,   /* may make work: issues, issue_label */
    FORGEJO_OTHER,   /* known, of no use here */
    FORGEJO_UNKNOWN, /* not an event of Forgejo */
};

/* By the (unsigned) headers; `type` "" when the header is absent. */
enum forgejo_event forgejo_event_of(const char *event, const char *type);

/* The issue of a signed body. Texts are borrowed from `json`. */
struct forgejo_issue {
    struct json_object *json;   /* owned: the whole payload */
    struct json_object *labels; /* owned: array of names; empty after label_cleared */
    const char *action, *repo, *title, *body, *state, *updated_at, *html_url, *sender;
    int64_t number;
};

enum forgejo_parse { FORGEJO_PARSED, FORGEJO_IGNORED, FORGEJO_INVALID };

/* `type` is the event type by the headers ("" = by the action). FORGEJO_INVALID: err says what is
 * wrong; FORGEJO_IGNORED: an action that never makes work. Release it whatever comes back. */
enum forgejo_parse forgejo_issue_parse(struct forgejo_issue *issue, const char *bytes, size_t len,
                                       const char *type, struct error *err);
void forgejo_issue_release(struct forgejo_issue *issue);

/* Why this issue may not start work ("repository_not_allowed", "sender_not_allowed"), or NULL.
 * Names are compared without case, as Forgejo does. */
const char *forgejo_refusal(const struct forgejo_issue *issue,
                            const struct config_list *repositories,
                            const struct config_list *trigger_users);

#endif
