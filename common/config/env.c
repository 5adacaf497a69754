/* --env-file: KEY=VALUE lines for the environment. */
#include <stdlib.h>
#include <string.h>

#include "common/config/read.h"

#define ENV_FILE_MAX 1048576
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* The value behind "=", in place. Quotes around it are taken off, nothing else is special inside
 * them; a comment may follow. NULL when a quote does not close or something else follows it. */
static char *env_value(char *text)
{
    text += strspn(text, " \t");
    bool quoted = *text == '"' || *text == '\'';
    char *end = quoted ? strchr(text + 1, *text) : *text == '#' ? text : strstr(text, " #");
    if (quoted && (end == NULL || strspn(end + 1, " \t") != strcspn(end + 1, "#")))
        return NULL;
    if (end == NULL)
        end = text + strlen(text);
    while (!quoted && end > text && strchr(" \t", end[-1]) != NULL)
        end--;
    *end = '\0';
    return text + quoted;
}

/* NULL when the line is fine, else what is wrong with it. */
static const char *env_line(char *line)
{
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return NULL;
    if (strncmp(line, "export", 6) == 0 && strchr(" \t", line[6]) != NULL && line[6] != '\0')
        line += 6 + strspn(line + 6, " \t");
    size_t name = strspn(line, NAME_CHARS);
    if (name == 0 || (line[0] >= '0' && line[0] <= '9') || line[name] != '=')
        return "no KEY=VALUE; the key is of A-Z a-z 0-9 _ and \"=\" follows at once";
    char *value = env_value(line + name + 1);
    if (value == NULL)
        return "the quote must close on this line, and nothing but a # comment may follow";
    line[name] = '\0';
    setenv(line, value, 0);
    return NULL;
}

bool config_env_file(const char *path, struct error *err)
{
    struct buf bytes;
    bool loose = false;
    bool good = true;
    if (!config_file(path, ENV_FILE_MAX, &bytes, &loose, err))
        return false;
    if (bytes.len > 0 && strlen(bytes.data) != bytes.len) {
        error_set(err, "%.300s: holds a NUL byte; it must be text", path);
        good = false;
    } else if (loose) {
        error_set(err,
                  "%.200s: group or others may read it, and it is made to hold secrets; run: "
                  "chmod 600 %.200s",
                  path, path);
        good = false;
    }
    size_t number = 1;
    for (char *line = bytes.data; good && line != NULL; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\r')
            line[len - 1] = '\0';
        const char *wrong = env_line(line);
        if (wrong != NULL)
            error_set(err, "%.300s:%zu:1: %s", path, number, wrong);
        good = wrong == NULL;
        line = end != NULL ? end + 1 : NULL;
    }
    config_wipe(&bytes);
    return good;
}
