/* Who the host is: machine, boot, owner, space, agents; and what it lacks. */
#include "worker/runner/greet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/look.h"
#include "worker/runner/process.h"
#include "worker/runner/question.h"
#include "worker/runner/sandbox.h"
#include "worker/runner/source.h"

#define OWNER_LEN 32
#define OWNER_LOCK_TRIES 40 /* of 50 ms each */

/* --- The owner file --- */

/* The id in a small regular file of our own. */
static bool read_hex(int dir, const char *name, bool own, char hex[static OWNER_LEN + 1])
{
    struct stat about;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool proper = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) &&
                  (!own || about.st_uid == geteuid()) && about.st_size <= OWNER_LEN + 2 &&
                  read(fd, hex, OWNER_LEN) == OWNER_LEN;
    close(fd);
    hex[proper ? OWNER_LEN : 0] = '\0';
    return strspn(hex, FRAME_HEX) == OWNER_LEN;
}

static bool write_owner(int dir, const char *name)
{
    uint8_t random[OWNER_LEN / 2];
    char text[OWNER_LEN + 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    text[OWNER_LEN] = '\n';
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = write(fd, text, OWNER_LEN + 1) == OWNER_LEN + 1 && fsync(fd) == 0;
    return close(fd) == 0 && written;
}

/* link() refuses where one stands. What stands there and is none is moved out of the way first. */
static void make_owner(int dir)
{
    char mine[64], aside[64];
    struct stat about;
    snprintf(mine, sizeof mine, "owner.%d", (int)getpid());
    snprintf(aside, sizeof aside, "owner.bad.%d", (int)getpid());
    unlinkat(dir, mine, 0);
    if (write_owner(dir, mine)) {
        if (fstatat(dir, "owner", &about, AT_SYMLINK_NOFOLLOW) == 0 &&
            renameat(dir, "owner", dir, aside) == 0 && unlinkat(dir, aside, 0) != 0)
            unlinkat(dir, aside, AT_REMOVEDIR);
        if (linkat(dir, mine, dir, "owner", 0) == 0)
            fsync(dir);
    }
    unlinkat(dir, mine, 0);
}

/* Made once, and again when it was damaged; by one at a time. */
static bool find_owner(int fleet, char owner[static OWNER_LEN + 1])
{
    if (read_hex(fleet, "owner", true, owner))
        return true;
    int dir = openat(fleet, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int tries = 0;
    while (dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) != 0 && tries++ < OWNER_LOCK_TRIES)
        usleep(50000);
    bool there = read_hex(fleet, "owner", true, owner);
    if (!there && dir >= 0 && tries <= OWNER_LOCK_TRIES) {
        make_owner(dir);
        there = read_hex(fleet, "owner", true, owner);
    }
    if (dir >= 0)
        close(dir);
    return there;
}

/* --- The host --- */

static const char *system_name(void)
{
#if defined(__x86_64__)
    return "Linux x86_64";
#elif defined(__aarch64__)
    return "Linux aarch64";
#else
    return "Linux";
#endif
}

static void find_machine(struct runner_greeting *greeting)
{
    char hex[OWNER_LEN + 1];
    bool found = read_hex(AT_FDCWD, "/etc/machine-id", false, hex) ||
                 read_hex(AT_FDCWD, "/var/lib/dbus/machine-id", false, hex);
    snprintf(greeting->machine, sizeof greeting->machine, "%s", found ? hex : "none");
}

/* Agents write times of day as the host has them. */
static int32_t utc_offset(void)
{
    struct tm local;
    time_t now = time(NULL);
    return localtime_r(&now, &local) == NULL ? 0 : (int32_t)local.tm_gmtoff;
}

static void lack(struct runner_greeting *greeting, const char *sentence)
{
    if (greeting->lacks[0] == '\0')
        snprintf(greeting->lacks, sizeof greeting->lacks, "%s", sentence);
}

static void measure(const struct base *base, struct runner_greeting *greeting)
{
    struct statvfs disk;
    if (fstatvfs(base->work, &disk) != 0)
        return;
    uint64_t bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    greeting->disk_free = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    if ((disk.f_flag & ST_RDONLY) != 0)
        lack(greeting, "work_dir lies on a file system that is mounted read-only");
    if ((disk.f_flag & ST_NOEXEC) != 0)
        lack(greeting, "work_dir lies on a file system that is mounted noexec");
    if (bytes == 0)
        lack(greeting, "no space left on the file system of work_dir");
    if (disk.f_files > 0 && disk.f_favail == 0)
        lack(greeting, "no inode left on the file system of work_dir");
}

static void find_lacks(const struct base *base, const char *why, struct runner_greeting *greeting)
{
    struct process self;
    if (!process_read(getpid(), &self))
        lack(greeting, "/proc is not mounted, or hides our own processes");
    if (access("/bin/sh", X_OK) != 0)
        lack(greeting, "there is no /bin/sh");
    if (base->dir < 0) {
        lack(greeting, why);
        return;
    }
    measure(base, greeting);
    if (!find_owner(base->fleet, greeting->owner)) {
        memset(greeting->owner, '0', OWNER_LEN);
        lack(greeting, "cannot write the file .fleet/owner below work_dir");
    }
}

static bool is_wanted(const struct question_looks *looks, const char *command)
{
    for (int i = 0; i < looks->count; i++) {
        if (strcmp(looks->look[i].command, command) == 0)
            return true;
    }
    return false;
}

static void send_shell(int socket, const struct shell *shell)
{
    uint8_t bytes[FRAME_HEAD + sizeof *shell];
    struct frame_out out = frame_begin(bytes, sizeof bytes, (enum frame_type)GREET_SHELL, 0);
    put_bytes(&out, shell, sizeof *shell);
    send(socket, bytes, frame_end(&out), MSG_NOSIGNAL);
}

static bool lacks_one(const struct runner_greeting *greeting)
{
    for (int i = 0; i < greeting->seen_count; i++) {
        if (!greeting->seen[i].found)
            return true;
    }
    return false;
}

/* In the PATH that is known; in what the shell says now where that does not do. */
static void find_agents(const struct question_looks *looks, const struct shell *known, int socket,
                        int64_t deadline, struct runner_greeting *greeting)
{
    static struct shell shell;
    greeting->seen_count = looks->count;
    if (known != NULL) {
        shell = *known;
        look_for(looks->look, looks->count, shell.path, deadline, greeting->seen);
    }
    if (known == NULL || (lacks_one(greeting) && clock_now() < deadline - SHELL_ASK_MS))
        shell_ask(&shell);
    if (known == NULL || strcmp(known->path, shell.path) != 0 ||
        strcmp(known->name, shell.name) != 0) {
        send_shell(socket, &shell);
        look_for(looks->look, looks->count, shell.path, deadline, greeting->seen);
    }
    look_show(shell.path, greeting->path, sizeof greeting->path);
    look_show(shell.name, greeting->shell, sizeof greeting->shell);
}

void greet(const struct base *base, const char *why, struct frame_in *payload,
           const struct shell *known, int socket, uint32_t id)
{
    static struct question_looks looks;
    static struct runner_greeting greeting;
    static uint8_t bytes[16384];
    int64_t deadline = clock_now() + GREET_MS;
    question_looks(*payload, &looks);
    greeting.disk_free = -1;
    memset(greeting.owner, '0', OWNER_LEN);
    snprintf(greeting.system, sizeof greeting.system, "%s", system_name());
    snprintf(greeting.boot, sizeof greeting.boot, "%s", process_boot());
    find_machine(&greeting);
    greeting.utc_offset_secs = utc_offset();
    find_lacks(base, why, &greeting);
    if (is_wanted(&looks, SANDBOX_PROGRAM))
        sandbox_try(greeting.sandbox);
    find_agents(&looks, known, socket, deadline, &greeting);
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_GREETING, id);
    put_greeting(&out, &greeting);
    send(socket, bytes, frame_end(&out), MSG_NOSIGNAL);
}
