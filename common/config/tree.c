/* Copies libyaml's document into a tree, and says what is wrong with it. */
#include "common/config/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/crypto.h"
#include "common/mem.h"

struct copier {
    yaml_document_t *document; /* borrowed */
    bool *copied;              /* owned; by libyaml's number of the node */
    size_t nodes;              /* made so far */
    struct tree_fault *fault;
};

static bool fail(struct tree_fault *fault, yaml_mark_t mark, const char *what)
{
    fault->line = mark.line + 1;
    fault->column = mark.column + 1;
    snprintf(fault->text, sizeof fault->text, "%s", what);
    return false;
}

/* ---- What libyaml says, in words that tell the way out ---- */

/* `line` is what stands in the file up to and with the character that libyaml did not like. */
static const char *syntax_hint(const yaml_parser_t *parser, const char *line, size_t len)
{
    const char *problem = parser->problem != NULL ? parser->problem : "";
    const char *context = parser->context != NULL ? parser->context : "";
    if (len > 0 && line[len - 1] == '\t')
        return "; YAML is indented with spaces, not tabs";
    if (strstr(context, "alias") != NULL || strstr(problem, "alias") != NULL)
        return "; aliases (*name) are not supported: write the value out, or write \"*\" in quotes";
    if (memmem(line, len, "${", 2) != NULL)
        return "; inside { } or [ ] a \"${NAME}\" needs quotes";
    if (strstr(problem, "mapping values are not allowed") != NULL)
        return "; a value that holds \": \" needs quotes, and keys of one mapping the same indent";
    return "";
}

static bool fail_syntax(const yaml_parser_t *parser, const char *bytes, size_t len,
                        struct tree_fault *fault)
{
    yaml_mark_t mark = parser->problem_mark;
    size_t line = 0; /* offset of its beginning */
    size_t number = 0;
    bool by_offset = parser->error == YAML_READER_ERROR; /* then only a byte offset is known */
    for (size_t at = 0; at < len && (by_offset ? at < parser->problem_offset : number < mark.line);
         at++) {
        number += bytes[at] == '\n';
        line = bytes[at] == '\n' ? at + 1 : line;
    }
    if (by_offset)
        mark = (yaml_mark_t){.line = number, .column = parser->problem_offset - line};
    size_t shown = len - line < mark.column + 1 ? len - line : mark.column + 1;
    char text[256];
    snprintf(text, sizeof text, "%s%s%s%s", parser->problem != NULL ? parser->problem : "no YAML",
             parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "",
             syntax_hint(parser, bytes + line, shown));
    return fail(fault, mark, text);
}

/* ---- The tree ---- */

static const char *refusal(struct copier *copier, int number, const yaml_node_t *from, int depth)
{
    if (copier->copied[number])
        return "aliases (*name) are not supported; write this value out where it is needed";
    copier->copied[number] = true;
    if (++copier->nodes > TREE_NODES_MAX)
        return "more than 100000 values";
    if (depth == TREE_DEPTH_MAX)
        return "nested too deeply";
    const char *tag = from->type == YAML_SCALAR_NODE     ? YAML_DEFAULT_SCALAR_TAG
                      : from->type == YAML_SEQUENCE_NODE ? YAML_DEFAULT_SEQUENCE_TAG
                                                         : YAML_DEFAULT_MAPPING_TAG;
    if (strcmp((const char *)from->tag, tag) != 0)
        return "tags (!name) are not supported; leave it out";
    if (from->type == YAML_SCALAR_NODE &&
        strlen((const char *)from->data.scalar.value) != from->data.scalar.length)
        return "a NUL character is not accepted";
    return NULL;
}

static void append(struct tree_node *parent, struct tree_node *node)
{
    node->parent = parent;
    *(parent->first == NULL ? &parent->first : &parent->last->next) = node;
    parent->last = node;
    parent->count++;
}

static struct tree_node *copy(struct copier *copier, int number, struct tree_node *parent,
                              int depth);

