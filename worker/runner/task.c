/* Children of the channel: one per question, whose answer is passed on. */
#include "worker/runner/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/call.h"
#include "worker/runner/clean.h"
#include "worker/runner/greet.h"
#include "worker/runner/harvest.h"
#include "worker/runner/prepare.h"
#include "worker/runner/question.h"
#include "worker/runner/remove.h"

/* Of the channel, for one answer: a greeting is the largest. */
#define TASK_ROOM ((size_t)16 << 10)
#define TASK_LIFE_SECS 120 /* of a child */

struct task {
    struct list link; /* in waiting, running or over */
    struct tasks *of; /* borrowed */
    struct source source;
    enum frame_type type;
    uint32_t id;
    char run[RUNNER_RUN_SIZE]; /* "": of none */
    int64_t limit;             /* how long its child has, in milliseconds */
    int64_t deadline;          /* when it is answered without its child; pushed by every record */
    bool answered;
    int socket; /* owned; a packet is a frame; -1: closed */
    pid_t pid;  /* 0: reaped, or not yet forked */
    uint32_t len;
    uint8_t *payload; /* owned, while it waits */
};

void tasks_init(struct tasks *tasks, struct channel *channel, int epoll, const char *base_path)
{
    *tasks =
        (struct tasks){.channel = channel, .epoll = epoll, .base_path = base_path, .base.dir = -1};
    list_init(&tasks->waiting);
    list_init(&tasks->running);
    list_init(&tasks->over);
}

bool tasks_full(const struct tasks *tasks)
{
    return tasks->waiting_count >= TASK_WAITING || tasks->waiting_bytes >= TASK_WAITING_BYTES ||
           channel_room(tasks->channel) < TASK_ROOM;
}

/* --- In the child --- */

static void reply_record(struct runner_reply *reply, const char *run)
{
    struct runner_key key = {0};
    snprintf(key.run, sizeof key.run, "%s", *run != '\0' ? run : "none");
    *reply = (struct runner_reply){.epoch = -1};
    run_record_init(&reply->record, &key);
}

static void send_reply(int socket, uint32_t id, const struct runner_reply *reply)
{
    uint8_t bytes[2048];
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_REPLY, id);
    put_reply(&out, reply);
    send(socket, bytes, frame_end(&out), MSG_NOSIGNAL);
}

struct listing {
    const struct base *base; /* borrowed */
    int socket;
    uint32_t id;
};

static void list_one(void *data, const struct runner_key *key)
{
    struct listing *listing = data;
    struct runner_record record;
    uint8_t bytes[2048];
    alarm(TASK_LIFE_SECS); /* a host may have thousands of runs */
    run_look(listing->base, key, &record);
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_RECORD, listing->id);
    put_record(&out, &record);
    if (send(listing->socket, bytes, frame_end(&out), MSG_NOSIGNAL) < 0)
        _exit(1); /* nobody wants it any more */
}

static void send_worked(int socket, uint32_t id, const struct runner_worked *worked)
{
    uint8_t bytes[WORK_QUESTION_MAX + 8192];
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_WORKED, id);
    put_worked(&out, worked);
    send(socket, bytes, frame_end(&out), MSG_NOSIGNAL);
}

static void worked_init(struct runner_worked *worked, const char *reason)
{
    *worked = (struct runner_worked){.state = WORK_FAILED,
                                     .commits = -1,
                                     .files = -1,
                                     .insertions = -1,
                                     .deletions = -1,
                                     .leftovers = -1,
                                     .withheld = -1};
    snprintf(worked->reason, sizeof worked->reason, "%s", reason);
}

/* Its child has as long as what it runs may take. */
static void do_work(const struct tasks *tasks, const struct task *task, struct frame_in payload,
                    int socket)
{
    struct runner_key key;
    struct runner_work work;
    struct runner_worked worked;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* a credential may be in it, and in git's */
    worked_init(&worked, tasks->base.dir < 0 ? "host_disk_full" : "workspace_failed");
    if (tasks->base.dir >= 0 && question_work(payload, &key, &work)) {
        alarm((unsigned)(work_limit_ms(&work) / 1000));
        if (task->type == FRAME_PREPARE)
            prepare_run(&tasks->base, &key, &work, tasks->shell.path, socket, &worked);
        else if (task->type == FRAME_REMOVE)
            remove_run(&tasks->base, &key, &work, tasks->shell.path, socket, &worked);
        else
            harvest_run(&tasks->base, &key, &work, tasks->shell.path, socket, &worked);
    }
    send_worked(socket, task->id, &worked);
}

static bool is_work(enum frame_type type)
{
    return type == FRAME_PREPARE || type == FRAME_HARVEST || type == FRAME_REMOVE;
}

