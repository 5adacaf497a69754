/* HEAD, loose references and packed-refs of a repository that an agent wrote. */
#include "worker/runner/refs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"

#define HEX "0123456789abcdef"
#define LOOSE_MAX 1024 /* bytes of a reference's file */
#define SYMBOLIC_MAX 5

bool refs_is_commit(const char *text, size_t len)
{
    return (len == 40 || len == 64) && strnlen(text, len) == len && strspn(text, HEX) >= len;
}

/* git check-ref-format, and no `@{`, which revisions understand. */
static bool is_part(const char *part, size_t len)
{
    if (len == 0 || part[0] == '.' || part[len - 1] == '.')
        return false;
    if (len >= 5 && memcmp(part + len - 5, ".lock", 5) == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)part[i];
        if (byte <= ' ' || byte == 127 || strchr("~^:?*[\\", byte) != NULL)
            return false;
        if (i > 0 && ((byte == '.' && part[i - 1] == '.') || (byte == '{' && part[i - 1] == '@')))
            return false;
    }
    return true;
}

bool refs_is_name(const char *name)
{
    if (strncmp(name, "refs/", 5) != 0 || strlen(name) >= REFS_NAME_SIZE)
        return false;
    for (const char *part = name;; part++) {
        size_t len = strcspn(part, "/");
        if (!is_part(part, len))
            return false;
        part += len;
        if (*part == '\0')
            return strchr(name + 5, '/') != NULL;
    }
}

/* Without the white space at its end, NUL-ended; a NUL within makes it none. */
static bool take_line(const char *text, size_t len, char *line, size_t size)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    if (len == 0 || len >= size || memchr(text, '\0', len) != NULL ||
        memchr(text, '\n', len) != NULL)
        return false;
    memcpy(line, text, len);
    line[len] = '\0';
    return true;
}

bool refs_parse(const char *text, size_t len, struct ref *ref)
{
    char line[REFS_NAME_SIZE + 16];
    *ref = (struct ref){0};
    if (!take_line(text, len, line, sizeof line))
        return false;
    if (refs_is_commit(line, strlen(line))) {
        snprintf(ref->commit, sizeof ref->commit, "%.64s", line);
        return true;
    }
    if (strncmp(line, "ref:", 4) != 0)
        return false;
    const char *name = line + 4 + strspn(line + 4, " \t");
    if (!refs_is_name(name))
        return false;
    snprintf(ref->name, sizeof ref->name, "%.255s", name);
    return true;
}

/* "<commit> <name>" a line; others are comments, and what a tag means ("^<commit>"). */
bool refs_packed(const char *text, size_t len, const char *name,
                 char commit[static REFS_COMMIT_SIZE])
{
    size_t name_len = strlen(name);
    for (const char *end = text + len, *next; text < end; text = next) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t line = stop != NULL ? (size_t)(stop - text) : (size_t)(end - text);
        next = text + line + (stop != NULL);
        if (line <= name_len + 1 || text[line - name_len - 1] != ' ' ||
            memcmp(text + line - name_len, name, name_len) != 0)
            continue;
        char word[REFS_COMMIT_SIZE] = "";
        size_t word_len = line - name_len - 1;
        if (word_len >= sizeof word)
            continue;
        memcpy(word, text, word_len);
        if (!refs_is_commit(word, word_len))
            continue;
        memcpy(commit, word, sizeof word);
        return true;
    }
    return false;
}

/* --- Files --- */

/* A regular file somewhere below `dir`; no part of its name may be a link. */
static int open_below(int dir, const char *path)
{
    char part[REFS_NAME_SIZE];
    int at = dir;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        int next = file_open_folder(at, part);
        if (at != dir)
            close(at);
        if (next < 0)
            return -1;
        at = next;
    }
    int fd = file_open(at, path, O_RDONLY);
    if (at != dir)
        close(at);
    return fd;
}

static bool read_loose(int git, const char *name, struct ref *ref)
{
    char text[LOOSE_MAX + 1];
    int fd = open_below(git, name);
    if (fd < 0)
        return false;
    size_t len = file_read_some(fd, text, sizeof text);
    close(fd);
    return len <= LOOSE_MAX && refs_parse(text, len, ref);
}

static bool read_packed(int git, const char *name, char commit[static REFS_COMMIT_SIZE])
{
    struct stat status;
    int fd = file_open(git, "packed-refs", O_RDONLY);
    bool fits = fd >= 0 && fstat(fd, &status) == 0 && status.st_size <= (off_t)REFS_PACKED_MAX;
    char *text = fits ? malloc((size_t)status.st_size + 1) : NULL;
    size_t len = text != NULL ? file_read_some(fd, text, (size_t)status.st_size) : 0;
    bool found = text != NULL && refs_packed(text, len, name, commit);
    free(text);
    if (fd >= 0)
        close(fd);
    return found;
}

bool refs_commit(int git, const char *name, char commit[static REFS_COMMIT_SIZE])
{
    struct ref ref;
    char at[REFS_NAME_SIZE];
    snprintf(at, sizeof at, "%s", name);
    for (int times = 0; times < SYMBOLIC_MAX; times++) {
        if (!read_loose(git, at, &ref))
            return read_packed(git, at, commit);
        if (ref.commit[0] != '\0') {
            memcpy(commit, ref.commit, REFS_COMMIT_SIZE);
            return true;
        }
        memcpy(at, ref.name, sizeof at);
    }
    return false;
}

bool refs_head(int git, struct ref *head)
{
    if (!read_loose(git, "HEAD", head))
        return false;
    if (head->name[0] != '\0' && !refs_commit(git, head->name, head->commit))
        head->commit[0] = '\0';
    return true;
}
