/* A private PostgreSQL for a test program: a fresh cluster in a temporary folder, unix socket only.
 *
 * Call fixture_postgres_open() in main() before the tests (Check forks each test) and
 * fixture_postgres_close() after them. With FLEET_TEST_DATABASE_URL in the environment that
 * database is used instead, and fixture_postgres_is_private() is false: it cannot be stopped. */
#ifndef FLEET_FIXTURE_POSTGRES_H
#define FLEET_FIXTURE_POSTGRES_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    char bin[200];    /* folder of the server's programs */
    char folder[100]; /* temporary: data, socket, log */
    char url[300];
    pid_t owner; /* the test program */
    bool private;
} fixture_postgres;

static inline void fixture_postgres_fail(const char *what)
{
    fprintf(stderr, "fixture: %s: %s (see %s/log)\n", what, strerror(errno),
            fixture_postgres.folder);
    exit(EXIT_FAILURE);
}

static inline void fixture_postgres_nap(void)
{
    struct timespec nap = {0, 10000000};

    nanosleep(&nap, NULL);
}

/* In a child: PostgreSQL refuses to run as root. */
static inline void fixture_postgres_become(void)
{
    const struct passwd *user = getpwnam("postgres");

    if (geteuid() != 0)
        return;
    if (!user || initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0)
        _exit(126);
}

/* Starts a program of the server; its output goes to the log. Returns its pid. argv[0] becomes the
 * whole path: the programs of PostgreSQL look for each other beside it, else along PATH. */
static inline pid_t fixture_postgres_spawn(const char *program, char *argv[])
{
    char path[300], log[200];
    pid_t pid;

    snprintf(path, sizeof path, "%s/%s", fixture_postgres.bin, program);
    snprintf(log, sizeof log, "%s/log", fixture_postgres.folder);
    pid = fork();
    if (pid == 0) {
        int fd;

        if (chdir("/") != 0) /* user postgres may not be let into the folder of the tests */
            _exit(127);
        fixture_postgres_become();
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        if (getppid() == fixture_postgres.owner)
            prctl(PR_SET_PDEATHSIG, SIGINT); /* a killed test program leaves no server behind */
        setpgid(0, 0);                       /* Check kills the group of a test that hangs */
        argv[0] = path;
        execv(path, argv);
        _exit(127);
    }
    return pid;
}

static inline const char *fixture_postgres_url(void)
{
    return fixture_postgres.url;
}

static inline bool fixture_postgres_is_private(void)
{
    return fixture_postgres.private;
}

/* Waits until it answers; false after 30 s. */
static inline bool fixture_postgres_wait(void)
{
    for (int i = 0; i < 3000; i++) {
        if (PQping(fixture_postgres.url) == PQPING_OK)
            return true;
        fixture_postgres_nap();
    }
    return false;
}

/* Starts the server of the cluster: in a test too, after it was stopped there. */
static inline pid_t fixture_postgres_start(void)
{
    char data[200], socket_option[200];
    char *argv[] = {"postgres",
                    "-D",
                    data,
                    socket_option,
                    "-clisten_addresses=",
                    "-cfsync=off",
                    "-csynchronous_commit=off",
                    "-cfull_page_writes=off",
                    "-cmax_connections=100",
                    "-clog_min_messages=warning",
                    NULL};
    pid_t pid;

    snprintf(data, sizeof data, "%s/data", fixture_postgres.folder);
    snprintf(socket_option, sizeof socket_option, "-cunix_socket_directories=%s",
             fixture_postgres.folder);
    pid = fixture_postgres_spawn("postgres", argv);
    if (pid < 0 || !fixture_postgres_wait())
        fixture_postgres_fail("cannot start PostgreSQL");
    return pid;
}

/* Stops it, if it runs: fast, so that its clients are told; or at once. Returns when it is gone. */
static inline void fixture_postgres_stop(bool immediate)
{
    char path[200], line[64] = "";
    FILE *file;
    pid_t pid;

    snprintf(path, sizeof path, "%s/data/postmaster.pid", fixture_postgres.folder);
    file = fopen(path, "r");
    if (!file)
        return;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    pid = (pid_t)atoi(line);
    if (pid <= 1 || kill(pid, immediate ? SIGQUIT : SIGINT) != 0)
        return;
    for (int i = 0; i < 3000 && access(path, F_OK) == 0; i++)
        fixture_postgres_nap();
    while (waitpid(pid, NULL, WNOHANG) > 0)
        ;
}

static inline void fixture_postgres_find(void)
{
    const char *given = getenv("FLEET_TEST_POSTGRES_BIN");
    glob_t found;

    if (given) {
        snprintf(fixture_postgres.bin, sizeof fixture_postgres.bin, "%s", given);
        return;
    }
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0)
        fixture_postgres_fail("no PostgreSQL server in /usr/lib/postgresql");
    snprintf(fixture_postgres.bin, sizeof fixture_postgres.bin, "%s",
             found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
}

static inline void fixture_postgres_make_cluster(void)
{
    char data[200];
    char *argv[] = {"initdb",     "-D",   data, "-U",       "postgres", "-A", "trust",
                    "--encoding", "UTF8", "-N", "--locale", "C.UTF-8",  NULL};
    const struct passwd *user = getpwnam("postgres");
    int status;
    pid_t pid;

    snprintf(fixture_postgres.folder, sizeof fixture_postgres.folder, "/tmp/fleet-test-XXXXXX");
    if (!mkdtemp(fixture_postgres.folder))
        fixture_postgres_fail("cannot make a temporary folder");
    if (geteuid() == 0 &&
        (!user || chown(fixture_postgres.folder, user->pw_uid, user->pw_gid) != 0))
        fixture_postgres_fail("there is no user postgres");
    snprintf(data, sizeof data, "%s/data", fixture_postgres.folder);
    pid = fixture_postgres_spawn("initdb", argv);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        fixture_postgres_fail("initdb failed");
}

static inline void fixture_postgres_close(void)
{
    char command[200];

    if (!fixture_postgres.private || fixture_postgres.owner != getpid())
        return;
    fixture_postgres_stop(true);
    fixture_postgres.private = false;
    snprintf(command, sizeof command, "rm -rf -- '%s'", fixture_postgres.folder);
    if (system(command) != 0)
        fprintf(stderr, "fixture: cannot remove %s\n", fixture_postgres.folder);
}

static inline void fixture_postgres_open(void)
{
    const char *given = getenv("FLEET_TEST_DATABASE_URL");

    if (given && *given) {
        snprintf(fixture_postgres.url, sizeof fixture_postgres.url, "%s", given);
        return;
    }
    fixture_postgres.private = true;
    fixture_postgres.owner = getpid();
    fixture_postgres_find();
    fixture_postgres_make_cluster();
    snprintf(fixture_postgres.url, sizeof fixture_postgres.url,
             "postgresql:///postgres?host=%s&user=postgres", fixture_postgres.folder);
    fixture_postgres_start();
    atexit(fixture_postgres_close);
}

#endif
