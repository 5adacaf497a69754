/* A stop for the script: a file says it, a pipe wakes. */
#include "worker/runner/legacy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/file.h"

/* Opened for both ends, a pipe never blocks. */
static void wake(int upload)
{
    struct stat status;
    int pipe = openat(upload, "ctl", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (pipe < 0)
        return;
    if (fstat(pipe, &status) == 0 && S_ISFIFO(status.st_mode) && status.st_uid == getuid())
        (void)!write(pipe, "stop\n", 5);
    close(pipe);
}

static void wake_all(int run)
{
    struct dirent *entry;
    int fd = openat(run, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL && fd >= 0)
        close(fd);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        int upload =
            strncmp(entry->d_name, "up.", 3) == 0 ? file_open_folder(run, entry->d_name) : -1;
        if (upload >= 0) {
            wake(upload);
            close(upload);
        }
    }
    if (folder != NULL)
        closedir(folder);
}

bool legacy_stop(int run, const struct runner_stop *stop)
{
    char line[80];
    struct stat status;
    int len =
        snprintf(line, sizeof line, "%s %u %u\n", stop->reason, stop->grace_secs, stop->term_secs);
    if (!file_look(run, "stop", &status) && !file_write(run, "stop", line, (size_t)len))
        return false;
    wake_all(run);
    return true;
}
