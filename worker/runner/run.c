/* What lies in run directories, and what it means beside what lives. */
#include "worker/runner/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/process.h"
#include "worker/runner/seat.h"

#define LOOKS_MAX 3 /* at a directory that changes while we look */

/* --- One run --- */

/* Its parts of interest, read once. */
struct remains {
    int dir, go;         /* owned; -1 without */
    bool absent;         /* nothing lies there */
    bool ours;           /* a folder of ours with our nonce */
    bool voided, status; /* control files are there */
    bool claimed;        /* go is there */
    bool recorded;       /* and go/supervisor in it */
};

static bool has_nonce(int dir, const struct runner_key *key)
{
    char line[FILE_SMALL_MAX + 1];
    return file_line(dir, "nonce", line) && strcmp(line, key->nonce) == 0;
}

int run_open(const struct base *base, const struct runner_key *key)
{
    int dir = file_open_folder(base->runs, key->run);
    if (dir >= 0 && !has_nonce(dir, key)) {
        close(dir);
        dir = -1;
    }
    return dir;
}

static struct remains remains_open(const struct base *base, const struct runner_key *key)
{
    struct stat status;
    struct remains remains = {.dir = run_open(base, key), .go = -1};
    remains.absent = !file_look(base->runs, key->run, &status);
    if (remains.dir < 0)
        return remains;
    remains.claimed = file_look(remains.dir, "go", &status);
    remains.go = remains.claimed ? file_open_folder(remains.dir, "go") : -1;
    remains.ours = !remains.claimed || remains.go >= 0;
    remains.status = file_look(remains.dir, "status", &status);
    remains.voided = remains.go >= 0 && file_look(remains.go, "void", &status);
    remains.recorded = remains.go >= 0 && file_look(remains.go, "supervisor", &status);
    return remains;
}

static bool remains_same(const struct remains *one, const struct remains *other)
{
    return one->absent == other->absent && one->ours == other->ours &&
           one->voided == other->voided && one->status == other->status &&
           one->claimed == other->claimed && one->recorded == other->recorded;
}

static void remains_close(struct remains *remains)
{
    if (remains->dir >= 0)
        close(remains->dir);
    if (remains->go >= 0)
        close(remains->go);
}

int64_t run_epoch(int dir)
{
    char line[FILE_SMALL_MAX + 1];
    size_t len = file_line(dir, "epoch", line) ? strlen(line) : 0;
    if (len < 1 || len > 18 || strspn(line, "0123456789") != len)
        return INT64_MAX;
    return strtoll(line, NULL, 10);
}

/* At most `max` words of a line, separated by blanks; changes it. */
static int split(char *line, char **words, int max)
{
    int count = 0;
    for (char *at = strtok_r(line, " ", &line); at != NULL; at = strtok_r(NULL, " ", &line)) {
        if (count == max)
            return max + 1;
        words[count++] = at;
    }
    return count;
}

static bool is_number(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len <= 18 && strspn(text, "0123456789") == len;
}

static bool is_made_of(const char *text, const char *set, size_t size)
{
    size_t len = strlen(text);
    return len >= 1 && len < size && strspn(text, set) == len;
}

/* "dev inode dev inode" of out and err. False when nobody wrote that down. */
static bool is_recorded(int go, int stream, const struct stat *status, bool *same)
{
    char line[FILE_SMALL_MAX + 1], *words[4];
    if (go < 0 || !file_line(go, "output", line) || split(line, words, 4) != 4)
        return false;
    char text[48], was[48];
    snprintf(text, sizeof text, "%ju %ju", (uintmax_t)status->st_dev, (uintmax_t)status->st_ino);
    snprintf(was, sizeof was, "%.20s %.20s", words[2 * stream - 2], words[2 * stream - 1]);
    *same = strcmp(text, was) == 0;
    return true;
}

static const char *name_of(int stream)
{
    return stream == 1 ? "out" : "err";
}

/* 0 when the file is not the one that its supervisor writes: all that was read of it is gone. */
static int64_t size_of(const struct remains *remains, int stream)
{
    struct stat status;
    bool same = true;
    if (!file_look(remains->dir, name_of(stream), &status) || !S_ISREG(status.st_mode) ||
        status.st_uid != getuid() || (is_recorded(remains->go, stream, &status, &same) && !same))
        return remains->recorded ? 0 : -1;
    return status.st_size;
}

