/* Commits what an agent did not. */
#include "worker/runner/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/runner/fault.h"
#include "worker/runner/file.h"
#include "worker/runner/secret.h"
#include "worker/runner/workspace.h"

#define PATH_SIZE 4096
#define LOOK "index.look"
#define NEW "index.new"

struct finding {
    struct leftover *leftover;
    char objects[sizeof((struct stage *)NULL)->path + 16];
    char known[sizeof((struct stage *)NULL)->path + 16];
    char look[sizeof((struct stage *)NULL)->path + 16],
        made[sizeof((struct stage *)NULL)->path + 16];
    char head[REFS_COMMIT_SIZE], trusted[REFS_COMMIT_SIZE]; /* "": none */
    struct trusted_paths paths;
    struct git_text adds, gone; /* of index.new: for --stdin, and for --index-info */
    int64_t bytes;
    bool failed;  /* the lists are too long */
    size_t named; /* bytes of leftover->names */
};

/* --- What lies there --- */

static int open_parent(int tree, const char *parent)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    long fd = syscall(SYS_openat2, tree, parent, &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
    char part[PATH_SIZE];
    int at = dup(tree);
    for (const char *end; at >= 0 && *parent != '\0'; parent = *end == '/' ? end + 1 : end) {
        end = parent + strcspn(parent, "/");
        snprintf(part, sizeof part, "%.*s", (int)(end - parent), parent);
        int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(at);
        at = next;
    }
    return at;
}

enum lies { LIES_NOTHING, LIES_FILE, LIES_LINK, LIES_OTHER, LIES_HIDDEN };

/* What lies under a path of which no part but the last is a link; *parent and *name to open it. */
static enum lies look(int tree, const char *path, int *parent, const char **name,
                      struct stat *status)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    *parent = -1;
    *name = slash != NULL ? slash + 1 : path;
    if (strlen(path) >= sizeof folder)
        return LIES_OTHER;
    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) : 1,
             slash != NULL ? path : ".");
    *parent = open_parent(tree, folder);
    if (*parent < 0 || !file_look(*parent, *name, status))
        return errno == EACCES ? LIES_HIDDEN : LIES_NOTHING;
    if (S_ISREG(status->st_mode))
        return LIES_FILE;
    return S_ISLNK(status->st_mode) ? LIES_LINK : LIES_OTHER;
}

/* --- What is withheld --- */

static void name_withheld(struct finding *finding, const char *path, const char *why)
{
    struct leftover *leftover = finding->leftover;
    char quoted[160];
    size_t len = 0;
    leftover->withheld++;
    for (; *path != '\0' && len + 5 < sizeof quoted; path++) {
        unsigned char byte = (unsigned char)*path;
        bool plain = byte > ' ' && byte < 127 && strchr("\\,()", byte) == NULL;
        len += (size_t)snprintf(quoted + len, sizeof quoted - len, plain ? "%c" : "\\%03o", byte);
    }
    size_t room = sizeof leftover->names - finding->named;
    int put = snprintf(leftover->names + finding->named, room, "%s%s (%s)",
                       finding->named > 0 ? ", " : "", quoted, why);
    if (put >= 0 && (size_t)put < room)
        finding->named += (size_t)put;
    else
        leftover->names[finding->named] = '\0';
}

/* NULL: it may be committed. */
static const char *why_withheld(struct finding *finding, enum lies lies, int parent,
                                const char *name, const struct stat *status)
{
    if (secret_is_name(name))
        return "by its name";
    if (lies == LIES_LINK)
        return NULL;
    if (status->st_size > LEFTOVER_FILE_MAX)
        return "too large";
    if (status->st_size > LEFTOVER_BYTES_MAX - finding->bytes)
        return "too much";
    int fd = file_open(parent, name, O_RDONLY);
    if (fd < 0)
        return "unreadable";
    bool secret = secret_is_in_file(fd);
    close(fd);
    return secret ? "by its content" : NULL;
}

/* --- The lists --- */

static void take_gone(struct finding *finding, const char *path)
{
    char none[REFS_COMMIT_SIZE + 8];
    size_t digits = strlen(finding->head);
    snprintf(none, sizeof none, "0 %.*s\t", (int)digits,
             "0000000000000000000000000000000000000000000000000000000000000000");
    finding->failed |= !git_text_add(&finding->gone, none, strlen(none)) ||
                       !git_text_add(&finding->gone, path, strlen(path) + 1);
    finding->leftover->files++;
}

/* `tracked`: the branch's head has it, so that its absence is a deletion. */
static void take_path(struct finding *finding, const char *path, bool tracked)
{
    struct stat status;
    const char *name;
    int parent;
    size_t len = strlen(path);
    if (len == 0 || strcmp(path, WORKSPACE_QUESTION) == 0)
        return; /* what is not work */
    if (path[len - 1] == '/') {
        name_withheld(finding, path, "a repository of its own");
        return;
    }
    enum lies lies = look(finding->leftover->tree, path, &parent, &name, &status);
    const char *why = lies == LIES_HIDDEN ? "unreadable" : NULL;
    if (lies == LIES_FILE || lies == LIES_LINK)
        why = why_withheld(finding, lies, parent, name, &status);
    if (parent >= 0)
        close(parent);
    if (why != NULL) {
        name_withheld(finding, path, why);
    } else if (lies == LIES_FILE || lies == LIES_LINK) {
        finding->bytes += lies == LIES_FILE ? status.st_size : 0;
        finding->failed |= !git_text_add(&finding->adds, path, len + 1);
        finding->leftover->files++;
    } else if (tracked) {
        take_gone(finding, path);
    }
}

