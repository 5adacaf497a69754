/* What a call does about supervisors: it starts one, stops one, and does the work of one that is
 * gone. */
#include "worker/runner/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/process.h"
#include "worker/runner/signal.h"

static const char *const stop_reasons[] = {RUNNER_STOP_REASONS};

/* --- The value of a stop's signal: 0x5a, term, grace, reason --- */

#define STOP_MARK 0x5a
#define STOP_REASONS (sizeof stop_reasons / sizeof stop_reasons[0])

bool supervise_pack(const struct runner_stop *stop, int *value)
{
    for (size_t i = 0; i < STOP_REASONS; i++) {
        if (strcmp(stop->reason, stop_reasons[i]) == 0) {
            *value = STOP_MARK << 24 | stop->term_secs << 16 | stop->grace_secs << 8 | (int)i;
            return true;
        }
    }
    return false;
}

bool supervise_unpack(int value, struct runner_stop *stop)
{
    size_t reason = (size_t)value & 0xff;
    if (value >> 24 != STOP_MARK || reason >= STOP_REASONS)
        return false;
    stop->term_secs = (uint8_t)(value >> 16);
    stop->grace_secs = (uint8_t)(value >> 8);
    snprintf(stop->reason, sizeof stop->reason, "%s", stop_reasons[reason]);
    return true;
}

/* --- Command lines --- */

bool supervise_take_number(const char *text, int64_t least, int64_t most, int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *number >= least &&
           *number <= most;
}

bool supervise_take_key(char *const argv[static 3], struct runner_key *key)
{
    int64_t epoch;
    size_t len = strlen(argv[0]);
    const char *kept = getenv(SUPERVISE_NONCE), *nonce = kept != NULL ? kept : argv[2];
    if (len < 1 || len >= sizeof key->run || argv[0][0] == '.' ||
        strspn(argv[0], FRAME_NAME ".") != len ||
        !supervise_take_number(argv[1], 1, INT32_MAX, &epoch) ||
        strlen(nonce) != sizeof key->nonce - 1 || strspn(nonce, FRAME_HEX) != sizeof key->nonce - 1)
        return false;
    *key = (struct runner_key){.epoch = (uint32_t)epoch};
    memcpy(key->run, argv[0], len);
    memcpy(key->nonce, nonce, sizeof key->nonce);
    return true;
}

/* --- This program anew, detached --- */

/* What a detached process keeps of what the caller has, beside its answer. */
struct kept {
    int lock, seat;    /* -1: none */
    const char *nonce; /* for its environment; NULL: it is in the command line */
};

static _Noreturn void become(char *const argv[], int answer, const struct kept *kept)
{
    int from[] = {answer, kept->lock, kept->seat}, moved[3];
    int null = open("/dev/null", O_RDWR), first = SUPERVISE_ANSWER;
    for (int i = 0; i < 3; i++) {
        moved[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD, SUPERVISE_SEAT + 1);
        if (null < 0 || (from[i] >= 0 && moved[i] < 0))
            _exit(1);
    }
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    for (int i = 0; i < 3; i++) {
        if (moved[i] < 0)
            close(SUPERVISE_ANSWER + i);
        else
            first = dup2(moved[i], SUPERVISE_ANSWER + i) + 1;
    }
    if (syscall(SYS_close_range, first, ~0U, 0) != 0) { /* before Linux 5.9 */
        long most = sysconf(_SC_OPEN_MAX);
        for (int fd = first; fd < (most < 0 || most > 65536 ? 65536 : most); fd++)
            close(fd);
    }
    if ((kept->nonce != NULL ? setenv(SUPERVISE_NONCE, kept->nonce, 1)
                             : unsetenv(SUPERVISE_NONCE)) == 0 &&
        setsid() >= 0 && chdir("/") == 0)
        execv("/proc/self/exe", argv);
    _exit(1);
}

/* Nobody's child: the one between ends at once. The read end of its answer, or -1. */
static int detach(char *const argv[], const struct kept *kept)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t between = fork();
    if (between == 0) {
        pid_t detached = fork();
        if (detached == 0)
            become(argv, ends[1], kept);
        _exit(detached < 0);
    }
    close(ends[1]);
    int status = 0;
    while (between > 0 && waitpid(between, &status, 0) < 0 && errno == EINTR)
        ;
    if (between > 0 && status == 0)
        return ends[0];
    close(ends[0]);
    return -1;
}

/* The byte that it says; 0 when it ended without. */
static char read_answer(int answer)
{
    char said = 0;
    while (read(answer, &said, 1) < 0 && errno == EINTR)
        ;
    close(answer);
    return said;
}

enum supervise_said supervise_start(const struct base *base, const struct runner_key *key,
                                    const struct runner_start *start, const char *path, int lock,
                                    const struct seat *seat)
{
    char epoch[16], timeout[16], cap[24], uid[16], tag[PROCESS_TAG_SIZE];
    snprintf(epoch, sizeof epoch, "%" PRIu32, key->epoch);
    snprintf(timeout, sizeof timeout, "%" PRIu32, start->timeout_secs);
    snprintf(cap, sizeof cap, "%" PRIu64, start->cap_bytes);
    snprintf(uid, sizeof uid, "%u", seat != NULL ? (unsigned)seat->uid : 0);
    process_tag(key->nonce, tag);
    const char *argv[] = {"fleet-runner",
                          "supervise",
                          base->path,
                          key->run,
                          epoch,
                          seat != NULL ? tag : key->nonce,
                          timeout,
                          cap,
                          start->folder,
                          path,
                          seat != NULL ? seat->name : "",
                          uid,
                          start->sandbox ? "1" : "0",
                          NULL};
    const struct kept kept = {
        .lock = lock,
        .seat = seat != NULL ? seat->lock : -1,
        .nonce = seat != NULL ? key->nonce : NULL,
    };
    int answer = detach((char *const *)argv, &kept);
    if (answer < 0)
        return SUPERVISE_FAILED;
    char said = read_answer(answer);
    return said >= '0' && said < '0' + SUPERVISE_FAILED ? (enum supervise_said)(said - '0')
                                                        : SUPERVISE_FAILED;
}

bool supervise_stop(pid_t pid, const struct runner_key *key, const struct runner_stop *stop)
{
    int value;
    struct process process;
    /* Its start time is taken before it is confirmed: what is signalled is what was confirmed. */
    if (!supervise_pack(stop, &value) || !process_read(pid, &process) ||
        process_supervisor(key, pid) != pid)
        return false;
    if (!signal_process(pid, process.start, SUPERVISE_STOP, value))
        return false;
    signal_process(pid, process.start, SIGCONT, -1); /* an agent may have stopped it */
    return true;
}

bool supervise_slay(const struct base *base, const struct runner_key *key,
                    const struct runner_stop *stop)
{
    char epoch[16], grace[8], term[8], account[RUNNER_ACCOUNT_SIZE], tag[PROCESS_TAG_SIZE];
    snprintf(epoch, sizeof epoch, "%" PRIu32, key->epoch);
    snprintf(grace, sizeof grace, "%u", stop->grace_secs);
    snprintf(term, sizeof term, "%u", stop->term_secs);
    process_tag(key->nonce, tag);
    bool other = run_account(base, key, account);
    const char *argv[] = {"fleet-runner",           "slay", base->path, key->run, epoch,
                          other ? tag : key->nonce, grace,  term,       account,  NULL};
    const struct kept kept = {.lock = -1, .seat = -1, .nonce = other ? key->nonce : NULL};
    int answer = detach((char *const *)argv, &kept);
    if (answer < 0)
        return false;
    read_answer(answer);
    return true;
}
