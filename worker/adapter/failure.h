/* What a failure is called that an agent or its provider puts into words. Pure. */
#ifndef FLEET_FAILURE_H
#define FLEET_FAILURE_H

#include <stdbool.h>

/* The reason that an error comes to; "agent_error" when nothing more is known. `status` is the
 * provider's of HTTP, 0 when it is not told; `text` may be NULL. A static text. */
const char *failure_of(int status, const char *text);

/* That reason as a static text; NULL when no adapter gives it. */
const char *failure_named(const char *reason);

/* How much it says of what has to be mended or waited for: a lower one does not take its place. */
int failure_weight(const char *reason);

#endif
