/* Whether the database still serves this program: asked at the start and every ten seconds. Nodes
 * of a release and of the one before work side by side; a migration that takes away what an old
 * program uses raises fleet.oldest_node(), and such a program ends instead of failing call by call.
 */
#ifndef FLEET_DB_SCHEMA_H
#define FLEET_DB_SCHEMA_H

#include "common/db/db.h"
#include "common/loop.h"

struct db_schema {
    struct db *db;      /* borrowed */
    const char *kind;   /* borrowed: "server" or "worker" */
    struct timer timer; /* keeps no loop running */
    bool outdated;      /* on_outdated came, or nobody wants to know any more */
    void (*on_outdated)(void *data, const char *why); /* once, with a sentence */
    void *data;                                       /* borrowed */
};

void db_schema_watch(struct db_schema *schema, struct loop *loop, struct db *db, const char *kind,
                     void (*on_outdated)(void *data, const char *why), void *data);
void db_schema_close(struct db_schema *schema); /* after the database was stopped */

#endif
