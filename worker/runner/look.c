/* Looks for agents, and asks them what they are. */
#include "worker/runner/look.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/ask.h"
#include "worker/runner/source.h"

#define LOOK_AT_ONCE 8
#define VERSION_MS 10000 /* a big program that starts for the first time on a small, busy host */

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

/* Another number for another file, or for the same one when it was written to: not 0. */
static uint64_t stamp(const char *file)
{
    struct stat about;
    if (stat(file, &about) != 0)
        return 0;
    const uint64_t parts[] = {(uint64_t)about.st_dev, (uint64_t)about.st_ino,
                              (uint64_t)about.st_size, (uint64_t)about.st_mtim.tv_sec,
                              (uint64_t)about.st_mtim.tv_nsec};
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, of words */
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        hash = (hash ^ parts[i]) * 0x100000001b3;
    return hash == 0 ? 1 : hash;
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

/* Still: it was not hung up on. */
static bool is_heard(const struct version *version)
{
    return version->asked.killed_at == 0;
}

/* Once there is nothing more to be heard of it, it is hung up on; true when that is over. */
static bool is_over(struct version *version, bool ready)
{
    if (version->seen == NULL)
        return false;
    if (is_heard(version) &&
        ((ready && ask_hear(&version->asked)) || clock_now() >= version->asked.deadline))
        ask_hang_up(&version->asked);
    return !is_heard(version) && ask_is_over(&version->asked);
}

static void note_one(struct version *version)
{
    ask_end(&version->asked);
    clean(version->line, version->seen->version);
    version->seen = NULL;
}

/* Until at most `busy` of them are. */
static void hear_versions(struct version *versions, int busy)
{
    for (;;) {
        struct pollfd events[LOOK_AT_ONCE];
        int count = 0, leaving = 0;
        for (int i = 0; i < LOOK_AT_ONCE; i++) {
            bool open = versions[i].seen != NULL;
            bool heard = open && is_heard(&versions[i]);
            events[i] = (struct pollfd){.fd = heard ? versions[i].asked.fd : -1, .events = POLLIN};
            count += open;
            leaving += open && !heard;
        }
        if (count <= busy)
            return;
        poll(events, LOOK_AT_ONCE, leaving > 0 ? 20 : 200);
        for (int i = 0; i < LOOK_AT_ONCE; i++) {
            if (is_over(&versions[i], events[i].revents != 0))
                note_one(&versions[i]);
        }
    }
}

static void ask_version(struct version *versions, char *file, const char *path, int64_t deadline,
                        struct runner_seen *seen)
{
    char *argv[] = {file, "--version", NULL};
    hear_versions(versions, LOOK_AT_ONCE - 1);
    if (clock_now() >= deadline - VERSION_MS - ASK_GRACE_MS)
        return;
    struct version *version = versions;
    while (version->seen != NULL)
        version++;
    version->asked = (struct asked){.line = version->line, .size = sizeof version->line};
    if (ask_begin(&version->asked, file, argv, path, VERSION_MS))
        version->seen = seen;
}

void look_for(const struct runner_look *looks, int n, const char *path, int64_t deadline,
              struct runner_seen *seen)
{
    struct version versions[LOOK_AT_ONCE] = {0};
    char file[LOOK_PATH_SIZE] = "";
    for (int i = 0; i < n; i++) {
        seen[i] = (struct runner_seen){.found = look_find(looks[i].command, path, file)};
        if (!seen[i].found)
            continue;
        look_show(file, seen[i].file, sizeof seen[i].file);
        seen[i].stamp = stamp(file);
        if (looks[i].version)
            ask_version(versions, file, path, deadline, &seen[i]);
    }
    hear_versions(versions, 0);
}
