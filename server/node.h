/* This server among the nodes of the fleet: registered, beating, and gone in good order.
 */
#ifndef FLEET_NODE_H
#define FLEET_NODE_H

#include "common/db/db.h"
#include "common/loop.h"

struct node;

/* `name` and `config_hash` are copied. */
struct node *node_new(struct loop *loop, struct db *db, const char *name, const char *config_hash);
void node_start(struct node *node); /* registers, and keeps trying until it is */
void node_config(struct node *node, const char *config_hash); /* after a reload */
void node_stop(struct node *node, void (*on_stopped)(void *data), void *data);
const char *node_trouble(const struct node *node); /* why it is not registered; "": no word */
/* NULL until it is registered; borrowed until the next turn of the loop. */
const char *node_id(const struct node *node);
void node_free(struct node *node); /* after on_stopped */

#endif
