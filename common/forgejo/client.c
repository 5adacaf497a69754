/* One call of Forgejo's API. */
#include "common/forgejo/client.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/forgejo/internal.h"
#include "common/mem.h"

/* A call that waits for its answer. */
struct ask {
    struct forgejo *forgejo; /* borrowed */
    forgejo_done_cb done;
    void *data;          /* borrowed, for done */
    char *method, *path; /* owned */
};

/* The keyword in small letters: up to version 11 no other is understood. */
static char *authorization(const char *token)
{
    return token && token[0] ? mem_join("token ", token) : NULL;
}

static void forget(char *secret)
{
    if (secret)
        crypto_wipe(secret, strlen(secret));
    free(secret);
}

struct forgejo *forgejo_new(struct fetch *fetch, const char *token, const char *lookup_token)
{
    struct forgejo *forgejo = mem_alloc(sizeof *forgejo);

    forgejo->fetch = fetch;
    forgejo->authorization = authorization(token);
    forgejo->lookup = authorization(lookup_token && lookup_token[0] ? lookup_token : token);
    return forgejo;
}

void forgejo_count(struct forgejo *forgejo, uint64_t counts[FORGEJO_VERDICTS])
{
    forgejo->counts = counts;
}

void forgejo_free(struct forgejo *forgejo)
{
    if (!forgejo)
        return;
    forget(forgejo->authorization);
    forget(forgejo->lookup);
    free(forgejo);
}

static void on_answer(void *data, const struct fetch_answer *http)
{
    struct ask *ask = data;
    struct forgejo_answer answer;

    forgejo_judge(ask->forgejo, &answer, http, ask->method, ask->path, false);
    ask->done(ask->data, &answer);
    json_object_put(answer.json);
    free(ask->method);
    free(ask->path);
    free(ask);
}

void forgejo_call(struct forgejo *forgejo, const char *method, const char *path, const char *body,
                  bool lookup, forgejo_done_cb done, void *data)
{
    struct ask *ask = mem_alloc(sizeof *ask);
    bool whole = strncmp(path, "/api/", 5) == 0;
    char *from_root = mem_printf("%s%s", whole || path[0] != '/' ? "" : "/api/v1", path);
    struct fetch_request request = {
        .method = method,
        .path = from_root,
        .authorization = lookup ? forgejo->lookup : forgejo->authorization,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .content_type = "application/json",
    };

    *ask = (struct ask){forgejo, done, data, mem_strdup(method), mem_strdup(path)};
    fetch_send(forgejo->fetch, &request, on_answer, ask);
    free(from_root);
}
