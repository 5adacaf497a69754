/* Working trees, and their repositories. */
#include "worker/runner/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/repository.h"

#define PATH_SIZE 4608
#define MOVING "moving"
#define MOVED "moved"

static bool is_empty(int tree)
{
    int fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    int count = 0;
    while (entries != NULL && count < 3 && readdir(entries) != NULL)
        count++; /* . and .. */
    if (entries != NULL)
        closedir(entries);
    return entries != NULL && count < 3;
}

void workspace_look(struct workspace *workspace)
{
    char text[FILE_SMALL_MAX + 1], tree[REFS_COMMIT_SIZE];
    struct stat status;
    int stage = workspace->stage->dir;
    workspace->fresh =
        !stage_ref(workspace->stage, WORKSPACE_TREE, tree) || is_empty(workspace->tree);
    workspace->moving = file_look(stage, MOVING, &status);
    workspace->moved = file_line(stage, MOVING, text) && strcmp(text, MOVED) == 0;
}

/* Whatever an agent made of its mode. */
static bool may_write(int tree)
{
    struct stat status;
    return fstat(tree, &status) == 0 &&
           ((status.st_mode & 0700) == 0700 || fchmod(tree, status.st_mode | 0700) == 0);
}

bool workspace_open(struct workspace *workspace, int work_dir)
{
    char link[32];
    workspace->tree = -1;
    workspace->tasks = file_make_folder(work_dir, "tasks");
    if (workspace->tasks >= 0)
        workspace->tree = file_make_folder(workspace->tasks, workspace->work->folder);
    snprintf(link, sizeof link, "/proc/self/fd/%d", workspace->tree);
    ssize_t len =
        workspace->tree >= 0 ? readlink(link, workspace->path, sizeof workspace->path) : -1;
    if (len > 0 && len < (ssize_t)sizeof workspace->path) {
        workspace->path[len] = '\0';
        return may_write(workspace->tree);
    }
    int why = errno;
    workspace_close(workspace);
    errno = why;
    return false;
}

void workspace_close(struct workspace *workspace)
{
    if (workspace->tree >= 0)
        close(workspace->tree);
    if (workspace->tasks >= 0)
        close(workspace->tasks);
    workspace->tree = workspace->tasks = -1;
}

/* --- The working tree --- */

/* A git of the stage with the tree and its index. */
static struct git_child of_tree(const struct workspace *workspace, char index[static PATH_SIZE])
{
    snprintf(index, PATH_SIZE, "%s/index", workspace->stage->path);
    return (struct git_child){
        .dir = workspace->stage->path, .tree = workspace->path, .index = index};
}

/* Whatever an agent left under the names of configuration in the top folder. */
static void remove_configuration(const struct workspace *workspace)
{
    const char *name;
    for (size_t i = 0; (name = trusted_name(i)) != NULL; i++)
        file_remove(workspace->tree, name);
}

static bool check_out(struct workspace *workspace, const struct trusted_paths *paths)
{
    char index[PATH_SIZE];
    struct git_child child = of_tree(workspace, index);
    child.input = paths->put.bytes;
    child.input_len = paths->put.len;
    return paths->put.len == 0 ||
           git_run(workspace->git, &child, "checkout-index", "-f", "-u", "-q", "-z", "--stdin");
}

static bool mark_moving(const struct workspace *workspace, const char *how)
{
    return file_write(workspace->stage->dir, MOVING, how, strlen(how));
}

static bool end_moving(const struct workspace *workspace)
{
    return unlinkat(workspace->stage->dir, MOVING, 0) == 0 || errno == ENOENT;
}

/* All of it is what `tree` says; what git does not know stays. */
static bool reset_to(struct workspace *workspace, const char *tree)
{
    char index[PATH_SIZE];
    struct git_child child = of_tree(workspace, index);
    return git_run(workspace->git, &child, "read-tree", "--reset", "-u", tree);
}

