/* fleet-runner: owns run directories on a host, and is each run's supervisor. */
#include <stdio.h>
#include <string.h>

#include "worker/runner/access.h"
#include "worker/runner/limit.h"
#include "worker/runner/serve.h"
#include "worker/runner/supervise.h"

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (access_is_asked())
        return access_main(argc, argv);
    if (strcmp(word, "serve") == 0)
        return serve_main(argc, argv);
    if (strcmp(word, "supervise") == 0)
        return supervise_main(argc, argv);
    if (strcmp(word, "slay") == 0)
        return slay_main(argc, argv);
    if (strcmp(word, "limit") == 0)
        return limit_main(argc, argv);
    fprintf(stderr, "fleet-runner " FLEET_VERSION ": run by fleet-worker, which brings it here\n");
    return 2;
}
