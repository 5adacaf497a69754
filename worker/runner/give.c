/* Trees into streams, and out of them. */
#include "worker/runner/give.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/frame.h"

#define PIECE ((size_t)128 << 10)
#define NAME_SIZE (NAME_MAX + 1)
#define BUFFER ((size_t)256 << 10)

enum kind { KIND_FOLDER = 'd', KIND_FILE = 'f', KIND_LINK = 'l', KIND_END = 'e' };

/* --- Writing --- */

struct giver {
    int out;
    size_t len;
    uint8_t buffer[BUFFER];
};

static bool flush(struct giver *giver)
{
    bool written = file_write_all(giver->out, giver->buffer, giver->len);
    giver->len = 0;
    return written;
}

/* Room for `len` bytes, which are at most half the buffer. */
static bool make_room(struct giver *giver, size_t len)
{
    return BUFFER - giver->len >= len || flush(giver);
}

static struct frame_out begin(struct giver *giver)
{
    uint8_t *at = giver->buffer + giver->len;
    return (struct frame_out){.start = at, .at = at, .end = giver->buffer + BUFFER};
}

static void end(struct giver *giver, const struct frame_out *out)
{
    giver->len += (size_t)(out->at - out->start);
}

static bool give_head(struct giver *giver, enum kind kind, const char *name,
                      const struct stat *status)
{
    size_t len = strlen(name);
    if (!make_room(giver, len + 32))
        return false;
    struct frame_out out = begin(giver);
    put_u8(&out, (uint8_t)kind);
    put_number(&out, len, 2);
    put_bytes(&out, name, len);
    put_u32(&out, status->st_mode & 07777);
    put_u64(&out,
            (uint64_t)status->st_mtim.tv_sec * 1000000000 + (uint64_t)status->st_mtim.tv_nsec);
    end(giver, &out);
    return true;
}

static bool give_end(struct giver *giver)
{
    if (!make_room(giver, 1))
        return false;
    struct frame_out out = begin(giver);
    put_u8(&out, KIND_END);
    end(giver, &out);
    return true;
}

static bool give_link(struct giver *giver, int dir, const char *name, const struct stat *status)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(dir, name, target, sizeof target);
    if (len <= 0 || len == (ssize_t)sizeof target)
        return true; /* gone */
    if (!give_head(giver, KIND_LINK, name, status) || !make_room(giver, (size_t)len + 2))
        return false;
    struct frame_out out = begin(giver);
    put_number(&out, (uint64_t)len, 2);
    put_bytes(&out, target, (size_t)len);
    end(giver, &out);
    return true;
}

/* Of at most PIECE; *at goes on behind it. False: the stream is broken. An empty one is the end. */
static bool give_piece(struct giver *giver, int file, off_t *at, off_t until, bool *more)
{
    if (!make_room(giver, PIECE + 12))
        return false;
    uint8_t *bytes = giver->buffer + giver->len + 12;
    size_t most = until - *at < (off_t)PIECE ? (size_t)(until - *at) : PIECE;
    ssize_t got = *more && most > 0 ? pread(file, bytes, most, *at) : 0;
    *more = got > 0;
    struct frame_out out = begin(giver);
    put_u32(&out, got > 0 ? (uint32_t)got : 0);
    if (got > 0) {
        put_u64(&out, (uint64_t)*at);
        out.at += got;
        *at += got;
    }
    end(giver, &out);
    return true;
}

/* Its holes are none of it. */
static bool give_content(struct giver *giver, int file, off_t size)
{
    bool more = true, last = false;
    for (off_t at = 0; !last;) {
        off_t data = lseek(file, at, SEEK_DATA), hole = size;
        if (data < 0 && errno == ENXIO)
            data = size;
        else if (data < 0)
            data = at;
        else if ((hole = lseek(file, data, SEEK_HOLE)) < 0)
            hole = size;
        for (at = data; at < hole && more;) {
            if (!give_piece(giver, file, &at, hole, &more))
                return false;
        }
        last = !more || at >= size;
    }
    more = false;
    return give_piece(giver, file, &(off_t){0}, 0, &more);
}

