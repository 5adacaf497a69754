/* One scalar of the configuration: literal, ${ENV_NAME}, {file: PATH} or {credential: NAME}. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/read.h"
#include "common/crypto.h"
#include "common/file.h"
#include "common/mem.h"

#define VALUE_FILE_MAX 65536
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

void config_wipe(struct buf *buf)
{
    if (buf->data != NULL)
        crypto_wipe(buf->data, buf->cap);
    buf_release(buf);
}

bool config_file(const char *path, size_t max, struct buf *out, bool *loose, struct error *err)
{
    struct stat info;
    if (!file_read(path, FILE_ANY, max, out, &info, err))
        return false;
    *loose = S_ISREG(info.st_mode) && (info.st_mode & (S_IRGRP | S_IROTH)) != 0;
    return true;
}

char *config_absolute(const struct config_reading *reading, const char *path)
{
    if (path[0] == '/')
        return mem_strdup(path);
    if (path[0] == '~') {
        const char *home = getenv("HOME");
        if (home == NULL || *home == '\0') {
            const struct passwd *entry = getpwuid(getuid());
            home = entry != NULL ? entry->pw_dir : NULL;
        }
        return home != NULL && path[1] == '/' ? mem_printf("%s%s", home, path + 1) : NULL;
    }
    const char *slash = strrchr(reading->path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - reading->path) + 1 : 0;
    return mem_printf("%.*s%s", (int)folder, reading->path, path);
}

/* Length of a whole "${NAME}" at text, 0 when there is none. */
static size_t reference_length(const char *text)
{
    if (strncmp(text, "${", 2) != 0)
        return 0;
    size_t name = strspn(text + 2, NAME_CHARS);
    return name > 0 && text[2 + name] == '}' && (text[2] < '0' || text[2] > '9') ? name + 3 : 0;
}

