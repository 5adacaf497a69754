/* From a repository that an agent wrote into the stage. */
#include "worker/runner/take.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/carry.h"
#include "worker/runner/file.h"

#define BYTES_MAX (INT64_C(4) << 30)
#define FILES_MAX 1000000
#define QUARANTINE TAKE_QUARANTINE

/* What old and odd histories have, and no harm comes of. */
static const char strict[] = "--strict=zeroPaddedFilemode=ignore,badTimezone=ignore,"
                             "missingSpaceBeforeDate=ignore,badFilemode=ignore";

/* A commit that may count. */
struct candidate {
    char commit[REFS_COMMIT_SIZE]; /* "": there is none */
    bool taken;                    /* it is in the stage, whole */
};

struct taking {
    struct take *take;
    struct ref head;             /* HEAD, as the agent left it */
    struct candidate own, other; /* its branch, and HEAD where that is elsewhere */
    char base[REFS_COMMIT_SIZE], old[REFS_COMMIT_SIZE]; /* of the stage */
};

static void note(struct take *take, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct take *take, const char *format, ...)
{
    size_t len = strlen(take->note);
    va_list args;
    if (len > 0 && len + 3 < sizeof take->note)
        len += (size_t)snprintf(take->note + len, sizeof take->note - len, "; ");
    va_start(args, format);
    vsnprintf(take->note + len, sizeof take->note - len, format, args);
    va_end(args);
}

/* --- What git answers --- */

static bool is_our_fault(const struct git *git)
{
    return git->end != GIT_DONE && git->end != GIT_REFUSED;
}

/* What it says of a .gitmodules has the agent's words in it. */
static enum take_end fault_of(const struct git *git)
{
    if (strstr(git->words, "gitmodules") == NULL && (strstr(git->words, "No space left") != NULL ||
                                                     strstr(git->words, "quota exceeded") != NULL))
        return TAKE_FULL;
    return is_our_fault(git) ? TAKE_FAILED : TAKE_TAMPERED;
}

static bool is_ancestor(const struct take *take, const char *old, const char *young)
{
    struct git_child child = {.dir = take->stage->path};
    return old[0] != '\0' && young[0] != '\0' &&
           (strcmp(old, young) == 0 ||
            git_run(take->git, &child, "merge-base", "--is-ancestor", old, young));
}

static bool is_commit(struct git *git, const struct stage *stage, const char *commit)
{
    struct git_child child = {.dir = stage->path};
    char type[16];
    return git_ask(git, &child, type, sizeof type, "cat-file", "-t", commit) &&
           strcmp(type, "commit") == 0;
}

/* --- From the quarantine into the stage --- */

int take_quarantine(const struct stage *stage)
{
    file_remove(stage->dir, QUARANTINE);
    return file_make_folder(stage->dir, QUARANTINE);
}

static bool pack(struct git *git, const struct stage *stage, const char *branch, const char *commit,
                 int to)
{
    char list[4 * REFS_COMMIT_SIZE + 16], have[REFS_COMMIT_SIZE], ref[REFS_NAME_SIZE];
    char objects[sizeof stage->path + 16], known[sizeof stage->path + 16];
    const char *const names[] = {STAGE_BASE, STAGE_PUSHED, ref};
    struct git_child child = {.dir = stage->path, .objects = objects, .alternates = known};
    snprintf(ref, sizeof ref, "refs/heads/%.200s", branch);
    snprintf(objects, sizeof objects, "%s/" QUARANTINE, stage->path);
    snprintf(known, sizeof known, "%s/objects", stage->path);
    child.input = list;
    child.input_len = (size_t)snprintf(list, sizeof list, "%s\n", commit);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (stage_ref(stage, names[i], have))
            child.input_len += (size_t)snprintf(list + child.input_len,
                                                sizeof list - child.input_len, "^%s\n", have);
    child.out = to;
    return git_run(git, &child, "pack-objects", "--revs", "--local", "--stdout", "-q");
}

