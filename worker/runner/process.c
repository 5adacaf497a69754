/* Processes, read from /proc. */
#include "worker/runner/process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"

/* Of a command line; those of ours and of the script are far shorter. */
#define COMMAND_MAX 16384

static int open_proc(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* The name in brackets may hold anything: what counts begins behind the last bracket. */
static bool parse_stat(const char *text, struct process *process)
{
    int parent, group, session;
    unsigned long long start;
    const char *at = strrchr(text, ')');
    if (at == NULL ||
        sscanf(at, ") %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &process->state, &parent, &group, &session, &start) != 5)
        return false;
    process->parent = parent;
    process->group = group;
    process->session = session;
    process->start = start;
    return true;
}

bool process_read(pid_t pid, struct process *process)
{
    char text[2048];
    int fd = pid > 0 ? open_proc(pid, "stat") : -1;
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    return parse_stat(text, process);
}

static bool process_lives(const struct process *process)
{
    return process->state != 'Z' && process->state != 'X' && process->state != 'x';
}

const char *process_boot(void)
{
    static char boot[RUNNER_BOOT_SIZE];
    char id[40] = "";
    struct process first = {0};
    if (boot[0] != '\0')
        return boot;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, id, 36) : -1;
    if (fd >= 0)
        close(fd);
    if (got != 36 || strspn(id, FRAME_NAME) != 36)
        snprintf(id, sizeof id, "none");
    process_read(1, &first);
    snprintf(boot, sizeof boot, "%s-%llu", id, (unsigned long long)first.start);
    return boot;
}

/* The directory of a process belongs to whoever it runs as; that of one which may not be dumped
 * belongs to root, so its status is asked. */
static bool is_ours(pid_t pid)
{
    char text[1024];
    unsigned long real;
    int fd = open_proc(pid, "status");
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *line = strstr(text, "\nUid:");
    return line != NULL && sscanf(line, "\nUid: %lu", &real) == 1 && real == getuid();
}

/* Whether `want`, with its NUL, is one of the NUL-ended texts of the file. Read in pieces: an
 * environment may have megabytes. */
static bool has_text(int fd, const char *want)
{
    char piece[8192];
    size_t len = strlen(want) + 1, matched = 0;
    bool begins = true;
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (begins)
                matched = 0;
            if (begins || matched > 0)
                matched = piece[i] == want[matched] ? matched + 1 : 0;
            if (matched == len)
                return true;
            begins = piece[i] == '\0';
        }
    }
    return false;
}

static bool bears_mark(pid_t pid, const char *mark)
{
    int fd = open_proc(pid, "environ");
    bool found = fd >= 0 && has_text(fd, mark);
    if (fd >= 0)
        close(fd);
    return found;
}

/* Every process but the first one and ourselves, until `visit` says that it has enough. */
static void walk(bool (*visit)(void *data, pid_t pid), void *data)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        char *end;
        long pid = isdigit((unsigned char)entry->d_name[0]) ? strtol(entry->d_name, &end, 10) : 0;
        if (pid > 1 && pid <= INT32_MAX && pid != getpid() && !visit(data, (pid_t)pid))
            break;
    }
    if (proc != NULL)
        closedir(proc);
}

struct marked {
    char mark[RUNNER_RUN_SIZE + RUNNER_NONCE_SIZE + 16];
    void (*each)(void *data, pid_t pid);
    void *data;
    int count;
};

static bool visit_marked(void *data, pid_t pid)
{
    struct marked *marked = data;
    struct process process;
    if (!bears_mark(pid, marked->mark) || !process_read(pid, &process) || !process_lives(&process))
        return true;
    marked->count++;
    if (marked->each != NULL)
        marked->each(marked->data, pid);
    return true;
}

int process_marked(const struct runner_key *key, void (*each)(void *data, pid_t pid), void *data)
{
    struct marked marked = {.each = each, .data = data};
    snprintf(marked.mark, sizeof marked.mark, "FLEET_RUN=%s.%s", key->run, key->nonce);
    walk(visit_marked, &marked);
    return marked.count;
}

/* --- Supervisors --- */

/* The words of a command line; at most `max`, borrowed from `text`. */
static int words_of(pid_t pid, char text[static COMMAND_MAX], const char **words, int max)
{
    int fd = open_proc(pid, "cmdline"), count = 0;
    size_t len = fd >= 0 ? file_read_some(fd, text, COMMAND_MAX - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[len] = '\0';
    for (size_t at = 0; at < len && count < max; at += strlen(text + at) + 1)
        words[count++] = text + at;
    return count;
}

/* Ours:         fleet-runner supervise BASE RUN EPOCH NONCE ...
 * The script's: /bin/sh SCRIPT BASE supervise RUN EPOCH NONCE ... */
static bool supervises(pid_t pid, const struct runner_key *key, bool script)
{
    char text[COMMAND_MAX];
    const char *words[8];
    int count = words_of(pid, text, words, 8), at = script ? 3 : 1, run = script ? 4 : 3;
    return count >= run + 3 && strcmp(words[at], "supervise") == 0 &&
           strcmp(words[run], key->run) == 0 && strcmp(words[run + 2], key->nonce) == 0;
}

bool process_is_script(pid_t pid, const struct runner_key *key)
{
    return supervises(pid, key, true);
}

/* What the database knows was said before the agent ran: number and start time are proof. */
static bool is_known(pid_t pid, const struct process *process, const struct runner_key *key)
{
    char start[24];
    snprintf(start, sizeof start, "%llu", (unsigned long long)process->start);
    return key->pid == pid && strcmp(key->start, start) == 0 &&
           strcmp(key->boot, process_boot()) == 0;
}

static bool is_supervisor(pid_t pid, const struct runner_key *key)
{
    struct process process;
    if (pid <= 1 || !process_read(pid, &process) || !process_lives(&process) || !is_ours(pid))
        return false;
    return is_known(pid, &process, key) || supervises(pid, key, false) ||
           supervises(pid, key, true);
}

struct sought {
    const struct runner_key *key;
    pid_t found;
};

static bool visit_supervisor(void *data, pid_t pid)
{
    struct sought *sought = data;
    if (is_supervisor(pid, sought->key))
        sought->found = pid;
    return sought->found == 0;
}

pid_t process_supervisor(const struct runner_key *key, pid_t hint)
{
    struct sought sought = {.key = key};
    if (key->pid > 1 && key->pid <= INT32_MAX && is_supervisor((pid_t)key->pid, key))
        return (pid_t)key->pid;
    if (is_supervisor(hint, key))
        return hint;
    walk(visit_supervisor, &sought);
    return sought.found;
}
