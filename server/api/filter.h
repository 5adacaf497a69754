/* Filters of lists: from query parameters to the JSON that the SQL functions take. Pure.
 */
#ifndef FLEET_API_FILTER_H
#define FLEET_API_FILTER_H

#include "common/buf.h"
#include "common/json.h"
#include "server/router/query.h"

/* {"name": ["value", …]} for each of `names` (ended by NULL) that is given; repeated and
 * comma-separated values are joined. The caller puts it. */
struct json_object *filter_build(const struct query *query, const char *const *names);

/* The query again, as it may stand in a URL, but with this cursor. */
void filter_next_query(struct buf *out, const struct query *query, const char *cursor);

/* Percent-encodes everything but RFC 3986's unreserved characters. */
void filter_encode(struct buf *out, const char *text);

#endif
