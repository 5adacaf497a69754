/* From the tree to struct config: walks the rows of schema.h, collects problems. */
#ifndef FLEET_CONFIG_READ_H
#define FLEET_CONFIG_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/config/config.h"
#include "common/config/schema.h"
#include "common/config/tree.h"

#define CONFIG_PROBLEMS_MAX 20

struct config_reading {
    /* One host from elsewhere than the file is read: values are literal, problems have no place.
     * NULL: the file is. */
    const struct config *beside; /* borrowed */
    const char *path; /* borrowed; names the file in problems, {file:} is relative to its folder */
    enum config_node node;
    bool loose;                      /* group or others may read the file */
    config_check_host_cb check_host; /* NULL: the hosts' files are not looked at */
    config_check_url_cb check_url;   /* NULL: the database's URL is not looked at */
    struct config *config;           /* borrowed */
    struct config_list problems;     /* owned: "file:line:column: key: what; what would be right" */
};

/* read.c. False when there are problems. */
bool config_read(struct config_reading *reading, const struct tree_node *root);
bool config_read_host(struct config_reading *reading, const struct tree_node *root); /* hosts[0] */
void config_release(const struct config_field *fields, void *base); /* frees members, wipes texts */

/* key.c. Every key of the map stands in the table, and this version takes it. */
void config_keys(struct config_reading *reading, const struct config_field *fields,
                 const struct tree_node *map);

/* problem.c. */
void config_list_add(struct config_list *list, char *text); /* takes text */

/* One line at the value of `at`, or at its key; never holds a value of a secret. */
enum config_say { CONFIG_PROBLEM, CONFIG_KEY_PROBLEM, CONFIG_WARNING };
void config_say(struct config_reading *reading, enum config_say kind, const struct tree_node *at,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
#define config_problem(reading, ...) config_say(reading, CONFIG_PROBLEM, __VA_ARGS__)
#define config_key_problem(reading, ...) config_say(reading, CONFIG_KEY_PROBLEM, __VA_ARGS__)
#define config_warning(reading, ...) config_say(reading, CONFIG_WARNING, __VA_ARGS__)
/* One problem at a place that no node stands for; `key` may be "". */
void config_problem_at(struct config_reading *reading, size_t line, size_t column, const char *key,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* value.c. One scalar, resolved: literal, ${ENV_NAME}, {file: PATH} or {credential: NAME}. */
struct config_value {
    char *text;    /* owned; NULL: this node does not need it */
    bool literal;  /* stood in the file itself: may be shown in problems unless secret */
    bool absolute; /* a path that is meant as it is, not from the configuration's folder */
};
bool config_value(struct config_reading *reading, const struct config_field *field,
                  const struct tree_node *node, struct config_value *value);
bool config_needed(const struct config_reading *reading, const struct config_field *field);
void config_value_release(struct config_value *value); /* wipes */
/* "~/x" and "x" made absolute; relative to the folder of the configuration. NULL without a home. */
char *config_absolute(const struct config_reading *reading, const char *path);

/* credential.c. The file of {credential: NAME}; NULL with a problem. Owned by the caller. */
char *config_credential(struct config_reading *reading, const struct tree_node *node);
bool config_credential_loose(const char *path, const struct stat *info); /* others may read it */

/* config.c. As config_load, but all problems; the caller releases them. `files`: those of the hosts
 * are looked at too. */
struct config *config_load_all(const char *path, const struct config_program *program, bool files,
                               struct config_list *problems);

/* check.c. What one row cannot see: duplicates, what a host needs, warnings. */
void config_check(struct config_reading *reading, const struct tree_node *root);
void config_check_host(struct config_reading *reading, size_t index, const struct tree_node *node);
bool config_url_has_password(const char *url);
/* forgejo.c. The same for its group; NULL: the file has none. */
void config_check_forgejo(struct config_reading *reading, const struct tree_node *forgejo);

/* explain.c. */
void config_explain(FILE *to);

/* value.c. A file that may hold secrets; *loose: group or others may read it. */
bool config_file(const char *path, size_t max, struct buf *out, bool *loose, struct error *err);
void config_wipe(struct buf *buf); /* wipes and releases */
/* env.c, --env-file: KEY=VALUE lines into the environment, which wins where both know a
 * name. */
bool config_env_file(const char *path, struct error *err);

#endif
