/* Pushes, and reads back. */
#include "worker/runner/push.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/fault.h"
#include "worker/runner/look.h"
#include "worker/runner/workspace.h"

#define HEADS "refs/heads/"
#define SERVER "refs/fleet/server" /* the branch on the server, where it is not ours */

/* What the server has. */
struct server {
    char head[REFS_NAME_SIZE];        /* "refs/heads/…" that its HEAD is; "": none */
    char commit[2][REFS_COMMIT_SIZE]; /* of the branches that were asked for; "": none */
};

static struct git_child at_server(const struct push *push)
{
    return (struct git_child){.dir = push->stage->path,
                              .scheme = push->access->scheme,
                              .variables = push->access->variables};
}

/* Not pushed, and everything is kept. */
static bool refuse(struct push *push, const char *reason, const char *what, const char *which)
{
    char detail[2 * GIT_WORDS_SIZE];
    snprintf(detail, sizeof detail, "%s %s", what, which);
    fault(push->worked, reason, detail);
    push->worked->state = WORK_KEPT;
    return false;
}

/* ... in the server's own words. */
static bool refuse_told(struct push *push, const char *reason, const char *why)
{
    char told[GIT_WORDS_SIZE + 256];
    snprintf(told, sizeof told, "%s | %s", why, push->git->words);
    return refuse(push, reason, "the server:", told);
}

static bool fail(struct push *push)
{
    fault_of_git(push->worked, push->git, "push_failed");
    push->worked->state = WORK_KEPT;
    return false;
}

static bool is_ancestor(const struct push *push, const char *old, const char *young)
{
    struct git_child child = {.dir = push->stage->path};
    return old[0] != '\0' && young[0] != '\0' &&
           (strcmp(old, young) == 0 ||
            git_run(push->git, &child, "merge-base", "--is-ancestor", old, young));
}

/* --- What there is --- */

/* Where the branch and its base part; an empty tree where they share nothing. */
static void find_fork(struct push *push, char fork[static REFS_COMMIT_SIZE])
{
    struct git_child child = {.dir = push->stage->path};
    if (push->base[0] != '\0' &&
        git_ask(push->git, &child, fork, REFS_COMMIT_SIZE, "merge-base", push->base, push->head))
        return;
    if (push->base[0] != '\0')
        memcpy(fork, push->base, REFS_COMMIT_SIZE);
    else
        snprintf(fork, REFS_COMMIT_SIZE, "%s",
                 strlen(push->head) == 40
                     ? "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
                     : "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321");
}

/* "<insertions>\t<deletions>\t<path>", each with a NUL; "-" for what is no text. */
static void add_up(struct runner_worked *worked, const struct git_text *text)
{
    for (const char *at = text->bytes; at < text->bytes + text->len; at += strlen(at) + 1) {
        char *end;
        worked->insertions += strtoll(at, &end, 10);
        worked->deletions += strtoll(*end == '\t' ? end + 1 : end, NULL, 10);
        worked->files++;
    }
}

static bool measure(struct push *push)
{
    char fork[REFS_COMMIT_SIZE], not_base[REFS_COMMIT_SIZE + 8] = "--", number[24];
    struct git_text text = {0};
    struct git_child child = {.dir = push->stage->path};
    struct runner_worked *worked = push->worked;
    find_fork(push, fork);
    if (push->base[0] != '\0')
        snprintf(not_base, sizeof not_base, "^%s", push->base);
    bool measured = git_ask(push->git, &child, number, sizeof number, "rev-list", "--count",
                            push->head, not_base);
    child.text = &text;
    measured =
        measured && git_run(push->git, &child, "diff-tree", "-r", "-z", "--numstat", "--no-renames",
                            "--no-textconv", "--no-ext-diff", fork, push->head);
    if (measured) {
        worked->commits = strtoll(number, NULL, 10);
        worked->files = worked->insertions = worked->deletions = 0;
        add_up(worked, &text);
    }
    git_text_release(&text);
    return measured || fault_of_git(worked, push->git, "workspace_failed");
}

