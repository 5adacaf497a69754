/* One run, from go to its status. */
#include "worker/runner/supervise.h"

enum supervise_said supervise_start(const struct base *base, const struct runner_key *key,
                                    const struct runner_start *start, const char *path, int lock)
{
    (void)base, (void)key, (void)start, (void)path, (void)lock;
    return SUPERVISE_FAILED;
}

bool supervise_stop(pid_t pid, const struct runner_key *key, const struct runner_stop *stop)
{
    (void)pid, (void)key, (void)stop;
    return false;
}

bool supervise_slay(const struct base *base, const struct runner_key *key,
                    const struct runner_stop *stop)
{
    (void)base, (void)key, (void)stop;
    return false;
}

int supervise_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 1;
}

int slay_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 1;
}
