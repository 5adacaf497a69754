/* One run, from go to its status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/fresh.h"
#include "worker/runner/job.h"
#include "worker/runner/ladder.h"
#include "worker/runner/order.h"
#include "worker/runner/output.h"
#include "worker/runner/process.h"
#include "worker/runner/record.h"
#include "worker/runner/supervise.h"

#define HOOK_FAILED 120
#define LINGER_MS 5000     /* for what an agent leaves behind */
#define LIMIT_TERM_SECS 10 /* after the total time, the cap, a full disk */
#define LINGER_TERM_SECS 5
#define LOOK_MS 200 /* between looks for marks that are no children of ours */
#define AGAIN_MS 20 /* between kills, doubled up to AGAIN_MAX_MS */
#define AGAIN_MAX_MS 5000

enum phase {
    PHASE_RUN,    /* the agent lives, nobody wants it to end */
    PHASE_LINGER, /* it ended by itself; what it left behind may do so, too */
    PHASE_INT,
    PHASE_TERM,
    PHASE_KILL,
    PHASE_OVER, /* nothing of the run lives */
};

struct supervisor {
    struct base base;
    struct runner_key key;
    int64_t timeout_secs, cap;
    const char *folder, *path; /* borrowed from argv */
    int run, up;               /* owned; directories */
    int poll, signals, timer;  /* owned */
    struct output out[2];
    struct ladder ladder; /* of a job in our account */
    struct orders orders; /* to another account; "": there is none */
    bool sandbox;
    pid_t agent;
    enum phase phase;
    const char *cause; /* static, or of `stop`; the first one; NULL: it ends by itself */
    struct runner_stop stop;
    int term_secs;
    bool ended;    /* the agent, at ended_ms */
    bool no_child; /* waitpid has said so */
    bool looked_for_marks;
    int exit; /* as a shell says it */
    int64_t began_ms, ended_ms;
    int64_t deadline; /* of the phase */
    int again_ms;     /* between kills */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- Steps of the ladder --- */

static void wake_at(struct supervisor *s, int64_t ms)
{
    struct itimerspec at = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
    timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void enter(struct supervisor *s, enum phase phase, int64_t ms)
{
    s->phase = phase;
    s->deadline = now_ms() + ms;
    wake_at(s, s->deadline);
}

static bool is_elsewhere(const struct supervisor *s)
{
    return s->orders.account[0] != '\0';
}

/* Everything of the run. */
static void signal_run(struct supervisor *s, int signal)
{
    if (is_elsewhere(s))
        order_signal(&s->orders, signal);
    else if (signal == SIGKILL)
        ladder_kill(&s->ladder);
    else
        ladder_signal(&s->ladder, signal);
}

static void terminate(struct supervisor *s)
{
    enter(s, PHASE_TERM, (int64_t)s->term_secs * 1000);
    signal_run(s, SIGTERM);
}

/* The first cause stays. After the agent's own end it only says why the output is not whole. */
static void quit(struct supervisor *s, const char *cause, int grace_secs, int term_secs)
{
    if (s->cause != NULL)
        return;
    s->cause = cause;
    if (s->phase != PHASE_RUN)
        return;
    s->term_secs = term_secs;
    if (grace_secs == 0) {
        terminate(s);
        return;
    }
    enter(s, PHASE_INT, (int64_t)grace_secs * 1000);
    signal_run(s, SIGINT);
}

static void over(struct supervisor *s)
{
    s->phase = PHASE_OVER;
    wake_at(s, 0);
}

/* Again and again, until none is left: a process that sleeps in the kernel takes its KILL when it
 * wakes, and one that has other rights (sudo) ends when it likes. */
static void kill_all(struct supervisor *s)
{
    if (s->phase != PHASE_KILL)
        s->again_ms = AGAIN_MS;
    signal_run(s, SIGKILL);
    enter(s, PHASE_KILL, s->again_ms);
    s->again_ms = s->again_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : s->again_ms * 2;
}

static void on_deadline(struct supervisor *s)
{
    switch (s->phase) {
    case PHASE_RUN:
        quit(s, "timed_out", 0, LIMIT_TERM_SECS);
        break;
    case PHASE_LINGER:
        s->term_secs = LINGER_TERM_SECS;
        terminate(s);
        break;
    case PHASE_INT:
        terminate(s);
        break;
    case PHASE_TERM:
    case PHASE_KILL:
        kill_all(s);
        break;
    case PHASE_OVER:
        break;
    }
}

/* --- What happens --- */

static bool is_nothing_left(struct supervisor *s)
{
    if (!is_elsewhere(s)) {
        s->looked_for_marks = true;
        return process_marked(&s->key, NULL, NULL) == 0;
    }
    if (!s->orders.none)
        order_look(&s->orders);
    return s->orders.none;
}

/* Nothing lives any more when no child is left and nothing bears the mark, or is of the account; of
 * what is no child we are not told, so it is looked for. */
static void settle(struct supervisor *s)
{
    if (!s->ended || !s->no_child || s->phase == PHASE_OVER)
        return;
    if (is_nothing_left(s))
        over(s);
    else
        wake_at(s, now_ms() + LOOK_MS < s->deadline ? now_ms() + LOOK_MS : s->deadline);
}

static void on_agent_end(struct supervisor *s, int status)
{
    s->ended = true;
    s->ended_ms = now_ms();
    s->exit = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    s->ladder.group = 0; /* its number may soon be another's */
    s->orders.none = false;
    if (s->phase == PHASE_RUN)
        enter(s, PHASE_LINGER, LINGER_MS);
}

static void reap(void *data)
{
    struct supervisor *s = data;
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
        if (!order_ended(&s->orders, pid, status) && pid == s->agent && !s->ended)
            on_agent_end(s, status);
    }
    s->no_child = pid < 0 && errno == ECHILD;
}

static void on_child(struct supervisor *s)
{
    reap(s);
    settle(s);
}

/* A stop that comes after the agent's own end hurries what it left behind. */
static void on_stop(struct supervisor *s, const struct runner_stop *stop)
{
    if (s->phase == PHASE_LINGER) {
        s->term_secs = stop->term_secs;
        terminate(s);
    } else if (s->phase == PHASE_RUN) {
        s->stop = *stop;
        quit(s, s->stop.reason, s->stop.grace_secs, s->stop.term_secs);
    }
}

/* Whoever may signal us may queue a signal; one that was sent otherwise has no value: it says
 * nothing. */
static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;
    bool child = false;
    while (read(s->signals, &info, sizeof info) == sizeof info) {
        struct runner_stop stop;
        if (info.ssi_signo == SIGCHLD)
            child = true;
        else if (supervise_unpack(info.ssi_int, &stop))
            on_stop(s, &stop);
    }
    if (child)
        on_child(s);
}

