/* What handlers read of a request: its body's type, small JSON bodies. */
#ifndef FLEET_API_REQUEST_H
#define FLEET_API_REQUEST_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/json.h"
#include "server/http/call.h"

/* Is the body declared as this media type, whatever its parameters? */
bool request_has_type(const struct call *call, const char *wanted);

/* Is the body declared as application/json? False: the call is answered 415. */
bool request_is_json(struct call *call);

/* The body as an object of these members (ended by NULL; "reason" has to be a text of at most 1000
 * characters); an empty body is an empty object. The caller puts it. False: the call is answered.
 */
bool request_object(struct call *call, const char *const *members, struct json_object **object);

/* The Idempotency-Key; NULL when there is none. The caller frees it. False: the call is answered.
 */
bool request_key(struct call *call, char **key);

/* Who asks, from where, in which request: a row literal of fleet.requester, for a parameter. `out`
 * is initialised here and released by the caller. */
const char *request_by(const struct call *call, struct buf *out);

/* Overwrites credentials in a text that is to be stored, the agents' shared token among them. */
void request_redact(const struct call *call, char *text);

#endif
