/* The channel's loop: what is asked, what is answered, and when to sleep. */
#include "worker/runner/serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/runner/sha256.h"
#include "worker/runner/task.h"
#include "worker/runner/watch.h"

#define MARK_MAX 64
#define EVENTS 64

struct serve {
    int epoll, signals; /* owned */
    struct source in, out, children;
    struct channel channel;
    struct tasks tasks;
    struct watches watches;
    bool greeted; /* the first frame was a HELLO */
    bool hearing; /* stdin is read */
    bool heard;   /* there may be more in it */
    bool over;    /* the worker is gone, or out of order */
};

/* --- Before anything else --- */

static bool is_word(const char *text, const char *set, size_t max)
{
    size_t len = strlen(text);
    return len >= 1 && len <= max && strspn(text, set) == len;
}

/* Of what executes, not of what lies under its name by now. */
static bool hash_self(char hex[static SHA256_HEX_SIZE])
{
    static uint8_t bytes[1 << 16];
    struct sha256 sum;
    ssize_t n = -1;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    sha256_init(&sum);
    while (self >= 0 && (n = read(self, bytes, sizeof bytes)) > 0)
        sha256_take(&sum, bytes, (size_t)n);
    if (self >= 0)
        close(self);
    sha256_hex(&sum, hex);
    return n == 0;
}

/* Whatever a login left open: a run's processes shall not have it. */
static void close_others(void)
{
    if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0)
        return;
    DIR *open_ones = opendir("/proc/self/fd");
    struct dirent *entry;
    while (open_ones != NULL && (entry = readdir(open_ones)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd > 2 && fd != dirfd(open_ones))
            close(fd);
    }
    if (open_ones != NULL)
        closedir(open_ones);
}

static void say_mark(const char *mark, const char *word)
{
    char line[MARK_MAX + 32];
    int len = snprintf(line, sizeof line, "\n%s %s\n", mark, word);
    if (write(1, line, (size_t)len) != len)
        _exit(1);
}

/* --- Frames --- */

static bool take_ping(struct serve *serve, struct frame *frame)
{
    if (!frame_done(&frame->payload))
        return false;
    struct frame_out out = channel_begin(&serve->channel, FRAME_PONG, frame->id);
    channel_end(&serve->channel, &out);
    return true;
}

/* False: it is none, or it comes out of order. */
static bool take_frame(struct serve *serve, struct frame *frame)
{
    if (frame->id == 0 || (!serve->greeted && frame->type != FRAME_HELLO))
        return false;
    switch (frame->type) {
    case FRAME_HELLO:
        serve->greeted = true;
        if (!tasks_take(&serve->tasks, frame))
            return false;
        watches_rebase(&serve->watches);
        return true;
    case FRAME_START:
    case FRAME_RAISE:
    case FRAME_VOID:
    case FRAME_STOP:
    case FRAME_LIST:
    case FRAME_GC:
    case FRAME_CLEAN:
    case FRAME_PREPARE:
    case FRAME_HARVEST:
    case FRAME_REMOVE:
        return tasks_take(&serve->tasks, frame);
    case FRAME_WATCH:
    case FRAME_CREDIT:
    case FRAME_UNWATCH:
        return watches_take(&serve->watches, frame);
    case FRAME_PING:
        return take_ping(serve, frame);
    case FRAME_GREETING:
    case FRAME_REPLY:
    case FRAME_RECORD:
    case FRAME_OUTPUT:
    case FRAME_PONG:
    case FRAME_WORKED:
        break;
    }
    return false;
}

/* As many as we have room for. True: all that is there was taken. */
static bool take_frames(struct serve *serve)
{
    struct frame frame;
    while (!serve->over && !tasks_full(&serve->tasks)) {
        int whole = channel_frame(&serve->channel, &frame);
        if (whole == 0)
            return true;
        serve->over = whole < 0 || !take_frame(serve, &frame);
        channel_next(&serve->channel, &frame);
    }
    return false;
}

static void on_input(void *owner, uint32_t events)
{
    struct serve *serve = owner;
    serve->heard = true;
    if (!serve->hearing && (events & (EPOLLHUP | EPOLLERR)) != 0)
        serve->over = true;
}