static bool unpack(struct git *git, const struct stage *stage, int from)
{
    char limit[48];
    struct git_child child = {.dir = stage->path, .in = from};
    snprintf(limit, sizeof limit, "--max-input-size=%lld", (long long)BYTES_MAX);
    return git_run(git, &child, "index-pack", "--stdin", strict, limit);
}

enum take_end take_bring(struct git *git, const struct stage *stage, const char *branch,
                         const char *commit)
{
    int fd = openat(stage->dir, QUARANTINE "/new",
                    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? TAKE_FULL : TAKE_FAILED;
    bool brought = pack(git, stage, branch, commit, fd) && lseek(fd, 0, SEEK_SET) == 0 &&
                   unpack(git, stage, fd);
    close(fd);
    if (!brought)
        return fault_of(git);
    return is_commit(git, stage, commit) ? TAKE_DONE : fault_of(git);
}

/* --- Into the quarantine --- */

static enum take_end fill_quarantine(struct taking *taking, int git)
{
    struct carry carry = {.bytes_max = BYTES_MAX, .files_max = FILES_MAX};
    int to = take_quarantine(taking->take->stage);
    int from = file_open_folder(git, "objects");
    enum carry_end end = to >= 0 ? carry_objects(&carry, from, to) : CARRY_FAILED;
    int why = errno;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    if (end == CARRY_TOO_MUCH)
        note(taking->take, "its repository has more than %lld bytes or %d files of new objects",
             (long long)carry.bytes_max, FILES_MAX);
    if (end == CARRY_FAILED)
        return why == ENOSPC || why == EDQUOT ? TAKE_FULL : TAKE_FAILED;
    return TAKE_DONE; /* what is whole of it is taken */
}

static enum take_end index_pack(struct taking *taking, const char *name)
{
    char path[sizeof taking->take->stage->path + 300];
    struct take *take = taking->take;
    struct git_child child = {.dir = take->stage->path};
    snprintf(path, sizeof path, "%s/" QUARANTINE "/pack/%.255s", take->stage->path, name);
    if (git_run(take->git, &child, "index-pack", path))
        return TAKE_DONE;
    if (fault_of(take->git) != TAKE_TAMPERED)
        return fault_of(take->git);
    note(take, "a pack is broken: %.120s", take->git->words);
    return TAKE_DONE; /* its objects may not be wanted */
}

/* Of packs only the objects are believed: what is where in them is found out anew. */
static enum take_end index_packs(struct taking *taking)
{
    enum take_end end = TAKE_DONE;
    int quarantine = file_open_folder(taking->take->stage->dir, QUARANTINE);
    int fd = quarantine >= 0 ? file_open_folder(quarantine, "pack") : -1;
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry;
         end == TAKE_DONE && entries != NULL && (entry = readdir(entries)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".pack") == 0)
            end = index_pack(taking, entry->d_name);
    }
    if (entries != NULL)
        closedir(entries);
    if (quarantine >= 0)
        close(quarantine);
    return end;
}

/* --- One commit, with all that is new of it --- */

static enum take_end bring(struct taking *taking, struct candidate *candidate)
{
    struct take *take = taking->take;
    enum take_end end = take_bring(take->git, take->stage, take->branch, candidate->commit);
    candidate->taken = end == TAKE_DONE;
    if (end == TAKE_TAMPERED)
        note(take, "commit %.12s is broken: %.160s", candidate->commit,
             take->git->words[0] != '\0' ? take->git->words : "it is no commit");
    return end;
}

static bool is_known(const struct taking *taking, const struct candidate *candidate)
{
    return strcmp(candidate->commit, taking->old) == 0 ||
           strcmp(candidate->commit, taking->base) == 0;
}

/* TAKE_TAMPERED when one of them is. */
static enum take_end bring_all(struct taking *taking, int git)
{
    struct candidate *all[] = {&taking->own, &taking->other};
    enum take_end end = TAKE_DONE;
    bool filled = false;
    for (size_t i = 0; i < 2 && (end == TAKE_DONE || end == TAKE_TAMPERED); i++) {
        if (all[i]->commit[0] == '\0')
            continue;
        all[i]->taken = is_known(taking, all[i]);
        if (all[i]->taken)
            continue;
        enum take_end one = filled ? TAKE_DONE : fill_quarantine(taking, git);
        if (one == TAKE_DONE && !filled)
            one = index_packs(taking);
        filled = true;
        if (one == TAKE_DONE)
            one = bring(taking, all[i]);
        end = one > end ? one : end;
    }
    file_remove(taking->take->stage->dir, QUARANTINE);
    return end;
}

