/* Start points. */
#include "worker/runner/origin.h"

#include <stdio.h>
#include <string.h>

#include "worker/runner/fault.h"

/* --- The base --- */

/* The commit of a branch of the server; "" where there is none. */
static bool read_head(struct git *git, const struct mirror *mirror, const char *name,
                      char commit[static REFS_COMMIT_SIZE])
{
    char spec[REFS_NAME_SIZE + 32];
    struct git_child child = {.dir = mirror->path};
    snprintf(spec, sizeof spec, "%s^{commit}", name);
    if (git_ask(git, &child, commit, REFS_COMMIT_SIZE, "rev-parse", "-q", "--verify", spec))
        return true;
    if (git->end != GIT_REFUSED || git->words[0] != '\0')
        return false;
    git->end = GIT_DONE; /* it said nothing: there is no such branch */
    return true;
}

static bool is_empty(struct git *git, const struct mirror *mirror, bool *empty)
{
    struct git_text text = {0};
    struct git_child child = {.dir = mirror->path, .text = &text};
    bool told =
        git_run(git, &child, "for-each-ref", "--count=1", "--format=%(refname)", "refs/heads");
    *empty = told && text.len == 0;
    git_text_release(&text);
    return told;
}

static bool miss_base(const struct mirror *mirror, const char *what)
{
    return fault(mirror->worked, "base_missing", what);
}

/* The wanted name, or the server's default; it need not be there. */
static bool name_base(struct origin *origin, const struct mirror *mirror)
{
    const struct runner_blob *wanted = &mirror->work->base;
    if (wanted->len == 0) {
        snprintf(origin->base_name, sizeof origin->base_name, "%s", mirror->head);
        return true;
    }
    snprintf(origin->base_name, sizeof origin->base_name, "refs/heads/%.*s", (int)wanted->len,
             (const char *)wanted->bytes);
    return memchr(wanted->bytes, '\0', wanted->len) == NULL && refs_is_name(origin->base_name);
}

/* As the task's last attempt had it, unless another one is asked for. */
static bool remember_base(struct origin *origin, const struct stage *stage, bool wanted)
{
    char name[REFS_NAME_SIZE];
    stage_base_branch(stage, name);
    if (name[0] == '\0' || (wanted && strcmp(name, origin->base_name + 11) != 0) ||
        !stage_ref(stage, STAGE_BASE, origin->base))
        return false;
    snprintf(origin->base_name, sizeof origin->base_name, "refs/heads/%s", name);
    return refs_is_name(origin->base_name);
}

bool origin_find_base(struct origin *origin, struct git *git, const struct mirror *mirror,
                      const struct stage *stage)
{
    char detail[WORK_DETAIL_SIZE];
    bool empty;
    if (!name_base(origin, mirror))
        return miss_base(mirror, "base_branch is no proper name of a branch");
    if (origin->base_name[0] != '\0' && !read_head(git, mirror, origin->base_name, origin->base))
        return false;
    if (origin->base[0] != '\0')
        return true;
    if (!is_empty(git, mirror, &empty))
        return false;
    if (empty) {
        if (origin->base_name[0] == '\0')
            snprintf(origin->base_name, sizeof origin->base_name, "refs/heads/main");
        return true;
    }
    if (remember_base(origin, stage, mirror->work->base.len > 0))
        return true;
    if (origin->base_name[0] == '\0')
        return miss_base(mirror, "the server's HEAD names no branch that is there: set base_branch "
                                 "of the task, or the repository's default branch");
    snprintf(detail, sizeof detail, "the server has no branch %s", origin->base_name + 11);
    return miss_base(mirror, detail);
}

/* --- The start --- */

/* Whether `old` is `new` or in it. */
static bool is_in(struct git *git, const struct stage *stage, const char *old, const char *new,
                  bool *in)
{
    struct git_child child = {.dir = stage->path};
    *in = git_run(git, &child, "merge-base", "--is-ancestor", old, new);
    if (*in)
        return true;
    if (git->end != GIT_REFUSED || git->exit != 1)
        return false;
    git->end = GIT_DONE;
    return true;
}

static bool compare(struct origin *origin, struct git *git, const struct stage *stage)
{
    bool in;
    if (!is_in(git, stage, origin->server, origin->ours, &in))
        return false;
    if (in) {
        memcpy(origin->start, origin->ours, sizeof origin->start);
        return true;
    }
    memcpy(origin->start, origin->server, sizeof origin->start);
    if (!is_in(git, stage, origin->ours, origin->server, &in))
        return false;
    if (!in && origin->base[0] != '\0' && !is_in(git, stage, origin->ours, origin->base, &in))
        return false;
    origin->diverged = !in;
    return true;
}

/* Where there is no common commit it is the base itself. */
static bool find_began(struct origin *origin, struct git *git, const struct stage *stage)
{
    struct git_child child = {.dir = stage->path};
    memcpy(origin->began, origin->base, sizeof origin->began);
    if (origin->base[0] == '\0' || strcmp(origin->base, origin->start) == 0)
        return true;
    char common[REFS_COMMIT_SIZE];
    if (git_ask(git, &child, common, sizeof common, "merge-base", origin->base, origin->start))
        memcpy(origin->began, common, sizeof origin->began);
    else if (git->end != GIT_REFUSED || git->exit != 1)
        return false;
    git->end = GIT_DONE;
    return true;
}

bool origin_find_start(struct origin *origin, struct git *git, const struct mirror *mirror,
                       const struct stage *stage)
{
    char name[WORK_REF_SIZE + 16];
    snprintf(name, sizeof name, "refs/heads/%s", mirror->work->branch);
    if (!read_head(git, mirror, name, origin->server))
        return false;
    stage_ref(stage, name, origin->ours);
    if (origin->server[0] != '\0' && origin->ours[0] != '\0') {
        if (!compare(origin, git, stage))
            return false;
    } else {
        const char *start = origin->ours[0] != '\0'     ? origin->ours
                            : origin->server[0] != '\0' ? origin->server
                                                        : origin->base;
        snprintf(origin->start, sizeof origin->start, "%s", start);
    }
    return origin->start[0] == '\0' || find_began(origin, git, stage);
}
