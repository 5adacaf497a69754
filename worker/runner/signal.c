/* Signals to processes whose identity was looked at. */
#include "worker/runner/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/runner/process.h"

/* Numbers of system calls that are the same on every kind of machine. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static bool may_be_signalled(pid_t id)
{
    if (id > 1 && id != getpid() && id != getpgrp())
        return true;
    errno = EINVAL;
    return false;
}

/* As `start` says it is; false (ESRCH) when it is another, or a dead one. */
static bool is_same(pid_t pid, uint64_t start)
{
    struct process now;
    if (process_read(pid, &now) && now.start == start && now.state != 'Z' && now.state != 'X')
        return true;
    errno = ESRCH;
    return false;
}

/* A kernel before 5.3 has no pidfd: between the look and the signal the number could
 * change hands. */
static bool signal_by_number(pid_t pid, int signal, int value)
{
    if (value == -1)
        return kill(pid, signal) == 0;
    return sigqueue(pid, signal, (union sigval){.sival_int = value}) == 0;
}

bool signal_process(pid_t pid, uint64_t start, int signal, int value)
{
    if (!may_be_signalled(pid))
        return false;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno != ESRCH && is_same(pid, start) && signal_by_number(pid, signal, value);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = value;
    bool sent = is_same(pid, start) &&
                syscall(SYS_pidfd_send_signal, fd, signal, value == -1 ? NULL : &info, 0) == 0;
    if (!sent && errno == EINVAL) /* an emulated kernel that mixes up the signal's number */
        sent = is_same(pid, start) && signal_by_number(pid, signal, value);
    int error = errno;
    close(fd);
    errno = error;
    return sent;
}

bool signal_child(pid_t pid, int signal)
{
    return may_be_signalled(pid) && kill(pid, signal) == 0;
}

bool signal_group(pid_t group, int signal)
{
    return may_be_signalled(group) && kill(-group, signal) == 0;
}

bool signal_everybody(int signal)
{
    if (getuid() != 0 && geteuid() != 0)
        return kill(-1, signal) == 0;
    errno = EINVAL;
    return false;
}
