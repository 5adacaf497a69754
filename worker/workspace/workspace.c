/* Plans and reports of workspaces. */
#include "worker/workspace/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/text.h"

bool workspace_wanted(const struct config_host *host, const char *repo)
{
    return host != NULL && repo != NULL && repo[0] != '\0' && strcmp(host->workspace, "git") == 0;
}

char *workspace_url(const struct config *config, const char *repo)
{
    static const char place[] = "{repository}";
    const char *pattern = config->git.url;
    char *below = NULL;
    if (pattern == NULL && config->forgejo.url != NULL) {
        size_t len = strlen(config->forgejo.url);
        while (len > 0 && config->forgejo.url[len - 1] == '/')
            len--;
        pattern = below = mem_printf("%.*s/{repository}.git", (int)len, config->forgejo.url);
    }
    if (pattern == NULL)
        return NULL;
    const char *at = strstr(pattern, place);
    char *url = mem_printf("%.*s%s%s", (int)(at - pattern), pattern, repo, at + sizeof place - 1);
    free(below);
    return url;
}

/* "owner/name" as one of "*", "owner/" and "*", or itself. */
static bool lists(const struct config_list *list, const char *repo)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *entry = list->items[i];
        size_t len = strlen(entry);
        bool all = len > 0 && entry[len - 1] == '*';
        if (all ? strncmp(entry, repo, len - 1) == 0 : strcmp(entry, repo) == 0)
            return true;
    }
    return false;
}

static bool read_file(struct buf *out, const char *path, const char *key, struct error *err)
{
    char bytes[4096];
    ssize_t n = -1;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (file >= 0 && (n = read(file, bytes, sizeof bytes)) > 0)
        buf_add(out, bytes, (size_t)n);
    int why = errno;
    if (file >= 0)
        close(file);
    crypto_wipe(bytes, sizeof bytes);
    if (file >= 0 && n == 0 && !out->failed)
        return true;
    error_set_state(err, "git_auth_failed", "git.%s: %s cannot be read: %s", key, path,
                    out->failed ? "it is too large" : strerror(why));
    return false;
}

static struct runner_blob blob(const char *bytes, size_t len)
{
    return (struct runner_blob){.bytes = bytes != NULL ? bytes : "", .len = (uint32_t)len};
}

static struct runner_blob text_blob(const char *text)
{
    return blob(text, text != NULL ? strlen(text) : 0);
}

/* Who we are to the server: what its scheme asks for, of what the configuration has. */
static bool plan_access(struct workspace_plan *plan, const struct config *config, struct error *err)
{
    struct runner_work *work = &plan->work;
    bool http = strncmp(work->url, "http", 4) == 0, ssh = strncmp(work->url, "ssh:", 4) == 0;
    if (http && config->git.password != NULL) {
        const char *user = config->git.username;
        work->access = ACCESS_PASSWORD;
        snprintf(work->user, sizeof work->user, "%s", user != NULL ? user : "agent-fleet");
        buf_adds(&plan->secret, config->git.password);
    } else if (ssh && config->git.ssh_key_path != NULL) {
        if (config->git.known_hosts == NULL) {
            error_set_state(err, "git_auth_failed",
                            "git.known_hosts is not set: the git server's key cannot be verified");
            return false;
        }
        work->access = ACCESS_SSH;
        if (!read_file(&plan->secret, config->git.ssh_key_path, "ssh_key_path", err) ||
            !read_file(&plan->known_hosts, config->git.known_hosts, "known_hosts", err))
            return false;
    }
    work->secret = blob(plan->secret.data, plan->secret.len);
    work->known_hosts = blob(plan->known_hosts.data, plan->known_hosts.len);
    return true;
}

static bool fits(char *slot, size_t size, const char *text, const char *what, struct error *err)
{
    int len = snprintf(slot, size, "%s", text != NULL ? text : "");
    if (len >= 0 && (size_t)len < size)
        return true;
    error_set_state(err, "workspace_failed", "the %s is too long for a host: %s", what, text);
    return false;
}

