/* From a process of ours to an agent. */
#include "worker/runner/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/sandbox.h"

#define PAIRS 11
#define PLAIN_PATH "/usr/local/bin:/usr/bin:/bin"
#define SCRIPT_PATH "/proc/self/fd/3" /* SCENE_SCRIPT */

/* --- Environment --- */

/* The account's name; its number when it has none. */
static const char *own_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "%u", (unsigned)getuid());
    FILE *passwd = fopen("/etc/passwd", "re");
    if (passwd == NULL)
        return name;
    for (const struct passwd *row; (row = fgetpwent(passwd)) != NULL;) {
        if (row->pw_uid == getuid()) {
            snprintf(name, sizeof name, "%s", row->pw_name);
            break;
        }
    }
    fclose(passwd);
    return name;
}

static char *set(const char *name, const char *value)
{
    char *pair = NULL;
    if (asprintf(&pair, "%s=%s", name, value) < 0)
        _exit(126);
    return pair;
}

/* `name`, as we have it or else `plain`. */
static char *keep(const char *name, const char *plain)
{
    const char *value = getenv(name);
    return set(name, value == NULL || *value == '\0' ? plain : value);
}

/* Where this program lies, for the job script. */
static char *own_program(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    return set("FLEET_RUNNER", path);
}

/* Nothing of ours goes into an agent's environment but this list. */
static void make_environment(const struct scene *scene, char *pairs[static PAIRS])
{
    const char *name = own_name();
    pairs[0] = keep("HOME", "/");
    pairs[1] = keep("USER", name);
    pairs[2] = keep("LOGNAME", name);
    pairs[3] = set("PATH", scene->path[0] == '\0' ? PLAIN_PATH : scene->path);
    pairs[4] = keep("LANG", "C.UTF-8");
    pairs[5] = keep("SHELL", "/bin/sh");
    pairs[6] = set("TMPDIR", scene->sandbox ? "/tmp" : scene->tmp);
    pairs[7] = set("FLEET_RUN", scene->mark);
    pairs[8] = own_program();
    pairs[9] = scene->fresh ? set("FLEET_FRESH", "1") : NULL;
    pairs[10] = NULL;
}

/* --- Signals and rights --- */

void scene_reset_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* what has no other way refuses it */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

bool scene_set_oom_score(int score)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d", score);
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    bool set = file >= 0 && write(file, text, (size_t)len) == len;
    if (file >= 0)
        close(file);
    return set;
}

/* --- Streams --- */

int scene_file(const char *name, const void *bytes, size_t len)
{
    int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file >= 0 && file_write_all(file, bytes, len) && lseek(file, 0, SEEK_SET) == 0 &&
        fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
        return file;
    if (file >= 0)
        close(file);
    return -1;
}

int scene_script(const void *job, size_t len)
{
    static const char head[] = "exec 3<&-\n";
    size_t before = sizeof head - 1;
    char *text = malloc(before + len);
    if (text == NULL)
        return -1;
    memcpy(text, head, before);
    memcpy(text + before, job, len);
    int file = scene_file("job", text, before + len);
    free(text);
    return file;
}

static bool move(int fd, int to)
{
    return fd < 0 || dup2(fd, to) == to;
}

/* The prompt is opened without O_NONBLOCK and the like: agents need not know. What becomes a low
 * number is first moved out of the way of the others. */
static bool set_streams(const struct scene *scene)
{
    int script = scene->script < 0 ? -1 : fcntl(scene->script, F_DUPFD_CLOEXEC, 16);
    int prompt = fcntl(scene->prompt, F_DUPFD_CLOEXEC, 16);
    fcntl(prompt, F_SETFL, 0);
    return prompt >= 0 && (script >= 0) == (scene->script >= 0) && move(prompt, 0) &&
           move(scene->out, 1) && move(scene->err, 2) && move(script, SCENE_SCRIPT);
}

/* --- The last step --- */

static _Noreturn void execute(char *const argv[], char *const pairs[])
{
    execve(argv[0], argv, pairs);
    _exit(errno == ENOENT ? 127 : 126);
}

_Noreturn void scene_play(const struct scene *scene)
{
    char *pairs[PAIRS];
    const char *file = scene->script < 0 ? scene->file : SCRIPT_PATH;
    prctl(PR_SET_DUMPABLE, 1); /* its /proc is its own again */
    if (scene->oom_score_adj != INT_MIN)
        scene_set_oom_score(scene->oom_score_adj);
    make_environment(scene, pairs);
    if (fchdir(scene->folder) != 0 || !set_streams(scene))
        _exit(126);
    umask(022);
    scene_reset_signals();
    if (!scene->sandbox)
        execute((char *[]){(char *)"/bin/sh", (char *)file, NULL}, pairs);
    struct sandbox sandbox = {.base = scene->base,
                              .folder = scene->inside,
                              .tmp = scene->tmp,
                              .writable = scene->writable,
                              .home = getenv("HOME")};
    char *const *argv = sandbox_command(&sandbox);
    if (argv == NULL)
        _exit(126);
    execute((char **)argv, pairs);
}

int scene_main(int argc, char **argv)
{
    (void)argv;
    if (argc != 2 || fcntl(SCENE_SCRIPT, F_GETFD) < 0)
        return 2;
    close(SCENE_RUNNER);
    scene_reset_signals();
    execute((char *[]){(char *)"/bin/sh", (char *)SCRIPT_PATH, NULL}, environ);
}
