/* The OpenAPI 3.1 document of a table of routes. Pure. */
#ifndef FLEET_OPENAPI_H
#define FLEET_OPENAPI_H

#include "common/buf.h"
#include "server/router/router.h"

#define OPENAPI_MAX (1 << 20) /* bytes of the document: what `out` has to hold */

/* A body or an answer of a row names schemas of components.json; "text", "events" (SSE), "lines"
 * (ndjson) and "bytes" are no JSON; "A|lines" is either.
 *
 * Writes the document: paths from the table, everything that they name (schemas, query parameters)
 * from components.json, which is built in. */
void openapi_write(struct buf *out, const struct route *routes);

#endif
