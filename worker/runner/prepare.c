/* PREPARE: the mirror, the stage, the workspace. */
#include "worker/runner/prepare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/access.h"
#include "worker/runner/fault.h"
#include "worker/runner/file.h"
#include "worker/runner/leftover.h"
#include "worker/runner/look.h"
#include "worker/runner/mirror.h"
#include "worker/runner/move.h"
#include "worker/runner/origin.h"
#include "worker/runner/process.h"
#include "worker/runner/push.h"
#include "worker/runner/repository.h"
#include "worker/runner/source.h"
#include "worker/runner/space.h"
#include "worker/runner/take.h"
#include "worker/runner/workspace.h"

#define ANSWER_MS 30000 /* what is kept of the limit for the answer */

struct prepare {
    const struct base *base;
    const struct runner_key *key;
    const struct runner_work *work;
    struct runner_worked *worked;
    struct git git;
    struct access access;
    struct stage stage;
    struct mirror mirror;
    struct workspace workspace;
    struct origin origin;
    struct trusted_paths paths;
    char note[WORK_DETAIL_SIZE]; /* what is said of it beside how it went */
    int64_t deadline;
};

static void note(struct prepare *prepare, const char *text)
{
    size_t len = strlen(prepare->note);
    if (text[0] != '\0')
        snprintf(prepare->note + len, sizeof prepare->note - len, "%s%s", len > 0 ? "; " : "",
                 text);
}

/* What failed in git, or in the kernel when git did not. */
static bool fail(struct prepare *prepare, const char *what)
{
    if (prepare->git.end == GIT_DONE)
        return fault_of_errno(prepare->worked, what);
    return fault_of_git(prepare->worked, &prepare->git, "workspace_failed");
}

/* --- May we? --- */

static bool refuse_fenced(struct prepare *prepare, const char *detail)
{
    fault(prepare->worked, "", detail);
    prepare->worked->state = WORK_FENCED;
    return false;
}

/* A later owner of the attempt, or a later attempt of the task. */
static bool pass_fence(struct prepare *prepare)
{
    struct runner_record record;
    char number[16];
    int run = run_open(prepare->base, prepare->key);
    int64_t epoch = run >= 0 ? run_epoch(run) : 0;
    if (run >= 0)
        close(run);
    if (epoch > prepare->key->epoch)
        return refuse_fenced(prepare, "the attempt has a later owner");
    if (stage_number(&prepare->stage) > (long)prepare->work->number)
        return refuse_fenced(prepare, "a later attempt has prepared the workspace");
    run_look(prepare->base, prepare->key, &record);
    if (record.state != RUNNER_ABSENT && record.state != RUNNER_PREPARED &&
        record.state != RUNNER_FOREIGN)
        return fault(prepare->worked, "workspace_busy", "the attempt has been started");
    int len = snprintf(number, sizeof number, "%u\n", prepare->work->number);
    return file_write(prepare->stage.dir, "number", number, (size_t)len) ||
           fault_of_errno(prepare->worked, "the stage cannot be written");
}

static bool open_stage(struct prepare *prepare)
{
    switch (stage_open(prepare->base, prepare->work->folder, true, &prepare->stage)) {
    case STAGE_OPEN:
        return true;
    case STAGE_BUSY:
        return fault(prepare->worked, "workspace_busy", "another call works on this task's stage");
    case STAGE_NONE:
    case STAGE_FAILED:
        break;
    }
    return fault_of_errno(prepare->worked, "the stage cannot be opened");
}

static bool begin(struct prepare *prepare, const char *path, int channel)
{
    char why[256], branch[WORK_REF_SIZE + 16];
    snprintf(branch, sizeof branch, "refs/heads/%s", prepare->work->branch);
    if (!refs_is_name(branch))
        return fault(prepare->worked, "workspace_failed", "the branch has no proper name");
    if (!access_open(&prepare->access, prepare->work, why))
        return fault(prepare->worked, "workspace_failed", why);
    if (!git_init(&prepare->git, path, channel, prepare->deadline))
        return fault(prepare->worked, "git_missing", prepare->git.words);
    prepare->git.secret = prepare->access.mask;
    prepare->git.disk = prepare->base->dir;
    prepare->git.floor = prepare->work->min_free;
    if (!space_is_left(prepare->base->dir, prepare->work->min_free, why))
        return fault(prepare->worked, "host_disk_full", why);
    return open_stage(prepare) && pass_fence(prepare);
}

/* --- The stage --- */

