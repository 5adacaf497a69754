/* The parts of a server node: what every handler reaches. */
#ifndef FLEET_SERVER_H
#define FLEET_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/db/db.h"
#include "common/db/schema.h"
#include "common/loop.h"
#include "common/measure.h"
#include "common/notify.h"
#include "server/auth.h"
#include "server/ceiling.h"
#include "server/follow/follow.h"
#include "server/http/http.h"
#include "server/meter.h"
#include "server/node.h"
#include "server/pull/pull.h"
#include "server/submit.h"
#include "server/tend.h"
#include "server/turns.h"

#define WEBHOOK_BODY_MAX (5 << 20) /* bytes */

struct server {
    struct loop loop;
    const struct route *routes; /* borrowed: all of them, ended by a row without a method */
    struct config *config;      /* owned; swapped by a reload: never keep a pointer into it */
    struct db *db;              /* owned */
    struct auth *auth;          /* owned */
    struct ceiling *ceiling;    /* owned */
    struct follow *follow;      /* owned */
    struct submit *submit;      /* owned */
    struct node *node;          /* owned */
    struct pull *pull;          /* owned */
    struct tend *tend;          /* owned */
    struct turns turns;         /* of reads of output */
    struct measure *measure;    /* owned */
    struct meter meter;
    struct http *http; /* owned */
    struct db_schema schema;
    struct notify notify;
    int status;    /* to exit with */
    bool checking; /* the invariants are being looked at */
    bool told;     /* by a signal, to stop */
    bool draining; /* /readyz says so; no new work is wanted */
    bool stopping; /* the listener is closed */
    struct timer lame_duck;
    int open;                   /* parts still to be stopped */
    int64_t refusals_logged_ms; /* clock_ms of the last line about answers 401 */
    uint64_t refusals;          /* answers 401 since that line */
};

/* A notify_status_cb: what it does now, in one line. */
bool server_status(void *server, char *text, size_t size);

/* The server that answers a call: the data of its http_options. */
static inline struct server *call_server(const struct call *call)
{
    return call->data;
}

#endif
