/* Tokens: made, taken out of a header, looked up, and remembered for a while. */
#include "server/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/mem.h"
#include "server/limit.h"

#define CACHE_SETS 512 /* of CACHE_WAYS tokens each */
#define CACHE_WAYS 8
#define SECRET_BYTES 32
#define SECRET_TEXT 43 /* base64url of 32 bytes without padding */

/* A token that was valid when it was last asked for. */
struct cached {
    uint8_t digest[SHA256_SIZE];
    int64_t until_ms;    /* clock_ms: after that it is asked for again, and not as a stranger */
    struct identity who; /* without a name: free */
};

struct auth {
    struct db *db;       /* borrowed */
    struct limit *limit; /* owned */
    int64_t cache_ms;
    uint64_t forgotten; /* how often: an answer that was on its way meanwhile is not remembered */
    struct cached cache[CACHE_SETS][CACHE_WAYS];
};

struct lookup {
    struct limit_turn turn;
    struct auth *auth; /* borrowed: outlives the query, which db_stop ends first */
    uint8_t digest[SHA256_SIZE];
    uint64_t forgotten; /* of auth, when it was asked */
    bool queued;        /* it has a turn */
    auth_done_cb on_done;
    void *data;
};

static int64_t cache_ms(void)
{
    const char *text = getenv("FLEET_AUTH_CACHE_MS");
    char *end;
    long value = text != NULL ? strtol(text, &end, 10) : -1;
    return text != NULL && *text != '\0' && *end == '\0' && value >= 0 && value <= 3600000
               ? value
               : AUTH_CACHE_MS;
}

struct auth *auth_new(struct db *db)
{
    struct auth *auth = mem_alloc(sizeof *auth);
    auth->db = db;
    auth->limit = limit_new();
    auth->cache_ms = cache_ms();
    return auth;
}

void auth_forget(struct auth *auth)
{
    auth->forgotten++;
    for (int set = 0; set < CACHE_SETS; set++) {
        for (int way = 0; way < CACHE_WAYS; way++)
            auth->cache[set][way].until_ms = 0;
    }
}

static void drop(struct cached *cached)
{
    identity_release(&cached->who);
    crypto_wipe(cached, sizeof *cached);
}

void auth_free(struct auth *auth)
{
    struct limit_turn *turn;
    struct error err = {0};
    if (auth == NULL)
        return;
    error_set_state(&err, "08003", "this node stopped before the token was looked up");
    while ((turn = limit_take(auth->limit)) != NULL) {
        struct lookup *lookup = list_entry(turn, struct lookup, turn);
        lookup->on_done(lookup->data, NULL, &err);
        free(lookup);
    }
    for (int set = 0; set < CACHE_SETS; set++) {
        for (int way = 0; way < CACHE_WAYS; way++)
            drop(&auth->cache[set][way]);
    }
    limit_free(auth->limit);
    free(auth);
}

int auth_failed(struct auth *auth, const char *address)
{
    return limit_failed(auth->limit, address);
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

/* --- what is remembered --- */

static struct cached *set_of(struct auth *auth, const uint8_t digest[SHA256_SIZE])
{
    return auth->cache[(digest[0] << 8 | digest[1]) % CACHE_SETS];
}

static struct cached *find(struct auth *auth, const uint8_t digest[SHA256_SIZE])
{
    struct cached *set = set_of(auth, digest);
    for (int way = 0; way < CACHE_WAYS; way++) {
        if (set[way].who.name != NULL && crypto_equal(set[way].digest, digest, SHA256_SIZE))
            return &set[way];
    }
    return NULL;
}

const struct identity *auth_cached(struct auth *auth, const uint8_t digest[SHA256_SIZE])
{
    const struct cached *cached = find(auth, digest);
    return cached != NULL && cached->until_ms > clock_ms() ? &cached->who : NULL;
}

/* In its old place, else in that of the one that was asked for longest ago. */
static void remember(struct auth *auth, const uint8_t digest[SHA256_SIZE],
                     const struct identity *who, int64_t ms)
{
    struct cached *set = set_of(auth, digest), *cached = find(auth, digest);
    for (int way = 0; cached == NULL && way < CACHE_WAYS; way++) {
        if (set[way].who.name == NULL)
            cached = &set[way];
    }
    if (cached == NULL) {
        cached = &set[0];
        for (int way = 1; way < CACHE_WAYS; way++) {
            if (set[way].until_ms < cached->until_ms)
                cached = &set[way];
        }
    }
    identity_release(&cached->who);
    identity_copy(&cached->who, who);
    memcpy(cached->digest, digest, SHA256_SIZE);
    cached->until_ms = clock_ms() + (ms < auth->cache_ms ? ms : auth->cache_ms);
}

/* --- looked up --- */

static void found(struct lookup *lookup, const struct db_result *res)
{
    struct auth *auth = lookup->auth;
    const char *name = db_text(res, 0, "name");
    struct identity who = {.token_id = db_int(res, 0, "token_id", 0),
                           .scope = scope_of(db_text(res, 0, "scope")),
                           .bounded = db_bool(res, 0, "bounded"),
                           .name = mem_strdup(name != NULL ? name : "")};
    if (lookup->forgotten == auth->forgotten)
        remember(auth, lookup->digest, &who, db_int(res, 0, "expires_ms", INT64_MAX));
    lookup->on_done(lookup->data, &who, NULL);
    identity_release(&who);
}

static void on_found(void *data, const struct db_result *res, const struct error *err)
{
    struct lookup *lookup = data;
    struct auth *auth = lookup->auth;
    bool queued = lookup->queued;
    if (err != NULL) {
        lookup->on_done(lookup->data, NULL, err);
    } else if (db_rows(res) == 0) {
        struct cached *cached = find(auth, lookup->digest);
        if (cached != NULL)
            drop(cached);
        lookup->on_done(lookup->data, NULL, NULL);
    } else {
        found(lookup, res);
    }
    free(lookup);
    if (queued)
        limit_done(auth->limit);
}

static void ask(struct lookup *lookup)
{
    struct buf parameter;
    buf_init(&parameter, 128);
    db_bytea(&parameter, lookup->digest, SHA256_SIZE);
    const char *params[] = {buf_text(&parameter)};
    lookup->forgotten = lookup->auth->forgotten;
    db_query(lookup->auth->db,
             "select token_id, name, scope, bounded, expires_ms from fleet.authenticate($1::bytea)",
             DB_REPEAT, 1, params, on_found, lookup);
    buf_release(&parameter);
}

static void on_turn(struct limit_turn *turn)
{
    ask(list_entry(turn, struct lookup, turn));
}

struct lookup *auth_lookup(struct auth *auth, const uint8_t digest[SHA256_SIZE],
                           const char *address, auth_done_cb on_done, void *data)
{
    struct lookup *lookup = mem_alloc(sizeof *lookup);
    *lookup =
        (struct lookup){.turn = {.go = on_turn}, .auth = auth, .on_done = on_done, .data = data};
    memcpy(lookup->digest, digest, SHA256_SIZE);
    lookup->queued = find(auth, digest) == NULL && limit_is_hot(auth->limit, address);
    if (lookup->queued)
        limit_queue(auth->limit, address, &lookup->turn);
    else
        ask(lookup);
    return lookup;
}

bool auth_forgo(struct lookup *lookup)
{
    if (!limit_leave(&lookup->turn))
        return false;
    free(lookup);
    return true;
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
