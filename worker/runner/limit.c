/* One command, and its end in time. */
#include "worker/runner/limit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/source.h"
#include "worker/runner/supervise.h"

#define LIMIT_TERM_MS 5000 /* between TERM and KILL */
#define LIMIT_MAX_SECS 604800

struct limited {
    pid_t pid; /* leads its group */
    int64_t deadline;
    bool expired;
};

static void wanted_signals(sigset_t *wanted)
{
    sigemptyset(wanted);
    sigaddset(wanted, SIGCHLD);
    sigaddset(wanted, SIGINT);
    sigaddset(wanted, SIGTERM);
    sigaddset(wanted, SIGHUP);
}

static pid_t begin(char **words)
{
    pid_t pid = fork();
    if (pid != 0) {
        if (pid > 0)
            setpgid(pid, pid);
        return pid;
    }
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(words[0], words);
    fprintf(stderr, "fleet: %s: %s\n", words[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* It stays a zombie, so that the number of its group is nobody else's. */
static bool has_ended(const struct limited *limited)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)limited->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == limited->pid;
}

/* TERM first, then KILL until it is gone. */
static void expire(struct limited *limited, const char *name, const char *secs)
{
    if (!limited->expired)
        fprintf(stderr, "fleet: %s took longer than %s s and is ended\n", name, secs);
    kill(-limited->pid, limited->expired ? SIGKILL : SIGTERM);
    limited->expired = true;
    limited->deadline = clock_now() + LIMIT_TERM_MS;
}

static void wait_for_end(struct limited *limited, const char *name, const char *secs)
{
    sigset_t wanted;
    wanted_signals(&wanted);
    while (!has_ended(limited)) {
        int64_t left = limited->deadline - clock_now();
        struct timespec pause = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        if (left <= 0) {
            expire(limited, name, secs);
            continue;
        }
        int number = sigtimedwait(&wanted, NULL, &pause);
        if (number > 0 && number != SIGCHLD)
            kill(-limited->pid, number);
    }
}

int limit_main(int argc, char **argv)
{
    int64_t secs;
    sigset_t wanted;
    if (argc < 5 || strcmp(argv[3], "--") != 0 ||
        !supervise_take_number(argv[2], 1, LIMIT_MAX_SECS, &secs)) {
        fprintf(stderr, "usage: fleet-runner limit SECS -- WORD...\n");
        return 2;
    }
    wanted_signals(&wanted);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &wanted, NULL);
    struct limited limited = {.pid = begin(argv + 4), .deadline = clock_now() + secs * 1000};
    if (limited.pid < 0) {
        fprintf(stderr, "fleet: %s: %s\n", argv[4], strerror(errno));
        return 126;
    }
    wait_for_end(&limited, argv[4], argv[2]);
    if (limited.expired)
        kill(-limited.pid, SIGKILL); /* what outlived the leader of the group */
    int status = 0;
    waitpid(limited.pid, &status, 0);
    if (limited.expired)
        return LIMIT_EXPIRED;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
