/* A token's text, from its making to the one answer that shows it. */
#include "server/api/new_token.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "server/api/reply.h"
#include "server/auth.h"
#include "server/server.h"

/* The call's state. */
struct new_token {
    char text[AUTH_TOKEN_MAX];
    const char *member; /* a literal */
};

static void state_free(void *state)
{
    crypto_wipe(state, sizeof(struct new_token));
    free(state);
}

void new_token(struct call *call, enum scope scope, struct buf *hash, char prefix[13])
{
    uint8_t digest[SHA256_SIZE];
    struct new_token *token = mem_alloc(sizeof *token);
    call->state = token;
    call->state_free = state_free;
    auth_make(scope, token->text, digest, prefix);
    buf_init(hash, 128);
    db_bytea(hash, digest, sizeof digest);
}

static void answer(struct call *call, const struct db_result *res)
{
    const struct new_token *token = call->state;
    const char *body = db_text(res, 0, "body");
    if (db_int(res, 0, "status", 500) >= 300 || body == NULL || body[0] != '{') {
        reply_row(call, res);
        return;
    }
    char *shown = mem_printf("{\"%s\": \"%s\", %s", token->member, token->text, body + 1);
    reply_body(call, res, shown);
    crypto_wipe(shown, strlen(shown));
    free(shown);
}

static void on_made(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    if (err != NULL)
        call_db_error(call, err);
    else if (db_rows(res) == 1)
        answer(call, res);
    call_drop(call);
}

void new_token_query(struct call *call, const char *key, const char *member, const char *sql,
                     int count, const char *const *params)
{
    struct db *db = call_server(call)->db;
    ((struct new_token *)call->state)->member = member;
    call_hold(call);
    if (key != NULL)
        db_query_locking(db, key, 0, sql, DB_REPEAT, count, params, on_made, call);
    else
        db_query(db, sql, DB_REPEAT, count, params, on_made, call);
}
