/* What a host is told of a task's repository, and what it says it did with it. Pure, but for the
 * files of a key and of known hosts. */
#ifndef FLEET_WORKSPACE_H
#define FLEET_WORKSPACE_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/config/config.h"
#include "common/error.h"
#include "worker/runner/work.h"

/* An attempt; texts are borrowed, NULL where there is none. */
struct workspace_task {
    const char *task_id, *folder, *repo, *branch;
    const char *base_branch; /* NULL: the repository's own */
    const char *run_as;      /* NULL: the account that we log in as */
    int number;
    bool leftovers; /* may be committed: the run ended well */
};

/* A frame's worth; `work` borrows from it. */
struct workspace_plan {
    struct runner_work work;
    struct buf secret, known_hosts, message, protect, hook; /* owned */
};

/* Does this task work in a clone there? */
bool workspace_wanted(const struct config_host *host, const char *repo);

/* False with err: the configuration lacks something, or a file of it cannot be read; err->state is
 * a word of fleet.reason. workspace_release() either way. */
bool workspace_plan(struct workspace_plan *plan, const struct config *config,
                    const struct workspace_task *task, struct error *err);
/* Beside that, what is run in the workspace before it is removed. */
void workspace_plan_removal(struct workspace_plan *plan, const struct config *config);
void workspace_release(struct workspace_plan *plan); /* wipes */

/* The URL of a repository, owned by the caller; NULL: neither git.url nor forgejo.url is set. */
char *workspace_url(const struct config *config, const char *repo);

/* Adds what the host said as one JSON object: members of attempt.work (migrations/README.md). */
void workspace_report(struct buf *out, const struct runner_worked *worked, const char *branch);

#endif
