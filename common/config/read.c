/* The walk over tree and schema. */
#include "common/config/read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define LIST_MAX 1000

static bool read_fields(struct config_reading *reading, const struct config_field *fields,
                        char *base, const struct tree_node *map, const char *prefix);
static void read_field(struct config_reading *reading, const struct config_field *field, char *base,
                       const struct tree_node *node);

/* ---- One value ---- */

static bool listed(const char *words, const char *text)
{
    size_t len = strlen(text);
    for (const char *at = words; at != NULL && *at != '\0';) {
        size_t word = strcspn(at, "|");
        if (word == len && memcmp(at, text, len) == 0)
            return true;
        at += word + (at[word] == '|');
    }
    return false;
}

/* A problem that shows the value only where it is no secret. */
static void wrong_value(struct config_reading *reading, const struct config_field *field,
                        const struct tree_node *node, const struct config_value *value,
                        const char *right)
{
    if (value->literal && !(field->flags & (FIELD_SECRET | FIELD_URL)))
        config_problem(reading, node, "\"%.60s\" is wrong; must be %s", value->text, right);
    else
        config_problem(reading, node, "the value given there is wrong; must be %s", right);
}

static bool check_text(struct config_reading *reading, const struct config_field *field,
                       const struct tree_node *node, const struct config_value *value)
{
    const char *text = value->text;
    size_t max = field->max > 0 ? (size_t)field->max : 1024;
    char right[1000] = "";
    bool any = field->check == NULL && field->one_of == NULL && !(field->flags & FIELD_RAW);
    if (*text == '\0' && any)
        snprintf(right, sizeof right, "at least one character; or leave it out");
    else if (strlen(text) > max)
        snprintf(right, sizeof right, "at most %zu bytes", max);
    for (const unsigned char *at = (const unsigned char *)text;
         *at != '\0' && !(field->flags & FIELD_RAW); at++) {
        if (*at < 0x20 || *at == 0x7f)
            snprintf(right, sizeof right, "without control characters (also line ends)");
    }
    if (*right == '\0' && field->one_of != NULL && !listed(field->one_of, text))
        snprintf(right, sizeof right, "one of: %s", field->one_of);
    const char *wrong = *right == '\0' && field->check != NULL ? field->check(text) : NULL;
    if (wrong != NULL)
        snprintf(right, sizeof right, "%s", wrong);
    if (*right != '\0')
        wrong_value(reading, field, node, value, right);
    return *right == '\0';
}

/* A secret that stands in the file itself wants a file that only its owner reads. */
static void check_secret(struct config_reading *reading, const struct config_field *field,
                         const struct tree_node *node, const struct config_value *value)
{
    bool secret = field->flags & FIELD_SECRET ||
                  (field->flags & FIELD_URL && config_url_has_password(value->text));
    if (secret && value->literal && reading->loose)
        config_problem(reading, node,
                       "a secret in a file that group or others may read; run: chmod 600 %.150s, "
                       "or write \"${ENV_NAME}\", {file: PATH} or {credential: NAME}",
                       reading->path);
}

/* NULL when wrong or not needed by this node. Owned by the caller. */
static char *read_text(struct config_reading *reading, const struct config_field *field,
                       const struct tree_node *node)
{
    struct config_value value;
    char *text = NULL;
    if (!config_value(reading, field, node, &value) || value.text == NULL)
        return NULL;
    if (field->flags & FIELD_CAPABILITY && strncmp(value.text, "agent:", 6) == 0)
        memmove(value.text, value.text + 6, strlen(value.text + 6) + 1);
    if (check_text(reading, field, node, &value)) {
        check_secret(reading, field, node, &value);
        if (config_needed(reading, field))
            text = field->flags & FIELD_PATH && !value.absolute
                       ? config_absolute(reading, value.text)
                       : mem_strdup(value.text);
        if (text == NULL && config_needed(reading, field))
            wrong_value(reading, field, node, &value, "a path: /PATH, PATH or ~/PATH");
    }
    config_value_release(&value);
    return text;
}

