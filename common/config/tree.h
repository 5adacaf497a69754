/* YAML bytes to a tree in which everything knows its line and column.
 *
 * Less than YAML: one document, scalars, lists and mappings with scalar keys; aliases, tags and
 * duplicate keys are refused, since in a configuration they hide what is meant.
 * The names begin with tree_, for a yaml_free of ours would replace libyaml's own. */
#ifndef FLEET_CONFIG_TREE_H
#define FLEET_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define TREE_DEPTH_MAX 10
#define TREE_NODES_MAX 100000
#define TREE_KEYS_MAX 1000

enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAP };

struct tree_node {
    enum tree_kind kind;
    size_t line, column; /* of the value, from 1 */
    char *key;           /* owned; in a map: its key; else NULL */
    size_t key_line, key_column;
    char *text;               /* owned; of a scalar */
    bool quoted;              /* the scalar stood in quotes or in a block */
    struct tree_node *parent; /* borrowed; NULL at the root */
    struct tree_node *next;   /* owned: the next one in the parent */
    struct tree_node *first;  /* owned */
    struct tree_node *last;   /* borrowed */
    size_t count;             /* of children */
};

/* Where and what. */
struct tree_fault {
    size_t line, column; /* from 1 */
    char text[300];
};

/* The root, NULL with *fault set on failure. An empty document is an empty map. */
struct tree_node *tree_read(const char *bytes, size_t len, struct tree_fault *fault);
void tree_free(struct tree_node *node); /* wipes the texts; NULL is fine */

bool tree_is_null(const struct tree_node *node); /* nothing, ~ or null, without quotes */
struct tree_node *tree_child(const struct tree_node *map, const char *key); /* NULL when absent */
void tree_path(const struct tree_node *node, struct buf *out); /* "hosts[0].agents[1].profile" */

#endif
