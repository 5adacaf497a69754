/* Looks for a run's processes, and signals them. */
#include "worker/runner/ladder.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/process.h"
#include "worker/runner/signal.h"

#define FREEZE_PASSES 64
#define CHILDREN_PASSES 256

static int by_pid(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    return (left->pid > right->pid) - (left->pid < right->pid);
}

static struct member *find(const struct member *all, size_t count, pid_t pid)
{
    struct member wanted = {.pid = pid};
    return count == 0 ? NULL : bsearch(&wanted, all, count, sizeof *all, by_pid);
}

/* One of ours above it, as far as is known. */
static bool is_below(const struct ladder *ladder, const struct member *member)
{
    if (member->parent <= 1)
        return false;
    if (member->parent == ladder->root)
        return true;
    const struct member *parent = find(ladder->all, ladder->count, member->parent);
    return parent != NULL && parent->ours;
}

/* NULL when it is gone already. Out of memory: what is known so far has to do; whoever looks again
 * finds the rest. */
static struct member *add(struct ladder *ladder, pid_t pid)
{
    struct process process;
    if (!process_read(pid, &process))
        return NULL;
    if (ladder->count == ladder->size) {
        size_t size = ladder->size == 0 ? 256 : 2 * ladder->size;
        struct member *all = realloc(ladder->all, size * sizeof *all);
        if (all == NULL)
            return NULL;
        ladder->all = all;
        ladder->size = size;
    }
    struct member *member = &ladder->all[ladder->count++];
    *member = (struct member){
        .pid = pid,
        .parent = process.parent,
        .group = process.group,
        .start = process.start,
        .dead = process.state == 'Z' || process.state == 'X',
        .stopped = process.state == 'T' || process.state == 't',
    };
    return member;
}

/* /proc lists them in the order of their numbers, so that most parents come before their children:
 * what is ours beyond doubt gets `signal` (0: none) before it can do much. */
static void add_all(struct ladder *ladder, int signal)
{
    ladder->count = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return;
    pid_t self = getpid();
    for (const struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end != '\0' || pid <= 1 || pid > INT32_MAX || pid == self)
            continue;
        struct member *member = add(ladder, (pid_t)pid);
        if (member == NULL)
            continue;
        member->ours = is_below(ladder, member);
        if (signal != 0 && member->ours && !member->dead)
            signal_process(member->pid, member->start, signal, -1);
    }
    closedir(proc);
    if (ladder->count > 0)
        qsort(ladder->all, ladder->count, sizeof *ladder->all, by_pid);
}

static void on_marked(void *data, pid_t pid)
{
    const struct ladder *ladder = data;
    struct member *member = find(ladder->all, ladder->count, pid);
    if (member != NULL) /* else it is younger than this look */
        member->ours = true;
}

static void add_descendants(struct ladder *ladder)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < ladder->count; i++) {
            struct member *member = &ladder->all[i];
            if (!member->ours && is_below(ladder, member))
                member->ours = changed = true;
        }
    }
}

/* `marks`: for them, too, which takes as long again. */
static size_t look(struct ladder *ladder, int signal, bool marks)
{
    if (ladder->reap != NULL)
        ladder->reap(ladder->data);
    add_all(ladder, signal);
    if (marks)
        process_marked(ladder->key, on_marked, ladder);
    add_descendants(ladder);
    ladder->looked = true;
    size_t living = 0;
    for (size_t i = 0; i < ladder->count; i++) {
        struct member *member = &ladder->all[i];
        member->ours = member->ours && !member->dead;
        living += member->ours;
    }
    return living;
}

size_t ladder_look(struct ladder *ladder)
{
    return look(ladder, 0, true);
}

static bool signal_the_group(struct ladder *ladder, int signal)
{
    if (ladder->group == 0)
        return false;
    ladder->signalled_group = true;
    return signal_group(ladder->group, signal);
}

/* `but`: a group that has had it; 0: none has. */
static void signal_each(const struct ladder *ladder, int signal, pid_t but)
{
    for (size_t i = 0; i < ladder->count; i++) {
        const struct member *member = &ladder->all[i];
        if (member->ours && (but == 0 || member->group != but))
            signal_process(member->pid, member->start, signal, -1);
    }
}

void ladder_signal(struct ladder *ladder, int signal)
{
    ladder_look(ladder);
    pid_t had = signal_the_group(ladder, signal) ? ladder->group : 0;
    signal_each(ladder, signal, had);
    for (size_t i = 0; i < ladder->count; i++) {
        const struct member *member = &ladder->all[i];
        if (member->ours && member->stopped)
            signal_process(member->pid, member->start, SIGCONT, -1);
    }
}

/* Whether everybody of this look was there at the one before. */
static bool nobody_new(const struct ladder *ladder, const struct member *before, size_t count)
{
    for (size_t i = 0; i < ladder->count; i++) {
        const struct member *member = &ladder->all[i];
        if (!member->ours)
            continue;
        const struct member *old = find(before, count, member->pid);
        if (old == NULL || !old->ours || old->start != member->start)
            return false;
    }
    return true;
}

/* Our own children, as /proc lists them in one short read; 0 where the kernel does not (before any
 * look at all of /proc it only saves time). */
static size_t read_children(char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = fd < 0 ? 0 : file_read_some(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[len] = '\0';
    return len;
}

/* Chains of processes that each make another and end: their heads are always our children. Stopped
 * until the list stays as it is. */
static void stop_children(const struct ladder *ladder)
{
    static char lists[2][32 << 10];
    lists[0][0] = lists[1][0] = '\0';
    for (int pass = 0; ladder->root != 0 && pass < CHILDREN_PASSES; pass++) {
        char *list = lists[pass % 2];
        ladder->reap(ladder->data);
        if (read_children(list, sizeof lists[0]) == 0 || strcmp(list, lists[(pass + 1) % 2]) == 0)
            break;
        char *end;
        for (char *at = list; *at != '\0'; at = end) {
            long pid = strtol(at, &end, 10);
            if (end == at || *end != ' ') /* cut short by the buffer */
                break;
            end++;
            signal_child((pid_t)pid, SIGSTOP);
        }
    }
}

/* Below us first, until nobody new is found there, then the marks as well. */
static void freeze(struct ladder *ladder)
{
    struct member *before = NULL;
    bool marks = ladder->root == 0;
    signal_the_group(ladder, SIGSTOP);
    for (int pass = 0; pass < FREEZE_PASSES; pass++) {
        size_t count = ladder->count;
        struct member *copy = realloc(before, (count + 1) * sizeof *before);
        if (copy == NULL)
            break;
        before = copy;
        if (count > 0)
            memcpy(before, ladder->all, count * sizeof *before);
        stop_children(ladder);
        look(ladder, SIGSTOP, marks);
        bool found = pass == 0 || !nobody_new(ladder, before, count);
        if (!found && marks)
            break;
        marks = marks || !found;
        signal_each(ladder, SIGSTOP, 0);
    }
    free(before);
}

void ladder_kill(struct ladder *ladder)
{
    freeze(ladder);
    signal_the_group(ladder, SIGKILL);
    signal_each(ladder, SIGKILL, 0);
}

void ladder_release(struct ladder *ladder)
{
    free(ladder->all);
    ladder->all = NULL;
    ladder->count = ladder->size = 0;
}
