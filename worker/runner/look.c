/* Looks for agents. Everything runs as a child with a pipe and a bound in time. */
#include "worker/runner/look.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/source.h"

#define LOOK_AT_ONCE 8
#define LOOK_MS ((int64_t)LOOK_SECS * 1000)

/* Of a session that never was: what a job has, too. */
static char **environment(const char *path)
{
    static const char *const names[] = {"HOME", "USER", "LOGNAME", "LANG", "SHELL"};
    static char lines[6][LOOK_PATH_SIZE + 16];
    static char *list[7];
    int n = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && strlen(value) < LOOK_PATH_SIZE)
            snprintf(lines[n], sizeof lines[n], "%s=%s", names[i], value);
        if (value != NULL && strlen(value) < LOOK_PATH_SIZE)
            list[n] = lines[n], n++;
    }
    snprintf(lines[n], sizeof lines[n], "PATH=%s", path);
    list[n] = lines[n];
    list[n + 1] = NULL;
    return list;
}

/* A program of which one line is wanted. */
struct asked {
    pid_t pid; /* leads a group of its own; 0: none */
    int fd;    /* owned */
    int64_t deadline;
    size_t len;
    char *line; /* borrowed */
    size_t size;
};

static bool ask(struct asked *asked, char **argv, const char *path, char *line, size_t size)
{
    int ends[2];
    *asked = (struct asked){.fd = -1, .line = line, .size = size};
    line[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    char **env = environment(path);
    asked->pid = fork();
    if (asked->pid == 0) {
        setpgid(0, 0);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        dup2(ends[1], 1);
        execve(argv[0], argv, env);
        _exit(127);
    }
    close(ends[1]);
    if (asked->pid < 0) {
        asked->pid = 0;
        close(ends[0]);
        return false;
    }
    setpgid(asked->pid, asked->pid);
    asked->fd = ends[0];
    asked->deadline = clock_now() + LOOK_MS;
    return true;
}

/* True once the line is whole, or there will be no more of it. */
static bool hear(struct asked *asked)
{
    char bytes[512];
    ssize_t n = read(asked->fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR)
        return false;
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            return true;
        if (asked->len + 1 < asked->size)
            asked->line[asked->len++] = bytes[i];
        asked->line[asked->len] = '\0';
    }
    return n <= 0;
}

static void dismiss(struct asked *asked)
{
    close(asked->fd);
    asked->fd = -1;
    if (asked->pid > 1) {
        kill(-asked->pid, SIGKILL);
        waitpid(asked->pid, NULL, 0);
    }
    asked->pid = 0;
}

void look_path(char path[static LOOK_PATH_SIZE])
{
    static char script[] = ". \"$HOME/.profile\" >/dev/null 2>&1; printf '%s\\n' \"$PATH\"";
    char *argv[] = {"/bin/sh", "-c", script, NULL};
    char profile[LOOK_PATH_SIZE], line[LOOK_PATH_SIZE];
    const char *home = getenv("HOME"), *ours = getenv("PATH");
    if (ours == NULL || strlen(ours) >= LOOK_PATH_SIZE || ours[0] == '\0')
        ours = "/usr/local/bin:/usr/bin:/bin";
    snprintf(path, LOOK_PATH_SIZE, "%s", ours);
    snprintf(profile, sizeof profile, "%s/.profile", home != NULL ? home : "");
    struct asked asked;
    if (home == NULL || access(profile, R_OK) != 0 || !ask(&asked, argv, path, line, sizeof line))
        return;
    bool whole = false;
    for (int64_t left; !whole && (left = asked.deadline - clock_now()) > 0;) {
        struct pollfd event = {.fd = asked.fd, .events = POLLIN};
        whole = poll(&event, 1, (int)left) > 0 && hear(&asked);
    }
    dismiss(&asked);
    if (whole && line[0] == '/' && asked.len + 1 < sizeof line)
        memcpy(path, line, asked.len + 1);
}