static void do_question(struct tasks *tasks, const struct task *task, struct frame_in payload,
                        int socket)
{
    struct runner_reply reply;
    reply_record(&reply, task->run);
    if (task->type == FRAME_HELLO) {
        greet(&tasks->base, tasks->why, &payload, tasks->greeted ? &tasks->shell : NULL, socket,
              task->id);
        return;
    }
    if (is_work(task->type)) {
        do_work(tasks, task, payload, socket);
        return;
    }
    if (tasks->base.dir < 0) {
        reply.verdict = RUNNER_REFUSED;
        snprintf(reply.reason, sizeof reply.reason, "host_disk_full");
    } else if (task->type == FRAME_LIST) {
        struct listing listing = {&tasks->base, socket, task->id};
        run_each(&tasks->base, list_one, &listing);
        reply.verdict = RUNNER_STATE;
    } else if (task->type == FRAME_CLEAN) {
        char folder[RUNNER_RUN_SIZE];
        get_folder(&payload, folder);
        clean(&tasks->base, folder, &reply);
    } else {
        call_run(&tasks->base, task->type, &payload, tasks->shell.path, &reply);
    }
    send_reply(socket, task->id, &reply);
}

/* Nothing of the channel stays with it: who reads stdout must see its end, and so must whoever
 * answers another question. */
static void leave_channel(const struct tasks *tasks)
{
    sigset_t none;
    list_each(link, &tasks->running)
    {
        const struct task *task = list_entry(link, struct task, link);
        if (task->socket >= 0)
            close(task->socket);
    }
    setrlimit(RLIMIT_NOFILE, &tasks->files);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; fd++)
        if (null < 0 || dup2(null, fd) < 0)
            close(fd);
    alarm(TASK_LIFE_SECS);
}

/* --- Its life --- */

/* Takes whatever waits no more from its list; frees it with the round. */
static void task_end(struct task *task)
{
    if (task->socket >= 0) {
        source_drop(task->of->epoll, task->socket);
        close(task->socket);
        task->socket = -1;
    }
    if (task->pid > 0)
        return;
    list_remove(&task->link);
    list_append(&task->of->over, &task->link);
}

static void answer_busy_work(const struct task *task)
{
    struct runner_worked worked;
    worked_init(&worked, "workspace_busy");
    struct frame_out out = channel_begin(task->of->channel, FRAME_WORKED, task->id);
    put_worked(&out, &worked);
    channel_end(task->of->channel, &out);
}

static void answer_busy(struct task *task)
{
    struct runner_reply reply;
    if (task->answered)
        return;
    task->answered = true;
    if (task->type == FRAME_HELLO) { /* it has no other answer than a greeting */
        task->of->broken = true;
        return;
    }
    if (is_work(task->type)) {
        answer_busy_work(task);
        return;
    }
    reply_record(&reply, task->run);
    reply.verdict = RUNNER_REFUSED;
    snprintf(reply.reason, sizeof reply.reason, "busy");
    struct frame_out out = channel_begin(task->of->channel, FRAME_REPLY, task->id);
    put_reply(&out, &reply);
    channel_end(task->of->channel, &out);
}

static void pass_on(struct task *task, const uint8_t *bytes, size_t len)
{
    struct frame frame;
    if (frame_read(bytes, len, FRAME_ANSWER_MAX, &frame) != 1)
        return;
    if ((int)frame.type == GREET_SHELL) {
        if (frame.len == sizeof task->of->shell)
            memcpy(&task->of->shell, frame.payload.at, frame.len);
        return;
    }
    channel_put(task->of->channel, bytes, len);
    task->answered = frame.type != FRAME_RECORD;
    if (!task->answered)
        task->deadline = clock_now() + task->limit;
    if (frame.type == FRAME_GREETING)
        task->of->greeted = true;
}

