/* Scopes by name, and identities copied and released. */
#include "server/identity.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

static const char *const scope_names[] = {"none", "agent", "read", "submit", "operate", "admin"};

const char *scope_name(enum scope scope)
{
    return scope_names[scope];
}

enum scope scope_of(const char *name)
{
    for (int i = SCOPE_AGENT; name != NULL && i <= SCOPE_ADMIN; i++) {
        if (strcmp(scope_names[i], name) == 0)
            return (enum scope)i;
    }
    return SCOPE_NONE;
}

void identity_release(struct identity *who)
{
    free(who->name);
    *who = (struct identity){0};
}

void identity_copy(struct identity *to, const struct identity *from)
{
    *to = *from;
    to->name = mem_strdup(from->name);
}
