/* Deliveries of Forgejo. */
#ifndef FLEET_WEBHOOK_H
#define FLEET_WEBHOOK_H

#include "server/http/call.h"

/* A handler: answers its call exactly once. */
void webhook_receive(struct call *call);

#endif
