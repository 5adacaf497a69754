/* Runs git, and hears what it says. */
#include "worker/runner/git.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/runner/keeper.h"
#include "worker/runner/look.h"
#include "worker/runner/source.h"
#include "worker/runner/space.h"
#include "worker/runner/words.h"

#define WORDS_MAX 128
#define VARIABLES_MAX 48
#define OLDEST_MAJOR 2 /* GIT_CONFIG_GLOBAL: 2.32 */
#define OLDEST_MINOR 32

/* --- What it is told --- */

/* Damage that old histories have and that does no harm. */
#define OLD_DAMAGE(of)                                                          \
    "-c", of "zeroPaddedFilemode=warn", "-c", of "badTimezone=warn", "-c",      \
        of "missingSpaceBeforeDate=warn", "-c", of "zeroPaddedDate=warn", "-c", \
        of "missingEmail=warn", "-c", of "missingNameBeforeEmail=warn", "-c",   \
        of "missingSpaceBeforeEmail=warn", "-c", of "multipleAuthors=warn"

/* What a submodule is said to be: we never look at one, and whoever may push to any branch could
 * stop all fetches by it. */
#define SUBMODULES(of)                                                    \
    "-c", of "gitmodulesUrl=warn", "-c", of "gitmodulesPath=warn", "-c",  \
        of "gitmodulesUpdate=warn", "-c", of "gitmodulesName=warn", "-c", \
        of "gitmodulesBlob=warn", "-c", of "gitmodulesLarge=warn", "-c",  \
        of "gitmodulesMissing=warn", "-c", of "gitmodulesSymlink=warn"

static const char *const settings[] = {
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "core.attributesFile=/dev/null",
    "-c",
    "core.excludesFile=/dev/null",
    "-c",
    "core.warnAmbiguousRefs=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "fetch.recurseSubmodules=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "protocol.allow=never",
    "-c",
    "credential.helper=",
    "-c",
    "http.followRedirects=false",
    "-c",
    "push.gpgSign=false",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "fetch.unpackLimit=1",
    "-c",
    "transfer.fsckObjects=true",
    OLD_DAMAGE("fetch.fsck."),
    OLD_DAMAGE("fsck."),
    SUBMODULES("fetch.fsck."),
    SUBMODULES("fsck."),
};
#define SETTINGS (sizeof settings / sizeof settings[0])

/* Pairs of an environment. */
struct variables {
    char *pair[VARIABLES_MAX + 1]; /* owned */
    int count;
    bool failed;
};

static void add(struct variables *variables, const char *name, const char *value)
{
    char *pair = NULL;
    if (value == NULL || variables->failed)
        return;
    variables->failed =
        variables->count == VARIABLES_MAX || asprintf(&pair, "%s=%s", name, value) < 0;
    if (!variables->failed)
        variables->pair[variables->count++] = pair;
}

static void make_variables(const struct git *git, const struct git_child *child,
                           struct variables *variables)
{
    *variables = (struct variables){0};
    add(variables, "PATH", git->path);
    add(variables, "HOME", "/dev/null"); /* no .netrc, no .ssh */
    add(variables, "LC_ALL", "C");
    add(variables, "GIT_CONFIG_NOSYSTEM", "1");
    add(variables, "GIT_CONFIG_GLOBAL", "/dev/null");
    add(variables, "GIT_ATTR_NOSYSTEM", "1");
    add(variables, "GIT_NO_REPLACE_OBJECTS", "1");
    add(variables, "GIT_TERMINAL_PROMPT", "0");
    add(variables, "GIT_ALLOW_PROTOCOL", child->scheme != NULL ? child->scheme : "none");
    add(variables, "GIT_CEILING_DIRECTORIES", "/");
    add(variables, "GIT_DIR", child->dir);
    add(variables, "GIT_WORK_TREE", child->tree);
    add(variables, "GIT_INDEX_FILE", child->index);
    add(variables, "GIT_OBJECT_DIRECTORY", child->objects);
    add(variables, "GIT_ALTERNATE_OBJECT_DIRECTORIES", child->alternates);
    for (const char *const *more = child->variables; more != NULL && *more != NULL; more++) {
        char *pair = variables->count < VARIABLES_MAX ? strdup(*more) : NULL;
        variables->failed |= pair == NULL;
        if (pair != NULL)
            variables->pair[variables->count++] = pair;
    }
}

static void release_variables(struct variables *variables)
{
    for (int i = 0; i < variables->count; i++)
        free(variables->pair[i]);
}

