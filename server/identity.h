/* Who asks, and what that allows. Pure. */
#ifndef FLEET_IDENTITY_H
#define FLEET_IDENTITY_H

#include <stdint.h>

/* Each scope includes those before it. */
enum scope { SCOPE_NONE, SCOPE_READ, SCOPE_SUBMIT, SCOPE_OPERATE, SCOPE_ADMIN };

/* The word of a scope and back; SCOPE_NONE for an unknown word. */
const char *scope_name(enum scope scope);
enum scope scope_of(const char *name);

struct identity {
    int64_t token_id; /* 0: nobody, or open mode */
    enum scope scope;
    char *name; /* owned; NULL for nobody */
};

void identity_release(struct identity *who);
void identity_copy(struct identity *to, const struct identity *from);

#endif
