/* sudo, and what runs behind it. */
#include "worker/runner/account.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/process.h"
#include "worker/runner/scene.h"
#include "worker/runner/signal.h"
#include "worker/runner/source.h"

#define WORDS_MAX 16
#define DYING_MS 300 /* that the killed get before they are counted */
#define PAUSE_MS 10

static void pause_ms(int ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    nanosleep(&pause, NULL);
}

/* --- As it --- */

static const char *find_sudo(void)
{
    static const char *const places[] = {"/usr/bin/sudo", "/usr/local/bin/sudo", "/bin/sudo"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return places[0];
}

_Noreturn void account_become(const char *name, const char *const words[])
{
    char self[PATH_MAX];
    const char *argv[WORDS_MAX + 8] = {find_sudo(), "-n", "-H", "-u", name, "--", self};
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    for (int i = 0; i < WORDS_MAX && words[i] != NULL; i++)
        argv[7 + i] = words[i];
    execve(argv[0], (char *const *)argv,
           (char *[]){(char *)"PATH=/usr/local/bin:/usr/bin:/bin", (char *)"LC_ALL=C", NULL});
    _exit(127);
}

static bool set_stream(int fd, int null, int to)
{
    return dup2(fd < 0 ? null : fd, to) == to;
}

pid_t account_start(const char *name, const char *const words[],
                    const struct account_streams *streams)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int in = streams->in < 0 ? -1 : fcntl(streams->in, F_DUPFD_CLOEXEC, 16);
    int out = streams->out < 0 ? -1 : fcntl(streams->out, F_DUPFD_CLOEXEC, 16);
    int err = streams->err < 0 ? -1 : fcntl(streams->err, F_DUPFD_CLOEXEC, 16);
    if (!set_stream(in, null, 0) || !set_stream(out, null, 1) || !set_stream(err, null, 2))
        _exit(127);
    alarm(0);
    scene_reset_signals();
    account_become(name, words);
}

enum account_said account_status(int status)
{
    if (!WIFEXITED(status))
        return ACCOUNT_NO;
    switch (WEXITSTATUS(status)) {
    case ACCOUNT_NONE:
        return ACCOUNT_NONE;
    case ACCOUNT_SOME:
        return ACCOUNT_SOME;
    case ACCOUNT_FAILED:
        return ACCOUNT_FAILED;
    default:
        return ACCOUNT_NO;
    }
}

enum account_said account_wait(pid_t pid)
{
    int status;
    if (pid < 0)
        return ACCOUNT_NO;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return ACCOUNT_NO;
    }
    return account_status(status);
}

bool account_remove(const char *name, const char *path)
{
    char caller[16];
    snprintf(caller, sizeof caller, "%u", (unsigned)getuid());
    const char *words[] = {"remove", caller, path, NULL};
    return account_wait(account_start(name, words, &(struct account_streams){-1, -1, -1})) ==
           ACCOUNT_NONE;
}

enum account_said account_signal(const char *name, int signal, uid_t *uid)
{
    char caller[16], number[16], line[32] = "";
    int ends[2];
    snprintf(caller, sizeof caller, "%u", (unsigned)getuid());
    snprintf(number, sizeof number, "%d", signal);
    const char *words[] = {"every", caller, number, NULL};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ACCOUNT_NO;
    pid_t pid = account_start(name, words, &(struct account_streams){-1, ends[1], -1});
    close(ends[1]);
    file_read_some(ends[0], line, sizeof line - 1);
    close(ends[0]);
    if (uid != NULL)
        *uid = (uid_t)strtoul(line, NULL, 10);
    return account_wait(pid);
}

enum account_said account_clear(const char *name, uid_t *uid)
{
    int64_t deadline = clock_now() + ACCOUNT_CLEAR_MS;
    enum account_said said;
    while ((said = account_signal(name, SIGKILL, uid)) == ACCOUNT_SOME && clock_now() < deadline)
        pause_ms(PAUSE_MS);
    return said;
}

/* --- The way to this program --- */

/* Of ours only, and by one who may: the others' right to pass is added. */
static bool add_mode(int fd, mode_t mode)
{
    struct stat status;
    return fstat(fd, &status) == 0 &&
           ((status.st_mode & mode) == mode || fchmod(fd, (status.st_mode | mode) & 07777) == 0);
}

bool account_open_way(const struct base *base)
{
    int bin = file_open_folder(base->dir, "bin");
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool open = add_mode(base->work, 0011) && add_mode(base->fleet, 0011) &&
                add_mode(base->dir, 0011) && (bin < 0 || add_mode(bin, 0011)) && self >= 0 &&
                add_mode(self, 0055);
    if (bin >= 0)
        close(bin);
    if (self >= 0)
        close(self);
    return open;
}

/* --- Behind sudo --- */

/* Whoever we may signal is of this account, or was made by it (of a user namespace of its own). */
static int count_all(void)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (const struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        struct process process;
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 1 && pid != getpid() && kill((pid_t)pid, 0) == 0 &&
            process_read((pid_t)pid, &process) && process.state != 'Z' && process.state != 'X')
            count++;
    }
    if (proc != NULL)
        closedir(proc);
    return proc == NULL ? 1 : count;
}

/* Everybody is the whole account here, and it is not that of our caller. */
bool account_is_right(const char *caller)
{
    char *end;
    unsigned long uid = strtoul(caller, &end, 10);
    const char *sudo = getenv("SUDO_UID");
    return *caller != '\0' && *end == '\0' && sudo != NULL && strcmp(sudo, caller) == 0 &&
           getuid() != 0 && geteuid() == getuid() && getuid() != uid;
}

int account_main(int argc, char **argv)
{
    int number = argc == 4 ? (int)strtol(argv[3], NULL, 10) : -1;
    if (argc != 4 || !account_is_right(argv[2]) || number < 0 || number >= NSIG)
        return ACCOUNT_FAILED;
    if (number != 0)
        signal_everybody(number);
    if (number == SIGINT || number == SIGTERM)
        signal_everybody(SIGCONT); /* who is stopped shall hear it */
    printf("%u\n", (unsigned)getuid());
    fflush(stdout);
    int count = count_all();
    for (int waited = 0; number == SIGKILL && count > 0 && waited < DYING_MS; waited += PAUSE_MS) {
        pause_ms(PAUSE_MS);
        count = count_all();
    }
    return count == 0 ? ACCOUNT_NONE : ACCOUNT_SOME;
}

int account_remove_main(int argc, char **argv)
{
    char *slash = argc == 4 ? strrchr(argv[3], '/') : NULL;
    if (slash == NULL || slash == argv[3] || slash[1] == '\0' || !account_is_right(argv[2]))
        return ACCOUNT_FAILED;
    *slash = '\0';
    int folder = open(argv[3], O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool gone = folder >= 0 && file_remove(folder, slash + 1);
    return gone ? ACCOUNT_NONE : ACCOUNT_FAILED;
}