static bool is_program(const char *file)
{
    struct stat about;
    return access(file, X_OK) == 0 && stat(file, &about) == 0 && S_ISREG(about.st_mode);
}

bool look_find(const char *command, const char *path, char file[static LOOK_PATH_SIZE])
{
    if (strchr(command, '/') != NULL) {
        snprintf(file, LOOK_PATH_SIZE, "%s", command);
        return command[0] == '/' && strlen(command) < LOOK_PATH_SIZE && is_program(file);
    }
    for (const char *at = path; *command != '\0' && *at != '\0'; at += *at == ':') {
        size_t len = strcspn(at, ":");
        int n = snprintf(file, LOOK_PATH_SIZE, "%.*s/%s", (int)len, at, command);
        if (at[0] == '/' && n < LOOK_PATH_SIZE && is_program(file))
            return true;
        at += len;
    }
    return false;
}

/* Of a version only what is harmless anywhere. */
static void clean(const char *line, char version[static RUNNER_VERSION_SIZE])
{
    size_t len = 0;
    for (; *line != '\0' && len < 60; line++)
        if ((*line >= 'A' && *line <= 'Z') || (*line >= 'a' && *line <= 'z') ||
            (*line >= '0' && *line <= '9') || strchr("._+ -", *line) != NULL)
            version[len++] = *line;
    version[len] = '\0';
}

void look_show(const char *text, char *shown, size_t size)
{
    size_t len = 0;
    for (; text[len] != '\0' && len + 1 < size; len++)
        shown[len] = text[len] >= 0x20 && text[len] <= 0x7e ? text[len] : '?';
    shown[len] = '\0';
}

struct version {
    struct asked asked;
    char line[256];
    struct runner_seen *seen; /* borrowed; NULL: free */
};

static void hear_one(struct version *version, bool ready)
{
    if (version->seen == NULL)
        return;
    bool late = clock_now() >= version->asked.deadline;
    if (!late && !(ready && hear(&version->asked)))
        return;
    dismiss(&version->asked);
    clean(version->line, version->seen->version);
    version->seen = NULL;
}

/* Until at most `busy` of them are. */
static void hear_versions(struct version *versions, int busy)
{
    for (;;) {
        struct pollfd events[LOOK_AT_ONCE];
        int count = 0;
        for (int i = 0; i < LOOK_AT_ONCE; i++) {
            bool open = versions[i].seen != NULL;
            events[i] = (struct pollfd){.fd = open ? versions[i].asked.fd : -1, .events = POLLIN};
            count += open;
        }
        if (count <= busy)
            return;
        poll(events, LOOK_AT_ONCE, 200);
        for (int i = 0; i < LOOK_AT_ONCE; i++)
            hear_one(&versions[i], events[i].revents != 0);
    }
}

static void ask_version(struct version *versions, char *file, const char *path,
                        struct runner_seen *seen)
{
    char *argv[] = {file, "--version", NULL};
    hear_versions(versions, LOOK_AT_ONCE - 1);
    struct version *version = versions;
    while (version->seen != NULL)
        version++;
    if (ask(&version->asked, argv, path, version->line, sizeof version->line))
        version->seen = seen;
}

void look_for(const struct runner_look *looks, int n, const char *path, int64_t deadline,
              struct runner_seen *seen)
{
    struct version versions[LOOK_AT_ONCE] = {0};
    char file[LOOK_PATH_SIZE] = "";
    for (int i = 0; i < n; i++) {
        seen[i] = (struct runner_seen){.found = look_find(looks[i].command, path, file)};
        if (seen[i].found)
            look_show(file, seen[i].file, sizeof seen[i].file);
        if (seen[i].found && looks[i].version && clock_now() < deadline - LOOK_MS)
            ask_version(versions, file, path, &seen[i]);
    }
    hear_versions(versions, 0);
}
