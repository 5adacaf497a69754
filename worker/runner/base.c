/* The folders that all runs of a fleet on this host lie in. */
#include "worker/runner/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/file.h"

static const char *trouble(int why)
{
    switch (why) {
    case ENOSPC:
    case EDQUOT:
        return "there is no space left";
    case EROFS:
        return "the file system is mounted read-only";
    case EACCES:
    case EPERM:
        return "the account may not write there";
    default:
        return strerror(why);
    }
}

static bool open_parts(struct base *base, char *work, const char *id)
{
    base->work = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base->work >= 0)
        base->fleet = file_make_folder(base->work, ".fleet");
    if (base->fleet >= 0)
        base->dir = file_make_folder(base->fleet, id);
    if (base->dir >= 0)
        base->runs = file_make_folder(base->dir, "runs");
    return base->runs >= 0;
}

bool base_open(struct base *base, const char *path, char why[static 256])
{
    char work[sizeof base->path];
    *base = (struct base){.dir = -1, .runs = -1, .fleet = -1, .work = -1};
    snprintf(base->path, sizeof base->path, "%s", path);
    snprintf(work, sizeof work, "%s", path);
    char *id = strrchr(work, '/');
    char *fleet = id != NULL ? (*id = '\0', strrchr(work, '/')) : NULL;
    if (path[0] != '/' || fleet == NULL || strcmp(fleet, "/.fleet") != 0 || id[1] == '\0') {
        snprintf(why, 256, "the path is not that of a fleet's folder");
        return false;
    }
    *fleet = '\0';
    if (open_parts(base, work[0] != '\0' ? work : (char[]){"/"}, id + 1))
        return true;
    snprintf(why, 256, "work_dir %.150s: %s", work, trouble(errno));
    base_close(base);
    return false;
}

void base_close(struct base *base)
{
    int *all[] = {&base->dir, &base->runs, &base->fleet, &base->work};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (*all[i] >= 0)
            close(*all[i]);
        *all[i] = -1;
    }
}
