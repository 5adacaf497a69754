/* Removals of workspaces, one by one. */
#include "worker/dispatch/removal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/db.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/dispatch/dispatch.h"
#include "worker/dispatch/sweep.h"
#include "worker/host/host.h"
#include "worker/workspace/workspace.h"

#define PIECES_MAX "50"

/* One that SQL let go. Texts are owned. */
struct removal_piece {
    int64_t attempt;
    struct runner_key key;
    struct workspace_task task;
    char *task_id, *folder, *repo, *branch, *base_branch;
};

struct removal {
    struct sweep *sweep; /* borrowed */
    int count, at;
    struct removal_piece piece[];
};

static void next(struct removal *removal);

static void piece_release(struct removal_piece *piece)
{
    char *all[] = {piece->task_id, piece->folder, piece->repo, piece->branch, piece->base_branch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

/* `up`: the host was not lost on the way. */
static void end(struct removal *removal, bool up)
{
    struct sweep *sweep = removal->sweep;
    for (int i = 0; i < removal->count; i++)
        piece_release(&removal->piece[i]);
    free(removal);
    sweep_rest(sweep, up);
}

static void on_told(void *data, const struct db_result *res, const struct error *err)
{
    struct removal *removal = data;
    (void)res;
    if (err != NULL)
        node_failed(&removal->sweep->dispatch->node, "removal", err);
    removal->at++;
    if (err != NULL)
        end(removal, true);
    else
        next(removal);
}

/* `why`: NULL, it is gone. */
static void tell(struct removal *removal, const char *why, const char *detail)
{
    struct sweep *sweep = removal->sweep;
    const struct node *node = &sweep->dispatch->node;
    const struct removal_piece *piece = &removal->piece[removal->at];
    char attempt[24];
    snprintf(attempt, sizeof attempt, "%" PRId64, piece->attempt);
    if (why == NULL)
        sweep->tasks_gone++;
    else
        sweep->kept++;
    if (why != NULL)
        log_warn(LOG_ABOUT(LOG_FIELD("host", sweep->host_id), LOG_FIELD("task", piece->task_id)),
                 "its workspace is old and stays: %s: %s", why, detail);
    const char *params[] = {node->id, sweep->host_id, attempt, why};
    db_query(node->db, "select fleet.removed($1, $2, $3, $4)", DB_REPEAT, 4, params, on_told,
             removal);
}

static void on_removed(void *data, const struct runner_worked *worked, const struct error *err)
{
    struct removal *removal = data;
    const struct sweep *sweep = removal->sweep;
    if (err != NULL || sweep_host(removal->sweep) == NULL) {
        end(removal, false);
        return;
    }
    if (worked->rescue[0] != '\0')
        log_info(LOG_ABOUT(LOG_FIELD("host", sweep->host_id),
                           LOG_FIELD("task", removal->piece[removal->at].task_id)),
                 "what no server had of its workspace was pushed to %s", worked->rescue);
    const char *why = worked->reason[0] != '\0' ? worked->reason : "in_use";
    tell(removal, worked->state == WORK_READY ? NULL : why, worked->detail);
}

/* The account that its agent had. */
static const char *account_of(const struct host *host, const struct db_result *res, int row)
{
    const char *type = db_text(res, row, "agent_type");
    const struct config_agent *agent = type != NULL ? host_agent(host, type) : NULL;
    int64_t ordinal = db_int(res, row, "ordinal", 0);
    if (agent == NULL || strcmp(agent->isolation, "separate") != 0 || agent->run_as.count == 0)
        return NULL;
    bool there = ordinal >= 0 && (size_t)ordinal < agent->run_as.count;
    return agent->run_as.items[there ? (size_t)ordinal : 0];
}

static void next(struct removal *removal)
{
    struct host *host = sweep_host(removal->sweep);
    struct workspace_plan plan;
    struct error err = {0};
    if (host == NULL || removal->at == removal->count) {
        end(removal, host != NULL);
        return;
    }
    const struct removal_piece *piece = &removal->piece[removal->at];
    const struct config *config = node_settings(&removal->sweep->dispatch->node);
    bool good = workspace_plan(&plan, config, &piece->task, &err);
    if (good) {
        workspace_plan_removal(&plan, config);
        host_remove(host, &piece->key, &plan.work, on_removed, removal);
    }
    workspace_release(&plan);
    if (!good)
        tell(removal, err.state[0] != '\0' ? err.state : "workspace_failed", err.text);
}

static char *copy(const struct db_result *res, int row, const char *column)
{
    const char *text = db_text(res, row, column);
    return text != NULL ? mem_strdup(text) : NULL;
}

/* False: no host could be asked for it. */
static bool take(struct removal_piece *piece, const struct host *host, const struct db_result *res,
                 int row)
{
    *piece = (struct removal_piece){.attempt = db_int(res, row, "attempt", 0)};
    piece->task_id = copy(res, row, "task_id");
    piece->folder = copy(res, row, "folder");
    piece->repo = copy(res, row, "repo");
    piece->branch = copy(res, row, "branch");
    piece->base_branch = copy(res, row, "base_branch");
    piece->task = (struct workspace_task){.task_id = piece->task_id,
                                          .folder = piece->folder,
                                          .repo = piece->repo,
                                          .branch = piece->branch,
                                          .base_branch = piece->base_branch,
                                          .run_as = account_of(host, res, row),
                                          .number = (int)db_int(res, row, "number", 0),
                                          .leftovers = true};
    return piece->task_id != NULL && piece->folder != NULL && piece->repo != NULL &&
           piece->branch != NULL && sweep_key(&piece->key, res, row, db_text(res, row, "run"));
}

static void on_found(void *data, const struct db_result *res, const struct error *err)
{
    struct removal *removal = data;
    struct sweep *sweep = removal->sweep;
    struct host *host = sweep_host(sweep);
    free(removal);
    if (err != NULL || host == NULL) {
        if (err != NULL)
            node_failed(&sweep->dispatch->node, "removal", err);
        sweep_rest(sweep, host != NULL);
        return;
    }
    removal = mem_alloc(sizeof *removal + (size_t)(db_rows(res) + 1) * sizeof removal->piece[0]);
    removal->sweep = sweep;
    for (int row = 0; row < db_rows(res); row++) {
        if (take(&removal->piece[removal->count], host, res, row))
            removal->count++;
        else
            piece_release(&removal->piece[removal->count]);
    }
    next(removal);
}

void removal_begin(struct sweep *sweep)
{
    const struct node *node = &sweep->dispatch->node;
    struct removal *removal = mem_alloc(sizeof *removal);
    removal->sweep = sweep;
    const char *params[] = {node->id, sweep->host_id};
    db_query(node->db,
             "select attempt, folder, run, epoch, nonce, pid, start, boot, task_id, repo, branch, "
             "base_branch, number, agent_type, ordinal from fleet.removals($1, $2, " PIECES_MAX ")",
             DB_ONCE, 2, params, on_found, removal);
}
