/* What is left of a run without supervisor: found by its mark, ended by the same ladder. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

int slay_main(int argc, char **argv)
{
    static struct base base;
    struct runner_key key = {0};
    int64_t grace, term;
    char why[256];
    if (argc != 8 || !supervise_take_key(argv + 3, &key) ||
        !supervise_take_number(argv[6], 0, 255, &grace) ||
        !supervise_take_number(argv[7], 0, 255, &term))
        return 2;
    umask(077);
    prctl(PR_SET_NAME, "fleet-runner");
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    close(SUPERVISE_ANSWER);
    struct ladder ladder = {.key = &key};
    end_all(&ladder, grace, term);
    ladder_release(&ladder);
    if (base_open(&base, argv[2], why))
        job_remove_tmp(&base, &key);
    return 0;
}
