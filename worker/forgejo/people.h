/* Permissions of people on a repository, as Forgejo answers them to a repository's administrator:
 * asked anew for each look, each login once. */
#ifndef FLEET_FORGEJO_PEOPLE_H
#define FLEET_FORGEJO_PEOPLE_H

#include "worker/forgejo/home.h"

#define PEOPLE_MAX 64 /* of one look; who is more is not known */

struct people {
    struct tracker *tracker;  /* borrowed */
    char *logins[PEOPLE_MAX]; /* owned */
    const char *words[PEOPLE_MAX];
    int count, next;
    const char *repo;        /* borrowed during people_ask */
    struct setback *setback; /* borrowed during people_ask */
    void (*on_known)(void *data);
    void *data; /* borrowed */
};

void people_init(struct people *people, struct tracker *tracker);
void people_release(struct people *people);
void people_add(struct people *people, const char *login); /* NULL and "" are nobody */
/* Calls on_known exactly once, perhaps at once; that Forgejo could not be asked is a setback then.
 */
void people_ask(struct people *people, const char *repo, struct setback *setback,
                void (*on_known)(void *), void *data);
/* {"login": "owner|admin|write|read|none|unknown"}; a new object. */
struct json_object *people_json(const struct people *people);

#endif