bool push_open(struct push *push)
{
    char ref[REFS_NAME_SIZE];
    struct runner_worked *worked = push->worked;
    snprintf(ref, sizeof ref, HEADS "%.200s", push->work->branch);
    stage_base_branch(push->stage, push->base_branch);
    stage_ref(push->stage, STAGE_BASE, push->base);
    stage_ref(push->stage, STAGE_START, push->start);
    stage_ref(push->stage, ref, push->head);
    stage_ref(push->stage, STAGE_PUSHED, worked->pushed);
    look_show(push->base_branch, worked->base_branch, sizeof worked->base_branch);
    snprintf(worked->base, sizeof worked->base, "%s", push->base);
    snprintf(worked->head, sizeof worked->head, "%s", push->head);
    return push->head[0] == '\0' || measure(push);
}

/* --- What may be pushed --- */

static bool is_protected(const struct push *push, const char *branch)
{
    char pattern[256];
    const char *at = push->work->protect.bytes, *end = at + push->work->protect.len;
    if (strcmp(branch, push->base_branch) == 0)
        return true;
    while (push->work->protect.len > 0 && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = stop != NULL ? (size_t)(stop - at) : (size_t)(end - at);
        snprintf(pattern, sizeof pattern, "%.*s", (int)(len < 255 ? len : 255), at);
        if (len > 0 && fnmatch(pattern, branch, 0) == 0)
            return true;
        at += len + 1;
    }
    return false;
}

/* What its servers run of themselves, as `commit` has it and the head has not. */
static bool list_workflows(struct push *push, const char *commit, struct git_text *text)
{
    struct git_child child = {.dir = push->stage->path, .text = text};
    return git_run(push->git, &child, "diff-tree", "-r", "-z", "--name-only", "--no-renames",
                   commit, push->head, "--", ":(icase).forgejo/workflows",
                   ":(icase).github/workflows", ":(icase).gitea/workflows") ||
           fault_of_git(push->worked, push->git, "workspace_failed");
}

/* Where the branch and the base branch part by now, which may have been merged; nothing older than
 * where the branch began. */
static void find_root(struct push *push, char root[static REFS_COMMIT_SIZE])
{
    char trusted[REFS_COMMIT_SIZE];
    struct git_child child = {.dir = push->stage->path};
    if (push->base[0] == '\0')
        find_fork(push, root);
    else if (!stage_ref(push->stage, WORKSPACE_TRUSTED, trusted) ||
             !git_ask(push->git, &child, root, REFS_COMMIT_SIZE, "merge-base", trusted,
                      push->head) ||
             !is_ancestor(push, push->base, root))
        memcpy(root, push->base, REFS_COMMIT_SIZE);
}

/* They are not ours to change: they are as in the base branch, or as in what is on the server of
 * the branch already. */
static bool keeps_workflows(struct push *push)
{
    char root[REFS_COMMIT_SIZE];
    const char *pushed = push->worked->pushed;
    struct git_text text = {0};
    find_root(push, root);
    bool known = list_workflows(push, root, &text);
    if (known && text.len > 0 && is_ancestor(push, root, pushed))
        known = list_workflows(push, pushed, &text);
    bool kept = known && text.len == 0;
    if (known && !kept)
        refuse(push, "workflow_change", "the branch changes", text.bytes);
    git_text_release(&text);
    return kept;
}

static bool may_push(struct push *push, const char *branch)
{
    char ref[REFS_NAME_SIZE + 16];
    snprintf(ref, sizeof ref, HEADS "%s", branch);
    if (!refs_is_name(ref) || is_protected(push, branch))
        return refuse(push, "branch_protected", "nothing is pushed to a protected branch:", branch);
    return push->work->workflows || keeps_workflows(push);
}

/* --- What the server says --- */

