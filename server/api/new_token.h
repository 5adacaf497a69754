/* A token that a call makes: the database is told its hash, the client its text, once. */
#ifndef FLEET_API_NEW_TOKEN_H
#define FLEET_API_NEW_TOKEN_H

#include "common/buf.h"
#include "server/http/call.h"
#include "server/identity.h"

/* Makes one of this scope; the call keeps its text, and wipes it at its end. `hash` is initialised
 * here, becomes a parameter for bytea, and is released by the caller. */
void new_token(struct call *call, enum scope scope, struct buf *hash, char prefix[13]);

/* As reply_query_locking (key NULL: as reply_query); a 2xx answer, an object, begins with the
 * token's text as `member`. Sent again when its answer was lost: the function knows the hash. */
void new_token_query(struct call *call, const char *key, const char *member, const char *sql,
                     int count, const char *const *params);

#endif
