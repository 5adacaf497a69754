/* PREPARE: makes the workspace of a task's attempt. */
#include "worker/runner/prepare.h"

void prepare_run(const struct base *base, const struct runner_key *key,
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
