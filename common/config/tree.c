#include "common/config/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"

struct reader {
    yaml_parser_t parser;
    const char *bytes; /* borrowed */
    size_t len;
    size_t nodes; /* made so far */
    struct tree_fault *fault;
};

static bool fail_at(struct reader *reader, yaml_mark_t mark, const char *what)
{
    reader->fault->line = mark.line + 1;
    reader->fault->column = mark.column + 1;
    snprintf(reader->fault->text, sizeof reader->fault->text, "%s", what);
    return false;
}

/* ---- What libyaml says, in words that tell the way out ---- */

static size_t offset_of(const struct reader *reader, yaml_mark_t mark)
{
    size_t at = 0;
    for (size_t line = 0; line < mark.line && at < reader->len; at++)
        line += reader->bytes[at] == '\n';
    return at + mark.column < reader->len ? at + mark.column : reader->len;
}

static const char *syntax_hint(const struct reader *reader, yaml_mark_t mark)
{
    size_t at = offset_of(reader, mark);
    size_t start = at;
    size_t end = at < reader->len ? at + 1 : at;
    const char *problem = reader->parser.problem;
    while (start > 0 && reader->bytes[start - 1] != '\n')
        start--;
    if (at < reader->len && reader->bytes[at] == '\t')
        return "; YAML is indented with spaces, not tabs";
    if (reader->parser.context != NULL && strstr(reader->parser.context, "alias") != NULL)
        return "; write \"*\" in quotes";
    if (memmem(reader->bytes + start, end - start, "${", 2) != NULL)
        return "; inside { } or [ ] a \"${NAME}\" needs quotes";
    if (problem != NULL && strstr(problem, "mapping values are not allowed") != NULL)
        return "; a value that holds \": \" needs quotes, and keys of one mapping the same indent";
    return "";
}

static bool fail_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t mark = parser->problem_mark;
    char text[256];
    if (parser->error == YAML_READER_ERROR) { /* only a byte offset is known */
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < parser->problem_offset && i < reader->len; i++) {
            mark.column = reader->bytes[i] == '\n' ? 0 : mark.column + 1;
            mark.line += reader->bytes[i] == '\n';
        }
    }
    const char *problem = parser->problem != NULL ? parser->problem : "no YAML";
    snprintf(text, sizeof text, "%s%s%s%s", problem, parser->context != NULL ? " " : "",
             parser->context != NULL ? parser->context : "", syntax_hint(reader, mark));
    return fail_at(reader, mark, text);
}

/* ---- The tree ---- */

static struct tree_node *node_new(struct reader *reader, const yaml_event_t *event,
                                  struct tree_node *parent)
{
    if (++reader->nodes > TREE_NODES_MAX) {
        fail_at(reader, event->start_mark, "more than 100000 values");
        return NULL;
    }
    struct tree_node *node = mem_alloc(sizeof *node);
    node->line = event->start_mark.line + 1;
    node->column = event->start_mark.column + 1;
    node->parent = parent;
    if (parent != NULL) {
        *(parent->first == NULL ? &parent->first : &parent->last->next) = node;
        parent->last = node;
        parent->count++;
    }
    return node;
}

/* The next event that says something; false on a syntax error. */
static bool next_event(struct reader *reader, yaml_event_t *event)
{
    if (!yaml_parser_parse(&reader->parser, event))
        return fail_syntax(reader);
    return true;
}

static bool plain_event(struct reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return fail_at(
            reader, event->start_mark,
            "aliases (*name) are not supported; write the value out, or \"*\" in quotes");
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
            return fail_at(reader, event->start_mark, "a NUL character is not accepted");
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL)
        return fail_at(reader, event->start_mark,
                       "anchors (&name) are not supported; write the value out where it is needed");
    if (tag != NULL)
        return fail_at(reader, event->start_mark, "tags (!name) are not supported; leave it out");
    return true;
}

static struct tree_node *read_value(struct reader *reader, const yaml_event_t *event,
                                    struct tree_node *parent, int depth);

static bool read_list(struct reader *reader, struct tree_node *list, int depth)
{
    for (;;) {
        yaml_event_t event;
        if (!next_event(reader, &event))
            return false;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        bool good = end || read_value(reader, &event, list, depth) != NULL;
        yaml_event_delete(&event);
        if (end || !good)
            return good;
    }
}

/* The key, checked and copied; NULL on failure. Owned by the caller. */
static char *read_key(struct reader *reader, const struct tree_node *map, const yaml_event_t *event)
{
    if (!plain_event(reader, event))
        return NULL;
    const char *key = (const char *)event->data.scalar.value;
    if (event->type != YAML_SCALAR_EVENT) {
        fail_at(reader, event->start_mark, "a key must be one word");
        return NULL;
    }
    if (map->count == TREE_KEYS_MAX) { /* keeps the search for duplicates cheap */
        fail_at(reader, event->start_mark, "more than 1000 keys in one mapping");
        return NULL;
    }
    const struct tree_node *twin = tree_child(map, key);
    if (twin != NULL) {
        char text[200];
        snprintf(text, sizeof text, "%.80s: duplicate key; it stands on line %zu already", key,
                 twin->key_line);
        fail_at(reader, event->start_mark, text);
        return NULL;
    }
    return mem_strdup(key);
}

