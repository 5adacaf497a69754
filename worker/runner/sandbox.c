/* bubblewrap's command line. */
#include "worker/runner/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/scene.h"
#include "worker/runner/signal.h"
#include "worker/runner/source.h"

#define WORDS_MAX 512
#define RUNNER_PATH "/proc/self/fd/4" /* SCENE_RUNNER */

static char *words[WORDS_MAX + 1];
static int count;

/* One more word, a copy. Too many: the last ones are what the sandbox cannot do without, so none is
 * executed. */
static void add(const char *word)
{
    char *copy = count < WORDS_MAX ? strdup(word) : NULL;
    if (copy == NULL)
        _exit(126);
    words[count++] = copy;
}

static void add_mount(const char *option, const char *path)
{
    add(option);
    add(path);
    add(path);
}

static const char *find_bwrap(void)
{
    static const char *const places[] = {"/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

/* What every sandbox has; the first word is the program. */
static bool add_frame(void)
{
    static const char *const frame[] = {"--die-with-parent",
                                        "--unshare-pid",
                                        "--unshare-ipc",
                                        "--ro-bind",
                                        "/",
                                        "/",
                                        "--dev",
                                        "/dev",
                                        "--proc",
                                        "/proc"};
    const char *program = find_bwrap();
    count = 0;
    if (program == NULL)
        return false;
    add(program);
    for (size_t i = 0; i < sizeof frame / sizeof frame[0]; i++)
        add(frame[i]);
    return true;
}

/* --- The fleet's folders --- */

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") >= len;
}

/* A mirror's objects, or those of the stage of this very task. */
static bool is_store(const struct sandbox *sandbox, const char *path)
{
    static const char end[] = "/objects";
    size_t base = strlen(sandbox->base), len = strlen(path), tail = sizeof end - 1;
    if (strncmp(path, sandbox->base, base) != 0 || len < base + tail + 2 ||
        strcmp(path + len - tail, end) != 0)
        return false;
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%.*s", (int)(len - base - tail), path + base);
    const char *folder = strrchr(sandbox->folder, '/'), *last = strrchr(name, '/');
    if (strncmp(name, "/stages/", 8) == 0)
        return folder != NULL && last == name + 7 && strcmp(last, folder) == 0;
    size_t mirror = strlen(name);
    return strncmp(name, "/mirrors/", 9) == 0 && last == name + 8 && mirror > 9 + 33 &&
           name[mirror - 33] == '-' && is_hex(name + mirror - 32, 32);
}

/* The task's repository borrows objects, which lie in the fleet's folder. Whoever wrote that file,
 * it opens nothing else. */
static void add_stores(const struct sandbox *sandbox)
{
    char path[PATH_MAX], text[FILE_SMALL_MAX + 1], *rest = text;
    snprintf(path, sizeof path, "%s/.git/objects/info", sandbox->folder);
    int info = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool there = info >= 0 && file_text(info, "alternates", text);
    if (info >= 0)
        close(info);
    for (char *line; there && (line = strsep(&rest, "\n")) != NULL;) {
        if (is_store(sandbox, line))
            add_mount("--ro-bind-try", line);
    }
}

static void hide_fleet(const struct sandbox *sandbox)
{
    char path[PATH_MAX];
    const char *id = strrchr(sandbox->base, '/');
    snprintf(path, sizeof path, "%.*s", (int)(id - sandbox->base), sandbox->base);
    add("--tmpfs");
    add(path);
    snprintf(path, sizeof path, "%s/bin", sandbox->base);
    add_mount("--ro-bind-try", path);
    add_stores(sandbox);
    const char *task = strrchr(sandbox->folder, '/');
    snprintf(path, sizeof path, "%.*s", (int)(task - sandbox->folder), sandbox->folder);
    add("--tmpfs");
    add(path);
    add_mount("--bind", sandbox->folder);
}

/* --- Paths that may be written to --- */

/* Every folder on the way to the last slash. */
static void make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
}

static void add_writable(const struct sandbox *sandbox, const char *line)
{
    char path[PATH_MAX];
    bool below_home = strncmp(line, "~/", 2) == 0;
    if ((below_home && sandbox->home == NULL) || (!below_home && line[0] != '/'))
        return;
    int len = snprintf(path, sizeof path, "%s%s", below_home ? sandbox->home : "",
                       below_home ? line + 1 : line);
    if (len >= (int)sizeof path)
        return;
    if (path[len - 1] == '/' && below_home)
        make_folders(path);
    add_mount("--bind-try", path);
}

static void add_all_writable(const struct sandbox *sandbox)
{
    char *text = strdup(sandbox->writable), *rest = text;
    for (char *line; text != NULL && (line = strsep(&rest, "\n")) != NULL;)
        add_writable(sandbox, line);
    free(text);
}

/* --- The command --- */

static bool open_runner(void)
{
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool open = self >= 0 && (self == SCENE_RUNNER || dup2(self, SCENE_RUNNER) == SCENE_RUNNER);
    fcntl(SCENE_RUNNER, F_SETFD, 0);
    return open;
}

/* A later mount lies over an earlier one: /tmp comes first, for work_dir may lie below it. */
char **sandbox_command(const struct sandbox *sandbox)
{
    if (!add_frame() || !open_runner())
        return NULL;
    add("--bind");
    add(sandbox->tmp);
    add("/tmp");
    add_all_writable(sandbox);
    hide_fleet(sandbox);
    add("--chdir");
    add(sandbox->folder);
    add("--");
    add(RUNNER_PATH);
    add("begin");
    words[count] = NULL;
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    return words;
}

/* --- Whether there can be one --- */

static pid_t start_trial(int err)
{
    pid_t trial = fork();
    if (trial != 0)
        return trial;
    int null = open("/dev/null", O_RDWR);
    add("--");
    add("/bin/true");
    words[count] = NULL;
    if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(err, 2) == 2) {
        scene_reset_signals();
        execve(words[0], words, (char *[]){(char *)"LC_ALL=C", NULL});
    }
    _exit(127);
}

/* The first line of what it says; after SANDBOX_MS it is killed. */
static void read_line(pid_t trial, int err, char *line, size_t size)
{
    size_t len = 0;
    int64_t deadline = clock_now() + SANDBOX_MS;
    for (ssize_t got = 1; got > 0 && len + 1 < size;) {
        struct pollfd event = {.fd = err, .events = POLLIN};
        int64_t left = deadline - clock_now();
        if (poll(&event, 1, left > 0 ? (int)left : 0) <= 0) {
            signal_child(trial, SIGKILL);
            break;
        }
        got = read(err, line + len, size - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    line[len] = '\0';
    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; *at != '\0'; at++)
        *at = *at >= 0x20 && *at <= 0x7e ? *at : '?';
}

bool sandbox_try(char why[static RUNNER_SANDBOX_SIZE])
{
    char line[RUNNER_SANDBOX_SIZE - 40];
    int ends[2], status = -1;
    why[0] = '\0';
    if (!add_frame()) {
        snprintf(why, RUNNER_SANDBOX_SIZE, "bubblewrap is not installed: there is no bwrap");
        return false;
    }
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t trial = start_trial(ends[1]);
    close(ends[1]);
    if (trial > 0)
        read_line(trial, ends[0], line, sizeof line);
    close(ends[0]);
    while (trial > 0 && waitpid(trial, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        snprintf(why, RUNNER_SANDBOX_SIZE, "bubblewrap cannot make one here: %s",
                 trial > 0 ? line : "");
    return status == 0;
}
