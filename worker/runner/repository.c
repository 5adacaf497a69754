/* Repositories, file by file. */
#include "worker/runner/repository.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"

#define TIDY_DEPTH 32          /* folders of references within each other */
#define SHALLOW_MAX (64 << 20) /* bytes */

/* --- Made --- */

static bool make_folders(int dir)
{
    static const char *const names[] = {"objects",    "objects/info", "objects/pack", "refs",
                                        "refs/heads", "refs/tags",    "info"};
    if (fchmod(dir, 0755) != 0)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((mkdirat(dir, names[i], 0755) != 0 && errno != EEXIST) ||
            fchmodat(dir, names[i], 0755, 0) != 0)
            return false;
    return true;
}

/* A whole text, for everybody to read. */
static bool write_text(int dir, const char *name, const char *text)
{
    return file_write(dir, name, text, strlen(text)) && fchmodat(dir, name, 0644, 0) == 0;
}

static bool write_config(int dir, const struct repository *repository)
{
    char *text = NULL;
    bool made = asprintf(&text,
                         "[core]\n\trepositoryformatversion = %d\n\tfilemode = true\n"
                         "\tbare = %s\n%s%s%s",
                         repository->sha256 ? 1 : 0, repository->bare ? "true" : "false",
                         repository->bare ? "" : "\tlogallrefupdates = true\n",
                         repository->sha256 ? "[extensions]\n\tobjectformat = sha256\n" : "",
                         repository->more != NULL ? repository->more : "") >= 0;
    bool written = made && write_text(dir, "config", text);
    if (made)
        free(text);
    return written;
}

static bool write_alternates(int dir, const struct repository *repository)
{
    char *text = NULL;
    const char *const *at = repository->alternates;
    if (at[0] == NULL)
        return true;
    int info = openat(dir, "objects/info", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool made = info >= 0 && asprintf(&text, "%s\n%s%s", at[0], at[1] != NULL ? at[1] : "",
                                      at[1] != NULL ? "\n" : "") >= 0;
    bool written = made && write_text(info, "alternates", text);
    if (made)
        free(text);
    if (info >= 0)
        close(info);
    return written;
}

bool repository_make(int dir, const struct repository *repository)
{
    char head[300];
    snprintf(head, sizeof head, "ref: %s\n", repository->head);
    return make_folders(dir) && write_config(dir, repository) &&
           write_alternates(dir, repository) && write_text(dir, "HEAD", head);
}

bool repository_copy_shallow(int from, int to)
{
    struct stat status;
    int fd = file_open(from, "shallow", O_RDONLY);
    if (fd < 0) {
        unlinkat(to, "shallow", 0);
        return errno == ENOENT;
    }
    size_t size = fstat(fd, &status) == 0 ? (size_t)status.st_size : 0;
    char *text = size <= SHALLOW_MAX ? malloc(size + 1) : NULL;
    bool copied = text != NULL && file_read_some(fd, text, size) == size &&
                  file_write(to, "shallow", text, size) && fchmodat(to, "shallow", 0644, 0) == 0;
    free(text);
    close(fd);
    return copied;
}

/* --- Tidied --- */

static bool is_lock(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && strcmp(name + len - 5, ".lock") == 0;
}

/* Of objects that were being written. */
static bool is_half(const char *name)
{
    return strncmp(name, "tmp_", 4) == 0 || strncmp(name, ".tmp-", 5) == 0;
}

static DIR *open_names(int dir, const char *name)
{
    int fd = file_open_folder(dir, name);
    DIR *names = fd >= 0 ? fdopendir(fd) : NULL;
    if (names == NULL && fd >= 0)
        close(fd);
    return names;
}

/* `deep`: in the folders of it, too. */
static void tidy(int dir, const char *name, int deep, bool (*is_left)(const char *name))
{
    struct stat status;
    DIR *names = open_names(dir, name);
    if (names == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(names)) != NULL;) {
        int here = dirfd(names);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            !file_look(here, entry->d_name, &status))
            continue;
        if (is_left(entry->d_name))
            file_remove(here, entry->d_name);
        else if (S_ISDIR(status.st_mode) && deep > 0)
            tidy(here, entry->d_name, deep - 1, is_left);
    }
    closedir(names);
}

/* No reference's name ends like that of a lock. */
void repository_tidy(int dir)
{
    tidy(dir, ".", 0, is_lock);
    tidy(dir, "refs", TIDY_DEPTH, is_lock);
    tidy(dir, "objects", 1, is_half);
    tidy(dir, "objects", 1, is_lock);
}

int repository_packs(int dir)
{
    int count = 0;
    int objects = file_open_folder(dir, "objects");
    DIR *names = objects >= 0 ? open_names(objects, "pack") : NULL;
    for (const struct dirent *entry; names != NULL && (entry = readdir(names)) != NULL;) {
        size_t len = strlen(entry->d_name);
        count += len > 5 && strcmp(entry->d_name + len - 5, ".pack") == 0;
    }
    if (names != NULL)
        closedir(names);
    if (objects >= 0)
        close(objects);
    return count;
}
