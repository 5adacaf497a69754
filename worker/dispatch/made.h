/* The hosts that the API made, as the database last told them; each has its own small
 * configuration. */
#ifndef FLEET_MADE_H
#define FLEET_MADE_H

#include <stdbool.h>

#include "common/config/config.h"
#include "common/list.h"
#include "worker/node/settings.h"

struct made {
    struct list link;
    struct settings *settings; /* a use of it: a configuration of this one host */
    int revision;              /* counts its entries */
};

/* One entry more; `json` as fleet.made_hosts() gives it. What cannot be used is logged and left
 * out. */
void made_add(struct list *list, const char *host_id, int revision, const char *json,
              const struct config *beside);
bool made_same(const struct list *a,
               const struct list *b); /* the same revisions of the same hosts */
void made_release(struct list *list);

#endif