static bool copy_member(struct copier *copier, const yaml_node_pair_t *pair, struct tree_node *map,
                        int depth)
{
    const yaml_node_t *key = yaml_document_get_node(copier->document, pair->key);
    yaml_mark_t mark = key->start_mark;
    const char *wrong = refusal(copier, pair->key, key, depth);
    if (wrong == NULL && key->type != YAML_SCALAR_NODE)
        wrong = "a key must be one word";
    if (wrong == NULL && map->count == TREE_KEYS_MAX) /* keeps the search for duplicates cheap */
        wrong = "more than 1000 keys in one mapping";
    if (wrong != NULL)
        return fail(copier->fault, mark, wrong);
    const char *name = (const char *)key->data.scalar.value;
    const struct tree_node *twin = tree_child(map, name);
    if (twin != NULL) {
        char text[200];
        snprintf(text, sizeof text, "%.80s: duplicate key; it stands on line %zu already", name,
                 twin->key_line);
        return fail(copier->fault, mark, text);
    }
    struct tree_node *node = copy(copier, pair->value, map, depth);
    if (node == NULL)
        return false;
    node->key = mem_strdup(name);
    node->key_line = mark.line + 1;
    node->key_column = mark.column + 1;
    return true;
}

/* NULL with a fault; what was made of it hangs in `parent` then, and goes with it. */
static struct tree_node *copy(struct copier *copier, int number, struct tree_node *parent,
                              int depth)
{
    const yaml_node_t *from = yaml_document_get_node(copier->document, number);
    const char *wrong = refusal(copier, number, from, depth);
    if (wrong != NULL) {
        fail(copier->fault, from->start_mark, wrong);
        return NULL;
    }
    struct tree_node *node = mem_alloc(sizeof *node);
    node->line = from->start_mark.line + 1;
    node->column = from->start_mark.column + 1;
    append(parent, node);
    if (from->type == YAML_SCALAR_NODE) {
        node->kind = TREE_TEXT;
        node->text = mem_strdup((const char *)from->data.scalar.value);
        node->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else if (from->type == YAML_SEQUENCE_NODE) {
        node->kind = TREE_LIST;
        for (const yaml_node_item_t *item = from->data.sequence.items.start;
             item < from->data.sequence.items.top; item++) {
            if (copy(copier, *item, node, depth + 1) == NULL)
                return NULL;
        }
    } else {
        node->kind = TREE_MAP;
        for (const yaml_node_pair_t *pair = from->data.mapping.pairs.start;
             pair < from->data.mapping.pairs.top; pair++) {
            if (!copy_member(copier, pair, node, depth + 1))
                return NULL;
        }
    }
    return node;
}

/* libyaml keeps what it read until the document is deleted. */
static void delete_document(yaml_document_t *document)
{
    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++) {
        if (node->type == YAML_SCALAR_NODE)
            crypto_wipe(node->data.scalar.value, node->data.scalar.length);
    }
    yaml_document_delete(document);
}

/* The root hangs in *holder. */
static bool copy_document(yaml_document_t *document, struct tree_node *holder,
                          struct tree_fault *fault)
{
    if (yaml_document_get_root_node(document) == NULL) /* nothing but comments, or the end */
        return true;
    if (holder->count > 0)
        return fail(fault, document->start_mark, "a second document; one file holds one");
    struct copier copier = {
        .document = document,
        .copied = mem_array((size_t)(document->nodes.top - document->nodes.start) + 1, 1),
        .fault = fault};
    bool good = copy(&copier, 1, holder, 0) != NULL; /* the root is libyaml's number 1 */
    free(copier.copied);
    return good;
}

static bool read_documents(yaml_parser_t *parser, const char *bytes, size_t len,
                           struct tree_node *holder, struct tree_fault *fault)
{
    for (bool more = true; more;) {
        yaml_document_t document;
        if (!yaml_parser_load(parser, &document))
            return fail_syntax(parser, bytes, len, fault);
        more = yaml_document_get_root_node(&document) != NULL;
        bool good = copy_document(&document, holder, fault);
        delete_document(&document);
        if (!good)
            return false;
    }
    return true;
}

struct tree_node *tree_read(const char *bytes, size_t len, struct tree_fault *fault)
{
    yaml_parser_t parser;
    struct tree_node holder = {.kind = TREE_LIST};
    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
    *fault = (struct tree_fault){0};
    bool good = read_documents(&parser, bytes, len, &holder, fault);
    yaml_parser_delete(&parser);
    if (!good) {
        tree_free(holder.first);
        return NULL;
    }
    struct tree_node *root = holder.first;
    if (root == NULL) {
        root = mem_alloc(sizeof *root);
        root->line = root->column = 1;
        root->kind = TREE_MAP;
    }
    root->parent = NULL;
    if (tree_is_null(root))
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
