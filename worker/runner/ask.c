/* One line of a program's. */
#include "worker/runner/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/process.h"
#include "worker/runner/signal.h"
#include "worker/runner/source.h"

#define VALUE_SIZE 4096

/* Of a session that never was: what a job has, too. */
static char **environment(const char *path)
{
    static const char *const names[] = {"HOME", "USER", "LOGNAME", "LANG", "SHELL"};
    static char lines[7][VALUE_SIZE + 16];
    static char *list[8];
    int n = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && strlen(value) < VALUE_SIZE)
            snprintf(lines[n], sizeof lines[n], "%s=%s", names[i], value);
        if (value != NULL && strlen(value) < VALUE_SIZE)
            list[n] = lines[n], n++;
    }
    snprintf(lines[n], sizeof lines[n], "TERM=dumb");
    list[n] = lines[n], n++;
    snprintf(lines[n], sizeof lines[n], "PATH=%s", path);
    list[n] = lines[n];
    list[n + 1] = NULL;
    return list;
}

bool ask_begin(struct asked *asked, const char *file, char *const argv[], const char *path,
               int64_t ms)
{
    int ends[2];
    asked->fd = -1;
    asked->line[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    char **env = environment(path);
    asked->pid = fork();
    if (asked->pid == 0) {
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 0);
        dup2(null, 2);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        dup2(ends[1], 1);
        execve(file, argv, env);
        _exit(127);
    }
    close(ends[1]);
    if (asked->pid < 0) {
        asked->pid = 0;
        close(ends[0]);
        return false;
    }
    asked->fd = ends[0];
    asked->deadline = clock_now() + ms;
    return true;
}

static bool is_wanted(const struct asked *asked)
{
    return asked->mark == NULL || strncmp(asked->line, asked->mark, strlen(asked->mark)) == 0;
}

static void take(struct asked *asked, char byte)
{
    if (byte == '\n' && is_wanted(asked)) {
        asked->whole = true;
        return;
    }
    if (byte == '\n')
        asked->len = 0;
    else if (asked->len + 1 < asked->size)
        asked->line[asked->len++] = byte;
    asked->line[asked->len] = '\0';
}

bool ask_hear(struct asked *asked)
{
    char bytes[512];
    ssize_t n = read(asked->fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR)
        return false;
    for (ssize_t i = 0; i < n && !asked->whole; i++)
        take(asked, bytes[i]);
    return n <= 0 || asked->whole;
}

void ask_wait(struct asked *asked)
{
    for (int64_t left; (left = asked->deadline - clock_now()) > 0;) {
        struct pollfd event = {.fd = asked->fd, .events = POLLIN};
        if (poll(&event, 1, (int)left) > 0 && ask_hear(asked))
            return;
    }
}

/* With one signal: bash, told by two at a time, skips its EXIT traps, by which version managers let
 * go of a lock that each later login waits for. */
void ask_hang_up(struct asked *asked)
{
    if (asked->pid <= 1 || asked->killed_at != 0)
        return;
    signal_group(asked->pid, SIGHUP);
    signal_group(asked->pid, SIGCONT);
    asked->killed_at = clock_now() + (asked->whole ? ASK_REST_MS : ASK_GRACE_MS);
}

/* The child stays a zombie meanwhile, so that the number of its group is nobody else's. */
static bool lives(pid_t pid)
{
    siginfo_t info = {0};
    return (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == 0) ||
           process_group_lives(pid);
}

bool ask_is_over(const struct asked *asked)
{
    return clock_now() >= asked->killed_at || !lives(asked->pid);
}

void ask_end(struct asked *asked)
{
    ask_hang_up(asked);
    if (asked->pid > 1) {
        while (!ask_is_over(asked))
            usleep(20000);
        signal_group(asked->pid, SIGKILL);
        signal_child(asked->pid, SIGKILL); /* before it led its group */
        waitpid(asked->pid, NULL, 0);
    }
    close(asked->fd); /* not before: who says good-bye is not to die of that */
    asked->fd = -1;
    asked->pid = 0;
}