/* False when wrong or not needed by this node. */
static bool read_number(struct config_reading *reading, const struct config_field *field,
                        const struct tree_node *node, int64_t *number)
{
    struct config_value value;
    char *end = NULL;
    char right[100];
    if (!config_value(reading, field, node, &value) || value.text == NULL)
        return false;
    bool quoted = value.literal && node != NULL && node->quoted;
    snprintf(right, sizeof right, "a whole number from %lld to %lld%s", (long long)field->min,
             (long long)field->max, quoted ? ", without quotes" : "");
    const char *digits = value.text + (*value.text == '-');
    errno = 0;
    *number = strtoll(value.text, &end, 10);
    bool good = !quoted && *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0' &&
                errno == 0 && *number >= field->min && *number <= field->max;
    if (!good)
        wrong_value(reading, field, node, &value, right);
    config_value_release(&value);
    return good;
}

static bool read_flag(struct config_reading *reading, const struct config_field *field,
                      const struct tree_node *node, bool *flag)
{
    struct config_value value;
    if (!config_value(reading, field, node, &value) || value.text == NULL)
        return false;
    *flag = strcmp(value.text, "true") == 0;
    bool good = (*flag || strcmp(value.text, "false") == 0) &&
                !(value.literal && node != NULL && node->quoted);
    if (!good)
        wrong_value(reading, field, node, &value, "true or false");
    config_value_release(&value);
    return good;
}

static void read_texts(struct config_reading *reading, const struct config_field *field,
                       const struct tree_node *node, struct config_list *list)
{
    if (node == NULL) {
        if (field->text != NULL)
            config_list_add(list, mem_strdup(field->text));
        return;
    }
    if ((field->flags & FIELD_ONE) && node->kind == TREE_TEXT && !tree_is_null(node)) {
        char *text = read_text(reading, field, node);
        if (text != NULL)
            config_list_add(list, text);
        return;
    }
    if (node->kind != TREE_LIST && !tree_is_null(node)) {
        config_problem(reading, node,
                       "must be a list; write [ VALUE, VALUE ], or lines of - VALUE");
        return;
    }
    if (node->count > LIST_MAX || (int64_t)node->count < field->min)
        config_problem(reading, node, "has %zu entries; must have %lld to %d", node->count,
                       (long long)field->min, LIST_MAX);
    if (node->count > LIST_MAX)
        return;
    for (const struct tree_node *item = node->first; item != NULL; item = item->next) {
        char *text = read_text(reading, field, item);
        if (text != NULL && !(field->flags & FIELD_RAW) && config_list_has(list, text))
            config_problem(reading, item, "stands in the list already; remove one");
        if (text != NULL)
            config_list_add(list, text);
    }
}

/* ---- Groups and arrays ---- */

static const struct tree_node *as_map(struct config_reading *reading, const struct tree_node *node)
{
    if (node->kind == TREE_MAP)
        return node;
    if (node->kind == TREE_TEXT && strstr(node->text, " = ") != NULL)
        config_problem(reading, node,
                       "must be a mapping; write \"key: value\", not \"key = value\"");
    else
        config_problem(reading, node, "must be a mapping of keys to values, not a %s",
                       node->kind == TREE_LIST ? "list" : "text");
    return NULL;
}

static void read_item(struct config_reading *reading, const struct config_field *field,
                      const struct tree_node *node, char *base)
{
    struct buf prefix;
    buf_init(&prefix, 300);
    tree_path(node, &prefix);
    if (field->flags & FIELD_NAMED) {
        const char *wrong = field->check(node->key);
        if (wrong != NULL)
            config_key_problem(reading, node, "wrong name; must be %s", wrong);
        char *name = mem_strdup(node->key);
        memcpy(base, &name, sizeof name); /* its first member */
    }
    if (field->flags & FIELD_PLAIN) {
        read_field(reading, field->fields, base, node);
    } else {
        const struct tree_node *map = as_map(reading, node);
        if (map != NULL)
            read_fields(reading, field->fields, base, map, buf_text(&prefix));
    }
    buf_release(&prefix);
}