/* "pid start_time boot epoch" */
static void read_supervisor(int go, struct runner_record *record)
{
    char line[FILE_SMALL_MAX + 1], *words[4];
    if (!file_line(go, "supervisor", line) || split(line, words, 4) != 4 || !is_number(words[0]) ||
        !is_made_of(words[1], "0123456789", sizeof record->start) ||
        !is_made_of(words[2], FRAME_NAME, sizeof record->boot))
        return;
    record->pid = strtoll(words[0], NULL, 10);
    snprintf(record->start, sizeof record->start, "%s", words[1]);
    snprintf(record->boot, sizeof record->boot, "%s", words[2]);
}

static void read_proof(const char *line, struct runner_record *record)
{
    if (strncmp(line, "proof ", 6) == 0 &&
        is_made_of(line + 6, FRAME_WORD " ", sizeof record->proof))
        snprintf(record->proof, sizeof record->proof, "%s", line + 6);
}

/* "status nonce exit ms reason out_bytes err_bytes ." */
static void read_status(int dir, const struct runner_key *key, struct runner_record *record)
{
    char text[FILE_SMALL_MAX + 1], *words[8];
    record->state = RUNNER_ENDED;
    snprintf(record->reason, sizeof record->reason, "status_invalid");
    if (!file_text(dir, "status", text))
        return;
    char *second = strchr(text, '\n');
    if (second != NULL)
        *second++ = '\0';
    if (split(text, words, 8) != 8 || strcmp(words[0], "status") != 0 ||
        strcmp(words[1], key->nonce) != 0 || strcmp(words[7], ".") != 0 || !is_number(words[2]) ||
        !is_number(words[3]) || !is_made_of(words[4], FRAME_WORD, sizeof record->reason) ||
        !is_number(words[5]) || !is_number(words[6]) || strtoll(words[2], NULL, 10) > 255)
        return;
    record->exit = (int32_t)strtol(words[2], NULL, 10);
    record->signal = record->exit > 128 && record->exit <= 128 + 64 ? record->exit - 128 : 0;
    record->elapsed_ms = strtoll(words[3], NULL, 10);
    snprintf(record->reason, sizeof record->reason, "%s", words[4]);
    record->out_final = strtoll(words[5], NULL, 10);
    record->err_final = strtoll(words[6], NULL, 10);
    if (second != NULL)
        read_proof(second, record);
}

/* Its supervisor lives: it runs, whatever lies there. What cannot lie beside it is named; whoever
 * has seen it for a while calls it tampering. */
static void judge_living(const struct remains *remains, pid_t pid, struct runner_record *record)
{
    struct process process;
    const char *wrong = "";
    record->state = RUNNER_RUNNING;
    record->pid = pid;
    if (process_read(pid, &process))
        snprintf(record->start, sizeof record->start, "%llu", (unsigned long long)process.start);
    snprintf(record->boot, sizeof record->boot, "%s", process_boot());
    if (remains->absent)
        wrong = "rundir_missing";
    else if (!remains->ours)
        wrong = "rundir_foreign";
    else if (!remains->recorded)
        wrong = "supervisor_missing";
    else if (remains->voided)
        wrong = "void_forged";
    else if (remains->status)
        wrong = "status_early";
    snprintf(record->reason, sizeof record->reason, "%s", wrong);
}

/* Nothing of it lives: what lies there says what it was. */
static void judge_dead(const struct remains *remains, const struct runner_key *key,
                       struct runner_record *record)
{
    if (remains->absent)
        record->state = RUNNER_ABSENT;
    else if (!remains->ours)
        record->state = RUNNER_FOREIGN;
    else if (remains->status)
        read_status(remains->dir, key, record);
    else if (remains->voided)
        record->state = RUNNER_VOID;
    else if (remains->recorded)
        record->state = RUNNER_LOST;
    else
        record->state = RUNNER_PREPARED;
}

void run_record_init(struct runner_record *record, const struct runner_key *key)
{
    *record = (struct runner_record){.state = RUNNER_ABSENT,
                                     .epoch = -1,
                                     .pid = -1,
                                     .out_size = -1,
                                     .err_size = -1,
                                     .out_final = -1,
                                     .err_final = -1,
                                     .exit = -1,
                                     .signal = -1,
                                     .elapsed_ms = -1};
    snprintf(record->run, sizeof record->run, "%s", key->run);
}

static void describe(const struct remains *remains, const struct runner_key *key,
                     struct runner_record *record)
{
    run_record_init(record, key);
    if (!remains->ours)
        return;
    record->epoch = run_epoch(remains->dir);
    record->out_size = size_of(remains, 1);
    record->err_size = size_of(remains, 2);
    if (remains->recorded)
        read_supervisor(remains->go, record);
}

