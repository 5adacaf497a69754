/* Processes, read from /proc. */
#include "worker/runner/process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/sha256.h"

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
    const char *at = strrchr(text, ')');
    unsigned long long field[23]; /* numbered as in proc(5) */
    if (at == NULL || at[1] != ' ' || at[2] == '\0')
        return false;
    process->state = at[2];
    at += 3;
    for (int i = 4; i <= 22; i++) {
        char *end;
        field[i] = strtoull(at, &end, 10);
        if (end == at)
            return false;
        at = end;
    }
    process->parent = (pid_t)field[4];
    process->group = (pid_t)field[5];
    process->session = (pid_t)field[6];
    process->start = field[22];
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

bool process_known(void)
{
    struct process self;
    return process_read(getpid(), &self);
}

bool process_hides(void)
{
    char line[4096], type[32], options[2048];
    bool hides = false;
    FILE *mounts = fopen("/proc/self/mounts", "re");
    while (mounts != NULL && fgets(line, sizeof line, mounts) != NULL) {
        if (sscanf(line, "%*s /proc %31s %2047s", type, options) != 2 || strcmp(type, "proc") != 0)
            continue;
        const char *hidden = strstr(options, "hidepid=");
        hides = hidden != NULL && strncmp(hidden + 8, "0", 1) != 0 &&
                strncmp(hidden + 8, "off", 3) != 0; /* the last one mounted is seen */
    }
    if (mounts != NULL)
        fclose(mounts);
    return hides;
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

/* Its real, effective, saved and file system's account. The directory of a process belongs to
 * whoever it runs as; that of one which may not be dumped belongs to root, so its status is
 * asked. */
static bool read_accounts(pid_t pid, unsigned uid[static 4])
{
    char text[1024];
    int fd = open_proc(pid, "status");
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *at = strstr(text, "\nUid:");
    at = at != NULL ? at + 5 : "";
    for (int i = 0; i < 4; i++) {
        char *end;
        uid[i] = (unsigned)strtoul(at, &end, 10);
        if (end == at)
            return false;
        at = end;
    }
    return true;
}

static bool is_ours(pid_t pid)
{
    unsigned uid[4];
    return read_accounts(pid, uid) && uid[0] == getuid();
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

/* Looked through twice before it is none: what forks and ends, or executes anew, while we read may
 * be missed once. */
int process_marked(const struct runner_key *key, void (*each)(void *data, pid_t pid), void *data)
{
    struct marked marked = {.each = each, .data = data};
    snprintf(marked.mark, sizeof marked.mark, "FLEET_RUN=%s.%s", key->run, key->nonce);
    for (int times = 0; times < 2 && marked.count == 0; times++)
        walk(visit_marked, &marked);
    return marked.count;
}

struct counted {
    uid_t uid;
    int count;
};

static bool visit_account(void *data, pid_t pid)
{
    struct counted *counted = data;
    struct process process;
    unsigned uid[4];
    if (!read_accounts(pid, uid) || !process_read(pid, &process) || !process_lives(&process))
        return true;
    for (int i = 0; i < 4; i++) {
        if (uid[i] == counted->uid) {
            counted->count++;
            break;
        }
    }
    return true;
}

int process_count(uid_t uid)
{
    struct counted counted = {.uid = uid};
    for (int times = 0; times < 2 && counted.count == 0; times++)
        walk(visit_account, &counted);
    return counted.count;
}

struct grouped {
    pid_t group;
    bool lives;
};

static bool visit_group(void *data, pid_t pid)
{
    struct grouped *grouped = data;
    struct process process;
    grouped->lives =
        process_read(pid, &process) && process.group == grouped->group && process_lives(&process);
    return !grouped->lives;
}

bool process_group_lives(pid_t group)
{
    struct grouped grouped = {.group = group};
    walk(visit_group, &grouped);
    return grouped.lives;
}

/* --- Supervisors --- */

#define WORDS 9 /* of a command line, that are looked at */

struct words {
    char text[COMMAND_MAX];
    const char *word[WORDS]; /* "" where it has none */
};

static bool read_words(pid_t pid, struct words *words)
{
    int fd = open_proc(pid, "cmdline");
    size_t len = fd >= 0 ? file_read_some(fd, words->text, COMMAND_MAX - 1) : 0, at = 0;
    if (fd >= 0)
        close(fd);
    words->text[len] = '\0';
    for (int i = 0; i < WORDS; i++) {
        words->word[i] = words->text + at;
        at += at < len ? strlen(words->text + at) + 1 : 0;
        if (at > len)
            at = len;
    }
    return len > 0;
}

void process_tag(const char *nonce, char tag[static PROCESS_TAG_SIZE])
{
    char hex[SHA256_HEX_SIZE];
    struct sha256 sum;
    sha256_init(&sum);
    sha256_take(&sum, (const uint8_t *)nonce, strlen(nonce));
    sha256_hex(&sum, hex);
    snprintf(tag, PROCESS_TAG_SIZE, "%.32s", hex);
}

static bool is_of(const struct runner_key *key, const char *run, const char *nonce)
{
    char tag[PROCESS_TAG_SIZE];
    if (strcmp(run, key->run) != 0)
        return false;
    process_tag(key->nonce, tag);
    return strcmp(nonce, key->nonce) == 0 || strcmp(nonce, tag) == 0;
}

enum supervisor_kind { KIND_NONE, KIND_OURS, KIND_SCRIPT };

/* Ours:         fleet-runner supervise BASE RUN EPOCH NONCE ...
 * The script's: /bin/sh SCRIPT BASE supervise RUN EPOCH NONCE ...
 * Before them may stand what executes programs of another machine (qemu). */
static enum supervisor_kind kind_of(const struct words *words, const struct runner_key *key)
{
    for (int at = 1; at + 4 < WORDS; at++) {
        const char *const *word = words->word + at;
        if (strcmp(word[0], "supervise") != 0)
            continue;
        if (is_of(key, word[2], word[4]))
            return KIND_OURS;
        if (is_of(key, word[1], word[3]))
            return KIND_SCRIPT;
    }
    return KIND_NONE;
}

/* It leads a session: a script's children that bear its command line do not. */
static bool is_supervisor(pid_t pid, const struct runner_key *key)
{
    struct words words;
    struct process process;
    return pid > 1 && read_words(pid, &words) && kind_of(&words, key) != KIND_NONE &&
           process_read(pid, &process) && process_lives(&process) && process.session == pid &&
           is_ours(pid);
}

bool process_is_script(pid_t pid, const struct runner_key *key)
{
    struct words words;
    return read_words(pid, &words) && kind_of(&words, key) == KIND_SCRIPT;
}

/* What the database knows was said before the agent could lie: number and start time are proof.
 * What /proc hides from us though it takes our signals is not proven gone. */
static bool known_lives(const struct runner_key *key)
{
    struct process process;
    char start[24];
    if (key->pid > INT32_MAX || strcmp(key->boot, process_boot()) != 0)
        return false;
    if (!process_read((pid_t)key->pid, &process))
        return kill((pid_t)key->pid, 0) == 0;
    snprintf(start, sizeof start, "%llu", (unsigned long long)process.start);
    return strcmp(key->start, start) == 0 && process_lives(&process);
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
    if (key->pid > 1 && key->start[0] != '\0' && key->boot[0] != '\0')
        return known_lives(key) ? (pid_t)key->pid : 0;
    if (is_supervisor(hint, key))
        return hint;
    walk(visit_supervisor, &sought);
    return sought.found;
}

/* --- What processes use --- */

struct usage {
    const char *path;
    const struct stat *file;
    bool found;
};

static bool visit_folder(void *data, pid_t pid)
{
    struct usage *usage = data;
    char link[64], path[4096];
    size_t len = strlen(usage->path);
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    ssize_t got = readlink(link, path, sizeof path - 1);
    path[got > 0 ? got : 0] = '\0';
    usage->found = strncmp(path, usage->path, len) == 0 && (path[len] == '\0' || path[len] == '/');
    return !usage->found;
}

bool process_works_in(const char *path)
{
    struct usage usage = {.path = path};
    walk(visit_folder, &usage);
    return usage.found;
}

static bool visit_program(void *data, pid_t pid)
{
    struct usage *usage = data;
    char link[64];
    struct stat status;
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    usage->found = stat(link, &status) == 0 && status.st_dev == usage->file->st_dev &&
                   status.st_ino == usage->file->st_ino;
    return !usage->found;
}

bool process_executes(const struct stat *file)
{
    struct usage usage = {.file = file};
    walk(visit_program, &usage);
    return usage.found;
}