/* One read, so that everything else has its turn. */
static void hear(struct serve *serve)
{
    size_t room;
    serve->heard = false;
    uint8_t *space = channel_space(&serve->channel, &room);
    ssize_t n = room > 0 ? read(0, space, room) : -1;
    if (n > 0)
        channel_add(&serve->channel, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        serve->over = true;
}

static void take_input(struct serve *serve)
{
    bool all = take_frames(serve);
    if (all && serve->heard) {
        hear(serve);
        all = take_frames(serve);
    }
    if (all != serve->hearing)
        source_change(&serve->in, serve->epoll, 0, all ? EPOLLIN : 0);
    serve->hearing = all;
}

/* --- The loop --- */

static void on_output_room(void *owner, uint32_t events)
{
    struct serve *serve = owner;
    serve->channel.blocked = false;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        serve->over = true;
}

static void on_children(void *owner, uint32_t events)
{
    struct serve *serve = owner;
    struct signalfd_siginfo info[8];
    (void)events;
    while (read(serve->signals, info, sizeof info) > 0)
        continue;
    tasks_reap(&serve->tasks);
}

static void on_task_done(void *data, const char *run)
{
    struct serve *serve = data;
    watches_nudge(&serve->watches, run);
}

/* True: there is more that could be sent now. */
static bool send_output(struct serve *serve, int64_t now)
{
    if (serve->channel.blocked)
        return false;
    tails_fill(&serve->watches.tails, &serve->channel, now);
    if (!channel_write(&serve->channel, 1))
        serve->over = true;
    if (serve->channel.blocked)
        source_change(&serve->out, serve->epoll, 1, EPOLLOUT | EPOLLONESHOT);
    return !serve->channel.blocked && !list_empty(&serve->watches.tails.ready);
}

/* One round of everything but waiting; how long may be waited then, in milliseconds. */
static int go_round(struct serve *serve)
{
    take_input(serve);
    int64_t now = clock_now(), next = tasks_tick(&serve->tasks, now);
    serve->over = serve->over || serve->tasks.broken;
    int64_t others[] = {
        watches_tick(&serve->watches, now),
        eyes_tick(&serve->watches.eyes, now),
        tails_tick(&serve->watches.tails, now),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        next = others[i] < next ? others[i] : next;
    if (send_output(serve, now) || (!serve->hearing && !tasks_full(&serve->tasks)))
        return 0;
    if (next == INT64_MAX)
        return -1;
    int64_t left = next - clock_now();
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void run_loop(struct serve *serve)
{
    struct epoll_event events[EVENTS];
    while (!serve->over) {
        int wait = go_round(serve);
        if (serve->over)
            return;
        int n = epoll_wait(serve->epoll, events, EVENTS, wait);
        for (int i = 0; i < n; i++) {
            struct source *source = events[i].data.ptr;
            source->on_event(source->owner, events[i].events);
        }
    }
}

static bool open_loop(struct serve *serve)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    serve->epoll = epoll_create1(EPOLL_CLOEXEC);
    serve->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    serve->in = (struct source){on_input, serve};
    serve->out = (struct source){on_output_room, serve};
    serve->children = (struct source){on_children, serve};
    serve->hearing = true;
    return serve->epoll >= 0 && serve->signals >= 0 &&
           source_watch(&serve->in, serve->epoll, 0, EPOLLIN) &&
           source_watch(&serve->out, serve->epoll, 1, 0) &&
           source_watch(&serve->children, serve->epoll, serve->signals, EPOLLIN);
}

/* Three descriptors a watch: as many as we may have. */
static void raise_files(struct serve *serve)
{
    getrlimit(RLIMIT_NOFILE, &serve->tasks.files);
    struct rlimit all = serve->tasks.files;
    all.rlim_cur = all.rlim_max;
    setrlimit(RLIMIT_NOFILE, &all);
}

int serve_main(int argc, char **argv)
{
    static struct serve serve;
    char hash[SHA256_HEX_SIZE];
    if (argc != 5 || argv[2][0] != '/' || strlen(argv[2]) >= sizeof serve.tasks.base.path ||
        !is_word(argv[3], FRAME_HEX, MARK_MAX) || !is_word(argv[4], FRAME_HEX, 64))
        return 2;
    close_others();
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    if (!hash_self(hash)) {
        fprintf(stderr, "/proc cannot be read: it has to be mounted there\n");
        return 1;
    }
    if (strcmp(hash, argv[4]) != 0) {
        say_mark(argv[3], "other");
        return 1;
    }
    say_mark(argv[3], "serving");
    if (chdir("/") != 0 || fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK) < 0 ||
        fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK) < 0 || !open_loop(&serve))
        return 1;
    channel_init(&serve.channel);
    tasks_init(&serve.tasks, &serve.channel, serve.epoll, argv[2]);
    raise_files(&serve);
    serve.tasks.on_done = on_task_done;
    serve.tasks.data = &serve;
    watches_init(&serve.watches, &serve.channel, &serve.tasks.base, serve.epoll);
    run_loop(&serve);
    watches_release(&serve.watches);
    channel_release(&serve.channel);
    return 0;
}
