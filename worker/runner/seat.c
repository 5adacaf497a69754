/* Locks and records of accounts. */
#include "worker/runner/seat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/account.h"
#include "worker/runner/file.h"
#include "worker/runner/process.h"
#include "worker/runner/source.h"

#define RECORD_LEN 160 /* always, so that nobody reads half of one */
#define PAUSE_MS 20

/* --- Records --- */

struct record {
    uid_t uid;
    char run[RUNNER_RUN_SIZE], nonce[RUNNER_NONCE_SIZE];
};

static bool read_record(int seats, const char *name, struct record *record)
{
    char line[FILE_SMALL_MAX + 1], *rest;
    *record = (struct record){0};
    if (!file_line(seats, name, line))
        return false;
    record->uid = (uid_t)strtoul(line, &rest, 10);
    return rest != line && sscanf(rest, "%71s %32s", record->run, record->nonce) == 2;
}

/* In place: the lock is of this very file. */
static bool write_record(const struct seat *seat, const char *run, const char *nonce)
{
    char line[RECORD_LEN];
    memset(line, ' ', sizeof line);
    int len = snprintf(line, sizeof line, "%u %s %s", (unsigned)seat->uid, run, nonce);
    line[len] = ' ';
    line[RECORD_LEN - 1] = '\n';
    return pwrite(seat->lock, line, RECORD_LEN, 0) == RECORD_LEN;
}

/* --- Taking one --- */

static bool take_lock(const struct base *base, struct seat *seat)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    int seats = file_make_folder(base->fleet, "seats");
    if (seats < 0)
        return false;
    seat->lock =
        openat(seats, seat->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    close(seats);
    int64_t deadline = clock_now() + SEAT_MS;
    while (seat->lock >= 0 && flock(seat->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_now() > deadline)
            return false;
        nanosleep(&pause, NULL);
    }
    return seat->lock >= 0;
}

static const char *clear(const struct base *base, struct seat *seat)
{
    if (process_hides() || !account_open_way(base))
        return "account_failed";
    enum account_said said = account_clear(seat->name, &seat->uid);
    if (said == ACCOUNT_SOME)
        return "account_busy";
    if (said != ACCOUNT_NONE || seat->uid == 0 || seat->uid == getuid())
        return "account_failed";
    return write_record(seat, "-", "-") ? NULL : "host_disk_full";
}

bool seat_hold(const struct base *base, const char *name, struct seat *seat)
{
    *seat = (struct seat){.lock = -1};
    snprintf(seat->name, sizeof seat->name, "%s", name);
    bool held = take_lock(base, seat);
    if (!held)
        seat_leave(seat);
    return held;
}

const char *seat_take(const struct base *base, const char *name, struct seat *seat)
{
    const char *why = seat_hold(base, name, seat) ? clear(base, seat) : "account_busy";
    if (why != NULL)
        seat_leave(seat);
    return why;
}

bool seat_give(const struct seat *seat, const struct runner_key *key)
{
    return write_record(seat, key->run, key->nonce);
}

void seat_leave(struct seat *seat)
{
    if (seat->lock >= 0)
        close(seat->lock);
    seat->lock = -1;
}

/* --- Whose --- */

bool seat_of(const struct base *base, uid_t uid, char name[static RUNNER_ACCOUNT_SIZE])
{
    struct record record;
    bool found = false;
    int seats = file_open_folder(base->fleet, "seats");
    DIR *names = seats < 0 ? NULL : fdopendir(seats);
    if (names == NULL && seats >= 0)
        close(seats);
    for (const struct dirent *entry; !found && names != NULL && (entry = readdir(names)) != NULL;) {
        found = strlen(entry->d_name) < RUNNER_ACCOUNT_SIZE && entry->d_name[0] != '.' &&
                read_record(dirfd(names), entry->d_name, &record) && record.uid == uid;
        if (found)
            memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
    }
    if (names != NULL)
        closedir(names);
    return found;
}

bool seat_lives(const struct base *base, const char *name, const struct runner_key *key)
{
    struct record record;
    int seats = file_open_folder(base->fleet, "seats");
    bool last = seats >= 0 && read_record(seats, name, &record) &&
                strcmp(record.run, key->run) == 0 && strcmp(record.nonce, key->nonce) == 0;
    if (seats >= 0)
        close(seats);
    return last && process_count(record.uid) > 0;
}