static void take_line(struct server *server, const char *line, size_t len,
                      const char *const refs[2])
{
    static const char symbolic[] = "ref: ";
    const char *tab = memchr(line, '\t', len);
    if (tab == NULL)
        return;
    size_t first = (size_t)(tab - line), name = len - first - 1;
    if (first > sizeof symbolic - 1 && strncmp(line, symbolic, sizeof symbolic - 1) == 0) {
        first -= sizeof symbolic - 1;
        if (name == 4 && memcmp(tab + 1, "HEAD", 4) == 0 && first < sizeof server->head)
            snprintf(server->head, sizeof server->head, "%.*s", (int)first,
                     line + sizeof symbolic - 1);
        return;
    }
    for (int i = 0; i < 2 && refs_is_commit(line, first); i++)
        if (strlen(refs[i]) == name && memcmp(refs[i], tab + 1, name) == 0)
            snprintf(server->commit[i], REFS_COMMIT_SIZE, "%.*s", (int)first, line);
}

static bool ask_server(struct push *push, const char *const refs[2], struct server *server)
{
    struct git_text text = {0};
    struct git_child child = at_server(push);
    *server = (struct server){0};
    child.text = &text;
    bool told = git_run(push->git, &child, "ls-remote", "--symref", "--", push->work->url, "HEAD",
                        refs[0], refs[1]);
    for (const char *line = told ? text.bytes : ""; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        take_line(server, line, len, refs);
        line += len + (line[len] == '\n');
    }
    git_text_release(&text);
    return told || fail(push);
}

/* --- The push --- */

static bool has(const char *text, const char *part)
{
    return text != NULL && strcasestr(text, part) != NULL;
}

/* "!\t<from>:<to>\t[remote rejected] (why)", and the server's own words. */
static bool was_refused(struct push *push, const char *porcelain)
{
    const char *line = strstr(porcelain, "!\t"), *words = push->git->words;
    char why[200] = "";
    if (line == NULL)
        return fail(push);
    const char *tab = strchr(line + 2, '\t');
    if (tab != NULL)
        snprintf(why, sizeof why, "%.*s", (int)strcspn(tab + 1, "\n"), tab + 1);
    bool remote = has(why, "[remote ");
    if (!remote || has(why, "cannot lock ref") || has(why, "failed to update ref") ||
        has(why, "failed to lock") || has(why, "reference already exists"))
        return refuse(push, "push_conflict", "somebody else pushed to the branch:", why);
    if (has(why, "protected") || has(words, "protected branch"))
        return refuse_told(push, "branch_protected", why);
    if (has(why, "remote failure") || has(why, "unpacker error"))
        return refuse_told(push, "push_failed", why);
    return refuse_told(push, "push_refused", why);
}

static bool send(struct push *push, const char *ref, const char *expected)
{
    char lease[REFS_NAME_SIZE + REFS_COMMIT_SIZE + 48],
        what[REFS_NAME_SIZE + REFS_COMMIT_SIZE + 16];
    struct git_text text = {0};
    struct git_child child = at_server(push);
    snprintf(lease, sizeof lease, "--force-with-lease=%s:%s", ref, expected);
    snprintf(what, sizeof what, "%s:%s", push->head, ref);
    child.text = &text;
    bool sent =
        git_run(push->git, &child, "push", "--porcelain", "--no-verify", "--no-follow-tags",
                "--no-signed", "--recurse-submodules=no", lease, "--", push->work->url, what);
    if (!sent)
        sent = was_refused(push, text.bytes != NULL ? text.bytes : "");
    git_text_release(&text);
    return sent;
}

/* True: the server has it, as read back. What went wrong before counts where it has not. */
static bool is_there(struct push *push, const char *const refs[2], int which, bool sent)
{
    struct server server;
    struct runner_worked before = *push->worked;
    if (!ask_server(push, refs, &server)) {
        if (!sent)
            *push->worked = before;
        return false;
    }
    if (strcmp(server.commit[which], push->head) == 0)
        return true;
    if (sent)
        return refuse(push, "push_failed", "the server took it, but its branch is",
                      server.commit[which][0] != '\0' ? server.commit[which] : "none");
    *push->worked = before;
    return false;
}

