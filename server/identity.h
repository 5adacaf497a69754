/* Who asks, and what that allows. Pure. */
#ifndef FLEET_IDENTITY_H
#define FLEET_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

/* Of people: each includes those before it, from SCOPE_READ on. An agent's token opens what the
 * routes open to agents, and nothing else. */
enum scope { SCOPE_NONE, SCOPE_AGENT, SCOPE_READ, SCOPE_SUBMIT, SCOPE_OPERATE, SCOPE_ADMIN };

/* The word of a scope and back; SCOPE_NONE for an unknown word. */
const char *scope_name(enum scope scope);
enum scope scope_of(const char *name);

#define TOKEN_SHARED (-1) /* orchestrator.http_pull_token: any holder can be any agent */

struct identity {
    int64_t token_id; /* 0: nobody, or open mode; TOKEN_SHARED */
    enum scope scope;
    bool bounded; /* to repositories: reaches tasks of these, and nothing of the fleet */
    char *name;   /* owned; NULL for nobody */
};

void identity_release(struct identity *who);
void identity_copy(struct identity *to, const struct identity *from);

#endif
