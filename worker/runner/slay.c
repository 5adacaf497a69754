/* What is left of a run without supervisor: found by its mark, ended by the same ladder. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/account.h"
#include "worker/runner/job.h"
#include "worker/runner/ladder.h"
#include "worker/runner/supervise.h"

#define LOOK_MS 200

static void sleep_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* They are nobody's children that tells us of their ends. True when none is left. */
static bool wait_for_none(struct ladder *ladder, int64_t secs)
{
    for (int64_t left = secs * 1000; ladder_look(ladder) > 0; left -= LOOK_MS) {
        if (left <= 0)
            return false;
        sleep_ms(LOOK_MS);
    }
    return true;
}

static void end_all(struct ladder *ladder, int64_t grace, int64_t term)
{
    if (grace > 0) {
        ladder_signal(ladder, SIGINT);
        if (wait_for_none(ladder, grace))
            return;
    }
    ladder_signal(ladder, SIGTERM);
    if (wait_for_none(ladder, term))
        return;
    do
        ladder_kill(ladder);
    while (!wait_for_none(ladder, 1));
}

/* The same in another account, unless somebody has taken it since: whoever does ends what lives
 * there. */
static bool wait_for_nothing(const struct base *base, const char *account,
                             const struct runner_key *key, int64_t secs)
{
    for (int64_t left = secs * 1000; seat_lives(base, account, key); left -= LOOK_MS) {
        if (left <= 0)
            return false;
        sleep_ms(LOOK_MS);
    }
    return true;
}

static void end_account(const struct base *base, const char *account, const struct runner_key *key,
                        const int64_t secs[static 2])
{
    struct seat seat;
    if (!seat_hold(base, account, &seat))
        return;
    const int signals[] = {SIGINT, SIGTERM};
    bool over = false;
    for (int i = 0; i < 2 && !over; i++) {
        over = wait_for_nothing(base, account, key, 0);
        if (!over && (signals[i] != SIGINT || secs[i] > 0)) {
            account_signal(account, signals[i], NULL);
            over = wait_for_nothing(base, account, key, secs[i]);
        }
    }
    while (seat_lives(base, account, key)) {
        account_signal(account, SIGKILL, NULL);
        wait_for_nothing(base, account, key, 1);
    }
    seat_leave(&seat);
}

int slay_main(int argc, char **argv)
{
    static struct base base;
    struct runner_key key = {0};
    int64_t grace, term;
    char why[256];
    if (argc != 9 || !supervise_take_key(argv + 3, &key) ||
        !supervise_take_number(argv[6], 0, 255, &grace) ||
        !supervise_take_number(argv[7], 0, 255, &term))
        return 2;
    umask(077);
    prctl(PR_SET_NAME, "fleet-runner");
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    close(SUPERVISE_ANSWER);
    const char *account = argv[8];
    bool there = base_open(&base, argv[2], why);
    if (account[0] == '\0') {
        struct ladder ladder = {.key = &key};
        end_all(&ladder, grace, term);
        ladder_release(&ladder);
    } else if (there) {
        end_account(&base, account, &key, (const int64_t[]){grace, term});
    }
    if (there)
        job_remove_tmp(&base, &key, account);
    return 0;
}