/* The old one is kept within the stage, beside those that are there, and a new one begins, of which
 * nothing is known. */
static bool put_aside(struct workspace *workspace)
{
    const struct stage *stage = workspace->stage;
    const char *folder = workspace->work->folder;
    struct stat status;
    snprintf(workspace->aside, sizeof workspace->aside, "aside.%u", workspace->work->number);
    for (unsigned more = 1; file_look(stage->dir, workspace->aside, &status); more++)
        snprintf(workspace->aside, sizeof workspace->aside, "aside.%u.%u", workspace->work->number,
                 more);
    if (renameat(workspace->tasks, folder, stage->dir, workspace->aside) != 0)
        return false;
    unlinkat(stage->dir, WORKSPACE_TREE, 0);
    close(workspace->tree);
    workspace->tree = file_make_folder(workspace->tasks, folder);
    unlinkat(stage->dir, "index", 0);
    workspace->git->end = GIT_DONE;
    return workspace->tree >= 0;
}

/* From one tree to the other; where uncommitted changes stand in the way, to a new one. */
static bool move(struct workspace *workspace, const char *from, const char *to)
{
    char index[PATH_SIZE];
    struct git_child child = of_tree(workspace, index);
    if (!git_run(workspace->git, &child, "read-tree", "-i", "-m", from))
        return false;
    if (strcmp(from, to) == 0)
        return true;
    git_run(workspace->git, &child, "update-index", "-q", "--refresh"); /* 1: some differ */
    if (git_run(workspace->git, &child, "read-tree", "-m", "-u", from, to))
        return true;
    return workspace->git->end == GIT_REFUSED && put_aside(workspace) && reset_to(workspace, to);
}

/* The tree that what is there differs from by what is uncommitted. */
static bool find_before(struct workspace *workspace, const char *index, const char *from,
                        char before[static REFS_COMMIT_SIZE])
{
    char trusted[REFS_COMMIT_SIZE];
    const struct stage *stage = workspace->stage;
    if (workspace->fresh || (workspace->moved && stage_ref(stage, WORKSPACE_TREE, before)))
        return true;
    stage_ref(stage, WORKSPACE_TRUSTED, trusted);
    return trusted_overlay(workspace->git, stage->path, index, from, trusted, before, NULL);
}

bool workspace_move(struct workspace *workspace, const char *from, const char *to, const char *base,
                    struct trusted_paths *paths)
{
    char index[PATH_SIZE], before[REFS_COMMIT_SIZE], after[REFS_COMMIT_SIZE];
    const struct stage *stage = workspace->stage;
    snprintf(index, sizeof index, "%s/overlay", stage->path);
    if (!trusted_overlay(workspace->git, stage->path, index, to, base, after, paths) ||
        !find_before(workspace, index, from, before) || !mark_moving(workspace, ""))
        return false;
    remove_configuration(workspace);
    bool moved = workspace->fresh ? reset_to(workspace, after) : move(workspace, before, after);
    return moved && check_out(workspace, paths) && stage_set(stage, WORKSPACE_TREE, after) &&
           (base[0] == '\0' || stage_set(stage, WORKSPACE_TRUSTED, base)) &&
           mark_moving(workspace, MOVED "\n");
}

/* --- Its repository --- */

/* "Name <mail>" as configuration of the agent's commits: nothing of it ends a value. */
static void put_user(const struct runner_work *work, char *text, size_t size)
{
    char name[128], mail[128];
    const char *author = work->author.bytes;
    size_t len = work->author.len, at = 0, n = 0, m = 0;
    for (; at < len && author[at] != '<'; at++)
        if (n < sizeof name - 1 && (unsigned char)author[at] >= 0x20 && author[at] != '"' &&
            author[at] != '\\')
            name[n++] = author[at];
    for (at++; at < len && author[at] != '>'; at++)
        if (m < sizeof mail - 1 && (unsigned char)author[at] > 0x20 && author[at] != '"' &&
            author[at] != '\\')
            mail[m++] = author[at];
    while (n > 0 && name[n - 1] == ' ')
        n--;
    name[n] = mail[m] = '\0';
    snprintf(text, size, "[gc]\n\tauto = 0\n[user]\n\tname = \"%s\"\n\temail = \"%s\"\n",
             n > 0 ? name : "Agent Fleet", m > 0 ? mail : "agent-fleet@localhost");
}

