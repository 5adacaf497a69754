/* Removal of a tree without recursion: what lies deep is moved to the top first. And of the pipes
 * in one that stays. */
#include "worker/runner/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/runner/source.h"

/* A directory on the same mount, for naming it only. Kernels before 5.6 know other file systems
 * only, not other mounts of the same one. */
static int open_place(int dir, const char *name)
{
    struct stat here, there;
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
    long place = syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (place >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)place;
    int fd = openat(dir, name, (int)how.flags);
    if (fd >= 0 &&
        (fstat(dir, &here) != 0 || fstat(fd, &there) != 0 || here.st_dev != there.st_dev)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* For reading, after it was made readable and writable for us: through its descriptor, so that no
 * link is followed. -1: no directory. */
static int open_directory(int dir, const char *name)
{
    int place = open_place(dir, name);
    if (place < 0)
        return -1;
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", place);
    (void)!chmod(path, 0700);
    int fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(place);
    return fd;
}

/* One removal: `moved` is said of every step forward. */
struct removal {
    int top;
    int64_t deadline;
    unsigned number; /* of the next directory that is moved to the top */
    bool moved;
};

/* A file, a link, an empty directory. */
static bool remove_single(struct removal *removal, int dir, const char *name)
{
    if (unlinkat(dir, name, 0) != 0 && unlinkat(dir, name, AT_REMOVEDIR) != 0)
        return errno == ENOENT;
    removal->moved = true;
    return true;
}

static void move_up(struct removal *removal, int dir, const char *name)
{
    int inner = open_directory(dir, name); /* makes it movable, too */
    if (inner >= 0)
        close(inner);
    char free_name[32];
    do
        snprintf(free_name, sizeof free_name, ".removed.%u", removal->number++);
    while (faccessat(removal->top, free_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    if (renameat(dir, name, removal->top, free_name) == 0)
        removal->moved = true;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes what is in `dir`, which is taken over; what cannot be removed at once goes to `keep`. */
static void empty(struct removal *removal, int dir,
                  void (*keep)(struct removal *removal, int dir, const char *name))
{
    DIR *entries = fdopendir(dir);
    if (entries == NULL) {
        close(dir);
        return;
    }
    for (const struct dirent *entry;
         clock_now() < removal->deadline && (entry = readdir(entries)) != NULL;) {
        if (!is_dots(entry->d_name) && !remove_single(removal, dir, entry->d_name))
            keep(removal, dir, entry->d_name);
    }
    closedir(entries);
}

/* A directory at the top: its own ones come up beside it. */
static void flatten(struct removal *removal, int dir, const char *name)
{
    int inner = open_directory(dir, name);
    if (inner >= 0)
        empty(removal, inner, move_up);
    remove_single(removal, dir, name);
}

bool file_remove_by(int dir, const char *name, int64_t deadline)
{
    struct removal removal = {.deadline = deadline};
    if (remove_single(&removal, dir, name))
        return true;
    removal.top = open_directory(dir, name);
    if (removal.top < 0)
        return false;
    bool gone = false;
    do { /* until nothing moves any more: a mount point, an immutable file */
        removal.moved = false;
        int top = openat(removal.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (top >= 0)
            empty(&removal, top, flatten);
        gone = remove_single(&removal, dir, name);
    } while (!gone && removal.moved && clock_now() < deadline);
    close(removal.top);
    return gone;
}

bool file_remove(int dir, const char *name)
{
    return file_remove_by(dir, name, clock_now() + FILE_REMOVE_MS);
}

/* --- Pipes --- */

#define PIPE_DEPTH 900 /* each folder on the way takes a descriptor */

static void remove_pipes(int dir, int depth)
{
    struct stat status;
    DIR *entries = fdopendir(dir);
    if (entries == NULL) {
        close(dir);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        bool unknown = entry->d_type == DT_UNKNOWN;
        if ((!unknown && entry->d_type != DT_DIR && entry->d_type != DT_FIFO) ||
            is_dots(entry->d_name) || !file_look(dir, entry->d_name, &status))
            continue;
        if (S_ISFIFO(status.st_mode) && unlinkat(dir, entry->d_name, 0) != 0 &&
            fchmod(dir, 0700) == 0)
            unlinkat(dir, entry->d_name, 0);
        int inner =
            S_ISDIR(status.st_mode) && depth > 0 ? file_open_folder(dir, entry->d_name) : -1;
        if (inner >= 0)
            remove_pipes(inner, depth - 1);
    }
    closedir(entries);
}

void file_remove_pipes(int dir)
{
    int top = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top >= 0)
        remove_pipes(top, PIPE_DEPTH);
}
