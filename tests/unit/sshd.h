/* A private sshd on loopback for tests: own keys, own port, ends with the test process. */
#ifndef FLEET_TEST_SSHD_H
#define FLEET_TEST_SSHD_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/config/config.h"

struct sshd {
    char folder[64];
    char host_key[96], user_key[96], known_hosts[96], config[96];
    char user[64];
    int port;
    pid_t pid;
    struct config_host host;
};

__attribute__((format(printf, 1, 2))) static inline void shell(const char *format, ...)
{
    char command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static inline int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* Folder, keys and configuration; `extra` is more of sshd_config. */
static inline void sshd_init(struct sshd *sshd, const char *extra)
{
    struct passwd *account = getpwuid(getuid());
    *sshd = (struct sshd){.folder = "/tmp/fleet-sshd.XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(sshd->folder));
    ck_assert_ptr_nonnull(account);
    snprintf(sshd->user, sizeof sshd->user, "%s", account->pw_name);
    snprintf(sshd->host_key, sizeof sshd->host_key, "%s/host_ed25519", sshd->folder);
    snprintf(sshd->user_key, sizeof sshd->user_key, "%s/user_ed25519", sshd->folder);
    snprintf(sshd->known_hosts, sizeof sshd->known_hosts, "%s/known_hosts", sshd->folder);
    snprintf(sshd->config, sizeof sshd->config, "%s/sshd_config", sshd->folder);
    shell("ssh-keygen -q -t ed25519 -N '' -C test -f %s", sshd->host_key);
    shell("ssh-keygen -q -t ed25519 -N '' -C test -f %s", sshd->user_key);
    shell("cp %s.pub %s/authorized_keys", sshd->user_key, sshd->folder);
    sshd->port = free_port();
    /* SHLVL: bash as a login shell leaves ~/.bashrc alone; HOME: login files of a real account may
     * do anything. */
    shell("printf '%%s\\n' 'Port %d' 'ListenAddress 127.0.0.1' 'HostKey %s' 'StrictModes no' "
          "'AuthorizedKeysFile %s/authorized_keys' 'UsePAM no' 'PasswordAuthentication no' "
          "'KbdInteractiveAuthentication no' 'PermitRootLogin prohibit-password' 'PidFile none' "
          "'SetEnv SHLVL=1 HOME=%s' '%s' >%s",
          sshd->port, sshd->host_key, sshd->folder, sshd->folder, extra, sshd->config);
    shell("sed 's/^/[127.0.0.1]:%d /' %s.pub >%s", sshd->port, sshd->host_key, sshd->known_hosts);
    sshd->host = (struct config_host){
        .host_id = "test-host",
        .hostname = "127.0.0.1",
        .ssh_user = sshd->user,
        .ssh_port = sshd->port,
        .ssh_key_path = sshd->user_key,
        .known_hosts = sshd->known_hosts,
        .work_dir = sshd->folder,
    };
}

static inline void sshd_exec(const struct sshd *sshd, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(out, 2);
    execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-e", "-f", sshd->config, NULL);
    _exit(127);
}

/* Returns when it listens. */
static inline void sshd_start(struct sshd *sshd)
{
    int fds[2];
    char text[4096] = "";
    size_t len = 0;
    if (getuid() == 0)
        mkdir("/run/sshd", 0755);
    ck_assert_int_eq(pipe(fds), 0);
    sshd->pid = fork();
    if (sshd->pid == 0)
        sshd_exec(sshd, fds[1]);
    close(fds[1]);
    while (strstr(text, "Server listening") == NULL) {
        ssize_t got = read(fds[0], text + len, sizeof text - 1 - len);
        ck_assert_msg(got > 0, "sshd did not start: %s", text);
        len += (size_t)got;
        text[len] = '\0';
    }
    /* fds[0] stays open: sshd must be able to go on writing its log. */
}

/* Ends the listener and, for it is their parent, waits for nothing else. */
static inline void sshd_stop(struct sshd *sshd)
{
    if (sshd->pid > 0) {
        kill(sshd->pid, SIGTERM);
        waitpid(sshd->pid, NULL, 0);
    }
    sshd->pid = 0;
}

static inline void sshd_release(struct sshd *sshd)
{
    sshd_stop(sshd);
    shell("rm -rf %s", sshd->folder);
}

#endif
