/* Stages: their lock and their references. */
#include "worker/runner/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/file.h"

#define LOCK_MS 20000
#define LOCK_PAUSE_MS 20

static bool take_lock(struct stage *stage)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    stage->lock =
        openat(stage->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    for (int waited = 0; stage->lock >= 0 && waited <= LOCK_MS; waited += LOCK_PAUSE_MS) {
        if (flock(stage->lock, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK)
            return false;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* One that was removed while we waited for its lock is none. */
static bool is_current(int stages, const char *folder, const struct stage *stage)
{
    struct stat mine, named;
    return fstat(stage->dir, &mine) == 0 && file_look(stages, folder, &named) &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

static enum stage_end open_in(int stages, const char *folder, bool make, struct stage *stage)
{
    stage->dir = make ? file_make_folder(stages, folder) : file_open_folder(stages, folder);
    if (stage->dir < 0)
        return errno == ENOENT ? STAGE_NONE : STAGE_FAILED;
    if (!take_lock(stage))
        return errno == EWOULDBLOCK ? STAGE_BUSY : STAGE_FAILED;
    return is_current(stages, folder, stage) ? STAGE_OPEN : STAGE_BUSY;
}

enum stage_end stage_open(const struct base *base, const char *folder, bool make,
                          struct stage *stage)
{
    *stage = (struct stage){.dir = -1, .lock = -1};
    snprintf(stage->path, sizeof stage->path, "%s/stages/%s", base->path, folder);
    int stages =
        make ? file_make_folder(base->dir, "stages") : file_open_folder(base->dir, "stages");
    if (stages < 0)
        return errno == ENOENT ? STAGE_NONE : STAGE_FAILED;
    enum stage_end end = open_in(stages, folder, make, stage);
    int why = errno;
    close(stages);
    if (end != STAGE_OPEN)
        stage_close(stage);
    errno = why;
    return end;
}

void stage_close(struct stage *stage)
{
    if (stage->lock >= 0)
        close(stage->lock);
    if (stage->dir >= 0)
        close(stage->dir);
    stage->dir = stage->lock = -1;
}

bool stage_ref(const struct stage *stage, const char *name, char commit[static REFS_COMMIT_SIZE])
{
    commit[0] = '\0';
    return refs_commit(stage->dir, name, commit);
}

bool stage_set(const struct stage *stage, const char *name, const char *commit)
{
    char part[REFS_NAME_SIZE], line[REFS_COMMIT_SIZE + 1];
    int at = dup(stage->dir);
    for (const char *slash; at >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        int next = file_make_folder(at, part);
        close(at);
        at = next;
    }
    if (at < 0)
        return false;
    int len = snprintf(line, sizeof line, "%s\n", commit);
    bool set = file_write(at, name, line, (size_t)len) && fsync(at) == 0;
    close(at);
    return set;
}

long stage_number(const struct stage *stage)
{
    char text[FILE_SMALL_MAX + 1];
    return file_line(stage->dir, "number", text) ? strtol(text, NULL, 10) : 0;
}

void stage_base_branch(const struct stage *stage, char name[static REFS_NAME_SIZE])
{
    char text[FILE_SMALL_MAX + 1];
    file_line(stage->dir, "base_branch", text);
    snprintf(name, REFS_NAME_SIZE, "%.255s", text);
}
