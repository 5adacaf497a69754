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

/* A new file with this text, not synced yet; -1 on failure. */
static int make_record(int up, const char *name, const char *text)
{
    unlinkat(up, name, 0);
    int file = openat(up, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0 || file_write_all(file, text, strlen(text)))
        return file;
    close(file);
    return -1;
}

static int record_supervisor(int up, const struct runner_key *key)
{
    char text[160];
    struct process self;
    if (!process_read(getpid(), &self))
        return -1;
    snprintf(text, sizeof text, "%d %" PRIu64 " %s %" PRIu32 "\n", getpid(), self.start,
             process_boot(), key->epoch);
    return make_record(up, "supervisor", text);
}

static int record_output(int up, const struct output out[static 2])
{
    char text[160];
    snprintf(text, sizeof text, "%ju %ju %ju %ju\n", (uintmax_t)out[0].made.st_dev,
             (uintmax_t)out[0].made.st_ino, (uintmax_t)out[1].made.st_dev,
             (uintmax_t)out[1].made.st_ino);
    return make_record(up, "output", text);
}

static enum supervise_said failure(void)
{
    return errno == ENOSPC || errno == EDQUOT ? SUPERVISE_DISK_FULL : SUPERVISE_FAILED;
}

static int record_account(int up, const char *account)
{
    char text[RUNNER_ACCOUNT_SIZE + 1];
    snprintf(text, sizeof text, "%s\n", account);
    return make_record(up, "account", text);
}

/* Who finds the supervisor's there finds all. `other`: there is an account. */
static bool move_into_go(int up, int go, bool other)
{
    return renameat(up, "output", go, "output") == 0 &&
           (!other || renameat(up, "account", go, "account") == 0) &&
           renameat(up, "supervisor", go, "supervisor") == 0;
}

/* All is synced at the end, for each sync of its own would wait for the disk as long. Whoever dies
 * before has started nothing: the next call about the run finds go without a supervisor and makes
 * it a tombstone, or with one that is gone, and takes it for lost. */
enum supervise_said record_go(int run, int up, const struct runner_key *key,
                              const struct output out[static 2], const char *account)
{
    int supervisor = record_supervisor(up, key), output = record_output(up, out), go = -1;
    int other = account[0] != '\0' ? record_account(up, account) : -1;
    bool recorded = supervisor >= 0 && output >= 0 && (other >= 0 || account[0] == '\0');
    bool made = recorded && mkdirat(run, "go", 0700) == 0;
    enum supervise_said said = SUPERVISE_STARTED;
    if (recorded && !made && errno == EEXIST)
        said = SUPERVISE_EXISTS;
    else if (!made || (go = file_open_folder(run, "go")) < 0 || !move_into_go(up, go, other >= 0) ||
             fsync(supervisor) != 0 || fsync(output) != 0 || (other >= 0 && fsync(other) != 0) ||
             fsync(go) != 0 || fsync(run) != 0)
        said = failure();
    int all[] = {supervisor, output, other, go};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] >= 0)
            close(all[i]);
    }
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
