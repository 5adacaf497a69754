/* The files of a run that only its supervisor writes. */
#include "worker/runner/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/process.h"
#include "worker/runner/tree.h"

static bool write_all(int file, const char *text, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(file, text + done, len - done, (off_t)done);
        if (n <= 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* A new file with this text, durable; its name is so once the directory is synced. */
static bool make_file(int dir, const char *name, const char *text)
{
    unlinkat(dir, name, 0);
    int file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    bool made = write_all(file, text, strlen(text)) && fsync(file) == 0;
    return close(file) == 0 && made;
}

static bool make_records(int up, const struct runner_key *key, const struct output out[static 2])
{
    char text[256];
    struct process self;
    if (!process_read(getpid(), &self))
        return false;
    snprintf(text, sizeof text, "%d %" PRIu64 " %s %" PRIu32 "\n", getpid(), self.start,
             process_boot(), key->epoch);
    if (!make_file(up, "supervisor", text))
        return false;
    snprintf(text, sizeof text, "%ju %ju %ju %ju\n", (uintmax_t)out[0].made.st_dev,
             (uintmax_t)out[0].made.st_ino, (uintmax_t)out[1].made.st_dev,
             (uintmax_t)out[1].made.st_ino);
    return make_file(up, "output", text);
}

static enum supervise_said failure(void)
{
    return errno == ENOSPC || errno == EDQUOT ? SUPERVISE_DISK_FULL : SUPERVISE_FAILED;
}

/* Whoever dies between mkdir and the last sync has started nothing: the next call about the run
 * finds go without a supervisor, and makes it a tombstone. */
enum supervise_said record_go(int run, int up, const struct runner_key *key,
                              const struct output out[static 2])
{
    if (!make_records(up, key, out))
        return failure();
    if (mkdirat(run, "go", 0700) != 0)
        return errno == EEXIST ? SUPERVISE_EXISTS : failure();
    int go = openat(run, "go", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (go < 0)
        return failure();
    bool done = renameat(up, "output", go, "output") == 0 &&
                renameat(up, "supervisor", go, "supervisor") == 0 && fsync(go) == 0 &&
                fsync(run) == 0;
    enum supervise_said said = done ? SUPERVISE_STARTED : failure();
    close(go);
    return said;
}

/* The block lies on the disk already, so that a full one does not matter; when an agent took it
 * away, a new file has to do. The cut at its end comes after the text, for it may free blocks. */
static bool write_status(int dir, const char *name, int flags, const char *text)
{
    int file = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
    struct stat is;
    if (file < 0)
        return false;
    bool done = fstat(file, &is) == 0 && S_ISREG(is.st_mode) && is.st_uid == geteuid() &&
                is.st_nlink == 1 && write_all(file, text, strlen(text)) &&
                ftruncate(file, (off_t)strlen(text)) == 0 && fsync(file) == 0;
    return close(file) == 0 && done;
}

static bool move_status(int dir, const char *name, int run)
{
    if (renameat(dir, name, run, "status") == 0)
        return true;
    return tree_remove(run, "status") && renameat(dir, name, run, "status") == 0;
}

bool record_status(int run, int up, const struct runner_key *key, const struct output out[static 2],
                   const struct ending *ending)
{
    char text[512];
    snprintf(text, sizeof text, "status %s %d %" PRId64 " %s %" PRId64 " %" PRId64 " .\nproof %s\n",
             key->nonce, ending->exit, ending->elapsed_ms, ending->reason, out[0].offset,
             out[1].offset, ending->proof);
    fsync(out[0].file);
    fsync(out[1].file);
    bool done = write_status(up, "reserve", 0, text) && move_status(up, "reserve", run);
    if (!done) {
        tree_remove(run, "status.new");
        done = write_status(run, "status.new", O_CREAT | O_EXCL, text) &&
               move_status(run, "status.new", run);
    }
    return fsync(run) == 0 && done;
}