static bool make_stage(struct prepare *prepare)
{
    char objects[sizeof prepare->mirror.path + 16], head[REFS_NAME_SIZE + 16];
    snprintf(objects, sizeof objects, "%s/objects", prepare->mirror.path);
    snprintf(head, sizeof head, "refs/heads/%s", prepare->work->branch);
    struct repository plan = {
        .bare = true, .sha256 = prepare->mirror.sha256, .head = head, .alternates = {objects}};
    repository_tidy(prepare->stage.dir);
    return (repository_make(prepare->stage.dir, &plan) &&
            repository_copy_shallow(prepare->mirror.dir, prepare->stage.dir)) ||
           fault_of_errno(prepare->worked, "the stage cannot be made");
}

/* --- What the last attempt left --- */

static bool is_taken(struct prepare *prepare, enum take_end end, const char *what)
{
    char text[128];
    if (end != TAKE_FULL && end != TAKE_FAILED)
        return true;
    snprintf(text, sizeof text, "what the last attempt %s cannot be taken in", what);
    return end == TAKE_FULL ? fault(prepare->worked, "host_disk_full", text) : fail(prepare, text);
}

static bool take_commits(struct prepare *prepare)
{
    struct take take = {.git = &prepare->git,
                        .stage = &prepare->stage,
                        .tree = prepare->workspace.tree,
                        .branch = prepare->work->branch};
    enum take_end end = take_in(&take);
    note(prepare, take.note);
    return is_taken(prepare, end, "committed");
}

static bool take_leftovers(struct prepare *prepare)
{
    struct leftover leftover = {.git = &prepare->git,
                                .stage = &prepare->stage,
                                .tree = prepare->workspace.tree,
                                .tree_path = prepare->workspace.path,
                                .branch = prepare->work->branch,
                                .commit = true,
                                .author = prepare->work->author,
                                .message = prepare->work->message};
    return is_taken(prepare, leftover_take(&leftover), "left uncommitted");
}

/* Mostly its harvest did that. A tree that we were moving is no agent's. */
static bool take_last(struct prepare *prepare)
{
    const struct workspace *workspace = &prepare->workspace;
    char tree[REFS_COMMIT_SIZE];
    bool agents = prepare->work->leftovers && !workspace->fresh && !workspace->moving;
    if (!stage_ref(&prepare->stage, WORKSPACE_TREE, tree))
        return true;
    return take_commits(prepare) && (!agents || take_leftovers(prepare));
}

/* --- The workspace --- */

/* From the account of a slot that had it in the last run. */
static bool bring_back(struct prepare *prepare)
{
    const char *why = move_folder(prepare->base, prepare->work->folder, NULL);
    return why == NULL || fault_of_move(prepare->worked, why);
}

static bool open_workspace(struct prepare *prepare)
{
    struct workspace *workspace = &prepare->workspace;
    workspace->git = &prepare->git;
    workspace->stage = &prepare->stage;
    workspace->work = prepare->work;
    workspace->mirror = prepare->mirror.path;
    workspace->mirror_dir = prepare->mirror.dir;
    workspace->sha256 = prepare->mirror.sha256;
    if (!bring_back(prepare))
        return false;
    if (!workspace_open(workspace, prepare->base->work))
        return fault_of_errno(prepare->worked, "the workspace cannot be opened");
    if (process_works_in(workspace->path))
        return fault(prepare->worked, "workspace_busy", "a process works in the workspace");
    file_remove_pipes(workspace->tree);
    return true;
}

static bool write_down(struct prepare *prepare)
{
    const struct origin *origin = &prepare->origin;
    const struct stage *stage = &prepare->stage;
    char branch[REFS_NAME_SIZE + 16];
    int len = snprintf(branch, sizeof branch, "%s\n", origin->base_name + 11);
    bool noted = file_write(stage->dir, "base_branch", branch, (size_t)len);
    snprintf(branch, sizeof branch, "refs/heads/%s", prepare->work->branch);
    if (origin->start[0] != '\0')
        noted = noted && stage_set(stage, branch, origin->start) &&
                stage_set(stage, STAGE_START, origin->start);
    if (origin->began[0] != '\0')
        noted = noted && stage_set(stage, STAGE_BASE, origin->began);
    if (origin->server[0] != '\0')
        noted = noted && stage_set(stage, STAGE_PUSHED, origin->server);
    else
        unlinkat(stage->dir, STAGE_PUSHED, 0);
    return noted || fault_of_errno(prepare->worked, "the stage cannot be written");
}

/* What the agent left, or what we took in of it, is `ours`; on to `start`. */
static bool make_workspace(struct prepare *prepare)
{
    struct origin *origin = &prepare->origin;
    struct workspace *workspace = &prepare->workspace;
    if (!workspace_move(workspace, origin->ours, origin->start, origin->base, &prepare->paths) ||
        !workspace_make_git(workspace, origin->start, origin->base_name, origin->base,
                            &prepare->paths))
        return fail(prepare, "the workspace cannot be made");
    unlinkat(workspace->tree, WORKSPACE_QUESTION, 0); /* an earlier attempt's, or the branch's */
    return write_down(prepare);
}