/* The value of the "${NAME}" at text; NULL with a problem when it is unset or empty. Borrowed. */
static const char *reference_value(struct config_reading *reading, const struct tree_node *node,
                                   const char *text)
{
    char *name = mem_strndup(text + 2, reference_length(text) - 3);
    const char *value = getenv(name);
    if (value == NULL)
        config_problem(reading, node,
                       "environment variable %.100s is not set; set it, or put it in a file for "
                       "--env-file",
                       name);
    else if (*value == '\0')
        config_problem(reading, node, "environment variable %.100s is empty; give it a value",
                       name);
    free(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* The path of {file: PATH}, "${NAME}" replaced wherever it stands (${CREDENTIALS_DIRECTORY}/x). */
static char *file_path(struct config_reading *reading, const struct tree_node *node)
{
    struct buf path;
    buf_init(&path, 4096);
    for (const char *at = node->text; *at != '\0';) {
        size_t reference = reference_length(at);
        const char *value = reference > 0 ? reference_value(reading, node, at) : NULL;
        if (reference > 0 && value == NULL) {
            buf_release(&path);
            return NULL;
        }
        if (reference > 0)
            buf_adds(&path, value);
        else
            buf_add(&path, at, 1);
        at += reference > 0 ? reference : 1;
    }
    char *absolute = path.failed || path.len == 0 ? NULL : config_absolute(reading, path.data);
    if (absolute == NULL)
        config_problem(reading, node, "no usable path; give {file: PATH}");
    buf_release(&path);
    return absolute;
}

/* The bytes of the file at path without its line end; false with a problem. */
static bool bytes_value(struct config_reading *reading, const struct tree_node *node,
                        const char *path, struct buf *bytes, struct config_value *value)
{
    if (bytes->len > 0 && bytes->data[bytes->len - 1] == '\n')
        bytes->data[--bytes->len] = '\0';
    if (bytes->len > 0 && bytes->data[bytes->len - 1] == '\r')
        bytes->data[--bytes->len] = '\0';
    bool good = bytes->len > 0 && strlen(bytes->data) == bytes->len;
    if (good)
        value->text = mem_strdup(bytes->data);
    else
        config_problem(reading, node, "the file %.300s %s; it must hold the value and nothing else",
                       path, bytes->len == 0 ? "is empty" : "holds a NUL byte");
    config_wipe(bytes);
    return good;
}

static bool file_value(struct config_reading *reading, const struct config_field *field,
                       const struct tree_node *node, struct config_value *value)
{
    struct buf bytes;
    struct error err;
    bool loose = false;
    char *path = file_path(reading, node);
    if (path == NULL)
        return false;
    bool good = config_file(path, VALUE_FILE_MAX, &bytes, &loose, &err);
    if (!good)
        config_problem(reading, node, "%s", err.text);
    else if (loose && field->flags & (FIELD_SECRET | FIELD_URL))
        config_warning(reading, node,
                       "a secret in a file that group or others may read; run: chmod 600 %.300s",
                       path);
    good = good && bytes_value(reading, node, path, &bytes, value);
    free(path);
    return good;
}

/* Of a path the credential's own place, of all else what it holds. */
static bool credential_value(struct config_reading *reading, const struct config_field *field,
                             const struct tree_node *node, struct config_value *value)
{
    struct buf bytes;
    struct stat info;
    struct error err;
    char *path = config_credential(reading, node);
    if (path == NULL || field->flags & FIELD_PATH) {
        value->text = path;
        value->absolute = true;
        return path != NULL;
    }
    bool good = file_read(path, FILE_REGULAR, VALUE_FILE_MAX, &bytes, &info, &err);
    if (!good)
        config_problem(reading, node, "%s", err.text);
    else if (config_credential_loose(path, &info))
        config_warning(reading, node, "a secret that others may read; run: chmod o= %.300s", path);
    good = good && bytes_value(reading, node, path, &bytes, value);
    free(path);
    return good;
}

static bool text_value(struct config_reading *reading, const struct config_field *field,
                       const struct tree_node *node, bool needed, struct config_value *value)
{
    size_t len = reading->beside != NULL ? 0 : reference_length(node->text);
    bool whole = len > 0 && node->text[len] == '\0';
    if (whole && !needed)
        return true;
    if (whole) {
        value->text = mem_strdup(reference_value(reading, node, node->text));
        return value->text != NULL;
    }
    if (reading->beside != NULL && strstr(node->text, "${") != NULL) {
        config_problem(reading, node, "no \"${NAME}\" is resolved here; give the value itself");
        return false;
    }
    if (strstr(node->text, "${") != NULL && !(field->flags & FIELD_RAW)) {
        config_problem(reading, node,
                       "\"${NAME}\" must be the whole value; put all of it into the variable, or "
                       "use {file: PATH}");
        return false;
    }
    value->literal = true;
    value->text = mem_strdup(node->text);
    return true;
}

bool config_needed(const struct config_reading *reading, const struct config_field *field)
{
    switch (reading->node) {
    case CONFIG_SERVER:
        return !(field->flags & FIELD_WORKER_ONLY);
    case CONFIG_WORKER:
        return !(field->flags & FIELD_SERVER_ONLY);
    case CONFIG_COMMAND:
        return field->flags & FIELD_DATABASE;
    case CONFIG_DOCTOR:
        return field->flags & (FIELD_DATABASE | FIELD_FORGEJO) ||
               !(field->flags & (FIELD_SECRET | FIELD_SERVER_ONLY | FIELD_WORKER_ONLY));
    case CONFIG_VISITOR:
        return !(field->flags & (FIELD_SERVER_ONLY | FIELD_DATABASE | FIELD_SECRET));
    }
    return true;
}

bool config_value(struct config_reading *reading, const struct config_field *field,
                  const struct tree_node *node, struct config_value *value)
{
    *value = (struct config_value){0};
    bool needed = config_needed(reading, field);
    if (node == NULL) { /* the default */
        *value =
            (struct config_value){.text = mem_strdup(needed ? field->text : NULL), .literal = true};
        return value->text != NULL;
    }
    if (tree_is_null(node)) {
        config_problem(reading, node, "has no value; give one, or leave the key out");
        return false;
    }
    if (node->kind == TREE_TEXT)
        return text_value(reading, field, node, needed, value);
    if (reading->beside != NULL) {
        config_problem(reading, node, "must be one value, not a %s",
                       node->kind == TREE_LIST ? "list" : "mapping");
        return false;
    }
    const struct tree_node *source =
        node->kind == TREE_MAP && node->count == 1 ? node->first : NULL;
    bool credential = source != NULL && strcmp(source->key, "credential") == 0;
    bool known = credential || (source != NULL && strcmp(source->key, "file") == 0);
    if (!known || source->kind != TREE_TEXT || tree_is_null(source)) {
        config_problem(reading, node,
                       "must be one value, not a %s; write the value, \"${NAME}\", {file: PATH} or "
                       "{credential: NAME}",
                       node->kind == TREE_LIST ? "list" : "mapping");
        return false;
    }
    if (!needed)
        return true;
    return credential ? credential_value(reading, field, source, value)
                      : file_value(reading, field, source, value);
}

void config_value_release(struct config_value *value)
{
    if (value->text != NULL)
        crypto_wipe(value->text, strlen(value->text));
    free(value->text);
    value->text = NULL;
}
