/* The signed JSON of a delivery, whatever its event, read into one normalised object of what is of
 * use: "kind", "action", "repository", "sender", and "issue", "comment", "pull", "review" or "push"
 * by the kind. SQL knows no other form. Pure. */
#ifndef FLEET_WEBHOOK_PAYLOAD_H
#define FLEET_WEBHOOK_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/json.h"
#include "server/webhook/event.h"

struct payload {
    struct json_object *json; /* owned: normalised; NULL unless PAYLOAD_READ */
    const char *repo;         /* borrowed from json: owner/name, "" when it is about none */
    const char *sender;       /* borrowed from json: login, "" when there is none */
    int64_t number;           /* of the issue or pull request; 0 when it is about none */
};

enum payload_verdict {
    PAYLOAD_READ,
    PAYLOAD_IGNORED, /* an action that is not known here */
    PAYLOAD_INVALID, /* err says what is wrong */
};

/* The headers are not signed: a body of another shape than they promise, or with an action of
 * another event, is invalid. Release it whatever comes back. */
enum payload_verdict payload_read(struct payload *payload, const char *event, const char *type,
                                  const char *bytes, size_t len, struct error *err);
void payload_release(struct payload *payload);

#endif
