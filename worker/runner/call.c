/* Calls about one run, under its lock. */
#include "worker/runner/call.h"

void call_run(const struct base *base, enum frame_type type, struct frame_in *payload,
              const char *path, struct runner_reply *reply)
{
    (void)base, (void)type, (void)payload, (void)path, (void)reply;
}
