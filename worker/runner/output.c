/* From an agent's pipe into its file. */
#include "worker/runner/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "worker/runner/file.h"

static char buffer[64 << 10];

bool output_open(struct output *output, int run, const char *name, int64_t cap)
{
    *output = (struct output){.name = name, .cap = cap, .pipe = -1, .agent = -1};
    output->file = file_open(run, name, O_WRONLY);
    return output->file >= 0 && fstat(output->file, &output->made) == 0 &&
           output->made.st_size == 0;
}

bool output_make_pipe(struct output *output)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    output->pipe = ends[0];
    output->agent = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

static const char *give_up(struct output *output, const char *reason)
{
    if (output->pipe >= 0)
        close(output->pipe);
    output->pipe = -1;
    return reason;
}

/* In full, or the reason why not. A file that others changed is not written any more. */
static const char *write_out(struct output *output, const char *bytes, int64_t len)
{
    struct stat now;
    if (fstat(output->file, &now) != 0 || now.st_size != output->offset)
        return "output_tampered";
    while (len > 0) {
        ssize_t n = pwrite(output->file, bytes, (size_t)len, output->offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 || errno == ENOSPC || errno == EDQUOT ? "host_disk_full"
                                                                : "output_failed";
        bytes += n;
        len -= n;
        output->offset += n;
    }
    return NULL;
}

const char *output_take(struct output *output, bool *more)
{
    *more = false;
    ssize_t n = read(output->pipe, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    if (n <= 0)
        return give_up(output, NULL);
    *more = true;
    int64_t room = output->cap - output->offset;
    const char *reason = write_out(output, buffer, n < room ? n : room);
    if (reason == NULL && n > room)
        reason = "output_limit";
    return reason == NULL ? NULL : give_up(output, reason);
}

const char *output_drain(struct output *output)
{
    const char *reason = NULL;
    int held = 0;
    bool more = output->pipe >= 0 && ioctl(output->pipe, FIONREAD, &held) == 0 && held > 0;
    int64_t until = output->offset + held;
    while (more && output->pipe >= 0 && reason == NULL && output->offset < until)
        reason = output_take(output, &more);
    give_up(output, NULL);
    return reason;
}

bool output_intact(const struct output *output, int run)
{
    struct stat file, named;
    return fstat(output->file, &file) == 0 && file.st_size == output->offset &&
           fstatat(run, output->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_dev == file.st_dev && named.st_ino == file.st_ino;
}
