/* HARVEST: takes in what an agent did, and pushes it. */
#include "worker/runner/harvest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/access.h"
#include "worker/runner/fault.h"
#include "worker/runner/file.h"
#include "worker/runner/leftover.h"
#include "worker/runner/look.h"
#include "worker/runner/move.h"
#include "worker/runner/push.h"
#include "worker/runner/repository.h"
#include "worker/runner/source.h"
#include "worker/runner/take.h"
#include "worker/runner/workspace.h"

#define ANSWER_MS 30000  /* what is kept of the limit for the answer */
#define ASKED "question" /* in the stage: "<number>\n" and what it asks */

struct harvest {
    const struct base *base;
    const struct runner_key *key;
    const struct runner_work *work;
    struct runner_worked *worked;
    struct git git;
    struct access access;
    struct stage stage;
    int tree; /* owned; the workspace's folder */
    char tree_path[4352];
    char note[WORK_DETAIL_SIZE]; /* what is said of it beside how it went */
    int64_t deadline;
    bool astray; /* see struct take */
};

static void note(struct harvest *harvest, const char *text)
{
    size_t len = strlen(harvest->note);
    if (text[0] != '\0')
        snprintf(harvest->note + len, sizeof harvest->note - len, "%s%s", len > 0 ? "; " : "",
                 text);
}

/* --- May we? --- */

static bool refuse_fenced(struct harvest *harvest, const char *detail)
{
    fault(harvest->worked, "", detail);
    harvest->worked->state = WORK_FENCED;
    return false;
}

/* A later owner of the attempt, or a later attempt of the task. */
static bool pass_fence(struct harvest *harvest)
{
    int run = run_open(harvest->base, harvest->key);
    int64_t epoch = run >= 0 ? run_epoch(run) : 0;
    if (run >= 0)
        close(run);
    if (epoch > harvest->key->epoch)
        return refuse_fenced(harvest, "the attempt has a later owner");
    if (stage_number(&harvest->stage) > (long)harvest->work->number)
        return refuse_fenced(harvest, "a later attempt has prepared the workspace");
    return true;
}

static bool open_stage(struct harvest *harvest)
{
    switch (stage_open(harvest->base, harvest->work->folder, false, &harvest->stage)) {
    case STAGE_OPEN:
        repository_tidy(harvest->stage.dir);
        return true;
    case STAGE_BUSY:
        return fault(harvest->worked, "workspace_busy", "another call works on this task's stage");
    case STAGE_NONE:
        return fault(harvest->worked, "workspace_failed", "this host has no stage of the task");
    case STAGE_FAILED:
        break;
    }
    return fault_of_errno(harvest->worked, "the stage cannot be opened");
}

static bool begin(struct harvest *harvest, const char *path, int channel)
{
    char why[256];
    if (!access_open(&harvest->access, harvest->work, why))
        return fault(harvest->worked, "workspace_failed", why);
    if (!git_init(&harvest->git, path, channel, harvest->deadline))
        return fault(harvest->worked, "git_missing", harvest->git.words);
    harvest->git.secret = harvest->access.mask;
    return open_stage(harvest) && pass_fence(harvest);
}

/* From the account that the agent had. */
static bool open_tree(struct harvest *harvest)
{
    char self[40];
    const char *why = move_folder(harvest->base, harvest->work->folder, NULL);
    if (why != NULL)
        return fault_of_move(harvest->worked, why);
    int tasks = file_open_folder(harvest->base->work, "tasks");
    harvest->tree = tasks >= 0 ? file_open_folder(tasks, harvest->work->folder) : -1;
    if (tasks >= 0)
        close(tasks);
    snprintf(self, sizeof self, "/proc/self/fd/%d", harvest->tree);
    ssize_t len =
        harvest->tree >= 0 ? readlink(self, harvest->tree_path, sizeof harvest->tree_path - 1) : 0;
    harvest->tree_path[len > 0 ? len : 0] = '\0';
    return harvest->tree >= 0 || fault(harvest->worked, "workspace_tampered",
                                       "the workspace is gone, or something else stands there");
}

/* --- What it asks --- */

static void read_asked(struct harvest *harvest)
{
    static char text[WORK_QUESTION_MAX + 32];
    int fd = file_open(harvest->stage.dir, ASKED, O_RDONLY);
    size_t len = fd >= 0 ? file_read_some(fd, text, sizeof text - 1) : 0;
    text[len] = '\0';
    if (fd >= 0)
        close(fd);
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*end == '\n' && number == harvest->work->number)
        harvest->worked->question =
            (struct runner_blob){end + 1, (uint32_t)(len - (size_t)(end + 1 - text))};
}

/* Once it lies in the stage it is taken away, so that the next attempt does not find it. */
static bool take_question(struct harvest *harvest)
{
    char text[WORK_QUESTION_MAX + 32];
    int fd = file_open(harvest->tree, WORKSPACE_QUESTION, O_RDONLY);
    if (fd >= 0) {
        size_t len = (size_t)snprintf(text, sizeof text, "%u\n", harvest->work->number);
        len += file_read_some(fd, text + len, WORK_QUESTION_MAX);
        close(fd);
        if (!file_write(harvest->stage.dir, ASKED, text, len))
            return fault_of_errno(harvest->worked, "the stage cannot be written");
        unlinkat(harvest->tree, WORKSPACE_QUESTION, 0);
    }
    read_asked(harvest);
    return true;
}

