/* Files of the configuration: bounded reading, and --env-file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/read.h"
#include "common/crypto.h"
#include "common/mem.h"

#define ENV_FILE_MAX 1048576
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

void config_wipe(struct buf *buf)
{
    if (buf->data != NULL)
        crypto_wipe(buf->data, buf->cap);
    buf_release(buf);
}

/* Reads to the end. The buffer has its full size from the start: nothing is left in freed memory.
 */
static bool read_all(int fd, const char *path, size_t max, struct buf *out, struct error *err)
{
    char *bytes = mem_alloc(max + 1);
    size_t len = 0;
    ssize_t got = 1;
    while (got != 0 && len <= max) {
        got = read(fd, bytes + len, max + 1 - len);
        if (got < 0 && errno != EINTR) {
            error_set(err, "cannot read %.300s: %s", path, strerror(errno));
            break;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    bool good = got == 0 && len <= max;
    if (got >= 0 && !good)
        error_set(err, "%.300s is larger than %zu bytes", path, max);
    if (good) {
        buf_init(out, max);
        buf_add(out, bytes, len);
    }
    crypto_wipe(bytes, max + 1);
    free(bytes);
    return good;
}

bool config_file(const char *path, size_t max, struct buf *out, bool *loose, struct error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) != 0) {
        error_set(err, "cannot open %.300s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (loose != NULL)
        *loose = S_ISREG(info.st_mode) && (info.st_mode & (S_IRGRP | S_IROTH)) != 0;
    bool good = read_all(fd, path, max, out, err);
    close(fd);
    return good;
}

/* ---- --env-file ---- */

/* Behind an opening double quote: \n \t \r and \X for any other X. NULL when it does not close. */
static char *double_quoted(char *text, const char **rest)
{
    char *to = text;
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '"') {
            *rest = at + 1;
            *to = '\0';
            return text;
        }
        if (*at == '\\' && at[1] != '\0') {
            at++;
            *to++ = (char)(*at == 'n' ? '\n' : *at == 't' ? '\t' : *at == 'r' ? '\r' : *at);
        } else {
            *to++ = *at;
        }
    }
    return NULL;
}

/* The value behind "=", in place. NULL when a quote does not close or something follows it. */
static char *env_value(char *text)
{
    const char *rest = "";
    text += strspn(text, " \t");
    if (*text == '"') {
        text = double_quoted(text + 1, &rest);
    } else if (*text == '\'') {
        char *end = strchr(text + 1, '\'');
        text = end != NULL ? text + 1 : NULL;
        rest = end != NULL ? end + 1 : "";
        if (end != NULL)
            *end = '\0';
    } else {
        char *end = text;
        while (*end != '\0' && !(*end == '#' && (end == text || strchr(" \t", end[-1]) != NULL)))
            end++;
        while (end > text && strchr(" \t", end[-1]) != NULL)
            end--;
        *end = '\0';
    }
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == '#' ? text : NULL;
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