static bool read_account(int go, char name[static RUNNER_ACCOUNT_SIZE])
{
    char line[FILE_SMALL_MAX + 1];
    bool there = go >= 0 && file_line(go, "account", line) &&
                 is_made_of(line, FRAME_ACCOUNT, RUNNER_ACCOUNT_SIZE) && line[0] != '-' &&
                 line[0] != '.';
    snprintf(name, RUNNER_ACCOUNT_SIZE, "%.64s", there ? line : "");
    return there;
}

bool run_account(const struct base *base, const struct runner_key *key,
                 char name[static RUNNER_ACCOUNT_SIZE])
{
    struct remains remains = remains_open(base, key);
    bool there = read_account(remains.go, name);
    remains_close(&remains);
    return there;
}

/* In its account, whose processes bear no mark that we could read. */
static bool lives_elsewhere(const struct base *base, const struct remains *remains,
                            const struct runner_key *key)
{
    char account[RUNNER_ACCOUNT_SIZE];
    return read_account(remains->go, account) && seat_lives(base, account, key);
}

/* True when what lives decided, or what does not: without /proc nothing is proven gone. */
static bool judge_by_processes(const struct base *base, const struct remains *remains,
                               const struct runner_key *key, struct runner_record *record)
{
    bool fits = record->pid > 1 && record->pid <= INT32_MAX;
    pid_t pid = process_supervisor(key, fits ? (pid_t)record->pid : 0);
    if (pid > 0)
        judge_living(remains, pid, record);
    else if (process_marked(key, NULL, NULL) > 0 || lives_elsewhere(base, remains, key))
        record->state = RUNNER_ORPHANED;
    else if ((remains->recorded || key->pid > 0) && !process_known())
        record->state = RUNNER_RUNNING;
    else
        return false;
    return true;
}

/* A supervisor may start, or end, between the look at its directory and the look for itself: what
 * lies there counts when it was the same before and after. */
void run_look(const struct base *base, const struct runner_key *key, struct runner_record *record)
{
    for (int times = 0, same = false; times < LOOKS_MAX && !same; times++) {
        struct remains before = remains_open(base, key);
        describe(&before, key, record);
        same = judge_by_processes(base, &before, key, record);
        if (!same) {
            struct remains after = remains_open(base, key);
            same = remains_same(&before, &after);
            describe(&after, key, record);
            judge_dead(&after, key, record);
            remains_close(&after);
        }
        remains_close(&before);
    }
}

/* --- Output --- */

int run_open_output(int run, int stream, bool *replaced)
{
    struct stat status;
    bool same = true;
    int fd = file_open(run, name_of(stream), O_RDONLY), why = errno;
    int go = file_open_folder(run, "go");
    if (fd < 0 || fstat(fd, &status) != 0)
        status = (struct stat){0};
    bool known = is_recorded(go, stream, &status, &same);
    *replaced = fd >= 0 ? !same : known && why != EMFILE && why != ENFILE;
    if (go >= 0)
        close(go);
    if (fd >= 0 && *replaced) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* --- All runs --- */

static bool is_run_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < RUNNER_RUN_SIZE && name[0] != '.' &&
           strspn(name, FRAME_NAME ".") == len;
}

static bool read_key(const struct base *base, const char *name, struct runner_key *key)
{
    char line[FILE_SMALL_MAX + 1];
    *key = (struct runner_key){.pid = 0};
    snprintf(key->run, sizeof key->run, "%s", name);
    int dir = file_open_folder(base->runs, name);
    bool proper = dir >= 0 && file_line(dir, "nonce", line) && strlen(line) == 32 &&
                  strspn(line, FRAME_HEX) == 32;
    if (proper) {
        int64_t epoch = run_epoch(dir);
        memcpy(key->nonce, line, sizeof key->nonce);
        key->epoch = epoch >= 1 && epoch <= INT32_MAX ? (uint32_t)epoch : 1;
    }
    if (dir >= 0)
        close(dir);
    return proper;
}

void run_each(const struct base *base, void (*each)(void *data, const struct runner_key *key),
              void *data)
{
    struct runner_key key;
    struct dirent *entry;
    int fd = openat(base->runs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *runs = fd >= 0 ? fdopendir(fd) : NULL;
    if (runs == NULL && fd >= 0)
        close(fd);
    while (runs != NULL && (entry = readdir(runs)) != NULL) {
        if (is_run_name(entry->d_name) && read_key(base, entry->d_name, &key))
            each(data, &key);
    }
    if (runs != NULL)
        closedir(runs);
}