/* A timer that was armed anew in between has nothing to be read. */
static void on_timer(struct supervisor *s)
{
    uint64_t times;
    if (read(s->timer, &times, sizeof times) != sizeof times)
        return;
    wake_at(s, s->deadline);
    settle(s);
    if (s->phase != PHASE_OVER && now_ms() >= s->deadline)
        on_deadline(s);
}

static void on_output(struct supervisor *s, struct output *out)
{
    bool more;
    const char *reason = output_take(out, &more);
    if (reason != NULL)
        quit(s, reason, 0, LIMIT_TERM_SECS);
}

static void loop(struct supervisor *s)
{
    while (s->phase != PHASE_OVER) {
        struct epoll_event events[4];
        int count = epoll_wait(s->poll, events, 4, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == s->signals)
                on_signal(s);
            else if (fd == s->timer)
                on_timer(s);
            for (int stream = 0; stream < 2; stream++) {
                if (fd == s->out[stream].pipe)
                    on_output(s, &s->out[stream]);
            }
        }
    }
}

/* --- Its end --- */

/* Only what was looked at; that no child is left is known of whatever is over. */
static void prove(const struct supervisor *s, char proof[static 96])
{
    snprintf(proof, 96, "no_child_left%s%s%s%s", s->ladder.signalled_group ? " group" : "",
             s->ladder.looked ? " children" : "", s->looked_for_marks ? " mark" : "",
             s->orders.none ? " uid" : "");
}

/* A script whose hooks failed ends with HOOK_FAILED; one that was killed may have been at them. */
static bool came_to_agent(const struct supervisor *s)
{
    return s->exit != HOOK_FAILED && !(s->cause != NULL && s->exit == 128 + SIGKILL);
}

static void finish(struct supervisor *s)
{
    for (int stream = 0; stream < 2; stream++) {
        const char *reason = output_drain(&s->out[stream]);
        if (reason != NULL && s->cause == NULL)
            s->cause = reason;
    }
    job_remove_tmp(&s->base, &s->key, s->orders.account);
    if (came_to_agent(s))
        fresh_end(&s->base, s->folder);
    struct stat run;
    if (fstat(s->run, &run) != 0 || run.st_nlink == 0)
        return; /* there is nowhere to write a status */
    for (int stream = 0; stream < 2; stream++) {
        if (s->cause == NULL && !output_intact(&s->out[stream], s->run))
            s->cause = "output_tampered";
    }
    char proof[96];
    prove(s, proof);
    struct ending ending = {
        .exit = s->exit,
        .elapsed_ms = s->ended_ms - s->began_ms,
        .reason = s->cause == NULL ? "exit" : s->cause,
        .proof = proof,
    };
    record_status(s->run, s->up, &s->key, s->out, &ending);
}

/* --- Its beginning --- */

