/* From the bytes of a YAML file to a checked configuration. */
#include "common/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/read.h"
#include "common/crypto.h"
#include "common/mem.h"
#include "common/text.h"

#define FILE_MAX 1048576

/* The first line that says something is "[name]" or "key = value". */
static bool looks_like_toml(const char *bytes, size_t len)
{
    const char *at = bytes;
    const char *end = bytes + len;
    while (at < end && (*at == '#' || isspace((unsigned char)*at))) {
        const char *newline = *at == '#' ? memchr(at, '\n', (size_t)(end - at)) : at;
        at = newline != NULL ? newline + 1 : end;
    }
    char line[100];
    snprintf(line, sizeof line, "%.*s", (int)(end - at < 99 ? end - at : 99), at);
    size_t word = strcspn(line, " \t\r\n#:=,{\"");
    char next = line[word + strspn(line + word, " \t")];
    return word > 0 &&
           (line[0] == '[' ? line[word - 1] == ']' && strchr("\r\n#", next) != NULL : next == '=');
}

/* The tree, NULL with problems. */
static struct tree_node *read_tree(struct config_reading *reading, const char *bytes, size_t len)
{
    struct tree_fault fault;
    if (len > FILE_MAX) {
        config_problem_at(reading, 1, 1, "", "larger than 1 MiB; this is no configuration");
        return NULL;
    }
    struct tree_node *root = tree_read(bytes, len, &fault);
    if (root != NULL && root->kind == TREE_MAP)
        return root;
    if (looks_like_toml(bytes, len)) {
        config_problem_at(reading, 1, 1, "",
                          "this is TOML; the configuration is YAML: \"server:\" for \"[server]\", "
                          "\"- \" entries for \"[[hosts]]\", \"key: value\" for \"key = value\"");
        tree_free(root);
        return NULL;
    }
    if (root == NULL)
        config_problem_at(reading, fault.line, fault.column, "", "%s", fault.text);
    return root;
}

/* Everything but the problems, which stay with the caller. */
static struct config *parse(struct config_reading *reading, const char *bytes, size_t len)
{
    uint8_t digest[SHA256_SIZE];
    struct tree_node *root = read_tree(reading, bytes, len);
    if (root == NULL)
        return NULL;
    struct config *config = mem_alloc(sizeof *config);
    reading->config = config;
    config->path = mem_strdup(reading->path);
    crypto_sha256(bytes, len, digest);
    crypto_hex(digest, sizeof digest, config->hash);
    if (config_read(reading, root))
        config_check(reading, root);
    tree_free(root);
    if (reading->problems.count > 0) {
        config_free(config);
        return NULL;
    }
    return config;
}

/* Behind what a file's name and strerror() say. */
static const char *way_out(int error)
{
    switch (error) {
    case ENOENT:
        return "; name the configuration by --config PATH or FLEET_CONFIG";
    case EISDIR:
        return "; name the file in it";
    case EACCES:
        return "; run this as root, or let this user read it (a service: chmod 640, chgrp "
               "agent-fleet; namei -l shows whether a folder is in the way)";
    default:
        return "";
    }
}

static struct config *load(struct config_reading *reading)
{
    struct buf bytes;
    struct error err;
    if (!config_file(reading->path, FILE_MAX, &bytes, &reading->loose, &err)) {
        config_list_add(&reading->problems, mem_printf("%s%s", err.text, way_out(errno)));
        return NULL;
    }
    struct config *config = parse(reading, bytes.data, bytes.len);
    config_wipe(&bytes);
    return config;
}

/* The first problem to *err. */
static struct config *finish(struct config_reading *reading, struct config *config,
                             struct error *err)
{
    if (config == NULL)
        error_set(err, "%s", reading->problems.items[0]);
    config_list_release(&reading->problems);
    return config;
}

struct config *config_load(const char *path, enum config_node node, struct error *err)
{
    struct config_reading reading = {.path = path, .node = node};
    return finish(&reading, load(&reading), err);
}

struct config *config_parse(const char *bytes, size_t len, const char *path, enum config_node node,
                            struct error *err)
{
    struct config_reading reading = {.path = path, .node = node};
    return finish(&reading, parse(&reading, bytes, len), err);
}

struct config *config_parse_host(const char *json, size_t len, const struct config *beside,
                                 enum config_node node, struct config_list *problems)
{
    struct config_reading reading = {.path = beside->path, .node = node, .beside = beside};
    struct config *config = mem_alloc(sizeof *config);
    reading.config = config;
    config->path = mem_strdup(beside->path);
    config->hosts = mem_array(1, sizeof *config->hosts);
    config->host_count = 1;
    struct tree_node *root = read_tree(&reading, json, len);
    if (root != NULL && config_read_host(&reading, root))
        config_check_host(&reading, 0, root);
    tree_free(root);
    *problems = reading.problems;
    if (problems->count == 0)
        return config;
    config_free(config);
    return NULL;
}

struct config *config_load_all(const char *path, const struct config_program *program, bool files,
                               struct config_list *problems)
{
    struct config_reading reading = {.path = path,
                                     .node = program->node,
                                     .check_host = files ? program->check_host : NULL,
                                     .check_url = program->check_url};
    struct config *config = load(&reading);
    *problems = reading.problems;
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    config_release(config_fields, config);
    config_list_release(&config->warnings);
    free(config->path);
    free(config);
}
