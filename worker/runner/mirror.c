/* Mirrors: made, fetched by one at a time, made anew. */
#include "worker/runner/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/advert.h"
#include "worker/runner/fault.h"
#include "worker/runner/file.h"
#include "worker/runner/process.h"
#include "worker/runner/repository.h"
#include "worker/runner/sha256.h"
#include "worker/runner/source.h"
#include "worker/runner/space.h"

#define PAUSE_MS 50
#define PACKS_MAX 40 /* small ones are put together beyond */
#define SECRET_LEN 32

/* --- Its name --- */

/* Random, made once. */
static bool read_secret(int mirrors, char text[static FILE_SMALL_MAX + 1])
{
    uint8_t random[SECRET_LEN / 2];
    if (file_line(mirrors, "secret", text) && strlen(text) == SECRET_LEN)
        return true;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    return file_write(mirrors, "secret", text, SECRET_LEN);
}

/* Of the repository's own name what is harmless anywhere. */
static void show_name(const char *repository, char name[static 64])
{
    const char *slash = strrchr(repository, '/');
    size_t len = 0;
    for (const char *at = slash != NULL ? slash + 1 : repository; *at != '\0' && len < 63; at++)
        if ((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || (*at == '-' && len > 0))
            name[len++] = *at;
        else if (*at >= 'A' && *at <= 'Z')
            name[len++] = (char)(*at - 'A' + 'a');
    name[len] = '\0';
}

static bool make_name(struct mirror *mirror)
{
    char secret[FILE_SMALL_MAX + 1], hex[SHA256_HEX_SIZE], shown[64];
    struct sha256 sum;
    /* One at a time makes the secret: mirrors/ itself is the lock. */
    int dir = openat(mirror->mirrors, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool known = dir >= 0 && flock(dir, LOCK_EX) == 0 && read_secret(mirror->mirrors, secret);
    if (dir >= 0)
        close(dir);
    if (!known)
        return false;
    sha256_init(&sum);
    sha256_take(&sum, secret, SECRET_LEN);
    sha256_take(&sum, mirror->work->url, strlen(mirror->work->url));
    sha256_hex(&sum, hex);
    show_name(mirror->work->repository, shown);
    snprintf(mirror->name, sizeof mirror->name, "%s-%.32s", shown[0] != '\0' ? shown : "mirror",
             hex);
    snprintf(mirror->path, sizeof mirror->path, "%s/mirrors/%s", mirror->base->path, mirror->name);
    return true;
}

/* --- Its lock --- */

static bool take_lock(struct mirror *mirror)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    char name[sizeof mirror->name + 8];
    snprintf(name, sizeof name, "%s.lock", mirror->name);
    mirror->lock =
        openat(mirror->mirrors, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (mirror->lock < 0)
        return fault_of_errno(mirror->worked, "the mirror's lock");
    while (flock(mirror->lock, LOCK_EX | LOCK_NB) != 0) {
        if (!git_may_go_on(mirror->git))
            return fault(mirror->worked, "fetch_failed",
                         "other tasks were fetching this repository until the time was over");
        nanosleep(&pause, NULL);
    }
    return true;
}

/* --- What the last fetch found --- */

/* "boot began_ms ok 1|256 head", or "boot began_ms reason 0 detail" */
static void write_told(const struct mirror *mirror, int64_t began, bool fetched)
{
    char line[FILE_SMALL_MAX];
    int len;
    if (fetched)
        len = snprintf(line, sizeof line, "%s %" PRId64 " ok %d %s\n", process_boot(), began,
                       mirror->sha256 ? 256 : 1, mirror->head);
    else
        len = snprintf(line, sizeof line, "%s %" PRId64 " %s 0 %.900s\n", process_boot(), began,
                       mirror->worked->reason, mirror->worked->detail);
    file_write(mirror->dir, "told", line, (size_t)len);
}

/* Somebody's who began to fetch at `asked` or later: 1 when it is fetched, -1 when that failed, 0
 * when nobody did. */
static int read_told(struct mirror *mirror, int64_t asked)
{
    char line[FILE_SMALL_MAX + 1], boot[RUNNER_BOOT_SIZE], word[RUNNER_WORD_SIZE], when[24],
        kind[8];
    int end = 0;
    if (!file_line(mirror->dir, "told", line) ||
        sscanf(line, "%79s %23s %32s %7s %n", boot, when, word, kind, &end) != 4 || end == 0)
        return 0;
    int64_t began = strtoll(when, NULL, 10);
    bool ok = strcmp(word, "ok") == 0;
    if (ok)
        mirror->sha256 = strcmp(kind, "256") == 0;
    if (strcmp(boot, process_boot()) != 0 || began < asked)
        return 0;
    if (!ok)
        return fault(mirror->worked, word, line + end) - 1;
    snprintf(mirror->head, sizeof mirror->head, "%.255s", line + end);
    return 1;
}

/* --- Fetched --- */

/* What the server's HEAD is: read each time, for it may be renamed or deleted. */
static bool ask_server(struct mirror *mirror)
{
    struct git_text text = {0};
    struct git_child child = {.dir = mirror->path,
                              .scheme = mirror->access->scheme,
                              .variables = mirror->access->variables,
                              .text = &text};
    bool told = git_run(mirror->git, &child, "ls-remote", "--symref", "--", mirror->work->url,
                        "HEAD", "refs/heads/*");
    if (told)
        advert_read(text.bytes, mirror->head, &mirror->sha256);
    git_text_release(&text);
    return told;
}

static bool make(struct mirror *mirror, int dir)
{
    struct repository plan = {.bare = true, .sha256 = mirror->sha256, .head = "refs/heads/main"};
    return repository_make(dir, &plan) || fault_of_errno(mirror->worked, "a mirror cannot be made");
}

static bool fetch_into(struct mirror *mirror, const char *path)
{
    struct git_child child = {
        .dir = path, .scheme = mirror->access->scheme, .variables = mirror->access->variables};
    return git_run(mirror->git, &child, "fetch", "--progress", "--prune", "--no-tags", "--force",
                   "--no-write-fetch-head", "--update-shallow", "--no-auto-maintenance",
                   "--no-show-forced-updates", "--", mirror->work->url,
                   "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*");
}

/* Every fetch makes a pack. */
static void put_together(struct mirror *mirror)
{
    struct git_child child = {.dir = mirror->path};
    if (repository_packs(mirror->dir) > PACKS_MAX)
        git_run(mirror->git, &child, "repack", "--geometric=2", "-d", "-q",
                "--no-write-bitmap-index");
}

/* --- Made anew --- */

/* What can be read of the old one's packs: commits that no branch of the server has any more may be
 * wanted by a stage. */
static void save_packs(struct mirror *mirror, int made)
{
    struct git_child child = {.dir = mirror->path};
    int from = openat(mirror->dir, "objects/pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int to = openat(made, "objects/pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = from >= 0 ? fdopendir(dup(from)) : NULL;
    for (const struct dirent *entry; names != NULL && (entry = readdir(names)) != NULL;) {
        char path[sizeof mirror->path + 300], pack[256];
        int len = (int)strlen(entry->d_name) - 4;
        if (len < 1 || strcmp(entry->d_name + len, ".idx") != 0)
            continue;
        snprintf(path, sizeof path, "%s/objects/pack/%s", mirror->path, entry->d_name);
        snprintf(pack, sizeof pack, "%.*s.pack", len, entry->d_name);
        if (to >= 0 && git_run(mirror->git, &child, "verify-pack", "--", path) &&
            linkat(from, pack, to, pack, 0) == 0)
            linkat(from, entry->d_name, to, entry->d_name, 0);
    }
    if (names != NULL)
        closedir(names);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
}

/* In one step, so that whoever reads objects in it finds either. */
static bool swap_in(struct mirror *mirror, const char *name, int made)
{
    if (renameat2(mirror->mirrors, name, mirror->mirrors, mirror->name, RENAME_EXCHANGE) != 0)
        return fault_of_errno(mirror->worked, "the new mirror cannot be put in its place");
    close(mirror->dir);
    mirror->dir = made;
    file_remove(mirror->mirrors, name);
    return true;
}

/* Beside the old one, then swapped in. Only under the lock. */
static bool fetch_anew(struct mirror *mirror)
{
    char name[sizeof mirror->name + 8], path[sizeof mirror->path + 8];
    snprintf(name, sizeof name, ".new.%s", mirror->name);
    snprintf(path, sizeof path, "%s/mirrors/%s", mirror->base->path, name);
    file_remove(mirror->mirrors, name);
    int made = file_make_folder(mirror->mirrors, name);
    if (made < 0)
        return fault_of_errno(mirror->worked, "a mirror cannot be made");
    if (make(mirror, made)) {
        if (!fetch_into(mirror, path))
            fault_of_git(mirror->worked, mirror->git, "fetch_failed");
        else if (save_packs(mirror, made), swap_in(mirror, name, made))
            return true;
    }
    close(made);
    file_remove(mirror->mirrors, name);
    return false;
}

/* --- Opened --- */

static bool fetch(struct mirror *mirror)
{
    repository_tidy(mirror->dir);
    bool sha256 = mirror->sha256;
    if (!make(mirror, mirror->dir))
        return false;
    if (!ask_server(mirror))
        return fault_of_git(mirror->worked, mirror->git, "fetch_failed");
    if (sha256 != mirror->sha256 && !make(mirror, mirror->dir))
        return false;
    if (fetch_into(mirror, mirror->path)) {
        put_together(mirror);
        return true;
    }
    if (fault_is_damage(mirror->git))
        return fetch_anew(mirror);
    return fault_of_git(mirror->worked, mirror->git, "fetch_failed");
}

/* Under the lock; the time that it has begins now. */
static bool fetch_in_time(struct mirror *mirror, bool (*how)(struct mirror *mirror))
{
    char why[256];
    int64_t began = clock_now();
    if (!space_is_left(mirror->mirrors, mirror->work->min_free, why))
        return fault(mirror->worked, "host_disk_full", why);
    mirror->git->deadline = began + (int64_t)mirror->work->fetch_secs * 1000;
    bool fetched = how(mirror);
    if (!fetched)
        repository_tidy(mirror->dir); /* what came of it takes no room */
    if (mirror->git->end != GIT_LOST)
        write_told(mirror, began, fetched);
    return fetched;
}

static bool open_folder(struct mirror *mirror)
{
    mirror->mirrors = file_make_folder(mirror->base->dir, "mirrors");
    bool made = mirror->mirrors >= 0 && fchmod(mirror->mirrors, 0711) == 0 && make_name(mirror);
    if (!made)
        return fault_of_errno(mirror->worked, "the folder of mirrors cannot be made");
    if (!take_lock(mirror))
        return false;
    mirror->dir = file_make_folder(mirror->mirrors, mirror->name);
    return mirror->dir >= 0 || fault_of_errno(mirror->worked, "a mirror cannot be made");
}

static void unlock(struct mirror *mirror)
{
    if (mirror->lock >= 0)
        close(mirror->lock);
    mirror->lock = -1;
}

bool mirror_open(struct mirror *mirror)
{
    int64_t asked = clock_now();
    mirror->mirrors = mirror->dir = mirror->lock = -1;
    bool open = open_folder(mirror);
    int told = open ? read_told(mirror, asked) : -1;
    open = told > 0 || (told == 0 && fetch_in_time(mirror, fetch));
    unlock(mirror);
    return open;
}

bool mirror_remake(struct mirror *mirror)
{
    bool made = take_lock(mirror) && fetch_in_time(mirror, fetch_anew);
    unlock(mirror);
    return made;
}

void mirror_close(struct mirror *mirror)
{
    unlock(mirror);
    if (mirror->dir >= 0)
        close(mirror->dir);
    if (mirror->mirrors >= 0)
        close(mirror->mirrors);
    mirror->dir = mirror->mirrors = -1;
}
