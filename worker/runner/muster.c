/* One account after the other. */
#include "worker/runner/muster.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/account.h"
#include "worker/runner/base.h"
#include "worker/runner/look.h"
#include "worker/runner/shell.h"
#include "worker/runner/signal.h"
#include "worker/runner/source.h"

#define ATTEND_MS (SHELL_ASK_MS + 2000) /* of one account */
#define SAID_MAX 8192
#define WORDS_MAX 8

/* --- As the account --- */

static void say_folders(const char *base, const char *name)
{
    static const char *const ends[] = {"/..", "", "/bin", "/runs", "/stages", "/mirrors"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(path, sizeof path, "%.3900s%s", base, ends[i]);
        if (access(path, R_OK) == 0 || access(path, W_OK) == 0)
            printf("reads %s %s\n", name, path);
    }
}

static bool find(const char *word, const char *home, const char *path,
                 char file[static LOOK_PATH_SIZE])
{
    if (strncmp(word, "~/", 2) != 0)
        return look_find(word, path, file);
    snprintf(file, LOOK_PATH_SIZE, "%.2000s/%.2000s", home, word + 2);
    return access(file, R_OK) == 0;
}

int attend_main(int argc, char **argv)
{
    static char file[LOOK_PATH_SIZE], shown[LOOK_PATH_SIZE];
    static struct shell shell;
    const char *home = getenv("HOME");
    if (argc < 5 || !account_is_right(argv[2]))
        return ACCOUNT_FAILED;
    home = home != NULL ? home : "/";
    look_show(home, shown, sizeof shown);
    printf("account %s %u %s\n", argv[4], (unsigned)getuid(), shown);
    say_folders(argv[3], argv[4]);
    shell_ask(&shell);
    for (int i = 5; i < argc; i++) {
        bool found = find(argv[i], home, shell.path, file);
        look_show(file, shown, sizeof shown);
        printf("has %s %s %s\n", argv[4], argv[i], found ? shown : "-");
    }
    return ACCOUNT_NONE;
}

/* --- As ours --- */

/* Both streams of it, until their end or ATTEND_MS. */
static size_t hear(pid_t pid, int from, char *said, size_t size)
{
    size_t len = 0;
    int64_t deadline = clock_now() + ATTEND_MS;
    for (ssize_t got = 1; got > 0 && len + 1 < size; len += got > 0 ? (size_t)got : 0) {
        struct pollfd event = {.fd = from, .events = POLLIN};
        int64_t left = deadline - clock_now();
        if (left <= 0 || poll(&event, 1, (int)left) <= 0) {
            signal_child(pid, SIGTERM);
            break;
        }
        got = read(from, said + len, size - 1 - len);
    }
    said[len] = '\0';
    return len;
}

static void say_all(const char *mark, const char *name, char *said, enum account_said how)
{
    static char shown[SAID_MAX];
    if (how != ACCOUNT_NONE) {
        said[strcspn(said, "\n")] = '\0';
        look_show(said[0] != '\0' ? said : "no answer in time", shown, sizeof shown);
        printf("\n%s refused %s %s\n", mark, name, shown);
        return;
    }
    for (char *line, *rest = said; (line = strsep(&rest, "\n")) != NULL;) {
        look_show(line, shown, sizeof shown);
        printf("\n%s %s\n", mark, shown);
    }
}

static void call_up(const char *base, const char *mark, const char *name, char *const words[],
                    int count)
{
    static char said[SAID_MAX];
    char caller[16];
    int ends[2], n = 4;
    snprintf(caller, sizeof caller, "%u", (unsigned)getuid());
    const char *argv[4 + WORDS_MAX + 1] = {"attend", caller, base, name};
    for (int i = 0; i < count && i < WORDS_MAX; i++)
        argv[n++] = words[i];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    pid_t pid = account_start(name, argv,
                              &(struct account_streams){.in = -1, .out = ends[1], .err = ends[1]});
    close(ends[1]);
    hear(pid, ends[0], said, sizeof said);
    close(ends[0]);
    say_all(mark, name, said, account_wait(pid));
    fflush(stdout);
}

int muster_main(int argc, char **argv)
{
    static struct base base;
    char why[256];
    if (argc < 4 || !base_open(&base, argv[2], why) || !account_open_way(&base))
        return 1;
    for (int i = 4, next; i < argc; i = next) {
        for (next = i + 1; next < argc && argv[next][0] != '+'; next++)
            ;
        if (argv[i][0] == '+')
            call_up(argv[2], argv[3], argv[i] + 1, argv + i + 1, next - i - 1);
    }
    base_close(&base);
    return 0;
}