/* --- What it says --- */

bool git_text_add(struct git_text *text, const void *bytes, size_t len)
{
    if (text->size - text->len <= len) {
        size_t size = 2 * text->size + len + 4096;
        char *larger = size <= GIT_TEXT_MAX ? realloc(text->bytes, size) : NULL;
        if (larger == NULL)
            return false;
        text->bytes = larger;
        text->size = size;
    }
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
    return true;
}

void git_text_release(struct git_text *text)
{
    free(text->bytes);
    *text = (struct git_text){0};
}

/* --- While it runs --- */

struct running {
    struct git *git;               /* borrowed */
    const struct git_child *child; /* borrowed */
    struct keeper keeper;
    int err, out; /* owned; -1: over */
    struct words heard;
    int64_t space; /* when the disk is looked at again */
    int64_t stall; /* when nothing was heard for too long; INT64_MAX: never */
};

static bool is_lost(const struct git *git)
{
    struct pollfd event = {.fd = git->channel};
    return git->channel >= 0 && poll(&event, 1, 0) > 0 &&
           (event.revents & (POLLHUP | POLLERR)) != 0;
}

bool git_may_go_on(struct git *git)
{
    if (is_lost(git))
        git->end = GIT_LOST;
    else if (clock_now() >= git->deadline)
        git->end = GIT_LATE;
    else
        return true;
    return false;
}

/* One read of what is there: its bytes, 0 at the end, -1 when there is nothing now. */
static ssize_t read_some(struct running *running, int fd)
{
    char bytes[16384];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    if (running->child->scheme != NULL)
        running->stall = clock_now() + GIT_STALL_MS;
    if (fd == running->err)
        words_hear(&running->heard, bytes, (size_t)n);
    else if (!git_text_add(running->child->text, bytes, (size_t)n))
        running->git->end = GIT_BROKEN;
    return n;
}

static void read_stream(struct running *running, int *fd)
{
    if (*fd < 0 || read_some(running, *fd) != 0)
        return;
    close(*fd);
    *fd = -1;
}