/* One "key: value"; *end is set at the end of the map. */
static bool read_member(struct reader *reader, struct tree_node *map, int depth, bool *end)
{
    yaml_event_t event;
    if (!next_event(reader, &event))
        return false;
    *end = event.type == YAML_MAPPING_END_EVENT;
    yaml_mark_t mark = event.start_mark;
    char *key = *end ? NULL : read_key(reader, map, &event);
    yaml_event_delete(&event);
    if (*end)
        return true;
    if (key == NULL || !next_event(reader, &event)) {
        free(key);
        return false;
    }
    struct tree_node *node = read_value(reader, &event, map, depth);
    yaml_event_delete(&event);
    if (node == NULL) {
        free(key);
        return false;
    }
    node->key = key;
    node->key_line = mark.line + 1;
    node->key_column = mark.column + 1;
    return true;
}

static bool read_map(struct reader *reader, struct tree_node *map, int depth)
{
    bool end = false;
    while (!end) {
        if (!read_member(reader, map, depth, &end))
            return false;
    }
    return true;
}

static struct tree_node *read_value(struct reader *reader, const yaml_event_t *event,
                                    struct tree_node *parent, int depth)
{
    if (!plain_event(reader, event))
        return NULL;
    if (depth == TREE_DEPTH_MAX) {
        fail_at(reader, event->start_mark, "nested too deeply");
        return NULL;
    }
    struct tree_node *node = node_new(reader, event, parent);
    if (node == NULL)
        return NULL;
    bool good = true;
    if (event->type == YAML_SCALAR_EVENT) {
        node->kind = TREE_TEXT;
        node->text = mem_strdup((const char *)event->data.scalar.value);
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        node->kind = TREE_LIST;
        good = read_list(reader, node, depth + 1);
    } else {
        node->kind = TREE_MAP;
        good = read_map(reader, node, depth + 1);
    }
    if (!good && parent == NULL)
        tree_free(node); /* else it hangs in the tree and goes with it */
    return good ? node : NULL;
}

static struct tree_node *read_document(struct reader *reader)
{
    struct tree_node *root = NULL;
    bool good = true;
    bool end = false;
    while (good && !end) {
        yaml_event_t event;
        if (!next_event(reader, &event)) {
            good = false;
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && root != NULL)
            good = fail_at(reader, event.start_mark, "a second document; one file holds one");
        else if (event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT ||
                 event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT)
            good = (root = read_value(reader, &event, NULL, 0)) != NULL;
        yaml_event_delete(&event);
    }
    if (!good) {
        tree_free(root);
        return NULL;
    }
    return root;
}

struct tree_node *tree_read(const char *bytes, size_t len, struct tree_fault *fault)
{
    struct reader reader = {.bytes = bytes, .len = len, .fault = fault};
    if (!yaml_parser_initialize(&reader.parser))
        abort();
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes, len);
    *fault = (struct tree_fault){0};
    struct tree_node *root = read_document(&reader);
    yaml_parser_delete(&reader.parser);
    if (root == NULL && fault->line == 0) { /* nothing but comments */
        root = mem_alloc(sizeof *root);
        root->line = root->column = 1;
        root->kind = TREE_MAP;
    }
    if (root != NULL && tree_is_null(root))
        root->kind = TREE_MAP;
    return root;
}

void tree_free(struct tree_node *node)
{
    while (node != NULL) {
        struct tree_node *next = node->next;
        tree_free(node->first);
        if (node->text != NULL)
            crypto_wipe(node->text, strlen(node->text));
        free(node->text);
        free(node->key);
        free(node);
        node = next;
    }
}

bool tree_is_null(const struct tree_node *node)
{
    return node->kind == TREE_TEXT && !node->quoted &&
           (*node->text == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

struct tree_node *tree_child(const struct tree_node *map, const char *key)
{
    for (struct tree_node *node = map->first; node != NULL; node = node->next) {
        if (node->key != NULL && strcmp(node->key, key) == 0)
            return node;
    }
    return NULL;
}

void tree_path(const struct tree_node *node, struct buf *out)
{
    const struct tree_node *parent = node->parent;
    if (parent == NULL)
        return;
    tree_path(parent, out);
    if (parent->kind == TREE_LIST) {
        size_t index = 0;
        for (const struct tree_node *at = parent->first; at != node; at = at->next)
            index++;
        buf_addf(out, "[%zu]", index);
    } else {
        buf_addf(out, "%s%.80s", parent->parent != NULL ? "." : "", node->key);
    }
}