static void on_answer(void *owner, uint32_t events)
{
    struct task *task = owner;
    uint8_t bytes[TASK_ROOM];
    (void)events;
    if (task->socket < 0)
        return;
    while (!task->answered && channel_room(task->of->channel) >= TASK_ROOM) {
        ssize_t n = recv(task->socket, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            answer_busy(task);
        else
            pass_on(task, bytes, (size_t)n);
    }
    if (!task->answered) {
        task->of->stuck = true;
        return;
    }
    if (task->of->on_done != NULL && task->run[0] != '\0')
        task->of->on_done(task->of->data, task->run);
    task_end(task);
}

static bool task_fork(struct task *task, struct frame_in payload)
{
    struct tasks *tasks = task->of;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    task->pid = fork();
    if (task->pid == 0) {
        close(ends[0]);
        leave_channel(tasks);
        do_question(tasks, task, payload, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    task->socket = ends[0];
    if (task->pid < 0) {
        task->pid = 0;
        return false;
    }
    tasks->children++;
    return source_watch(&task->source, tasks->epoll, task->socket, EPOLLIN | EPOLLET);
}

static void task_begin(struct task *task, struct frame_in payload)
{
    list_append(&task->of->running, &task->link);
    if (task_fork(task, payload))
        return;
    answer_busy(task);
    task_end(task);
}

static bool may_begin(const struct tasks *tasks, enum frame_type type)
{
    return tasks->children < TASK_CHILDREN && (tasks->greeted || type == FRAME_HELLO);
}

static bool task_wait(struct task *task, const struct frame *frame)
{
    task->payload = malloc(frame->len + 1);
    if (task->payload == NULL)
        return false;
    memcpy(task->payload, frame->payload.at, frame->len);
    task->len = frame->len;
    task->of->waiting_count++;
    task->of->waiting_bytes += frame->len;
    list_append(&task->of->waiting, &task->link);
    return true;
}

/* --- What is asked --- */

/* The base is opened by every greeting: it may have been taken away, and is made again. */
static void open_base(struct tasks *tasks)
{
    struct base base;
    bool there = base_open(&base, tasks->base_path, tasks->why);
    if (tasks->base.dir >= 0)
        base_close(&tasks->base);
    tasks->base = base;
    if (there)
        tasks->why[0] = '\0';
    else
        tasks->base.dir = -1;
}

static int64_t limit_of(const struct frame *frame)
{
    struct runner_key key;
    struct runner_work work;
    return is_work(frame->type) && question_work(frame->payload, &key, &work) ? work_limit_ms(&work)
                                                                              : TASK_MS;
}

bool tasks_take(struct tasks *tasks, struct frame *frame)
{
    char run[RUNNER_RUN_SIZE] = "";
    if (!question_is_proper(frame, run))
        return false;
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL)
        return false;
    task->of = tasks;
    task->type = frame->type;
    task->id = frame->id;
    task->socket = -1;
    task->source = (struct source){on_answer, task};
    task->limit = limit_of(frame);
    task->deadline = clock_now() + task->limit;
    memcpy(task->run, run, sizeof task->run);
    if (frame->type == FRAME_HELLO)
        open_base(tasks);
    if (list_empty(&tasks->waiting) && may_begin(tasks, task->type)) {
        task_begin(task, frame->payload);
        return true;
    }
    if (task_wait(task, frame))
        return true;
    free(task);
    return false;
}

void tasks_reap(struct tasks *tasks)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        list_each(link, &tasks->running)
        {
            struct task *task = list_entry(link, struct task, link);
            if (task->pid != pid)
                continue;
            tasks->children--;
            task->pid = 0;
            if (task->socket < 0)
                task_end(task);
        }
    }
}

static void begin_waiting(struct tasks *tasks, int64_t now)
{
    list_each(link, &tasks->waiting)
    {
        struct task *task = list_entry(link, struct task, link);
        if (channel_room(tasks->channel) < TASK_ROOM)
            return;
        bool late = now >= task->deadline;
        if (!late && !may_begin(tasks, task->type))
            continue;
        list_remove(link);
        tasks->waiting_count--;
        tasks->waiting_bytes -= task->len;
        if (late) {
            list_append(&tasks->running, link);
            answer_busy(task);
            task_end(task);
        } else {
            task_begin(task,
                       (struct frame_in){.at = task->payload, .end = task->payload + task->len});
        }
        explicit_bzero(task->payload, task->len); /* a credential may be in it */
        free(task->payload);
        task->payload = NULL;
    }
}

int64_t tasks_tick(struct tasks *tasks, int64_t now)
{
    int64_t next = INT64_MAX;
    begin_waiting(tasks, now);
    if (tasks->stuck && channel_room(tasks->channel) >= TASK_ROOM) {
        tasks->stuck = false;
        list_each(link, &tasks->running) on_answer(list_entry(link, struct task, link), 0);
    }
    list_each(link, &tasks->running)
    {
        struct task *task = list_entry(link, struct task, link);
        if (task->socket < 0)
            continue;
        if (now >= task->deadline && channel_room(tasks->channel) >= TASK_ROOM) {
            answer_busy(task);
            task_end(task);
        } else if (task->deadline < next) {
            next = task->deadline;
        }
    }
    list_each(link, &tasks->waiting)
    {
        struct task *task = list_entry(link, struct task, link);
        next = task->deadline < next ? task->deadline : next;
    }
    list_each(link, &tasks->over)
    {
        list_remove(link);
        free(list_entry(link, struct task, link));
    }
    return next;
}