static bool plan_names(struct workspace_plan *plan, const struct config *config,
                       const struct workspace_task *task, struct error *err)
{
    struct runner_work *work = &plan->work;
    char *url = workspace_url(config, task->repo);
    if (url == NULL) {
        error_set_state(err, "workspace_failed",
                        "neither git.url nor forgejo.url says where %s is cloned from", task->repo);
        return false;
    }
    bool good = fits(work->folder, sizeof work->folder, task->folder, "folder", err) &&
                fits(work->repository, sizeof work->repository, task->repo, "repository", err) &&
                fits(work->url, sizeof work->url, url, "URL", err) &&
                fits(work->branch, sizeof work->branch, task->branch, "branch", err) &&
                fits(work->run_as, sizeof work->run_as, task->run_as, "account", err);
    free(url);
    if (good && task->base_branch != NULL && strlen(task->base_branch) >= WORK_REF_SIZE) {
        error_set_state(err, "base_missing", "the base branch's name is too long");
        return false;
    }
    return good;
}

bool workspace_plan(struct workspace_plan *plan, const struct config *config,
                    const struct workspace_task *task, struct error *err)
{
    struct runner_work *work = &plan->work;
    *plan = (struct workspace_plan){0};
    buf_init(&plan->secret, WORK_BLOB_MAX);
    buf_init(&plan->known_hosts, WORK_BLOB_MAX);
    buf_init(&plan->message, WORK_BLOB_MAX);
    buf_init(&plan->protect, WORK_BLOB_MAX);
    buf_init(&plan->hook, WORK_BLOB_MAX);
    if (!plan_names(plan, config, task, err) || !plan_access(plan, config, err))
        return false;
    buf_addf(&plan->message, "%s: what the agent left uncommitted\n\nAttempt: %d\n", task->branch,
             task->number);
    for (size_t i = 0; i < config->git.protected_branches.count; i++)
        buf_addf(&plan->protect, "%s\n", config->git.protected_branches.items[i]);
    work->number = (uint32_t)task->number;
    work->base = text_blob(task->base_branch);
    work->fetch_secs = (uint32_t)config->git.fetch_timeout_secs;
    work->push_secs = (uint32_t)config->git.push_timeout_secs;
    work->min_free = (uint64_t)config->git.min_free_bytes;
    work->leftovers = task->leftovers && config->git.commit_leftovers;
    work->workflows = lists(&config->git.allow_workflows, task->repo);
    work->author = text_blob(config->git.author);
    work->message = blob(plan->message.data, plan->message.len);
    work->protect = blob(plan->protect.data, plan->protect.len);
    return true;
}

void workspace_plan_removal(struct workspace_plan *plan, const struct config *config)
{
    const struct config_list *words = &config->git.before_remove;
    for (size_t i = 0; i < words->count; i++) {
        buf_adds(&plan->hook, i == 0 ? "exec " : " ");
        text_shell_quote(&plan->hook, words->items[i]);
    }
    plan->work.before_remove = blob(plan->hook.data, plan->hook.len);
    plan->work.hook_secs = (uint32_t)config->git.hook_timeout_secs;
}

void workspace_release(struct workspace_plan *plan)
{
    struct buf *parts[] = {&plan->secret, &plan->known_hosts, &plan->message, &plan->protect,
                           &plan->hook};
    if (plan->secret.data != NULL)
        crypto_wipe(plan->secret.data, plan->secret.len);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        buf_release(parts[i]);
}

/* --- Reports --- */

static void member_text(struct buf *out, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, text, strlen(text));
}

static void member_number(struct buf *out, const char *name, int64_t number)
{
    if (number >= 0)
        buf_addf(out, ",\"%s\":%" PRId64, name, number);
}

void workspace_report(struct buf *out, const struct runner_worked *worked, const char *branch)
{
    static const char *const states[] = {"ready", "no_change", "pushed",
                                         "kept",  "failed",    "fenced"};
    buf_addf(out, "{\"state\":\"%s\"", states[worked->state]);
    member_text(out, "reason", worked->reason);
    member_text(out, "detail", worked->detail);
    member_text(out, "branch", branch);
    member_text(out, "base_branch", worked->base_branch);
    member_text(out, "base", worked->base);
    member_text(out, "head", worked->head);
    member_text(out, "pushed", worked->pushed);
    member_text(out, "rescue", worked->rescue);
    member_number(out, "commits", worked->commits);
    member_number(out, "files", worked->files);
    member_number(out, "insertions", worked->insertions);
    member_number(out, "deletions", worked->deletions);
    member_number(out, "leftovers", worked->leftovers);
    member_number(out, "withheld", worked->withheld);
    buf_adds(out, "}");
}
