/* HARVEST: takes in what an agent did, and pushes it. */
#include "worker/runner/harvest.h"

void harvest_run(const struct base *base, const struct runner_key *key,
                 const struct runner_work *work, const char *path, int channel,
                 struct runner_worked *worked)
{
    (void)base;
    (void)key;
    (void)work;
    (void)path;
    (void)channel;
    (void)worked;
}
