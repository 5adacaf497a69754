/* Where a stream goes on: the id that a client has read last. */
#ifndef FLEET_API_LAST_EVENT_H
#define FLEET_API_LAST_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "server/http/call.h"

/* The header Last-Event-ID, which browsers send when they come back, else the parameter
 * last_event_id; NULL or empty: neither. False: the call is answered. */
bool last_event(struct call *call, const char **id, size_t *len);

/* Answers a call whose id is none of ours. `what` is streamed. */
void last_event_refuse(struct call *call, const char *what);

#endif
