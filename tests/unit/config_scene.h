/* What the tests of common/config share: parsing from memory, and what a refusal says. */
#ifndef FLEET_TESTS_CONFIG_SCENE_H
#define FLEET_TESTS_CONFIG_SCENE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/config.h"
#include "common/mem.h"

#define DATABASE "database: { url: postgresql:///fleet }\n"
#define HOST_HEAD "hosts:\n  - host_id: h1\n    hostname: localhost\n    work_dir: /srv/a\n"

static struct error err;

static inline struct config *parse(const char *text, enum config_node node)
{
    err = (struct error){0};
    return config_parse(text, strlen(text), "/etc/f.yaml", node, &err);
}

/* `text` alone is refused with a message that begins with "/etc/f.yaml:" + place and holds `what`.
 */
static inline void refuse(const char *text, const char *place, const char *what)
{
    struct config *config = parse(text, CONFIG_SERVER);
    ck_assert_msg(config == NULL, "was taken: %s", text);
    char *start = mem_printf("/etc/f.yaml:%s", place);
    ck_assert_msg(strncmp(err.text, start, strlen(start)) == 0 && strstr(err.text, what) != NULL,
                  "wanted %s … %s\n   got %s", start, what, err.text);
    free(start);
}

static inline void take(const char *text, enum config_node node)
{
    struct config *config = parse(text, node);
    ck_assert_msg(config != NULL, "%s", err.text);
    config_free(config);
}

static inline bool warned(const struct config *config, const char *what)
{
    for (size_t i = 0; i < config->warnings.count; i++) {
        if (strstr(config->warnings.items[i], what) != NULL)
            return true;
    }
    return false;
}

static char folder[32]; /* "" while none stands */

static inline char *scratch(const char *name)
{
    if (folder[0] == '\0') {
        strcpy(folder, "/tmp/test_config.XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
    }
    return mem_printf("%s/%s", folder, name);
}

/* The path, for drop(). */
static inline char *put(const char *name, const char *text, size_t len, mode_t mode)
{
    char *path = scratch(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fwrite(text, 1, len, file);
    fclose(file);
    chmod(path, mode);
    return path;
}

static inline void drop(char *path)
{
    unlink(path);
    free(path);
    if (rmdir(folder) == 0) /* it was the last */
        folder[0] = '\0';
}

#endif