/* To the account that the agent has. */
static bool hand_over(struct prepare *prepare)
{
    const char *why = prepare->work->run_as[0] == '\0'
                          ? NULL
                          : move_to(prepare->base, prepare->work->folder, prepare->work->run_as);
    return why == NULL || fault_of_move(prepare->worked, why);
}

static bool find_origin(struct prepare *prepare)
{
    struct origin *origin = &prepare->origin;
    *origin = (struct origin){0};
    if (origin_find_base(origin, &prepare->git, &prepare->mirror, &prepare->stage) &&
        origin_find_start(origin, &prepare->git, &prepare->mirror, &prepare->stage))
        return true;
    return prepare->git.end != GIT_DONE && fail(prepare, "");
}

/* Where somebody else's commits are on the server in place of ours, ours go to a branch of their
 * own before anything is done. */
static bool rescue(struct prepare *prepare)
{
    char why[2 * REFS_NAME_SIZE];
    struct runner_worked pushed = *prepare->worked;
    struct push push = {.git = &prepare->git,
                        .stage = &prepare->stage,
                        .work = prepare->work,
                        .access = &prepare->access,
                        .worked = &pushed};
    if (!prepare->origin.diverged)
        return true;
    if (!push_open(&push) || !push_rescue(&push)) {
        *prepare->worked = pushed;
        prepare->worked->state = WORK_FAILED;
        return false;
    }
    memcpy(prepare->worked->rescue, pushed.rescue, sizeof pushed.rescue);
    snprintf(why, sizeof why,
             "the branch went another way on the server: what it had is kept as %s", pushed.rescue);
    note(prepare, why);
    return true;
}

static bool make(struct prepare *prepare)
{
    prepare->git.deadline = prepare->deadline;
    prepare->note[0] = '\0';
    workspace_look(&prepare->workspace);
    return make_stage(prepare) && take_last(prepare) && find_origin(prepare) && rescue(prepare) &&
           make_workspace(prepare);
}

/* --- PREPARE --- */

static void answer(struct prepare *prepare)
{
    struct runner_worked *worked = prepare->worked;
    const struct origin *origin = &prepare->origin;
    worked->state = WORK_READY;
    worked->reason[0] = worked->detail[0] = '\0';
    look_show(origin->base_name + 11, worked->base_branch, sizeof worked->base_branch);
    snprintf(worked->base, sizeof worked->base, "%s", origin->began);
    snprintf(worked->head, sizeof worked->head, "%s", origin->start);
    snprintf(worked->pushed, sizeof worked->pushed, "%s", origin->server);
    if (prepare->workspace.aside[0] != '\0') {
        char aside[sizeof prepare->stage.path + 256];
        snprintf(aside, sizeof aside,
                 "uncommitted changes stood in the way of the branch's new head: that working tree "
                 "is kept on the host as %s/%s",
                 prepare->stage.path, prepare->workspace.aside);
        note(prepare, aside);
    }
    look_show(prepare->note, worked->detail, sizeof worked->detail);
    trusted_instructions(&prepare->git, prepare->stage.path, origin->base, worked->instructions,
                         sizeof worked->instructions);
}

static void run(struct prepare *prepare, const char *path, int channel)
{
    if (!begin(prepare, path, channel) || !mirror_open(&prepare->mirror) ||
        !open_workspace(prepare))
        return;
    bool made = make(prepare);
    if (!made && fault_is_damage(&prepare->git)) {
        trusted_release(&prepare->paths);
        made = mirror_remake(&prepare->mirror) && make(prepare);
    }
    if (made && hand_over(prepare))
        answer(prepare);
}

void prepare_run(const struct base *base, const struct runner_key *key,
                 const struct runner_work *work, const char *path, int channel,
                 struct runner_worked *worked)
{
    static struct prepare prepare;
    prepare = (struct prepare){
        .base = base,
        .key = key,
        .work = work,
        .worked = worked,
        .access = {.secret = -1, .known_hosts = -1},
        .stage = {.dir = -1, .lock = -1},
        .workspace = {.tasks = -1, .tree = -1},
        .deadline = clock_now() + work_limit_ms(work) - ANSWER_MS,
    };
    prepare.mirror = (struct mirror){.base = base,
                                     .work = work,
                                     .access = &prepare.access,
                                     .git = &prepare.git,
                                     .worked = worked,
                                     .mirrors = -1,
                                     .dir = -1,
                                     .lock = -1};
    run(&prepare, path, channel);
    trusted_release(&prepare.paths);
    workspace_close(&prepare.workspace);
    mirror_close(&prepare.mirror);
    stage_close(&prepare.stage);
    access_close(&prepare.access);
}
