/* Reads a file whole, with a bound. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/mem.h"

/* To the end. The bytes have their full room from the start: nothing is left in freed memory. */
static bool read_all(int fd, const char *path, size_t max, struct buf *out, struct error *err)
{
    char *bytes = mem_alloc(max + 1);
    size_t len = 0;
    ssize_t got = 1;
    while (got != 0 && len <= max) {
        got = read(fd, bytes + len, max + 1 - len);
        if (got < 0 && errno != EINTR) {
            error_set(err, "cannot read %.300s: %s", path, strerror(errno));
            break;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    bool good = got == 0 && len <= max;
    if (got >= 0 && !good)
        error_set(err, "%.300s is larger than %zu bytes", path, max);
    if (good) {
        buf_init(out, max);
        buf_add(out, bytes, len);
    }
    crypto_wipe(bytes, max + 1);
    free(bytes);
    return good;
}

bool file_read(const char *path, enum file_kind kind, size_t max, struct buf *out,
               struct stat *info, struct error *err)
{
    struct stat status;
    int wait = kind == FILE_REGULAR ? O_NONBLOCK : 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | wait);
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set(err, "cannot open %.300s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool good = kind == FILE_ANY || S_ISREG(status.st_mode);
    if (!good) {
        errno = EINVAL;
        error_set(err, "%.300s is not a regular file", path);
    }
    good = good && read_all(fd, path, max, out, err);
    if (info != NULL)
        *info = status;
    int saved = errno;
    close(fd);
    errno = saved;
    return good;
}
