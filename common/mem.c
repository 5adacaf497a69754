/* Allocation that never returns NULL. */
#include "common/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *block)
{
    if (block == NULL) {
        fputs("agent-fleet: out of memory\n", stderr);
        abort();
    }
    return block;
}

void *mem_alloc(size_t size)
{
    return checked(calloc(1, size > 0 ? size : 1));
}

void *mem_array(size_t count, size_t size)
{
    return checked(calloc(count > 0 ? count : 1, size > 0 ? size : 1)); /* calloc checks overflow */
}

void *mem_resize(void *block, size_t count, size_t size)
{
    return checked(reallocarray(block, count > 0 ? count : 1, size > 0 ? size : 1));
}

char *mem_strdup(const char *text)
{
    return text != NULL ? checked(strdup(text)) : NULL;
}

char *mem_strndup(const char *text, size_t length)
{
    return text != NULL ? checked(strndup(text, length)) : NULL;
}

char *mem_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return checked(text);
}

char *mem_join(const char *first, const char *second)
{
    size_t len = strlen(first), more = strlen(second) + 1;
    char *text = mem_alloc(len + more);
    memcpy(text, first, len + 1);
    memcpy(text + len, second, more);
    return text;
}