/* One of ours; rights that it lost are given back. */
static int open_any(int dir, const char *name, int flags, mode_t least)
{
    int fd = openat(dir, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 || errno != EACCES || fchmodat(dir, name, least, 0) != 0)
        return fd;
    return openat(dir, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static bool give_file(struct giver *giver, int dir, const char *name)
{
    struct stat status;
    int file = open_any(dir, name, 0, 0600);
    if (file < 0)
        return true;
    bool given = fstat(file, &status) != 0 || !S_ISREG(status.st_mode);
    if (!given && give_head(giver, KIND_FILE, name, &status) && make_room(giver, 8)) {
        struct frame_out out = begin(giver);
        put_u64(&out, (uint64_t)status.st_size);
        end(giver, &out);
        given = give_content(giver, file, status.st_size);
    }
    close(file);
    return given;
}

static bool give_folder(struct giver *giver, int dir, int depth);

static bool give_one(struct giver *giver, int dir, const char *name, int depth)
{
    struct stat status;
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (S_ISREG(status.st_mode))
        return give_file(giver, dir, name);
    if (S_ISLNK(status.st_mode))
        return give_link(giver, dir, name, &status);
    if (!S_ISDIR(status.st_mode))
        return true;
    int inner = open_any(dir, name, O_DIRECTORY, 0700);
    if (inner < 0)
        return true;
    bool given = give_head(giver, KIND_FOLDER, name, &status) &&
                 give_folder(giver, inner, depth + 1) && give_end(giver);
    close(inner);
    return given;
}

static bool give_folder(struct giver *giver, int dir, int depth)
{
    if (depth > GIVE_DEPTH) {
        errno = ELOOP;
        return false;
    }
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = fd < 0 ? NULL : fdopendir(fd);
    if (names == NULL) {
        if (fd >= 0)
            close(fd);
        return errno == EACCES;
    }
    bool given = true;
    for (const struct dirent *entry; given && (entry = readdir(names)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            given = give_one(giver, dir, entry->d_name, depth);
    }
    closedir(names);
    return given;
}

bool give_write(int dir, int out)
{
    struct giver *giver = malloc(sizeof *giver);
    if (giver == NULL)
        return false;
    giver->out = out;
    giver->len = 0;
    bool given = give_folder(giver, dir, 0) && give_end(giver) && flush(giver);
    free(giver);
    return given;
}

/* --- Reading --- */

struct taker {
    int in;
    int64_t names;
    size_t at, len;
    uint8_t buffer[BUFFER];
};

static bool broken(void)
{
    errno = EPROTO;
    return false;
}

static bool take(struct taker *taker, void *bytes, size_t len)
{
    for (uint8_t *to = bytes; len > 0;) {
        if (taker->at == taker->len) {
            ssize_t got = read(taker->in, taker->buffer, BUFFER);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return broken();
            taker->at = 0;
            taker->len = (size_t)got;
        }
        size_t some = taker->len - taker->at < len ? taker->len - taker->at : len;
        memcpy(to, taker->buffer + taker->at, some);
        taker->at += some;
        to += some;
        len -= some;
    }
    return true;
}

static bool take_number(struct taker *taker, int bytes, uint64_t *number)
{
    uint8_t text[8];
    struct frame_in in = {.at = text, .end = text + bytes};
    if (!take(taker, text, (size_t)bytes))
        return false;
    *number = get_number(&in, bytes);
    return true;
}

/* `size`: with its NUL. */
static bool take_text(struct taker *taker, char *text, size_t size)
{
    uint64_t len;
    if (!take_number(taker, 2, &len))
        return false;
    if (len < 1 || len >= size)
        return broken();
    text[len] = '\0';
    return take(taker, text, len) && (strlen(text) == len || broken());
}

struct head {
    enum kind kind;
    char name[NAME_SIZE];
    mode_t mode;
    struct timespec time;
};

static bool take_head(struct taker *taker, struct head *head)
{
    uint64_t kind, mode, time;
    if (!take_number(taker, 1, &kind))
        return false;
    head->kind = (enum kind)kind;
    if (kind == KIND_END)
        return true;
    if (kind != KIND_FOLDER && kind != KIND_FILE && kind != KIND_LINK)
        return broken();
    if (!take_text(taker, head->name, sizeof head->name) || !take_number(taker, 4, &mode) ||
        !take_number(taker, 8, &time))
        return false;
    head->mode = (mode_t)(mode & 0777);
    head->time = (struct timespec){.tv_sec = (time_t)(time / 1000000000 % INT32_MAX),
                                   .tv_nsec = (long)(time % 1000000000)};
    bool single = strchr(head->name, '/') == NULL && strcmp(head->name, ".") != 0 &&
                  strcmp(head->name, "..") != 0;
    return (single && ++taker->names <= GIVE_NAMES) || broken();
}

static bool take_content(struct taker *taker, int file)
{
    static uint8_t bytes[PIECE];
    uint64_t size, len, offset;
    if (!take_number(taker, 8, &size) || !take_number(taker, 4, &len))
        return false;
    while (len > 0) {
        if (!take_number(taker, 8, &offset))
            return false;
        if (len > PIECE || offset > size || len > size - offset || size > INT64_MAX)
            return broken();
        if (!take(taker, bytes, len))
            return false;
        ssize_t put = pwrite(file, bytes, len, (off_t)offset);
        if (put != (ssize_t)len) {
            errno = put >= 0 ? ENOSPC : errno;
            return false;
        }
        if (!take_number(taker, 4, &len))
            return false;
    }
    return size > INT64_MAX ? broken() : ftruncate(file, (off_t)size) == 0;
}

static bool take_file(struct taker *taker, int dir, const struct head *head)
{
    const struct timespec times[2] = {head->time, head->time};
    int file = openat(dir, head->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    bool taken = take_content(taker, file) && fchmod(file, head->mode | 0600) == 0;
    futimens(file, times);
    return close(file) == 0 && taken;
}

static bool take_link(struct taker *taker, int dir, const struct head *head)
{
    char target[PATH_MAX];
    return take_text(taker, target, sizeof target) && symlinkat(target, dir, head->name) == 0;
}

static bool take_folder(struct taker *taker, int dir, int depth);

static bool take_inner(struct taker *taker, int dir, const struct head *head, int depth)
{
    const struct timespec times[2] = {head->time, head->time};
    int inner = mkdirat(dir, head->name, 0700) == 0
                    ? openat(dir, head->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                    : -1;
    if (inner < 0)
        return false;
    bool taken = take_folder(taker, inner, depth + 1) && fchmod(inner, head->mode | 0700) == 0;
    futimens(inner, times);
    close(inner);
    return taken;
}

static bool take_folder(struct taker *taker, int dir, int depth)
{
    struct head head;
    if (depth > GIVE_DEPTH)
        return broken();
    bool taken = take_head(taker, &head);
    while (taken && head.kind != KIND_END) {
        if (head.kind == KIND_FOLDER)
            taken = take_inner(taker, dir, &head, depth);
        else if (head.kind == KIND_FILE)
            taken = take_file(taker, dir, &head);
        else
            taken = take_link(taker, dir, &head);
        taken = taken && take_head(taker, &head);
    }
    return taken;
}

bool give_read(int in, int dir)
{
    struct taker *taker = malloc(sizeof *taker);
    if (taker == NULL)
        return false;
    taker->in = in;
    taker->names = 0;
    taker->at = taker->len = 0;
    bool taken = take_folder(taker, dir, 0);
    int why = errno;
    free(taker);
    errno = why;
    return taken;
}
