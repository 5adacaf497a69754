/* fleet-runner: owns run directories on a host, and is each run's supervisor. */
#include <stdio.h>
#include <string.h>

#include "worker/runner/access.h"
#include "worker/runner/account.h"
#include "worker/runner/become.h"
#include "worker/runner/limit.h"
#include "worker/runner/move.h"
#include "worker/runner/muster.h"
#include "worker/runner/scene.h"
#include "worker/runner/serve.h"
#include "worker/runner/supervise.h"

static const struct {
    const char *word;
    int (*main)(int argc, char **argv);
} verbs[] = {
    /* As the account that SSH logs in as. */
    {"serve", serve_main},
    {"supervise", supervise_main},
    {"slay", slay_main},
    {"muster", muster_main},
    /* As that of a slot, behind sudo. */
    {"become", become_main},
    {"every", account_main},
    {"attend", attend_main},
    {"give", move_main},
    {"take", move_main},
    {"remove", account_remove_main},
    /* As the agent's, in its sandbox and in its job script. */
    {"begin", scene_main},
    {"limit", limit_main},
};

int main(int argc, char **argv)
{
    if (access_is_asked())
        return access_main(argc, argv);
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].word) == 0)
            return verbs[i].main(argc, argv);
    }
    fprintf(stderr, "fleet-runner " FLEET_VERSION ": run by fleet-worker, which brings it here\n");
    return 2;
}