/* Somebody went on from what we pushed before its answer was lost. */
static bool is_passed(struct push *push, const char *ref, const char *commit)
{
    char what[2 * REFS_NAME_SIZE];
    struct git_child child = at_server(push);
    snprintf(what, sizeof what, "+%s:" SERVER, ref);
    unlinkat(push->stage->dir, SERVER ".lock", 0);
    return git_run(push->git, &child, "fetch", "--no-tags", "--no-write-fetch-head",
                   "--no-auto-maintenance", "--", push->work->url, what) &&
           is_ancestor(push, push->head, commit);
}

static void done(struct push *push, enum runner_work_state state, const char *detail)
{
    struct runner_worked *worked = push->worked;
    if (state == WORK_PUSHED && !stage_set(push->stage, STAGE_PUSHED, push->head)) {
        fault_of_errno(worked, "the stage cannot be written");
        return;
    }
    if (state == WORK_PUSHED)
        snprintf(worked->pushed, sizeof worked->pushed, "%s", push->head);
    worked->state = state;
    worked->reason[0] = '\0';
    snprintf(worked->detail, sizeof worked->detail, "%s", detail);
}

/* The branch there is `is`, and not what we push. */
static void push_over(struct push *push, const char *const refs[2], const char *is)
{
    bool ours = strcmp(is, push->worked->pushed) == 0;
    if (is[0] != '\0' && !ours && !is_ancestor(push, is, push->head)) {
        if (is_passed(push, refs[0], is))
            done(push, WORK_PUSHED, "the branch has gone on from there by now");
        else
            refuse(push, "push_conflict", "somebody else pushed to the branch:", is);
        return;
    }
    bool sent = send(push, refs[0], is);
    if (is_there(push, refs, 0, sent))
        done(push, WORK_PUSHED, "");
}

void push_branch(struct push *push)
{
    char ref[REFS_NAME_SIZE + 16];
    const char *const refs[2] = {ref, ref};
    struct server server;
    snprintf(ref, sizeof ref, HEADS "%.200s", push->work->branch);
    bool was_pushed = push->worked->pushed[0] != '\0';
    if (push->head[0] == '\0' || (!was_pushed && is_ancestor(push, push->head, push->base))) {
        done(push, WORK_NO_CHANGE, "");
        return;
    }
    if (!may_push(push, push->work->branch) || !ask_server(push, refs, &server))
        return;
    if (strcmp(server.head, ref) == 0)
        refuse(push, "branch_protected", "the server's HEAD is", push->work->branch);
    else if (strcmp(server.commit[0], push->head) != 0)
        push_over(push, refs, server.commit[0]);
    else
        done(push, strcmp(push->head, push->start) == 0 ? WORK_NO_CHANGE : WORK_PUSHED, "");
}

bool push_rescue(struct push *push)
{
    char first[REFS_NAME_SIZE], second[REFS_NAME_SIZE];
    const char *const refs[2] = {first, second};
    const char *slug = push->work->branch + strlen("task/");
    struct server server;
    snprintf(first, sizeof first, HEADS "rescue/%.180s", slug);
    snprintf(second, sizeof second, HEADS "rescue/%.180s-%.12s", slug, push->head);
    if (!may_push(push, first + strlen(HEADS)) || !ask_server(push, refs, &server))
        return false;
    bool taken = server.commit[0][0] != '\0' && !is_ancestor(push, server.commit[0], push->head);
    int which = taken ? 1 : 0;
    bool there = strcmp(server.commit[which], push->head) == 0;
    if (!there) {
        bool sent = send(push, refs[which], server.commit[which]);
        there = is_there(push, refs, which, sent);
    }
    if (there)
        snprintf(push->worked->rescue, sizeof push->worked->rescue, "%s",
                 refs[which] + strlen(HEADS));
    return there;
}