static bool is_separate(const struct workspace *workspace)
{
    return workspace->work->run_as[0] != '\0';
}

static bool make_empty(struct workspace *workspace, int dir)
{
    char stage[PATH_SIZE], mirror[PATH_SIZE + 64], user[512], head[REFS_NAME_SIZE + 16];
    snprintf(stage, sizeof stage, "%s/objects", workspace->stage->path);
    snprintf(mirror, sizeof mirror, "%s/objects", workspace->mirror);
    snprintf(head, sizeof head, "refs/heads/%s", workspace->work->branch);
    put_user(workspace->work, user, sizeof user);
    struct repository plan = {
        .sha256 = workspace->sha256, .head = head, .alternates = {mirror}, .more = user};
    if (!is_separate(workspace))
        plan.alternates[1] = stage;
    return repository_make(dir, &plan) && repository_copy_shallow(workspace->mirror_dir, dir);
}

/* What the head needs of the stage's own objects, for who may not read there. */
static bool copy_objects(struct workspace *workspace, const char *path, const char *head)
{
    struct git *git = workspace->git;
    int pack = openat(workspace->stage->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    struct git_child from = {
        .dir = workspace->stage->path, .input = head, .input_len = strlen(head), .out = pack};
    struct git_child to = {.dir = path, .in = pack};
    bool copied = pack >= 0 &&
                  git_run(git, &from, "pack-objects", "-q", "--revs", "--local", "--stdout",
                          "--delta-base-offset") &&
                  lseek(pack, 0, SEEK_SET) == 0 && git_run(git, &to, "index-pack", "--stdin");
    if (pack >= 0)
        close(pack);
    return copied;
}

/* The task's branch, the base's head as origin has it, and the tags: one file. */
static bool make_refs(struct workspace *workspace, int dir, const char *head, const char *base_name,
                      const char *base)
{
    struct git_text refs = {0};
    struct git_child child = {.dir = workspace->mirror, .text = &refs};
    char line[2 * REFS_NAME_SIZE];
    bool made = git_run(workspace->git, &child, "for-each-ref", "--format=%(objectname) %(refname)",
                        "refs/tags");
    if (head[0] != '\0') {
        int len = snprintf(line, sizeof line, "%s refs/heads/%s\n", head, workspace->work->branch);
        made = made && git_text_add(&refs, line, (size_t)len);
    }
    if (base[0] != '\0') {
        int len = snprintf(line, sizeof line, "%s refs/remotes/origin/%s\n", base, base_name + 11);
        made = made && git_text_add(&refs, line, (size_t)len);
    }
    made = made && (refs.len == 0 || (file_write(dir, "packed-refs", refs.bytes, refs.len) &&
                                      fchmodat(dir, "packed-refs", 0644, 0) == 0));
    git_text_release(&refs);
    return made;
}

static bool copy_index(int from, int to)
{
    struct stat status;
    char bytes[1 << 16];
    int in = file_open(from, "index", O_RDONLY);
    int out = openat(to, "index", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t len = 0;
    bool copied = in >= 0 && out >= 0 && fstat(in, &status) == 0;
    while (copied && (len = file_read_some(in, bytes, sizeof bytes)) > 0)
        copied = file_write_all(out, bytes, len);
    if (in >= 0)
        close(in);
    return out >= 0 && close(out) == 0 && copied;
}

/* Of the head, with what is known of the files; what differs by our doing is flagged. */
static bool make_index(struct workspace *workspace, int dir, const char *path, const char *head,
                       const struct trusted_paths *paths)
{
    char index[PATH_SIZE + 64];
    snprintf(index, sizeof index, "%s/index", path);
    struct git_child child = {
        .dir = workspace->stage->path, .tree = workspace->path, .index = index};
    if (head[0] == '\0')
        return true;
    if (!copy_index(workspace->stage->dir, dir) ||
        !git_run(workspace->git, &child, "read-tree", "-i", "-m", head))
        return false;
    child.input = paths->flagged.bytes;
    child.input_len = paths->flagged.len;
    return paths->flagged.len == 0 ||
           git_run(workspace->git, &child, "update-index", "-z", "--skip-worktree", "--stdin");
}

/* What the base has and the branch has not is no news to the agent's git. */
static bool make_exclude(int dir, const struct trusted_paths *paths)
{
    struct git_text lines = {0};
    const char *path = paths->added.bytes, *end = path + paths->added.len;
    bool made = true;
    int info = openat(dir, "info", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (; made && path < end; path += strlen(path) + 1) {
        made = git_text_add(&lines, "/", 1);
        for (const char *at = path; made && *at != '\0'; at++)
            made = (strchr("\\*?[ ", *at) == NULL || git_text_add(&lines, "\\", 1)) &&
                   git_text_add(&lines, at, 1);
        made = made && git_text_add(&lines, "\n", 1);
    }
    made = made &&
           (lines.len == 0 || (info >= 0 && file_write(info, "exclude", lines.bytes, lines.len)));
    if (info >= 0)
        close(info);
    git_text_release(&lines);
    return made;
}

/* The folder of a submodule, which stays empty. No link on the way is followed. */
static void make_link_folder(int tree, const char *path)
{
    char part[256];
    int at = dup(tree);
    for (size_t len; at >= 0 && *path != '\0'; path += len + (path[len] == '/')) {
        len = strcspn(path, "/");
        snprintf(part, sizeof part, "%.*s", (int)len, path);
        mkdirat(at, part, 0755);
        int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(at);
        at = next;
    }
    if (at >= 0)
        close(at);
}

/* Over whatever lies there as `.git`. */
static bool put_in_place(struct workspace *workspace, const char *name)
{
    if (renameat2(workspace->tasks, name, workspace->tree, ".git", RENAME_EXCHANGE) == 0)
        return true; /* the old one has the new one's name now */
    return errno == ENOENT && renameat(workspace->tasks, name, workspace->tree, ".git") == 0;
}

bool workspace_make_git(struct workspace *workspace, const char *head, const char *base_name,
                        const char *base, const struct trusted_paths *paths)
{
    char name[RUNNER_RUN_SIZE + 16], path[PATH_SIZE];
    const char *slash = strrchr(workspace->path, '/');
    snprintf(name, sizeof name, ".new.%s", workspace->work->folder);
    snprintf(path, sizeof path, "%.*s/%s", (int)(slash - workspace->path), workspace->path, name);
    file_remove(workspace->tasks, name);
    int dir = file_make_folder(workspace->tasks, name);
    const char *links = paths->links.bytes, *end = links + paths->links.len;
    for (; links < end; links += strlen(links) + 1)
        make_link_folder(workspace->tree, links);
    bool made =
        dir >= 0 && make_empty(workspace, dir) && make_exclude(dir, paths) &&
        make_refs(workspace, dir, head, base_name, base) &&
        (!is_separate(workspace) || head[0] == '\0' || copy_objects(workspace, path, head)) &&
        make_index(workspace, dir, path, head, paths) && put_in_place(workspace, name);
    int why = errno;
    if (dir >= 0)
        close(dir);
    file_remove(workspace->tasks, name);
    made = made && end_moving(workspace);
    errno = made ? errno : why;
    return made;
}
