/* Bounded reads and whole writes. */
#include "worker/runner/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SAFELY (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

size_t file_read_some(int fd, void *bytes, size_t max)
{
    size_t len = 0;
    while (len < max) {
        ssize_t got = read(fd, (char *)bytes + len, max - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    return len;
}

bool file_write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

bool file_look(int dir, const char *name, struct stat *status)
{
    return fstatat(dir, name, status, AT_SYMLINK_NOFOLLOW) == 0;
}

bool file_is_small(const struct stat *status)
{
    return S_ISREG(status->st_mode) && status->st_uid == getuid() &&
           status->st_size <= FILE_SMALL_MAX;
}

int file_open(int dir, const char *name, int flags)
{
    struct stat status;
    int fd = openat(dir, name, flags | SAFELY);
    if (fd >= 0 &&
        (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != getuid())) {
        close(fd);
        errno = EINVAL;
        fd = -1;
    }
    return fd;
}

bool file_text(int dir, const char *name, char text[static FILE_SMALL_MAX + 1])
{
    struct stat status;
    int fd = file_open(dir, name, O_RDONLY);
    text[0] = '\0';
    if (fd < 0)
        return false;
    bool small = fstat(fd, &status) == 0 && status.st_size <= FILE_SMALL_MAX;
    size_t len = small ? file_read_some(fd, text, FILE_SMALL_MAX) : 0;
    close(fd);
    text[len] = '\0';
    if (len > 0 && text[len - 1] == '\n')
        text[len - 1] = '\0';
    return small;
}

bool file_line(int dir, const char *name, char text[static FILE_SMALL_MAX + 1])
{
    bool there = file_text(dir, name, text);
    text[strcspn(text, "\n")] = '\0';
    return there;
}

/* Over whatever stands under the name. */
static bool put_in_place(int dir, const char *new_name, const char *name)
{
    if (renameat(dir, new_name, dir, name) == 0)
        return true;
    return errno == EISDIR && file_remove(dir, name) && renameat(dir, new_name, dir, name) == 0;
}

bool file_write(int dir, const char *name, const void *bytes, size_t len)
{
    char new_name[80];
    snprintf(new_name, sizeof new_name, ".%s.%d", name, (int)getpid());
    file_remove(dir, new_name);
    int fd = openat(dir, new_name, O_WRONLY | O_CREAT | O_EXCL | SAFELY, 0600);
    if (fd < 0)
        return false;
    bool written = file_write_all(fd, bytes, len) && fsync(fd) == 0;
    written = close(fd) == 0 && written && put_in_place(dir, new_name, name);
    if (!written) {
        int why = errno;
        unlinkat(dir, new_name, 0);
        errno = why;
    }
    return written;
}

/* An agent may have taken its own account's rights away. Through a descriptor, so that no link is
 * followed. */
static bool allow(int dir, const char *name)
{
    char path[32];
    struct stat status;
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool allowed = fstat(fd, &status) == 0 && status.st_uid == getuid() && chmod(path, 0700) == 0;
    close(fd);
    return allowed;
}

int file_open_folder(int dir, const char *name)
{
    struct stat status;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | SAFELY);
    if (fd < 0 && errno == EACCES && allow(dir, name))
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | SAFELY);
    if (fd >= 0 && (fstat(fd, &status) != 0 || status.st_uid != getuid())) {
        close(fd);
        errno = EPERM;
        fd = -1;
    }
    return fd;
}

/* A folder is never removed: that it cannot be opened now proves nothing about it. */
int file_make_folder(int dir, const char *name)
{
    struct stat status;
    int fd = file_open_folder(dir, name);
    if (fd >= 0)
        return fd;
    int why = errno;
    if (file_look(dir, name, &status)) {
        if (S_ISDIR(status.st_mode)) {
            errno = why;
            return -1;
        }
        if (unlinkat(dir, name, 0) != 0)
            return -1;
    }
    if (mkdirat(dir, name, 0700) != 0 && errno != EEXIST)
        return -1;
    return file_open_folder(dir, name);
}