/* --- What counts --- */

/* Of HEAD that is not on the branch. */
static const char *choose(struct taking *taking)
{
    struct take *take = taking->take;
    const char *own = taking->own.taken ? taking->own.commit : "";
    const char *other = taking->other.taken ? taking->other.commit : "";
    char where[120];
    if (other[0] == '\0' || strcmp(other, own) == 0)
        return own;
    if (is_ancestor(take, other, own)) {
        take->astray = true;
        note(take,
             "its files were those of %.12s, an older commit than %s: no change of them counts",
             other, take->branch);
        return own;
    }
    snprintf(where, sizeof where, "%s%.90s",
             taking->head.name[0] != '\0' ? "HEAD was on " : "HEAD was detached",
             taking->head.name);
    if (taking->base[0] != '\0' && !is_ancestor(take, taking->base, other)) {
        note(take, "%s and does not descend from the base: its commits are not taken", where);
        return own;
    }
    if (own[0] != '\0' && !is_ancestor(take, own, other)) {
        stage_set(take->stage, "refs/fleet/left", own);
        note(take,
             "%s, which went another way than %s: HEAD counts, %.12s of the branch stays on the "
             "host",
             where, take->branch, own);
    } else {
        note(take, "%s: its commits are taken", where);
    }
    return other;
}

static enum take_end move_branch(struct taking *taking, enum take_end end)
{
    struct take *take = taking->take;
    char name[REFS_NAME_SIZE];
    const char *commit = choose(taking);
    snprintf(take->head, sizeof take->head, "%s", taking->old);
    if (is_our_fault(take->git))
        return TAKE_FAILED;
    if (commit[0] == '\0' || is_ancestor(take, commit, taking->old))
        return end;
    snprintf(name, sizeof name, "refs/heads/%.200s", take->branch);
    if (!stage_set(take->stage, name, commit))
        return errno == ENOSPC || errno == EDQUOT ? TAKE_FULL : TAKE_FAILED;
    snprintf(take->head, sizeof take->head, "%s", commit);
    return end;
}

static const char *what_stands(int tree)
{
    struct stat status;
    if (!file_look(tree, ".git", &status))
        return "is gone";
    if (S_ISLNK(status.st_mode))
        return "was replaced by a link";
    return S_ISREG(status.st_mode) ? "was replaced by a file" : "was replaced by something else";
}

static void read_references(struct taking *taking, int git)
{
    char name[REFS_NAME_SIZE];
    snprintf(name, sizeof name, "refs/heads/%.200s", taking->take->branch);
    if (!refs_commit(git, name, taking->own.commit))
        taking->own.commit[0] = '\0';
    if (!refs_head(git, &taking->head))
        note(taking->take, "its HEAD is none");
    else if (strcmp(taking->head.name, name) != 0)
        memcpy(taking->other.commit, taking->head.commit, REFS_COMMIT_SIZE);
}

enum take_end take_in(struct take *take)
{
    struct taking taking = {.take = take};
    char name[REFS_NAME_SIZE];
    snprintf(name, sizeof name, "refs/heads/%.200s", take->branch);
    stage_ref(take->stage, STAGE_BASE, taking.base);
    stage_ref(take->stage, name, taking.old);
    memcpy(take->head, taking.old, sizeof take->head);
    take->note[0] = '\0';
    take->astray = false;
    take->git->end = GIT_DONE;
    int git = file_open_folder(take->tree, ".git");
    if (git < 0) {
        note(take, ".git %s: what it had committed cannot be read", what_stands(take->tree));
        return TAKE_NONE;
    }
    read_references(&taking, git);
    enum take_end end = bring_all(&taking, git);
    close(git);
    return end == TAKE_FULL || end == TAKE_FAILED ? end : move_branch(&taking, end);
}
