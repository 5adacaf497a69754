/* Files of the configuration, read with a bound. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/read.h"
#include "common/crypto.h"
#include "common/mem.h"

void config_wipe(struct buf *buf)
{
    if (buf->data != NULL)
        crypto_wipe(buf->data, buf->cap);
    buf_release(buf);
}

/* Reads to the end. The buffer has its full size from the start: nothing is left in freed memory.
 */
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

bool config_file(const char *path, size_t max, struct buf *out, bool *loose, struct error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) != 0) {
        error_set(err, "cannot open %.300s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (loose != NULL)
        *loose = S_ISREG(info.st_mode) && (info.st_mode & (S_IRGRP | S_IROTH)) != 0;
    bool good = read_all(fd, path, max, out, err);
    close(fd);
    return good;
}
