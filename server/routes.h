/* The one table of routes. */
#ifndef FLEET_ROUTES_H
#define FLEET_ROUTES_H

#include "server/router/router.h"

/* Ends with a row whose method is NULL. */
extern const struct route server_routes[];

#endif
