/* The line that tells a used workspace from a new one. */
#include "worker/runner/fresh.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"

#define USED "used"
#define NAME_SIZE 128

/* A directory made anew has another birth, also under the number of one that is gone. */
static bool name_workspace(const struct base *base, const char *folder, char name[static NAME_SIZE])
{
    struct statx about;
    int tasks = file_open_folder(base->work, "tasks");
    bool found = tasks >= 0 &&
                 statx(tasks, folder, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &about) == 0;
    if (found)
        snprintf(name, NAME_SIZE, "%u:%u %llu %lld.%09u", about.stx_dev_major, about.stx_dev_minor,
                 (unsigned long long)about.stx_ino, (long long)about.stx_btime.tv_sec,
                 about.stx_btime.tv_nsec);
    if (tasks >= 0)
        close(tasks);
    return found;
}

static int open_stage(const struct base *base, const char *folder)
{
    int stages = file_open_folder(base->dir, "stages");
    int stage = stages >= 0 ? file_open_folder(stages, folder) : -1;
    if (stages >= 0)
        close(stages);
    return stage;
}

bool fresh_is(const struct base *base, const char *folder)
{
    char name[NAME_SIZE], used[FILE_SMALL_MAX + 1];
    int stage = open_stage(base, folder);
    bool known = stage >= 0 && file_line(stage, USED, used) && name_workspace(base, folder, name) &&
                 strcmp(used, name) == 0;
    if (stage >= 0)
        close(stage);
    return !known;
}

void fresh_end(const struct base *base, const char *folder)
{
    char name[NAME_SIZE];
    int stage = open_stage(base, folder);
    if (stage < 0)
        return;
    if (name_workspace(base, folder, name))
        file_write(stage, USED, name, strlen(name));
    close(stage);
}
