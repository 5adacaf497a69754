/* Problems and warnings: one line each, with the place; and the lists that hold them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/read.h"
#include "common/crypto.h"
#include "common/mem.h"
#include "common/text.h"

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
static void add(struct config_list *list, const struct config_reading *reading, size_t line,
                size_t column, const char *key, const char *format, va_list args)
{
    char what[512];
    const char *colon = *key != '\0' ? ": " : "";
    vsnprintf(what, sizeof what, format, args);
    char *text = reading->beside != NULL ? mem_printf("%s%s%s", key, colon, what)
                                         : mem_printf("%s:%zu:%zu: %s%s%s", reading->path, line,
                                                      column, key, colon, what);
    size_t len = strlen(text);
    for (size_t good = 0; (good += text_utf8_prefix(text + good, len - good)) < len;)
        text[good] = '?';
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
    config_list_add(list, text);
}

void config_problem_at(struct config_reading *reading, size_t line, size_t column, const char *key,
                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (reading->problems.count < CONFIG_PROBLEMS_MAX)
        add(&reading->problems, reading, line, column, key, format, args);
    va_end(args);
}

void config_say(struct config_reading *reading, enum config_say kind, const struct tree_node *at,
                const char *format, ...)
{
    struct config_list *list =
        kind == CONFIG_WARNING ? &reading->config->warnings : &reading->problems;
    bool key = kind == CONFIG_KEY_PROBLEM;
    struct buf path;
    va_list args;
    if (list == &reading->problems && list->count == CONFIG_PROBLEMS_MAX)
        return;
    buf_init(&path, 300);
    tree_path(at, &path);
    va_start(args, format);
    add(list, reading, key ? at->key_line : at->line, key ? at->key_column : at->column,
        buf_text(&path), format, args);
    va_end(args);
    buf_release(&path);
}