static bool take_arguments(struct supervisor *s, int argc, char **argv)
{
    int64_t uid;
    if (argc != 13 || !supervise_take_key(argv + 3, &s->key) ||
        !supervise_take_number(argv[6], 1, INT32_MAX, &s->timeout_secs) ||
        !supervise_take_number(argv[7], 1, INT64_MAX, &s->cap) ||
        !supervise_take_number(argv[11], 0, UINT32_MAX - 1, &uid))
        return false;
    s->folder = argv[8];
    s->path = argv[9];
    s->orders.account = argv[10];
    s->orders.uid = (uid_t)uid;
    s->sandbox = strcmp(argv[12], "1") == 0;
    return true;
}

static bool open_run(struct supervisor *s, const char *base)
{
    char why[256], name[24];
    if (!base_open(&s->base, base, why))
        return false;
    s->run = run_open(&s->base, &s->key);
    snprintf(name, sizeof name, "up.%u", (unsigned)s->key.epoch);
    if (s->run < 0)
        return false;
    s->up = openat(s->run, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return s->up >= 0 && output_open(&s->out[0], s->run, "out", s->cap) &&
           output_open(&s->out[1], s->run, "err", s->cap);
}

static bool watch(struct supervisor *s, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(s->poll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* All signals wait; two are read, the others (HUP, INT, TERM) may wait for ever. */
static bool make_events(struct supervisor *s)
{
    struct sigaction child = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
    sigset_t all, read;
    sigfillset(&all);
    sigemptyset(&read);
    sigaddset(&read, SIGCHLD);
    sigaddset(&read, SUPERVISE_STOP);
    if (sigaction(SIGCHLD, &child, NULL) != 0 || sigprocmask(SIG_SETMASK, &all, NULL) != 0)
        return false;
    s->signals = signalfd(-1, &read, SFD_NONBLOCK | SFD_CLOEXEC);
    s->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    s->poll = epoll_create1(EPOLL_CLOEXEC);
    if (s->signals < 0 || s->timer < 0 || s->poll < 0 || !watch(s, s->signals) ||
        !watch(s, s->timer))
        return false;
    for (int stream = 0; stream < 2; stream++) {
        if (!output_make_pipe(&s->out[stream]) || !watch(s, s->out[stream].pipe))
            return false;
    }
    return true;
}

static bool start_agent(struct supervisor *s)
{
    struct job job = {
        .base = &s->base,
        .key = &s->key,
        .folder = s->folder,
        .path = s->path,
        .account = s->orders.account,
        .sandbox = s->sandbox,
        .up = s->up,
        .out = s->out[0].agent,
        .err = s->out[1].agent,
        .oom_score_adj = job_oom_score(),
        .fresh = fresh_is(&s->base, s->folder),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* After this our /proc is root's: an agent sees no descriptor of ours. Where it would be hidden
     * altogether, nobody could see that we live. */
    if (!process_hides())
        prctl(PR_SET_DUMPABLE, 0);
    job_make_tmp(&s->base, &s->key, s->orders.account);
    s->began_ms = now_ms();
    s->agent = job_start(&job);
    for (int stream = 0; stream < 2; stream++) {
        close(s->out[stream].agent);
        s->out[stream].agent = -1;
    }
    s->ladder = (struct ladder){
        .key = &s->key, .root = getpid(), .group = s->agent, .reap = reap, .data = s};
    if (s->agent < 0)
        return false;
    enter(s, PHASE_RUN, s->timeout_secs * 1000);
    return true;
}

/* The caller's pipe and the run's lock are free from here on. */
static void say(enum supervise_said said)
{
    char byte = (char)('0' + said);
    while (write(SUPERVISE_ANSWER, &byte, 1) < 0 && errno == EINTR)
        ;
    close(SUPERVISE_ANSWER);
    close(SUPERVISE_LOCK);
}

int supervise_main(int argc, char **argv)
{
    static struct supervisor s;
    fcntl(SUPERVISE_ANSWER, F_SETFD, FD_CLOEXEC);
    fcntl(SUPERVISE_LOCK, F_SETFD, FD_CLOEXEC);
    fcntl(SUPERVISE_SEAT, F_SETFD, FD_CLOEXEC);
    umask(077);
    prctl(PR_SET_NAME, "fleet-runner"); /* else "exe" */
    if (!take_arguments(&s, argc, argv))
        return 2;
    enum supervise_said said = SUPERVISE_FAILED;
    if (open_run(&s, argv[2]) && make_events(&s))
        said = record_go(s.run, s.up, &s.key, s.out, s.orders.account);
    say(said);
    if (said != SUPERVISE_STARTED)
        return 1;
    if (start_agent(&s)) {
        loop(&s);
    } else {
        s.exit = 126; /* as a shell that cannot fork */
        s.began_ms = s.ended_ms = now_ms();
    }
    finish(&s);
    /* Not exit(): LeakSanitizer waits for ever when a stop's SIGCONT comes as it looks. */
    _exit(0);
}
