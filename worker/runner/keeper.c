/* Keeps a program: nothing of its group outlives it, or its owner. */
#include "worker/runner/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/signal.h"

/* --- In the program --- */

static _Noreturn void become(const struct kept *kept, pid_t keeper)
{
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(126);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* what has no other way refuses it */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    if (dup2(kept->in, 0) < 0 || dup2(kept->out, 1) < 0 || dup2(kept->err, 2) < 0)
        _exit(126);
    execve(kept->file, kept->words, kept->variables);
    _exit(errno == ENOENT ? 127 : 126);
}

/* --- In the keeper --- */

/* It is done (not reaped: its number, and so its group's, is nobody else's yet), or nobody wants it
 * any more. */
static void await_end(pid_t program, int life, int children)
{
    struct pollfd events[2] = {{.fd = life, .events = POLLIN}, {.fd = children, .events = POLLIN}};
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)program, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid == program)
            return;
        events[0].revents = 0;
        poll(events, 2, 1000);
        if (events[0].revents != 0)
            return;
    }
}

static _Noreturn void keep(const struct kept *kept, int life)
{
    sigset_t child;
    int status;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int children = signalfd(-1, &child, SFD_CLOEXEC);
    alarm(0); /* whoever started us has one: it ends us by its own end */
    pid_t self = getpid(), program = fork();
    if (program == 0)
        become(kept, self);
    if (program < 0)
        _exit(126);
    setpgid(program, program);
    /* Whoever reads them shall see their end. */
    close(kept->out);
    close(kept->err);
    await_end(program, life, children);
    signal_group(program, SIGKILL);
    while (waitpid(program, &status, 0) < 0 && errno == EINTR)
        continue;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* --- In its owner --- */

bool keeper_start(struct keeper *keeper, const struct kept *kept)
{
    int ends[2];
    *keeper = (struct keeper){.life = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    keeper->pid = fork();
    if (keeper->pid == 0) {
        close(ends[0]);
        keep(kept, ends[1]);
    }
    close(ends[1]);
    keeper->life = ends[0];
    if (keeper->pid > 0)
        return true;
    close(ends[0]);
    return false;
}

void keeper_end(struct keeper *keeper)
{
    shutdown(keeper->life, SHUT_WR);
}

int keeper_wait(struct keeper *keeper)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(keeper->pid, &status, 0)) < 0 && errno == EINTR)
        continue;
    close(keeper->life);
    if (pid < 0)
        return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