/* --- What it did --- */

static bool is_taken(struct harvest *harvest, enum take_end end, const char *what)
{
    char text[128];
    switch (end) {
    case TAKE_DONE:
    case TAKE_NONE:
    case TAKE_TAMPERED:
        return true;
    case TAKE_FULL:
        snprintf(text, sizeof text, "there is no room for what the agent %s", what);
        return fault(harvest->worked, "host_disk_full", text);
    case TAKE_FAILED:
        break;
    }
    snprintf(text, sizeof text, "what the agent %s cannot be taken in", what);
    if (harvest->git.end == GIT_DONE)
        return fault_of_errno(harvest->worked, text);
    return fault_of_git(harvest->worked, &harvest->git, "workspace_failed");
}

static bool take_commits(struct harvest *harvest, enum take_end *end)
{
    struct take take = {.git = &harvest->git,
                        .stage = &harvest->stage,
                        .tree = harvest->tree,
                        .branch = harvest->work->branch};
    *end = take_in(&take);
    harvest->astray = take.astray;
    note(harvest, take.note);
    return is_taken(harvest, *end, "committed");
}

static bool take_leftovers(struct harvest *harvest, enum take_end *end)
{
    char text[LEFTOVER_NAMES_SIZE + 32];
    struct leftover leftover = {.git = &harvest->git,
                                .stage = &harvest->stage,
                                .tree = harvest->tree,
                                .tree_path = harvest->tree_path,
                                .branch = harvest->work->branch,
                                .commit = harvest->work->leftovers && !harvest->astray,
                                .author = harvest->work->author,
                                .message = harvest->work->message};
    enum take_end left = leftover_take(&leftover);
    harvest->worked->leftovers = leftover.files;
    harvest->worked->withheld = leftover.withheld;
    if (leftover.withheld > 0) {
        snprintf(text, sizeof text, "not committed: %s", leftover.names);
        note(harvest, text);
    }
    if (left == TAKE_TAMPERED) {
        snprintf(text, sizeof text, "what was left uncommitted stays so: %.200s",
                 harvest->git.words);
        note(harvest, text);
        *end = left;
    }
    return is_taken(harvest, left, "left uncommitted");
}

static void keep_tampered(struct harvest *harvest)
{
    harvest->worked->state = WORK_KEPT;
    snprintf(harvest->worked->reason, sizeof harvest->worked->reason, "workspace_tampered");
    harvest->worked->detail[0] = '\0';
}

static void push(struct harvest *harvest, enum take_end taken)
{
    static struct push push;
    push = (struct push){.git = &harvest->git,
                         .stage = &harvest->stage,
                         .work = harvest->work,
                         .access = &harvest->access,
                         .worked = harvest->worked};
    if (!push_open(&push))
        return;
    if (taken == TAKE_TAMPERED || (taken == TAKE_NONE && !harvest->work->leftovers)) {
        keep_tampered(harvest);
        return;
    }
    int64_t limit = clock_now() + (int64_t)harvest->work->push_secs * 1000;
    harvest->git.deadline = limit < harvest->deadline ? limit : harvest->deadline;
    if (pass_fence(harvest))
        push_branch(&push);
}

/* --- HARVEST --- */

static void run(struct harvest *harvest)
{
    enum take_end taken;
    if (open_tree(harvest) && take_question(harvest) && take_commits(harvest, &taken) &&
        take_leftovers(harvest, &taken))
        push(harvest, taken);
}

/* How it went comes first. */
static void add_note(struct harvest *harvest)
{
    char *detail = harvest->worked->detail;
    size_t len = strlen(detail);
    if (harvest->note[0] != '\0')
        snprintf(detail + len, WORK_DETAIL_SIZE - len, "%s%s", len > 0 ? "; " : "", harvest->note);
    char shown[WORK_DETAIL_SIZE];
    look_show(detail, shown, sizeof shown);
    memcpy(detail, shown, sizeof shown);
}

void harvest_run(const struct base *base, const struct runner_key *key,
                 const struct runner_work *work, const char *path, int channel,
                 struct runner_worked *worked)
{
    static struct harvest harvest;
    harvest = (struct harvest){.base = base,
                               .key = key,
                               .work = work,
                               .worked = worked,
                               .access = {.secret = -1, .known_hosts = -1},
                               .stage = {.dir = -1, .lock = -1},
                               .tree = -1,
                               .deadline = clock_now() + work_limit_ms(work) - ANSWER_MS};
    if (begin(&harvest, path, channel))
        run(&harvest);
    add_note(&harvest);
    if (harvest.tree >= 0)
        close(harvest.tree);
    stage_close(&harvest.stage);
    access_close(&harvest.access);
}
