/* Filters of lists: from query parameters to the parameters of the SQL functions. Pure. */
#ifndef FLEET_API_FILTER_H
#define FLEET_API_FILTER_H

#include <stdbool.h>

#include "common/buf.h"
#include "server/router/query.h"

#define FILTER_MAX (1 << 18) /* bytes of one array: more than any request line gives */

/* The values of parameter `name`, repeated or separated by commas, as an SQL array in `out`; NULL
 * when there are none. */
const char *filter_array(struct buf *out, const struct query *query, const char *name);

/* How many values parameter `name` has. */
int filter_count(const struct query *query, const char *name);

/* The first value of parameter `name` that is not among `words` (separated by blanks): a misspelt
 * one would answer an empty list. False when there is none; else it is in `wrong`, at most 64
 * bytes. */
bool filter_misspelt(const struct query *query, const char *name, const char *words,
                     char wrong[65]);

/* The query again, as it may stand in a URL, but with this cursor. */
void filter_next_query(struct buf *out, const struct query *query, const char *cursor);

/* Percent-encodes everything but RFC 3986's unreserved characters. */
void filter_encode(struct buf *out, const char *text);

#endif
