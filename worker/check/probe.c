/* The command, and the reading of its answer. */
#include "worker/check/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/text.h"

#define NOISE_MAX 4096

/* $1 is work_dir, $2 the mark. No backslash, quote or exclamation mark: see probe.h. A text file
 * without "#" line is run by the shell itself where the file system allows it. */
static const char script[] =
    "LC_ALL=C; export LC_ALL; umask 077; w=$1; m=$2; t=$w/.fleet-check.$m; "
    "say() { echo; echo \"$m $*\"; }; "
    "say begin; say system $(uname -sm); say user $(id -un); say clock $(date +%s); "
    "[ -d \"$w\" ] || { say made; e=$(mkdir -p \"$w\" 2>&1) || say unmade $e; }; "
    "if [ -d \"$w\" ]; then say stands; "
    "say space $(stat -f -c \"%a %S %d %c\" \"$w\" 2>/dev/null); "
    "if e=$(exec 2>&1; echo \"exit 0\" >\"$t\"); then say wrote; "
    "chmod 700 \"$t\" 2>/dev/null && \"$t\" >/dev/null 2>&1 && say ran; "
    "else say unwritable $e; fi; rm -f \"$t\" 2>/dev/null; fi; "
    "say logind $(busctl --timeout=3 get-property org.freedesktop.login1 /org/freedesktop/login1 "
    "org.freedesktop.login1.Manager KillUserProcesses KillOnlyUsers KillExcludeUsers 2>/dev/null "
    "</dev/null); say end";

void probe_init(struct probe *probe)
{
    uint8_t random[16];
    memset(probe, 0, sizeof *probe);
    crypto_random(random, sizeof random);
    crypto_hex(random, sizeof random, probe->mark);
    buf_init(&probe->said, PROBE_SAID_MAX);
    buf_init(&probe->noise, NOISE_MAX);
    probe->clock = probe->blocks = probe->block_size = -1;
    probe->inodes_free = probe->inodes = -1;
}

void probe_release(struct probe *probe)
{
    buf_release(&probe->said);
    buf_release(&probe->noise);
}

void probe_command(struct probe *probe, const char *work_dir, struct buf *command)
{
    buf_addf(command, "/bin/sh -c '%s' sh ", script);
    text_shell_quote(command, work_dir);
    buf_addf(command, " %s", probe->mark);
}

void probe_remove_command(const char *folder, struct buf *command)
{
    buf_adds(command, "/bin/rm -rf ");
    text_shell_quote(command, folder);
}

void probe_take(struct probe *probe, const char *bytes, size_t len)
{
    size_t room = PROBE_SAID_MAX - probe->said.len;
    probe->flooded |= len > room;
    buf_add(&probe->said, bytes, len < room ? len : room);
}

/* A number that is none, or out of its bounds, is as if it had not been said. */
static int64_t number(const char **text)
{
    char *end;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    if (end == *text || errno != 0 || value < 0)
        return -1;
    *text = end;
    return value;
}

static void take_space(struct probe *probe, const char *rest)
{
    probe->blocks = number(&rest);
    probe->block_size = number(&rest);
    probe->inodes_free = number(&rest);
    probe->inodes = number(&rest);
}

static void take_text(char *text, const char *rest)
{
    snprintf(text, PROBE_TEXT, "%s", rest);
}

/* The host's word, which gets into lines that somebody pastes: of the characters of names only. */
static void take_user(char *user, const char *rest)
{
    static const char right[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._-+";
    take_text(user, rest);
    for (; *user != '\0'; user++) {
        if (strchr(right, *user) == NULL)
            *user = '?';
    }
}

/* "word rest" */
static void take_line(struct probe *probe, char *line)
{
    char *rest = line + strcspn(line, " ");
    if (*rest != '\0')
        *rest++ = '\0';
    if (strcmp(line, "system") == 0)
        take_text(probe->system, rest);
    else if (strcmp(line, "user") == 0)
        take_user(probe->user, rest);
    else if (strcmp(line, "clock") == 0)
        probe->clock = number(&(const char *){rest});
    else if (strcmp(line, "made") == 0)
        probe->made = true;
    else if (strcmp(line, "unmade") == 0)
        take_text(probe->unmade, rest);
    else if (strcmp(line, "stands") == 0)
        probe->stands = true;
    else if (strcmp(line, "space") == 0)
        take_space(probe, rest);
    else if (strcmp(line, "wrote") == 0)
        probe->wrote = true;
    else if (strcmp(line, "ran") == 0)
        probe->ran = true;
    else if (strcmp(line, "unwritable") == 0)
        take_text(probe->unwritable, rest);
    else if (strcmp(line, "logind") == 0)
        take_text(probe->logind, rest);
    else if (strcmp(line, "end") == 0)
        probe->ended = true;
}

/* The place behind the next mark that a blank follows; NULL: none. */
static const char *next_mark(const struct probe *probe, const char *from)
{
    const char *end = probe->said.data + probe->said.len;
    size_t len = strlen(probe->mark);
    while (from < end && (from = memmem(from, (size_t)(end - from), probe->mark, len)) != NULL) {
        from += len;
        if (from < end && *from == ' ')
            return from + 1;
    }
    return NULL;
}

static void keep_noise(struct probe *probe, const char *begin)
{
    size_t len = (size_t)(begin - probe->said.data) - strlen(probe->mark) - 1;
    while (len > 0 && strchr("\r\n", probe->said.data[len - 1]) != NULL)
        len--;
    buf_add(&probe->noise, probe->said.data, len < NOISE_MAX ? len : NOISE_MAX);
}

void probe_read(struct probe *probe)
{
    if (probe->said.len == 0)
        return;
    const char *end = probe->said.data + probe->said.len;
    for (const char *at = next_mark(probe, probe->said.data); at != NULL;
         at = next_mark(probe, at)) {
        char line[PROBE_TEXT + 16];
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);
        len = len < sizeof line - 1 ? len : sizeof line - 1;
        memcpy(line, at, len);
        line[len] = '\0';
        line[strcspn(line, "\r")] = '\0'; /* of a terminal */
        if (!probe->begun && strcmp(line, "begin") == 0) {
            probe->begun = true;
            keep_noise(probe, at);
        } else if (probe->begun) {
            take_line(probe, line);
        }
    }
    if (!probe->begun)
        buf_add(&probe->noise, probe->said.data,
                probe->said.len < NOISE_MAX ? probe->said.len : NOISE_MAX);
}
