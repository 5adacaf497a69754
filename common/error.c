/* Filling in what went wrong. */
#include "common/error.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"

/* Cuts to the size of `text`, at the start of a UTF-8 character. */
static void error_fill(struct error *err, const char *format, va_list args)
{
    char text[sizeof err->text]; /* an argument may be err->text itself */
    int wanted = vsnprintf(text, sizeof text, format, args);
    if (wanted < 0)
        text[0] = '\0';
    if (wanted >= (int)sizeof text) {
        memcpy(text + text_cut(text, sizeof text - 4), "...", 4);
    }
    memcpy(err->text, text, strlen(text) + 1);
}

void error_set(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, format);
    error_fill(err, format, args);
    va_end(args);
    err->state[0] = '\0';
    err->unsent = false;
}

void error_set_state(struct error *err, const char *state, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, format);
    error_fill(err, format, args);
    va_end(args);
    err->unsent = false;
    snprintf(err->state, sizeof err->state, "%s", state != NULL ? state : "");
}

void error_clear(struct error *err)
{
    if (err != NULL)
        *err = (struct error){0};
}
