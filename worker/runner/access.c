/* Credentials, from a frame to git and to nobody else. */
#include "worker/runner/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"

/* What git's environment says to us: paths, and a user's name. */
#define ASKED "FLEET_GIT_ASKED" /* "password" or "ssh" */
#define USER "FLEET_GIT_USER"
#define SECRET "FLEET_GIT_SECRET"
#define KNOWN_HOSTS "FLEET_GIT_KNOWN_HOSTS"

#define SSH_WORDS_MAX 64

/* --- The url --- */

/* host, or user@host, and no more: a password in it would be seen by everybody. */
static const char *fault_of_authority(const char *at)
{
    size_t len = strcspn(at, "/?#");
    const char *end = memchr(at, '@', len);
    if (end != NULL && memchr(at, ':', (size_t)(end - at)) != NULL)
        return "has a password in it: it belongs to git.password";
    const char *host = end != NULL ? end + 1 : at;
    if (*at == '-' || *host == '-' || host >= at + len || *host == ':')
        return "names no proper host";
    return NULL;
}

static const char *fault_of_url(const char *url, const char **scheme)
{
    static const char *const schemes[] = {"https", "http", "ssh", "file"};
    *scheme = "file";
    for (const char *at = url; *at != '\0'; at++)
        if (*at <= 0x20 || *at > 0x7e)
            return "holds a blank or a control character";
    if (url[0] == '/')
        return NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(url, schemes[i], len) != 0 || strncmp(url + len, "://", 3) != 0)
            continue;
        *scheme = schemes[i];
        if (i == 3)
            return url[len + 3] == '/' ? NULL : "names no absolute path";
        return fault_of_authority(url + len + 3);
    }
    return "is none of https://, http://, ssh://, file:// and an absolute path";
}

/* --- In the call --- */

static int make_file(const char *name, const struct runner_blob *blob)
{
    static const char newline = '\n';
    bool ended = blob->len > 0 && ((const char *)blob->bytes)[blob->len - 1] == newline;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool made =
        fd >= 0 && fchmod(fd, 0600) == 0 && file_write_all(fd, blob->bytes, blob->len) &&
        (ended || file_write_all(fd, &newline, 1)) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0;
    if (!made && fd >= 0)
        close(fd);
    return made ? fd : -1;
}

static void add(struct access *access, const char *name, const char *value)
{
    int at = 0;
    while (access->variables[at] != NULL)
        at++;
    snprintf(access->text[at], sizeof access->text[at], "%s=%s", name, value);
    access->variables[at] = access->text[at];
}

/* ssh closes what it inherits: it opens the files of ours, as long as we are there. */
static void add_path(struct access *access, const char *name, const char *of, int fd)
{
    char path[64];
    if (fd >= 0)
        snprintf(path, sizeof path, "/proc/%d/%s/%d", (int)getpid(), of, fd);
    else
        snprintf(path, sizeof path, "/proc/%d/%s", (int)getpid(), of);
    add(access, name, path);
}

static bool add_password(struct access *access, const struct runner_work *work)
{
    access->secret = make_file("secret", &work->secret);
    if (access->secret < 0)
        return false;
    access->mask = strndup(work->secret.bytes, work->secret.len);
    add_path(access, "GIT_ASKPASS", "exe", -1);
    add(access, ASKED, "password");
    add(access, USER, work->user[0] != '\0' ? work->user : "git");
    add_path(access, SECRET, "fd", access->secret);
    return access->mask != NULL;
}

static bool add_ssh(struct access *access, const struct runner_work *work)
{
    add_path(access, "GIT_SSH", "exe", -1);
    add(access, "GIT_SSH_VARIANT", "ssh");
    add(access, ASKED, "ssh");
    if (work->access != ACCESS_SSH)
        return true;
    access->secret = make_file("secret", &work->secret);
    access->known_hosts = make_file("known_hosts", &work->known_hosts);
    if (access->secret < 0 || access->known_hosts < 0)
        return false;
    add_path(access, SECRET, "fd", access->secret);
    add_path(access, KNOWN_HOSTS, "fd", access->known_hosts);
    return true;
}

bool access_open(struct access *access, const struct runner_work *work, char why[static 256])
{
    *access = (struct access){.secret = -1, .known_hosts = -1};
    const char *fault = fault_of_url(work->url, &access->scheme);
    if (fault != NULL) {
        snprintf(why, 256, "the repository's url %s", fault);
        return false;
    }
    bool made = true;
    if (strcmp(access->scheme, "ssh") == 0)
        made = add_ssh(access, work);
    else if (strcmp(access->scheme, "file") != 0 && work->access == ACCESS_PASSWORD)
        made = add_password(access, work);
    if (!made)
        snprintf(why, 256, "no memory for the credential: %s", strerror(errno));
    return made;
}

void access_close(struct access *access)
{
    if (access->secret >= 0)
        close(access->secret);
    if (access->known_hosts >= 0)
        close(access->known_hosts);
    access->secret = access->known_hosts = -1;
    if (access->mask != NULL)
        explicit_bzero(access->mask, strlen(access->mask));
    free(access->mask);
    access->mask = NULL;
}

/* --- In the program that git starts --- */

bool access_is_asked(void)
{
    return getenv(ASKED) != NULL;
}

/* "Username for '…': " or "Password for '…': " */
static int say_password(const char *prompt)
{
    char text[FILE_SMALL_MAX];
    const char *user = getenv(USER), *path = getenv(SECRET);
    if (strncmp(prompt, "Username", 8) == 0)
        return user == NULL || printf("%s\n", user) < 0;
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    size_t len = fd >= 0 ? file_read_some(fd, text, sizeof text) : 0;
    bool said = len > 0 && file_write_all(1, text, len);
    explicit_bzero(text, sizeof text);
    return said ? 0 : 1;
}

static char *option(const char *name, const char *value)
{
    char *text = NULL;
    if (value == NULL || asprintf(&text, "%s=%s", name, value) < 0)
        return NULL;
    return text;
}

/* With nothing of the account's own configuration, keys and agents. */
static int become_ssh(int argc, char **argv)
{
    const char *secret = getenv(SECRET), *known_hosts = getenv(KNOWN_HOSTS);
    char *words[SSH_WORDS_MAX] = {"ssh", "-F", "/dev/null"};
    char *options[] = {
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "ControlMaster=no",
        "ControlPath=none",
        "PreferredAuthentications=publickey",
        "ConnectTimeout=30",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
        "LogLevel=ERROR",
        option("IdentityFile", secret != NULL ? secret : "none"),
        option("UserKnownHostsFile", known_hosts != NULL ? known_hosts : "/dev/null"),
    };
    int count = 3;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        words[count++] = "-o";
        words[count++] = options[i];
    }
    for (int i = 1; i < argc && count < SSH_WORDS_MAX - 1; i++)
        words[count++] = argv[i];
    unsetenv(ASKED);
    unsetenv(SECRET);
    unsetenv(KNOWN_HOSTS);
    execvp(words[0], words);
    fprintf(stderr, "ssh cannot be started on this host: %s\n", strerror(errno));
    return 127;
}

int access_main(int argc, char **argv)
{
    const char *asked = getenv(ASKED);
    if (asked != NULL && strcmp(asked, "ssh") == 0)
        return become_ssh(argc, argv);
    return say_password(argc > 1 ? argv[1] : "");
}