/* What is left of it, once nobody writes any more. */
static void read_rest(struct running *running, int *fd)
{
    while (*fd >= 0 && read_some(running, *fd) > 0)
        continue;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Looked at once a second. */
static bool is_full(struct running *running)
{
    char why[256];
    const struct git *git = running->git;
    int64_t now = clock_now();
    if (running->child->scheme == NULL || git->floor == 0 || now < running->space)
        return false;
    running->space = now + 1000;
    return !space_is_left(git->disk, git->floor, why);
}

/* True: its time is over, for a reason that is `end`. */
static bool is_over(struct running *running)
{
    if (running->git->end != GIT_DONE || !git_may_go_on(running->git))
        return true;
    if (is_full(running))
        running->git->end = GIT_FULL;
    else if (clock_now() >= running->stall)
        running->git->end = GIT_STALLED;
    return running->git->end != GIT_DONE;
}

static void follow(struct running *running)
{
    bool ended = false;
    for (;;) {
        struct pollfd events[] = {
            {.fd = running->keeper.life, .events = POLLIN},
            {.fd = running->err, .events = POLLIN},
            {.fd = running->out, .events = POLLIN},
            {.fd = ended ? -1 : running->git->channel}, /* its end only */
        };
        if (!ended && is_over(running)) {
            ended = true;
            keeper_end(&running->keeper);
        }
        poll(events, sizeof events / sizeof events[0], 1000);
        if (events[1].revents != 0)
            read_stream(running, &running->err);
        if (events[2].revents != 0)
            read_stream(running, &running->out);
        if (events[0].revents != 0)
            break;
    }
    read_rest(running, &running->err);
    read_rest(running, &running->out);
}

/* --- Its start --- */

static int make_input(const struct git_child *child, int null)
{
    if (child->input == NULL)
        return child->in > 0 ? child->in : null;
    int fd = memfd_create("git", MFD_CLOEXEC);
    const char *at = child->input;
    for (size_t left = child->input_len; fd >= 0 && left > 0;) {
        ssize_t put = write(fd, at, left);
        if (put <= 0) {
            close(fd);
            return -1;
        }
        at += put;
        left -= (size_t)put;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

static bool start(struct running *running, const struct kept *kept, int err[2], int out[2])
{
    const struct git_child *child = running->child;
    struct kept whole = *kept;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    whole.in = make_input(child, null);
    whole.err = err[1];
    whole.out = child->text != NULL ? out[1] : child->out > 0 ? dup(child->out) : dup(null);
    bool started =
        null >= 0 && whole.in >= 0 && whole.out >= 0 && keeper_start(&running->keeper, &whole);
    if (child->input != NULL && whole.in >= 0)
        close(whole.in);
    if (child->text == NULL && whole.out >= 0)
        close(whole.out);
    if (null >= 0)
        close(null);
    return started;
}

/* Runs `kept` below a keeper and hears it out. */
static void carry_out(struct running *running, const struct kept *kept)
{
    int err[2] = {-1, -1}, out[2] = {-1, -1};
    struct git *git = running->git;
    bool started = pipe2(err, O_CLOEXEC) == 0 &&
                   (running->child->text == NULL || pipe2(out, O_CLOEXEC) == 0) &&
                   start(running, kept, err, out);
    for (int i = 0; i < 2; i++) {
        int *ends = i == 0 ? err : out;
        if (ends[1] >= 0)
            close(ends[1]);
        if (!started && ends[0] >= 0)
            close(ends[0]);
        if (started && ends[0] >= 0)
            fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    if (!started) {
        git->end = GIT_BROKEN;
        snprintf(git->words, sizeof git->words, "git cannot be started: %s", strerror(errno));
        return;
    }
    running->err = err[0];
    running->out = out[0];
    follow(running);
    words_hear(&running->heard, "\n", 1);
    git->exit = keeper_wait(&running->keeper);
    if (git->end == GIT_DONE && git->exit != 0)
        git->end = GIT_REFUSED;
}

bool git_run_words(struct git *git, const struct git_child *child, const char *const *words)
{
    char *all[WORDS_MAX + SETTINGS + 2];
    struct variables variables;
    struct running running = {
        .git = git, .child = child, .stall = INT64_MAX, .heard.text = git->words};
    size_t count = 0;
    git->words[0] = '\0';
    git->exit = 0;
    git->end = GIT_DONE;
    if (child->text != NULL)
        child->text->len = 0;
    if (child->scheme != NULL)
        running.stall = clock_now() + GIT_STALL_MS;
    all[count++] = git->file;
    for (size_t i = 0; i < SETTINGS; i++)
        all[count++] = (char *)settings[i];
    for (; *words != NULL && count < WORDS_MAX + SETTINGS; words++)
        all[count++] = (char *)*words;
    all[count] = NULL;
    make_variables(git, child, &variables);
    struct kept kept = {.file = git->file, .words = all, .variables = variables.pair};
    if (variables.failed || *words != NULL ||
        (child->text != NULL && !git_text_add(child->text, "", 0)))
        git->end = GIT_BROKEN;
    else if (git_may_go_on(git))
        carry_out(&running, &kept);
    release_variables(&variables);
    words_mask(git->words, git->secret);
    return git->end == GIT_DONE;
}

bool git_ask_words(struct git *git, const struct git_child *child, char *line, size_t size,
                   const char *const *words)
{
    struct git_text text = {0};
    struct git_child asked = *child;
    asked.text = &text;
    line[0] = '\0';
    bool told = git_run_words(git, &asked, words);
    size_t len = told ? strcspn(text.bytes, "\n") : size;
    told = told && len > 0 && len < size;
    if (told)
        memcpy(line, text.bytes, len);
    line[told ? len : 0] = '\0';
    git_text_release(&text);
    return told;
}

/* --- Which git --- */

bool git_init(struct git *git, const char *path, int channel, int64_t deadline)
{
    char version[128];
    char major[8] = "", minor[8] = "";
    *git = (struct git){.path = path, .channel = channel, .deadline = deadline};
    if (!look_find("git", path, git->file)) {
        look_show(path, version, sizeof version);
        snprintf(git->words, sizeof git->words,
                 "there is no git in PATH (%s): install the package git on this host", version);
        return false;
    }
    if (!git_ask(git, &(struct git_child){0}, version, sizeof version, "--version"))
        return false;
    if (sscanf(version, "git version %7[0-9].%7[0-9]", major, minor) == 2) {
        long first = strtol(major, NULL, 10), second = strtol(minor, NULL, 10);
        if (first > OLDEST_MAJOR || (first == OLDEST_MAJOR && second >= OLDEST_MINOR))
            return true;
    }
    look_show(version, version, sizeof version);
    snprintf(git->words, sizeof git->words, "%.200s says \"%.60s\": git %d.%d or later is needed",
             git->file, version, OLDEST_MAJOR, OLDEST_MINOR);
    return false;
}
