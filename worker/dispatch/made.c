/* The entries of the API's hosts: read, compared, freed. */
#include "worker/dispatch/made.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"

static const char *name(const struct made *made)
{
    return made->settings->config->hosts[0].host_id;
}

void made_add(struct list *list, const char *host_id, int revision, const char *json,
              const struct config *beside)
{
    struct config_list problems;
    struct config *config = config_parse_host(json, strlen(json), beside, CONFIG_WORKER, &problems);
    for (size_t i = 0; i < problems.count; i++)
        log_error(LOG_ABOUT(LOG_FIELD("host", host_id)), "the API's entry cannot be used here: %s",
                  problems.items[i]);
    config_list_release(&problems);
    if (config == NULL)
        return;
    struct made *made = mem_alloc(sizeof *made);
    made->settings = settings_new(config);
    made->revision = revision;
    list_append(list, &made->link);
}

bool made_same(const struct list *a, const struct list *b)
{
    const struct list *one = a->next, *other = b->next;
    while (one != a && other != b) {
        const struct made *first = list_entry(one, struct made, link);
        const struct made *second = list_entry(other, struct made, link);
        if (first->revision != second->revision || strcmp(name(first), name(second)) != 0)
            return false;
        one = one->next;
        other = other->next;
    }
    return one == a && other == b;
}

void made_release(struct list *list)
{
    struct list *link;
    while ((link = list_take(list)) != NULL) {
        struct made *made = list_entry(link, struct made, link);
        settings_drop(made->settings);
        free(made);
    }
}
