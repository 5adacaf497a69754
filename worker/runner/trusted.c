/* Agents' configuration: which files, and trees with the base's version of them. */
#include "worker/runner/trusted.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Folders and files in the top folder. */
static const char *const names[] = {
    ".claude",       ".codex",
    ".gemini",       ".opencode",
    ".aider",        ".aider.conf.yml",
    ".aiderignore",  ".cursor",
    ".agents",       ".mcp.json",
    "opencode.json", "opencode.jsonc",
    "AGENTS.md",     "AGENTS.override.md",
    "CLAUDE.md",     "CLAUDE.local.md",
    "GEMINI.md",     "CONVENTIONS.md",
};
/* Files, in any folder. */
static const char *const anywhere[] = {"AGENTS.md", "AGENTS.override.md", "CLAUDE.md",
                                       "CLAUDE.local.md", "GEMINI.md"};
static const char *const instructions[] = {"AGENTS.md", "CLAUDE.md", "GEMINI.md", "CONVENTIONS.md"};

const char *trusted_name(size_t n)
{
    return n < sizeof names / sizeof names[0] ? names[n] : NULL;
}

bool trusted_is(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    size_t top = strcspn(path, "/");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == top && strncmp(path, names[i], top) == 0)
            return true;
    for (size_t i = 0; i < sizeof anywhere / sizeof anywhere[0]; i++)
        if (strcmp(name, anywhere[i]) == 0)
            return true;
    /* Nested ones of a folder that is itself configuration: sub/.claude/… */
    return strstr(path, "/.claude/") != NULL;
}

/* --- Lists --- */

static bool append_path(struct git_text *text, const char *path)
{
    return git_text_add(text, path, strlen(path) + 1);
}

/* An entry of `ls-tree -r -z`: "100644 blob <id>\tpath\0" */
struct entry {
    char mode[8];
    const char *id;
    size_t id_len;
    const char *path;
    bool link; /* a submodule */
};

static const char *next_entry(const char *at, const char *end, struct entry *entry)
{
    const char *tab = at < end ? strchr(at, '\t') : NULL;
    if (tab == NULL || tab - at < 20)
        return NULL;
    snprintf(entry->mode, sizeof entry->mode, "%.6s", at);
    entry->link = strcmp(entry->mode, "160000") == 0;
    const char *blank = strchr(at + 7, ' ');
    entry->id = blank != NULL && blank < tab ? blank + 1 : tab;
    entry->id_len = (size_t)(tab - entry->id);
    entry->path = tab + 1;
    return entry->path + strlen(entry->path) + 1;
}

static bool list(struct git *git, const char *dir, const char *commit, struct git_text *text)
{
    struct git_child child = {.dir = dir, .text = text};
    return commit[0] == '\0' || git_run(git, &child, "ls-tree", "-r", "-z", "--full-tree", commit);
}

/* --- The overlay --- */

/* For update-index --index-info: away with it, or in with it. */
static bool put_line(struct git_text *lines, const struct entry *entry, bool away)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    char head[96];
    int len = snprintf(head, sizeof head, "%s %.*s\t", away ? "0" : entry->mode,
                       (int)(entry->id_len < 64 ? entry->id_len : 64), away ? zeros : entry->id);
    return git_text_add(lines, head, (size_t)len) && append_path(lines, entry->path);
}

struct overlay {
    struct git_text ours, theirs, lines; /* owned: entries of the commit and of the base */
    struct trusted_paths *paths;         /* borrowed; NULL */
};

static bool find(const struct git_text *entries, const char *path, struct entry *found)
{
    const char *at = entries->bytes, *end = at + entries->len;
    while (entries->len > 0 && (at = next_entry(at, end, found)) != NULL)
        if (strcmp(found->path, path) == 0)
            return true;
    return false;
}

/* The base's list is cut down to its configuration, so that looking something up in it is cheap. */
static bool keep_trusted(struct git_text *entries)
{
    struct git_text kept = {0};
    struct entry entry;
    const char *at = entries->bytes, *end = at + entries->len;
    bool done = true;
    for (const char *from = at; entries->len > 0 && (at = next_entry(from, end, &entry)) != NULL;
         from = at)
        if (!entry.link && trusted_is(entry.path))
            done = done && git_text_add(&kept, from, (size_t)(at - from));
    git_text_release(entries);
    *entries = kept;
    return done;
}

