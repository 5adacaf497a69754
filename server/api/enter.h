/* What a request passes before its handler. */
#ifndef FLEET_API_ENTER_H
#define FLEET_API_ENTER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/http/call.h"

/* Takes a call in: host, sizes, route, query, token, scope; then its handler. Its data is the
 * server. */
void api_enter(struct call *call);

/* An answer is about to be sent: it is counted. */
void api_answered(struct call *call, int status);

/* The last of it: token and scope, then the handler of the call's route. */
void api_admit(struct call *call);

/* Is the body within `limit` bytes? False: the call is answered 413. */
bool api_size_fits(struct call *call, int64_t limit);

/* Logs an answer 401: anyone can cause these, so they are counted and a line is written now and
 * then. */
void api_log_refusal(struct call *call, const char *why);

#endif