static void read_items(struct config_reading *reading, const struct config_field *field,
                       const struct tree_node *node, char *base)
{
    enum tree_kind kind = field->flags & FIELD_NAMED ? TREE_MAP : TREE_LIST;
    if (node == NULL || tree_is_null(node))
        return;
    if (node->kind != kind) {
        config_problem(reading, node, "must be a %s",
                       field->flags & FIELD_PLAIN ? "mapping of names to values"
                       : kind == TREE_MAP         ? "mapping of names to mappings"
                                                  : "list; begin each entry with \"- \"");
        return;
    }
    size_t most = field->max > 0 ? (size_t)field->max : LIST_MAX;
    if (node->count > most) {
        config_problem(reading, node, "has %zu entries; must have at most %zu", node->count, most);
        return;
    }
    char *items = mem_array(node->count, field->size);
    memcpy(base + field->offset, &items, sizeof items);
    memcpy(base + field->count_offset, &node->count, sizeof node->count);
    size_t index = 0;
    for (const struct tree_node *item = node->first; item != NULL; item = item->next, index++)
        read_item(reading, field, item, items + index * field->size);
}

/* `node` NULL: the file does not name it, so it gets its default. */
static void read_field(struct config_reading *reading, const struct config_field *field, char *base,
                       const struct tree_node *node)
{
    void *member = base + field->offset;
    int64_t number = 0;
    switch (field->type) {
    case FIELD_TEXT:
        *(char **)member = read_text(reading, field, node);
        break;
    case FIELD_INT:
        if (read_number(reading, field, node, &number))
            *(int *)member = (int)number;
        break;
    case FIELD_INT64:
        if (read_number(reading, field, node, &number))
            *(int64_t *)member = number;
        break;
    case FIELD_FLAG:
        read_flag(reading, field, node, member);
        break;
    case FIELD_TEXTS:
        read_texts(reading, field, node, member);
        break;
    case FIELD_GROUP: {
        bool none = node == NULL || tree_is_null(node);
        const struct tree_node *map = none ? NULL : as_map(reading, node);
        if (map != NULL || none)
            read_fields(reading, field->fields, base, map, field->key);
        break;
    }
    case FIELD_ITEMS:
        read_items(reading, field, node, base);
        break;
    case FIELD_LATER:
        break;
    }
}

/* `map` NULL: the file does not have the group. `prefix` is its path. */
static bool read_fields(struct config_reading *reading, const struct config_field *fields,
                        char *base, const struct tree_node *map, const char *prefix)
{
    if (map != NULL)
        config_keys(reading, fields, map);
    for (const struct config_field *field = fields; field->key != NULL; field++) {
        const struct tree_node *node = map != NULL ? tree_child(map, field->key) : NULL;
        if (node == NULL && field->flags & FIELD_REQUIRED) {
            char path[400];
            snprintf(path, sizeof path, "%s%s%s", prefix, *prefix != '\0' ? "." : "", field->key);
            config_problem_at(reading, map != NULL ? map->line : 1, map != NULL ? map->column : 1,
                              path, "missing; it must be given");
        }
        read_field(reading, field, base, node);
    }
    return reading->problems.count == 0;
}

bool config_read(struct config_reading *reading, const struct tree_node *root)
{
    const struct tree_node *map = as_map(reading, root);
    return map != NULL && read_fields(reading, config_fields, (char *)reading->config, map, "");
}

bool config_read_host(struct config_reading *reading, const struct tree_node *root)
{
    const struct tree_node *map = as_map(reading, root);
    return map != NULL &&
           read_fields(reading, config_host_fields, (char *)reading->config->hosts, map, "");
}

void config_release(const struct config_field *fields, void *base)
{
    for (const struct config_field *field = fields; field->key != NULL; field++) {
        char *member = (char *)base + field->offset;
        if (field->type == FIELD_TEXT) {
            struct config_value value = {.text = *(char **)(void *)member};
            config_value_release(&value);
        } else if (field->type == FIELD_TEXTS) {
            config_list_release((struct config_list *)(void *)member);
        } else if (field->type == FIELD_GROUP) {
            config_release(field->fields, base);
        } else if (field->type == FIELD_ITEMS) {
            char *items = *(char **)(void *)member;
            size_t count = *(size_t *)(void *)((char *)base + field->count_offset);
            for (size_t i = 0; i < count; i++) {
                config_release(field->fields, items + i * field->size);
                if (field->flags & FIELD_NAMED)
                    free(*(char **)(void *)(items + i * field->size));
            }
            free(items);
        }
    }
}