/* Of what changed each path may come twice in a row. */
static void take_tracked(struct finding *finding, const struct git_text *text)
{
    const char *last = "";
    for (const char *at = text->bytes; at < text->bytes + text->len; at += strlen(at) + 1) {
        if (strcmp(at, last) != 0)
            take_path(finding, at, true);
        last = at;
    }
}

/* A submodule's commit stays as it is, whatever lies in its folder. */
static bool is_in_link(const struct finding *finding, const char *path)
{
    const struct git_text *links = &finding->paths.links;
    for (const char *at = links->bytes; at < links->bytes + links->len; at += strlen(at) + 1)
        if (strncmp(path, at, strlen(at)) == 0 &&
            (path[strlen(at)] == '/' || path[strlen(at)] == '\0'))
            return true;
    return false;
}

static void take_others(struct finding *finding, const struct git_text *text)
{
    for (const char *at = text->bytes; at < text->bytes + text->len; at += strlen(at) + 1)
        if (!is_in_link(finding, at))
            take_path(finding, at, false);
}

/* --- Indexes of ours --- */

/* What it makes goes to the quarantine first. */
static struct git_child with_index(const struct finding *finding, const char *index)
{
    return (struct git_child){.dir = finding->leftover->stage->path,
                              .tree = finding->leftover->tree_path,
                              .index = index,
                              .objects = finding->objects,
                              .alternates = finding->known};
}

static bool read_head(struct finding *finding, const char *index)
{
    struct git_child child = with_index(finding, index);
    child.tree = NULL;
    if (finding->head[0] == '\0')
        return git_run(finding->leftover->git, &child, "read-tree", "--empty");
    return git_run(finding->leftover->git, &child, "read-tree", finding->head);
}

/* What the workspace was given: the head, with the configuration of agents as the base has it. What
 * is still so is no change. Files that stand as they were then are not read again. */
static bool read_given(struct finding *finding)
{
    char tree[REFS_COMMIT_SIZE];
    struct leftover *leftover = finding->leftover;
    struct git_child child = with_index(finding, finding->look);
    if (finding->head[0] == '\0')
        return read_head(finding, finding->look);
    if (!trusted_overlay(leftover->git, leftover->stage->path, finding->made, finding->head,
                         finding->trusted, tree, &finding->paths))
        return false;
    file_remove(leftover->stage->dir, LOOK);
    if (linkat(leftover->stage->dir, "index", leftover->stage->dir, LOOK, 0) == 0 &&
        git_run(leftover->git, &child, "read-tree", "-m", tree))
        return true;
    file_remove(leftover->stage->dir, LOOK);
    child.tree = NULL;
    return git_run(leftover->git, &child, "read-tree", tree);
}

static bool find(struct finding *finding)
{
    struct git_text text = {0};
    struct git *git = finding->leftover->git;
    struct git_child child = with_index(finding, finding->look);
    if (!read_given(finding))
        return false;
    child.text = &text;
    bool found = git_run(git, &child, "ls-files", "-z", "-m", "-d");
    if (found)
        take_tracked(finding, &text);
    found = found && git_run(git, &child, "ls-files", "-z", "-o", "--exclude-standard");
    if (found)
        take_others(finding, &text);
    git_text_release(&text);
    return found && !finding->failed;
}

static bool change(struct finding *finding, const struct git_text *paths, const char *how)
{
    struct git_child child = with_index(finding, finding->made);
    const char *info[] = {"update-index", "-z", "--index-info", NULL};
    const char *adds[] = {"update-index", "-z", "--add", "--replace", "--remove", how, NULL};
    child.input = paths->bytes;
    child.input_len = paths->len;
    return paths->len == 0 ||
           git_run_words(finding->leftover->git, &child, how == NULL ? info : adds);
}

/* --- The commit --- */

/* "Name <mail>"; git drops what a name may not have. */
static void name_author(const struct runner_blob *author, char name[static 2][300],
                        char mail[static 2][300])
{
    static const char *const who[] = {"AUTHOR", "COMMITTER"};
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)(author->len < 255 ? author->len : 255),
             author->len > 0 ? (const char *)author->bytes : "");
    char *open = strrchr(text, '<'), *address = open != NULL ? open + 1 : text + strlen(text);
    if (open != NULL)
        *open = '\0';
    address[strcspn(address, ">")] = '\0';
    for (int i = 0; i < 2; i++) {
        snprintf(name[i], 300, "GIT_%s_NAME=%s", who[i],
                 text[strspn(text, " ")] != '\0' ? text : "Agent Fleet");
        snprintf(mail[i], 300, "GIT_%s_EMAIL=%s", who[i],
                 *address != '\0' ? address : "agent-fleet@localhost");
    }
}

