/* The runner on a host and the agents that it finds, judged. */
#ifndef FLEET_CHECK_AGENTS_H
#define FLEET_CHECK_AGENTS_H

#include "common/config/config.h"
#include "common/error.h"
#include "worker/check/sheet.h"
#include "worker/runner/frame.h"

/* What the runner is asked to look for: the agents of a host. */
struct agents_looks {
    struct runner_look looks[RUNNER_LOOKS_MAX]; /* commands owned */
    size_t agents[RUNNER_LOOKS_MAX];            /* of the host, in the same order */
    int count;
};

void agents_choose(struct agents_looks *looks, const struct config *config,
                   const struct config_host *host);
void agents_release(struct agents_looks *looks);

/* What became of the runner. */
struct agents_seen {
    const char *system;                  /* as the host's `uname -sm` says it; "" = not known */
    const char *folder;                  /* where it was for this check; NULL: it was not tried */
    const struct runner_greeting *hello; /* NULL: it did not answer */
    const struct error *trouble;         /* why not; NULL: it was not tried */
};

/* Adds a row for the runner and one for each agent. */
void agents_judge(struct check_sheet *sheet, const struct config *config,
                  const struct config_host *host, const struct agents_looks *looks,
                  const struct agents_seen *seen);

#endif
