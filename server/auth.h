/* Who is asking: bearer tokens, looked up in the database by their SHA-256.
 *
 * Tokens look like "aft_<letter of the scope>_<43 base64url>"; the whole text is hashed. Tokens
 * that were found are remembered for AUTH_CACHE_MS (FLEET_AUTH_CACHE_MS), or until they expire or
 * auth_forget; those that were not found are always asked for again, one at a time when their
 * address sent too many (server/limit.h). */
#ifndef FLEET_AUTH_H
#define FLEET_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/db/db.h"
#include "common/error.h"
#include "server/identity.h"

#define AUTH_CACHE_MS 5000
#define AUTH_TOKEN_MAX 64 /* bytes of a token's text, with NUL */

struct auth;
struct auth *auth_new(struct db *db);
void auth_free(struct auth *auth);

/* A token may have been revoked: each is asked for again, at its next use. */
void auth_forget(struct auth *auth);

/* A wrong token, or none, came from there: 0, or how many seconds until the address, which sent too
 * many, is trusted again. */
int auth_failed(struct auth *auth, const char *address);

/* The token of an "Authorization: Bearer ..." value, hashed; false when there is none of our form.
 */
bool auth_parse(const char *header, size_t len, uint8_t digest[SHA256_SIZE]);

/* Is this such a value with `shared`, the agents' common token (NULL: there is none)? */
bool auth_is_shared(const char *header, size_t len, const char *shared);

/* NULL when the digest is not remembered. Borrowed until the next call of this module. */
const struct identity *auth_cached(struct auth *auth, const uint8_t digest[SHA256_SIZE]);

/* Exactly once, later: who is NULL for an unknown, revoked or expired token; err when the database
 * did not answer. `who` is borrowed during the callback. */
typedef void (*auth_done_cb)(void *data, const struct identity *who, const struct error *err);
struct lookup *auth_lookup(struct auth *auth, const uint8_t digest[SHA256_SIZE],
                           const char *address, auth_done_cb on_done, void *data);
/* Before on_done: nobody wants to know any more. True: it still waited in line, on_done does not
 * come, and nothing of it is left. */
bool auth_forgo(struct lookup *lookup);

/* A new token of this scope: its text (AUTH_TOKEN_MAX bytes), digest, and what may be shown of it.
 */
void auth_make(enum scope scope, char *token, uint8_t digest[SHA256_SIZE], char prefix[13]);

#endif
