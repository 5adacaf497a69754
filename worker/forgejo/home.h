/* The repository that something is read from: found by the name that we know, or, when Forgejo says
 * that it moved or answers with another one, by its id. */
#ifndef FLEET_FORGEJO_HOME_H
#define FLEET_FORGEJO_HOME_H

#include "worker/forgejo/setback.h"

#define HOME_NAME_MAX 512
#define HOME_PATH_MAX 4096 /* of what is asked about it */

struct home {
    struct tracker *tracker; /* borrowed */
    char name[HOME_NAME_MAX];
    int64_t id;               /* 0: not known yet */
    struct json_object *json; /* owned: what Forgejo says of it; NULL before */
    struct setback *setback;  /* borrowed during home_find */
    void (*on_found)(void *data);
    void *data; /* borrowed */
};

void home_init(struct home *home, struct tracker *tracker, const char *name, int64_t id);
void home_release(struct home *home);
/* Calls on_found exactly once, later: json and name are set then, or a setback was taken. */
void home_find(struct home *home, struct setback *setback, void (*on_found)(void *), void *data);

#endif
