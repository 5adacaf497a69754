/* The files of a run that only its supervisor writes. */
#include "worker/runner/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/process.h"

static bool make_records(int up, const struct runner_key *key, const struct output out[static 2])
{
    char text[256];
    struct process self;
    if (!process_read(getpid(), &self))
        return false;
    int len = snprintf(text, sizeof text, "%d %" PRIu64 " %s %" PRIu32 "\n", getpid(), self.start,
                       process_boot(), key->epoch);
    if (!file_write(up, "supervisor", text, (size_t)len))
        return false;
    len = snprintf(text, sizeof text, "%ju %ju %ju %ju\n", (uintmax_t)out[0].made.st_dev,
                   (uintmax_t)out[0].made.st_ino, (uintmax_t)out[1].made.st_dev,
                   (uintmax_t)out[1].made.st_ino);
    return file_write(up, "output", text, (size_t)len);
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
    int go = file_open_folder(run, "go");
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
static bool write_status(int dir, const char *name, const char *text)
{
    int file = file_open(dir, name, O_WRONLY);
    struct stat is;
    if (file < 0)
        return false;
    bool done = fstat(file, &is) == 0 && is.st_nlink == 1 &&
                file_write_all(file, text, strlen(text)) &&
                ftruncate(file, (off_t)strlen(text)) == 0 && fsync(file) == 0;
    return close(file) == 0 && done;
}

static bool move_status(int dir, const char *name, int run)
{
    if (renameat(dir, name, run, "status") == 0)
        return true;
    return file_remove(run, "status") && renameat(dir, name, run, "status") == 0;
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
    bool done = write_status(up, "reserve", text) && move_status(up, "reserve", run);
    if (!done) /* else the text is a new file */
        done = file_remove(run, "status") && file_write(run, "status", text, strlen(text));
    return fsync(run) == 0 && done;
}
