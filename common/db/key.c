/* What queries lock: of one name one query is on its way. */
#include <stdlib.h>
#include <string.h>

#include "common/db/internal.h"
#include "common/mem.h"

/* A few dozen names at once, so a list is enough. */
static struct db_key *find(const struct db *db, const char *name)
{
    for (struct list *link = db->keys.next; link != &db->keys; link = link->next) {
        struct db_key *key = list_entry(link, struct db_key, link);

        if (strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

bool db_key_take(struct db *db, struct db_query *query)
{
    struct db_key *key = find(db, query->key_name);
    size_t size = strlen(query->key_name) + 1;

    if (key) {
        list_append(&key->behind, &query->link);
        return false;
    }
    key = mem_alloc(sizeof *key + size);
    memcpy(key->name, query->key_name, size);
    list_init(&key->behind);
    list_append(&db->keys, &key->link);
    query->key = key;
    return true;
}

struct db_query *db_key_pass(struct db_query *query)
{
    struct db_key *key = query->key;
    struct db_query *next;

    query->key = NULL;
    if (!key)
        return NULL;
    if (list_empty(&key->behind)) {
        list_remove(&key->link);
        free(key);
        return NULL;
    }
    next = list_entry(key->behind.next, struct db_query, link);
    list_remove(&next->link);
    next->key = key;
    return next;
}