static bool take_away(struct overlay *overlay)
{
    struct entry entry, base;
    const char *at = overlay->ours.bytes, *end = at + overlay->ours.len;
    bool done = true;
    while (done && overlay->ours.len > 0 && (at = next_entry(at, end, &entry)) != NULL) {
        bool trusted = trusted_is(entry.path);
        if (!trusted && !entry.link)
            continue;
        done = put_line(&overlay->lines, &entry, true);
        if (overlay->paths == NULL || !done)
            continue;
        if (entry.link)
            done = append_path(&overlay->paths->links, entry.path);
        else if (!find(&overlay->theirs, entry.path, &base) || base.id_len != entry.id_len ||
                 strncmp(base.id, entry.id, entry.id_len) != 0 ||
                 strcmp(base.mode, entry.mode) != 0)
            done = append_path(&overlay->paths->flagged, entry.path);
    }
    return done;
}

static bool put_in(struct overlay *overlay)
{
    struct entry entry, own;
    const char *at = overlay->theirs.bytes, *end = at + overlay->theirs.len;
    bool done = true;
    while (done && overlay->theirs.len > 0 && (at = next_entry(at, end, &entry)) != NULL) {
        done = put_line(&overlay->lines, &entry, false);
        if (overlay->paths != NULL && done)
            done = append_path(&overlay->paths->put, entry.path) &&
                   (find(&overlay->ours, entry.path, &own) ||
                    append_path(&overlay->paths->added, entry.path));
    }
    return done;
}

static bool write_overlay(struct git *git, struct git_child *child, const char *commit,
                          const struct git_text *lines, char tree[static REFS_COMMIT_SIZE])
{
    unlink(child->index);
    bool read = commit[0] == '\0' ? git_run(git, child, "read-tree", "--empty")
                                  : git_run(git, child, "read-tree", commit);
    if (!read)
        return false;
    child->input = lines->bytes;
    child->input_len = lines->len;
    if (lines->len > 0 && !git_run(git, child, "update-index", "-z", "--index-info"))
        return false;
    child->input = NULL;
    return git_ask(git, child, tree, REFS_COMMIT_SIZE, "write-tree");
}

bool trusted_overlay(struct git *git, const char *dir, const char *index, const char *commit,
                     const char *base, char tree[static REFS_COMMIT_SIZE],
                     struct trusted_paths *paths)
{
    struct overlay overlay = {.paths = paths};
    struct git_child child = {.dir = dir, .index = index};
    tree[0] = '\0';
    bool made = list(git, dir, commit, &overlay.ours) && list(git, dir, base, &overlay.theirs);
    if (made && !(keep_trusted(&overlay.theirs) && take_away(&overlay) && put_in(&overlay))) {
        git->end = GIT_BROKEN;
        snprintf(git->words, sizeof git->words, "the tree has too many files");
        made = false;
    }
    made = made && write_overlay(git, &child, commit, &overlay.lines, tree);
    unlink(index);
    git_text_release(&overlay.ours);
    git_text_release(&overlay.theirs);
    git_text_release(&overlay.lines);
    return made;
}

void trusted_release(struct trusted_paths *paths)
{
    git_text_release(&paths->links);
    git_text_release(&paths->put);
    git_text_release(&paths->flagged);
    git_text_release(&paths->added);
}

bool trusted_instructions(struct git *git, const char *dir, const char *base, char *text,
                          size_t size)
{
    struct git_text entries = {0};
    struct git_child child = {.dir = dir, .text = &entries};
    struct entry entry;
    size_t len = 0;
    text[0] = '\0';
    bool told = base[0] == '\0' || git_run(git, &child, "ls-tree", "-z", "--full-tree", base);
    for (size_t i = 0; told && i < sizeof instructions / sizeof instructions[0]; i++)
        if (find(&entries, instructions[i], &entry) && len + strlen(instructions[i]) + 2 < size)
            len += (size_t)snprintf(text + len, size - len, "%s%s", len > 0 ? " " : "",
                                    instructions[i]);
    git_text_release(&entries);
    return told;
}
