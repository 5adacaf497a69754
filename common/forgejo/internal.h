/* What the files of this folder share. */
#ifndef FLEET_FORGEJO_INTERNAL_H
#define FLEET_FORGEJO_INTERNAL_H

#include "common/forgejo/client.h"

struct forgejo {
    struct fetch *fetch; /* borrowed */
    char *authorization; /* owned, secret; NULL: none */
    char *lookup;        /* the same, for look-ups */
    uint64_t *counts;    /* borrowed: of answers by verdict; NULL: nobody counts */
    int64_t page_size;   /* the most items of a page; 0: not asked yet, -1: it does not say */
};

/* What the answer to `method` `path` means; the caller puts answer->json. null_fits: JSON's
 * null is an answer to GET, too. */
void forgejo_judge(const struct forgejo *forgejo, struct forgejo_answer *answer,
                   const struct fetch_answer *http, const char *method, const char *path,
                   bool null_fits);

/* Text of JSON in place: no NUL as an escape, which json_parse would refuse the whole for. */
void forgejo_unnul(char *json, size_t len);

#endif
