/* Names of database hosts to addresses, without blocking. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/internal.h"
#include "common/log.h"
#include "common/mem.h"

/* libpq resolves names synchronously, which would stop the whole node. */

struct name {
    uv_getaddrinfo_t request;
    struct db_lookup *lookup; /* borrowed */
    struct addrinfo *found;   /* owned */
    bool pending;
};

struct db_lookup {
    const struct db_target *target; /* borrowed; NULL once ended */
    void (*on_done)(void *data);
    void *data; /* borrowed */
    size_t pending, count;
    struct name names[]; /* one for each host of the target */
};

static void lookup_free(struct db_lookup *lookup)
{
    for (size_t i = 0; i < lookup->count; i++)
        uv_freeaddrinfo(lookup->names[i].found);
    free(lookup);
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct name *name = request->data;
    struct db_lookup *lookup = name->lookup;

    name->pending = false;
    name->found = status == 0 ? found : NULL;
    lookup->pending--;
    if (lookup->target && status != 0)
        log_warn(NULL, "cannot resolve the database host %s: %s",
                 lookup->target->hosts.items[name - lookup->names].host, uv_strerror(status));
    if (lookup->pending > 0)
        return;
    if (lookup->target)
        lookup->on_done(lookup->data);
    else
        lookup_free(lookup);
}

struct db_lookup *db_lookup_start(struct loop *loop, const struct db_target *target,
                                  void (*on_done)(void *data), void *data)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    size_t count = target->hosts.count;
    struct db_lookup *lookup = mem_alloc(sizeof *lookup + count * sizeof *lookup->names);

    lookup->target = target;
    lookup->on_done = on_done;
    lookup->data = data;
    lookup->count = count;
    for (size_t i = 0; i < count; i++) {
        struct name *name = &lookup->names[i];

        if (!db_target_is_name(&target->hosts.items[i]))
            continue;
        name->lookup = lookup;
        name->request.data = name;
        if (uv_getaddrinfo(&loop->uv, &name->request, on_found, target->hosts.items[i].host, NULL,
                           &hints) != 0)
            continue;
        name->pending = true;
        lookup->pending++;
    }
    return lookup;
}

static void add_found(const struct name *name, const struct db_address *given,
                      struct db_addresses *addresses)
{
    for (const struct addrinfo *at = name->found; at; at = at->ai_next) {
        char text[NI_MAXHOST];

        if (addresses->count < DB_ADDRESSES_MAX &&
            getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) ==
                0)
            db_addresses_add(addresses, given->host, text, given->port);
    }
}

void db_lookup_take(struct db_lookup *lookup, struct db_addresses *addresses)
{
    for (size_t i = 0; addresses && i < lookup->count; i++) {
        const struct db_address *given = &lookup->target->hosts.items[i];

        if (!db_target_is_name(given))
            db_addresses_add(addresses, given->host, given->hostaddr, given->port);
        else
            add_found(&lookup->names[i], given, addresses);
    }
    lookup->target = NULL;
    if (lookup->pending == 0) {
        lookup_free(lookup);
        return;
    }
    for (size_t i = 0; i < lookup->count; i++) {
        if (lookup->names[i].pending)
            uv_cancel(
                (uv_req_t *)&lookup->names[i].request); /* if it has not begun; else we wait */
    }
}
