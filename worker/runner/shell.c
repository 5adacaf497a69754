/* What a login shell makes of PATH. */
#include "worker/runner/shell.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner/ask.h"
#include "worker/runner/source.h"

#define ASK_MS 5000 /* for one of them */
#define ALL_MS 7000 /* for all who are asked, until they are hung up on */
#define MARK "FLEET_PATH="
_Static_assert(ALL_MS + 3 * ASK_GRACE_MS <= SHELL_ASK_MS, "three are asked at most");

/* The same words to every shell: sh, bash, zsh, fish and tcsh read them alike. */
static char question[] = "exec /bin/sh -c 'printf \"\\n" MARK "%s\\n\" \"$PATH\"'";

/* As sshd and login say it; else as /etc/passwd does. */
static const char *own_shell(char shell[static SHELL_PATH_SIZE])
{
    const char *said = getenv("SHELL");
    snprintf(shell, SHELL_PATH_SIZE, "%s", said != NULL ? said : "");
    FILE *passwd = shell[0] == '/' ? NULL : fopen("/etc/passwd", "re");
    for (const struct passwd *row; passwd != NULL && (row = fgetpwent(passwd)) != NULL;) {
        if (row->pw_uid == getuid()) {
            snprintf(shell, SHELL_PATH_SIZE, "%s", row->pw_shell);
            break;
        }
    }
    if (passwd != NULL)
        fclose(passwd);
    return shell[0] == '/' && access(shell, X_OK) == 0 ? shell : "/bin/sh";
}

/* The folders of it that mean the same wherever a job stands. False: there is none. */
static bool keep_absolute(const char *line, char path[static SHELL_PATH_SIZE])
{
    size_t len = 0;
    for (const char *at = line; *at != '\0'; at += *at == ':') {
        size_t part = strcspn(at, ":");
        if (*at == '/' && len + part + 2 < SHELL_PATH_SIZE)
            len += (size_t)snprintf(path + len, SHELL_PATH_SIZE - len, "%s%.*s", len > 0 ? ":" : "",
                                    (int)part, at);
        at += part;
    }
    return len > 0;
}

/* A dash in front of its name makes any of them a login shell. `left`: milliseconds. */
static bool asks(const char *shell, bool interactive, int64_t *left,
                 char path[static SHELL_PATH_SIZE])
{
    char line[SHELL_PATH_SIZE + sizeof MARK], login[64];
    const char *slash = strrchr(shell, '/');
    int64_t began = clock_now();
    struct asked asked = {.line = line, .size = sizeof line, .mark = MARK};
    snprintf(login, sizeof login, "-%.60s", slash + 1);
    char *typed[] = {login, (char[]){"-i"}, (char[]){"-c"}, question, NULL};
    char *silent[] = {login, (char[]){"-c"}, question, NULL};
    if (*left <= 0 || !ask_begin(&asked, shell, interactive ? typed : silent, path,
                                 *left < ASK_MS ? *left : ASK_MS))
        return false;
    ask_wait(&asked);
    *left -= clock_now() - began;
    ask_end(&asked);
    return asked.whole && asked.len + 1 < sizeof line &&
           keep_absolute(line + sizeof MARK - 1, path);
}

void shell_ask(struct shell *shell)
{
    char buffer[SHELL_PATH_SIZE];
    const char *ours = getenv("PATH"), *own = own_shell(buffer);
    int64_t left = ALL_MS;
    if (ours == NULL || strlen(ours) >= SHELL_PATH_SIZE || ours[0] == '\0')
        ours = "/usr/local/bin:/usr/bin:/bin";
    snprintf(shell->path, sizeof shell->path, "%s", ours);
    shell->name[0] = '\0';
    if (!asks(own, true, &left, shell->path) && !asks(own, false, &left, shell->path)) {
        own = "/bin/sh";
        if (!asks(own, false, &left, shell->path))
            return;
    }
    snprintf(shell->name, sizeof shell->name, "%.32s", strrchr(own, '/') + 1);
}
