/* {credential: NAME}: the file of that name in the folder that the service manager made for this
 * process, so that one configuration serves systemd, containers and a person at a terminal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/read.h"
#include "common/mem.h"

#define CONTAINER_FOLDER "/run/secrets"
#define SYSTEMD_FOLDER "/run/credentials/" /* of it, one for each service that runs */
#define PLACES 4
#define MEMBER 1
#define BESIDE 3 /* the last of them */

static bool node_is_worker(enum config_node node)
{
    return node == CONFIG_WORKER || node == CONFIG_VISITOR;
}

/* Where it may lie, in this order; NULL: not there. Owned by the caller. */
static void places(const struct config_reading *reading, const char *name, char *paths[PLACES])
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    bool given = folder != NULL && *folder == '/';
    char *beside =
        mem_printf("credentials/%s/%s", node_is_worker(reading->node) ? "worker" : "server", name);
    paths[0] = given ? mem_printf("%s/%s", folder, name) : NULL;
    /* so systemd.exec(5) names the members of a folder: LoadCredential=fleet:FOLDER */
    paths[MEMBER] = given ? mem_printf("%s/fleet_%s", folder, name) : NULL;
    paths[2] = mem_printf(CONTAINER_FOLDER "/%s", name);
    paths[BESIDE] = config_absolute(reading, beside); /* as a person who runs it by hand */
    free(beside);
}

/* Whether the place is one to name: once, and not the form that only systemd makes. */
static bool worth_naming(char *const paths[PLACES], size_t i)
{
    return paths[i] != NULL && i != MEMBER &&
           (i == 0 || paths[0] == NULL || strcmp(paths[i], paths[0]) != 0);
}

static void missing(struct config_reading *reading, const struct tree_node *node,
                    char *const paths[PLACES])
{
    if (paths[0] != NULL && strncmp(paths[0], SYSTEMD_FOLDER, strlen(SYSTEMD_FOLDER)) == 0) {
        config_problem(
            reading, node,
            "there is no credential %.64s; make the file "
            "/etc/agent-fleet/credentials/%s/%.64s, mode 600 (its folder is the one that "
            "the unit's LoadCredential names), and start it again",
            node->text, node_is_worker(reading->node) ? "worker" : "server", node->text);
        return;
    }
    struct buf tried;
    buf_init(&tried, 400);
    for (size_t i = 0; i < PLACES; i++) {
        if (worth_naming(paths, i))
            buf_addf(&tried, "%s%s", tried.len > 0 ? ", " : "", paths[i]);
    }
    config_problem(reading, node,
                   "there is no credential %.64s; make one of these files, mode 600: %s",
                   node->text, buf_text(&tried));
    buf_release(&tried);
}

/* A word that is a file's name and nothing else. */
static bool is_name(const char *text)
{
    static const char right[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(text);
    return len > 0 && len <= 64 && text[0] != '.' && text[0] != '-' && strspn(text, right) == len;
}

/* The first of the places that is there; NULL with a problem. */
static const char *look(struct config_reading *reading, const struct tree_node *node,
                        char *const paths[PLACES])
{
    for (size_t i = 0; i < PLACES; i++) {
        if (paths[i] == NULL)
            continue;
        if (access(paths[i], F_OK) == 0)
            return paths[i];
        if (errno == ENOENT || errno == ENOTDIR)
            continue;
        /* Root's folder, of which the service manager copied all that there is. */
        if (errno == EACCES && i == BESIDE && paths[0] != NULL)
            continue;
        config_problem(reading, node,
                       "cannot look for the credential %.300s: %s; run this as root or as the "
                       "service's user",
                       paths[i], strerror(errno));
        return NULL;
    }
    missing(reading, node, paths);
    return NULL;
}

char *config_credential(struct config_reading *reading, const struct tree_node *node)
{
    char *paths[PLACES];
    if (!is_name(node->text)) {
        config_problem(reading, node,
                       "wrong name; must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, no . or - "
                       "in front");
        return NULL;
    }
    places(reading, node->text, paths);
    char *found = mem_strdup(look(reading, node, paths));
    for (size_t i = 0; i < PLACES; i++)
        free(paths[i]);
    return found;
}

bool config_credential_loose(const char *path, const struct stat *info)
{
    /* In a container's folder the mode is the engine's, and nobody else is there. */
    return (info->st_mode & S_IROTH) != 0 &&
           strncmp(path, CONTAINER_FOLDER "/", sizeof CONTAINER_FOLDER) != 0;
}
