/* Problems and warnings: one line each, with the place; and the lists that hold them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/read.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"

void config_list_add(struct config_list *list, char *text)
{
    list->items = mem_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] = text;
}

void config_list_release(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        crypto_wipe(list->items[i], strlen(list->items[i]));
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct config_list){0};
}

bool config_list_has(const struct config_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0)
            return true;
    }
    return false;
}

/* Control characters of the file, and characters cut in two, are not passed on. */
static void add_line(struct config_list *list, const char *path, size_t line, size_t column,
                     const char *key, const char *what)
{
    char *text =
        mem_printf("%s:%zu:%zu: %s%s%s", path, line, column, key, *key != '\0' ? ": " : "", what);
    size_t len = strlen(text);
    for (size_t good = 0; (good += json_utf8_prefix(text + good, len - good)) < len;)
        text[good] = '?';
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
    config_list_add(list, text);
}

static void add_node(struct config_list *list, const char *path, const struct tree_node *node,
                     const char *what)
{
    struct buf key;
    buf_init(&key, 300);
    tree_path(node, &key);
    add_line(list, path, node->line, node->column, buf_text(&key), what);
    buf_release(&key);
}

void config_problem(struct config_reading *reading, const struct tree_node *at, const char *format,
                    ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (reading->problems.count < CONFIG_PROBLEMS_MAX)
        add_node(&reading->problems, reading->path, at, what);
}

void config_warning(struct config_reading *reading, const struct tree_node *at, const char *format,
                    ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    add_node(&reading->config->warnings, reading->path, at, what);
}

void config_problem_at(struct config_reading *reading, size_t line, size_t column, const char *key,
                       const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (reading->problems.count < CONFIG_PROBLEMS_MAX)
        add_line(&reading->problems, reading->path, line, column, key, what);
}