static bool commit(struct finding *finding, const char *tree, char made[static REFS_COMMIT_SIZE])
{
    char name[2][300], mail[2][300];
    struct leftover *leftover = finding->leftover;
    struct git_child child = with_index(finding, NULL);
    name_author(&leftover->author, name, mail);
    const char *const variables[] = {name[0], mail[0], name[1], mail[1], NULL};
    const char *words[] = {"commit-tree", tree, finding->head[0] != '\0' ? "-p" : NULL,
                           finding->head, NULL};
    child.tree = NULL;
    child.variables = variables;
    child.input =
        leftover->message.len > 0 ? leftover->message.bytes : "Changes that were not committed\n";
    child.input_len = leftover->message.len > 0 ? leftover->message.len : strlen(child.input);
    return git_ask_words(leftover->git, &child, made, REFS_COMMIT_SIZE, words);
}

/* The tree of the branch's head; "": it has none. */
static bool tree_of_head(struct finding *finding, char tree[static REFS_COMMIT_SIZE])
{
    char name[REFS_COMMIT_SIZE + 8];
    struct git_child child = {.dir = finding->leftover->stage->path};
    tree[0] = '\0';
    if (finding->head[0] == '\0')
        return true;
    snprintf(name, sizeof name, "%s^{tree}", finding->head);
    return git_ask(finding->leftover->git, &child, tree, REFS_COMMIT_SIZE, "rev-parse", "--verify",
                   name);
}

/* The tree with what was found, and the head's. */
static bool make_tree(struct finding *finding, char old[static REFS_COMMIT_SIZE],
                      char tree[static REFS_COMMIT_SIZE])
{
    struct git_child child = with_index(finding, finding->made);
    child.tree = NULL;
    return read_head(finding, finding->made) && change(finding, &finding->gone, NULL) &&
           change(finding, &finding->adds, "--stdin") && tree_of_head(finding, old) &&
           git_ask(finding->leftover->git, &child, tree, REFS_COMMIT_SIZE, "write-tree");
}

static enum take_end commit_found(struct finding *finding)
{
    char old[REFS_COMMIT_SIZE], tree[REFS_COMMIT_SIZE], made[REFS_COMMIT_SIZE], ref[REFS_NAME_SIZE];
    struct leftover *leftover = finding->leftover;
    if (leftover->files == 0 || !leftover->commit)
        return TAKE_DONE;
    if (!make_tree(finding, old, tree))
        return TAKE_FAILED;
    if (strcmp(old, tree) == 0) {
        leftover->files = 0; /* line ends that are none */
        return TAKE_DONE;
    }
    if (!commit(finding, tree, made))
        return TAKE_FAILED;
    snprintf(ref, sizeof ref, "refs/heads/%.200s", leftover->branch);
    enum take_end end = take_bring(leftover->git, leftover->stage, leftover->branch, made);
    return end == TAKE_DONE && !stage_set(leftover->stage, ref, made) ? TAKE_FAILED : end;
}

/* Git will not have it: a file that is not of the encoding that .gitattributes names. Our own
 * repositories are whole, and there is room. */
static bool is_its_fault(const struct git *git)
{
    return git->end == GIT_REFUSED && !fault_is_damage(git) &&
           strstr(git->words, "No space left") == NULL &&
           strstr(git->words, "quota exceeded") == NULL;
}

static void remove_own(const struct leftover *leftover)
{
    const char *const names[] = {LOOK, NEW, LOOK ".lock", NEW ".lock", TAKE_QUARANTINE};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        file_remove(leftover->stage->dir, names[i]);
}

enum take_end leftover_take(struct leftover *leftover)
{
    struct finding finding = {.leftover = leftover};
    char ref[REFS_NAME_SIZE];
    snprintf(ref, sizeof ref, "refs/heads/%.200s", leftover->branch);
    snprintf(finding.look, sizeof finding.look, "%s/" LOOK, leftover->stage->path);
    snprintf(finding.made, sizeof finding.made, "%s/" NEW, leftover->stage->path);
    snprintf(finding.objects, sizeof finding.objects, "%s/" TAKE_QUARANTINE, leftover->stage->path);
    snprintf(finding.known, sizeof finding.known, "%s/objects", leftover->stage->path);
    stage_ref(leftover->stage, ref, finding.head);
    stage_ref(leftover->stage, WORKSPACE_TRUSTED, finding.trusted);
    leftover->files = leftover->withheld = 0;
    leftover->names[0] = '\0';
    file_remove_pipes(leftover->tree);
    remove_own(leftover);
    int quarantine = take_quarantine(leftover->stage);
    enum take_end end = quarantine >= 0 && find(&finding) ? commit_found(&finding) : TAKE_FAILED;
    int why = errno;
    if (end == TAKE_FAILED && is_its_fault(leftover->git))
        end = TAKE_TAMPERED;
    if (quarantine >= 0)
        close(quarantine);
    remove_own(leftover);
    trusted_release(&finding.paths);
    git_text_release(&finding.adds);
    git_text_release(&finding.gone);
    errno = why;
    return end;
}
