/* Tokens: made, taken out of a header, looked up, and remembered for a while. */
#include "server/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/mem.h"

#define CACHE_SLOTS 256
#define SECRET_BYTES 32
#define SECRET_TEXT 43 /* base64url of 32 bytes without padding */

struct cached {
    uint8_t digest[SHA256_SIZE];
    int64_t until_ms; /* clock_ms; 0 = empty */
    struct identity who;
};

struct auth {
    struct db *db; /* borrowed */
    struct cached cache[CACHE_SLOTS];
};

struct lookup {
    struct auth *auth; /* borrowed: outlives the query, which db_stop ends first */
    uint8_t digest[SHA256_SIZE];
    auth_done_cb on_done;
    void *data;
};

struct auth *auth_new(struct db *db)
{
    struct auth *auth = mem_alloc(sizeof *auth);
    auth->db = db;
    return auth;
}

void auth_forget(struct auth *auth)
{
    for (int i = 0; i < CACHE_SLOTS; i++)
        identity_release(&auth->cache[i].who);
    crypto_wipe(auth->cache, sizeof auth->cache);
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    auth_forget(auth);
    free(auth);
}

static bool token_is_formed(const char *token, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if (len != 6 + SECRET_TEXT || memcmp(token, "aft_", 4) != 0 || token[5] != '_' ||
        token[4] == '\0' || strchr("dosgr", token[4]) == NULL)
        return false;
    for (size_t i = 6; i < len; i++) {
        if (token[i] == '\0' || strchr(alphabet, token[i]) == NULL)
            return false;
    }
    return true;
}

/* What stands behind "Bearer" (RFC 6750 2.1), without blanks around it; NULL when nothing does. */
static const char *bearer_of(const char *header, size_t *len)
{
    static const char scheme[] = "bearer ";
    size_t at = strlen(scheme), end = *len;
    if (end <= at || strncasecmp(header, scheme, at) != 0)
        return NULL;
    while (at < end && header[at] == ' ')
        at++;
    while (end > at && header[end - 1] == ' ')
        end--;
    *len = end - at;
    return end > at ? header + at : NULL;
}

bool auth_parse(const char *header, size_t len, uint8_t digest[SHA256_SIZE])
{
    const char *token = bearer_of(header, &len);
    if (token == NULL || !token_is_formed(token, len))
        return false;
    crypto_sha256(token, len, digest);
    return true;
}

bool auth_is_shared(const char *header, size_t len, const char *shared)
{
    uint8_t given[SHA256_SIZE], wanted[SHA256_SIZE];
    const char *token = bearer_of(header, &len);
    if (token == NULL || shared == NULL)
        return false;
    crypto_sha256(token, len, given);
    crypto_sha256(shared, strlen(shared), wanted);
    return crypto_equal(given, wanted, SHA256_SIZE);
}

static struct cached *slot_of(struct auth *auth, const uint8_t digest[SHA256_SIZE])
{
    return &auth->cache[digest[0] % CACHE_SLOTS];
}

const struct identity *auth_cached(struct auth *auth, const uint8_t digest[SHA256_SIZE])
{
    struct cached *cached = slot_of(auth, digest);
    if (cached->until_ms <= clock_ms() || !crypto_equal(cached->digest, digest, SHA256_SIZE))
        return NULL;
    return &cached->who;
}

static void remember(struct auth *auth, const uint8_t digest[SHA256_SIZE],
                     const struct identity *who)
{
    struct cached *cached = slot_of(auth, digest);
    identity_release(&cached->who);
    identity_copy(&cached->who, who);
    memcpy(cached->digest, digest, SHA256_SIZE);
    cached->until_ms = clock_ms() + AUTH_CACHE_MS;
}

static void on_found(void *data, const struct db_result *res, const struct error *err)
{
    struct lookup *lookup = data;
    if (err != NULL) {
        lookup->on_done(lookup->data, NULL, err);
    } else if (db_rows(res) == 0) {
        lookup->on_done(lookup->data, NULL, NULL);
    } else {
        struct identity who = {.token_id = db_int(res, 0, "token_id", 0),
                               .scope = scope_of(db_text(res, 0, "scope"))};
        const char *name = db_text(res, 0, "name");
        who.name = mem_strdup(name != NULL ? name : "");
        remember(lookup->auth, lookup->digest, &who);
        lookup->on_done(lookup->data, &who, NULL);
        identity_release(&who);
    }
    free(lookup);
}

void auth_lookup(struct auth *auth, const uint8_t digest[SHA256_SIZE], auth_done_cb on_done,
                 void *data)
{
    struct lookup *lookup = mem_alloc(sizeof *lookup);
    *lookup = (struct lookup){.auth = auth, .on_done = on_done, .data = data};
    memcpy(lookup->digest, digest, SHA256_SIZE);
    struct buf parameter;
    buf_init(&parameter, 128);
    db_bytea(&parameter, digest, SHA256_SIZE);
    const char *params[] = {buf_text(&parameter)};
    db_query(auth->db, "select token_id, name, scope from fleet.authenticate($1::bytea)", DB_REPEAT,
             1, params, on_found, lookup);
    buf_release(&parameter);
}

void auth_make(enum scope scope, char *token, uint8_t digest[SHA256_SIZE], char prefix[13])
{
    static const char letters[] = "?grsod"; /* in the order of enum scope */
    uint8_t secret[SECRET_BYTES];
    char text[48];
    crypto_random(secret, sizeof secret);
    crypto_base64url(secret, sizeof secret, text);
    snprintf(token, AUTH_TOKEN_MAX, "aft_%c_%s", letters[scope], text);
    crypto_sha256(token, strlen(token), digest);
    snprintf(prefix, 13, "%.12s", token);
    crypto_wipe(secret, sizeof secret);
    crypto_wipe(text, sizeof text);
}
