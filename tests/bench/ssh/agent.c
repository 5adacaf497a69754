/* Agents of the bench. Each says first when its process began, in microseconds since 1970:
 *
 *   agent start             ends at once, and says when
 *   agent lines N MS        N lines, MS apart, each with its time
 *   agent silent            waits for ever
 *   agent write FIFO        silent until somebody opens FIFO for writing, then a line each second
 *   agent flood BYTES       so many bytes, as fast as they are taken
 *   agent escape NAME       leaves a process called NAME, of a session, group and parent of its own
 *                           and without environment, descriptors or signals that end it */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void say(const char *word)
{
    char line[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int len = snprintf(line, sizeof line, "%s %lld\n", word,
                       (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    if (write(1, line, (size_t)len) != len)
        _exit(1);
}

static void wait_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL); /* payload: sleep */
}

static void wait_for_ever(void)
{
    for (;;)
        pause();
}

static void flood(long long bytes)
{
    static const char line[] =
        "I have read src/main.rs and 12 tests; next: mend `parse()`, then run.\n";
    static char chunk[65536];
    for (size_t i = 0; i < sizeof chunk; i++)
        chunk[i] = line[i % (sizeof line - 1)];
    while (bytes > 0) {
        size_t len = bytes < (long long)sizeof chunk ? (size_t)bytes : sizeof chunk;
        ssize_t wrote = write(1, chunk, len);
        if (wrote <= 0)
            _exit(1);
        bytes -= wrote;
    }
}

static void escape(char *self, char *name)
{
    char *args[] = {name, "escaped", NULL}, *none[] = {NULL};
    if (fork() != 0)
        return;
    setsid();
    if (fork() != 0)
        _exit(0);
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    execve(self, args, none);
    _exit(127);
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    if (strcmp(kind, "escaped") == 0) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        wait_for_ever();
    }
    say("start");
    if (strcmp(kind, "lines") == 0 && argc > 3) {
        for (long i = atol(argv[2]); i > 0; i--) {
            wait_ms(atol(argv[3]));
            say("at");
        }
    } else if (strcmp(kind, "silent") == 0) {
        wait_for_ever();
    } else if (strcmp(kind, "write") == 0 && argc > 2) {
        if (open(argv[2], O_RDONLY) < 0)
            return 1;
        for (;;) {
            say("at");
            wait_ms(1000);
        }
    } else if (strcmp(kind, "flood") == 0 && argc > 2) {
        flood(atoll(argv[2]));
    } else if (strcmp(kind, "escape") == 0 && argc > 2) {
        escape(argv[0], argv[2]);
        wait_for_ever();
    }
    say("end");
    return 0;
}
