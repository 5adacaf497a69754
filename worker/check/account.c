/* From the probe's answer to rows and remedies. */
#include "worker/check/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "worker/clean.h"

#define MIB ((int64_t)1 << 20)
/* A run keeps its output there, up to orchestrator.max_output_bytes of each stream. */
#define BYTES_LEAST (64 * MIB)
#define BYTES_ENOUGH (1024 * MIB)
#define INODES_LEAST 200
#define INODES_ENOUGH 10000
#define CLOCK_SECS 5
#define QUOTE_CHARS 200

struct account {
    struct check_sheet *sheet;
    const struct config_host *host;
    const struct probe *probe;
    const struct account_end *end;
};

/* What it said, in one line, for a sentence; the caller releases it. */
static void said(const struct account *account, struct buf *text)
{
    const struct buf *noise = &account->probe->noise;
    buf_init(text, (size_t)16 * QUOTE_CHARS);
    clean_line(text, buf_text(noise), noise->len, QUOTE_CHARS);
    if (text->len > 0 && account->end->err_len > 0)
        buf_adds(text, " | ");
    clean_line(text, account->end->err, account->end->err_len, QUOTE_CHARS);
}

/* --- A command runs --- */

static void tell_shell(const struct account *account, struct check_row *row)
{
    row_note(row, "the last word of this line is its shell; on the host, as root:");
    row_paste(row, "getent passwd %s", account->host->ssh_user);
    row_note(row, "it has to be one that runs commands:");
    row_paste(row, "usermod -s /bin/bash %s", account->host->ssh_user);
}

static void tell_forced(const struct account *account, struct check_row *row)
{
    row_note(row, "something runs another command in place of ours: `command=` before the key, or "
                  "ForceCommand; on the host, as root:");
    row_paste(row,
              "grep -n command= ~%s/.ssh/authorized_keys; sshd -T -C user=%s,host=h,addr=127.0.0.1 "
              "| grep -i force",
              account->host->ssh_user, account->host->ssh_user);
    row_note(row, "or its login files (.bashrc, .profile and the like) end the shell or start "
                  "another one; or its shell is none:");
    row_paste(row, "getent passwd %s", account->host->ssh_user);
}

static void judge_not_begun(const struct account *account, struct check_row *row)
{
    struct buf text;
    const struct account_end *end = account->end;
    said(account, &text);
    if (account->probe->flooded) {
        row_say(row, CHECK_FAILED, "the account's login files print without end: %s",
                buf_text(&text));
        row_note(row, "let ~/.bashrc and the like print nothing where no terminal is");
    } else if (strstr(buf_text(&text), "not available") != NULL ||
               (text.len == 0 && end->status == 1)) {
        row_say(row, CHECK_FAILED, "the account's shell runs no commands (nologin, or false)%s%s",
                text.len > 0 ? "; it says: " : "", buf_text(&text));
        tell_shell(account, row);
    } else {
        row_say(row, CHECK_FAILED, "our command was not run (status %d), the answer was: %s",
                end->status, text.len > 0 ? buf_text(&text) : "nothing");
        tell_forced(account, row);
    }
    buf_release(&text);
}

static void judge_session_trouble(const struct account *account, struct check_row *row)
{
    const struct error *trouble = &account->end->trouble;
    row_say(row, CHECK_FAILED, "%s", trouble->text);
    if (strstr(trouble->text, "MaxSessions") != NULL) {
        row_note(row, "on the host, as root: this line into /etc/ssh/sshd_config, in place of any "
                      "other with that word; one session for each worker is enough:");
        row_paste(row, "MaxSessions 10");
        row_note(row, "then:");
        row_paste(row, "sshd -t && systemctl reload ssh");
    } else {
        tell_forced(account, row);
    }
}

static void judge_session(const struct account *account)
{
    struct check_row *row =
        sheet_row(account->sheet, account->host->ssh_user != NULL ? "session" : "shell", "");
    const struct probe *probe = account->probe;
    if (probe == NULL)
        return;
    if (!probe->begun && account->end->trouble.text[0] != '\0') {
        judge_session_trouble(account, row);
    } else if (!probe->begun) {
        judge_not_begun(account, row);
    } else {
        struct buf text;
        said(account, &text);
        if (text.len == 0)
            row_say(row, CHECK_GOOD, "runs commands as %s, and its login files are silent",
                    probe->user);
        else
            row_say(row, CHECK_GOOD,
                    "runs commands as %s; its login files print something, which does no harm: %s",
                    probe->user, text.data);
        buf_release(&text);
    }
}

/* --- work_dir --- */

static bool is_full(const struct probe *probe)
{
    return probe->blocks == 0 || (probe->inodes > 0 && probe->inodes_free == 0);
}

static void tell_owner(const struct account *account, struct check_row *row)
{
    char *dir = sheet_quote(account->host->work_dir);
    row_note(row, "a folder that is the account's; on the host, as root:");
    row_paste(row, "install -d -o %s -m 700 %s", account->probe->user, dir);
    free(dir);
}

/* What the shell says begins with its own name. */
static const char *reason(const char *text)
{
    const char *last = strrchr(text, ':');
    return last != NULL && last[1] == ' ' ? last + 2 : text;
}

static void judge_work_dir(const struct account *account)
{
    struct check_row *row = sheet_row(account->sheet, "work_dir", "");
    const struct probe *probe = account->probe;
    const char *dir = account->host->work_dir;
    if (probe == NULL || !probe->begun)
        return;
    if (!probe->ended && !probe->ran) {
        row_say(row, CHECK_FAILED, "nothing was heard of %s: %s", dir,
                account->end->trouble.text[0] != '\0' ? account->end->trouble.text
                                                      : "the command ended before");
        row_note(row, "a network file system that hangs? On the host:");
        char *quoted = sheet_quote(dir);
        row_paste(row, "df -h %s", quoted);
        free(quoted);
    } else if (!probe->stands) {
        row_say(row, CHECK_FAILED, "%s is not there and cannot be made: %s", dir,
                reason(probe->unmade));
        tell_owner(account, row);
    } else if (!probe->wrote && !is_full(probe)) {
        row_say(row, CHECK_FAILED, "%s cannot write into %s: %s", probe->user, dir,
                probe->unwritable[0] != '\0' ? reason(probe->unwritable) : "no answer");
        tell_owner(account, row);
    } else if (probe->wrote && !probe->ran) {
        row_say(row, CHECK_FAILED,
                "no program can be executed in %s: its file system is mounted noexec", dir);
        row_note(row,
                 "on the host, as root: where it is mounted, and until the next boot executable; "
                 "then take noexec out of /etc/fstab, or choose another work_dir");
        char *quoted = sheet_quote(dir);
        row_paste(row, "findmnt -T %s; mount -o remount,exec \"$(findmnt -no TARGET -T %s)\"",
                  quoted, quoted);
        free(quoted);
    } else if (!probe->wrote) {
        row_say(row, CHECK_GOOD, "%s is there, and full", dir);
    } else {
        row_say(row, CHECK_GOOD, "%s %s", dir,
                probe->made ? "was not there and was made, as a worker does it"
                            : "can be written to, and programs run in it");
    }
}

static void judge_space(const struct account *account)
{
    struct check_row *row = sheet_row(account->sheet, "space", "");
    const struct probe *probe = account->probe;
    if (probe == NULL || !probe->stands)
        return;
    if (probe->blocks < 0 || probe->block_size <= 0) {
        row_say(row, CHECK_DOUBTFUL, "the host does not say how much is free: it has no `stat -f`");
        return;
    }
    int64_t bytes = probe->blocks > INT64_MAX / probe->block_size
                        ? INT64_MAX
                        : probe->blocks * probe->block_size;
    bool limited = probe->inodes > 0;
    bool failed = bytes < BYTES_LEAST || (limited && probe->inodes_free < INODES_LEAST);
    bool low = bytes < BYTES_ENOUGH || (limited && probe->inodes_free < INODES_ENOUGH);
    char inodes[64] = "no limit of inodes";
    if (limited)
        snprintf(inodes, sizeof inodes, "%" PRId64 " inodes", probe->inodes_free);
    row_say(row,
            failed ? CHECK_FAILED
            : low  ? CHECK_DOUBTFUL
                   : CHECK_GOOD,
            "%" PRId64 " MiB and %s free%s", bytes / MIB, inodes,
            failed ? ", too little for a run"
            : low  ? ", not much: 1024 MiB and 10000 inodes are on the safe side"
                   : "");
    if (!low && !failed)
        return;
    row_note(row, "on the host: what fills it");
    char *dir = sheet_quote(account->host->work_dir);
    row_paste(row, "cd %s && df -h . && df -i . && du -xsh * .fleet/*/runs", dir);
    free(dir);
}

/* --- The machine --- */

static void judge_clock(const struct account *account)
{
    struct check_row *row = sheet_row(account->sheet, "clock", "");
    const struct probe *probe = account->probe;
    const struct account_end *end = account->end;
    if (probe == NULL || !probe->begun || probe->clock < 0)
        return;
    int64_t off = probe->clock < end->asked   ? probe->clock - end->asked
                  : probe->clock > end->heard ? probe->clock - end->heard
                                              : 0;
    if (off >= -CLOCK_SECS && off <= CLOCK_SECS) {
        row_say(row, CHECK_GOOD, "as this machine's, within %d s", CLOCK_SECS);
        return;
    }
    row_say(row, CHECK_DOUBTFUL, "%" PRId64 " s %s this machine's: times in output will not fit",
            off < 0 ? -off : off, off < 0 ? "behind" : "ahead of");
    row_note(row, "which of the two is wrong? On it, as root:");
    row_paste(row, "timedatectl; apt install systemd-timesyncd && timedatectl set-ntp true");
}

/* busctl shows a list as its type, its length and its members in quotes. *at goes on behind it. */
static bool listed(const char **at, const char *user)
{
    size_t len = strlen(user);
    bool found = false;
    if (strncmp(*at, " as ", 4) != 0)
        return false;
    char *next;
    long count = strtol(*at + 4, &next, 10);
    *at = next;
    for (long i = 0; i < count && strncmp(*at, " \"", 2) == 0; i++) {
        const char *name = *at + 2, *end = strchr(name, '"');
        if (end == NULL)
            break;
        found |= (size_t)(end - name) == len && memcmp(name, user, len) == 0;
        *at = end + 1;
    }
    return found;
}

static bool kills(const struct probe *probe)
{
    const char *at = probe->logind;
    if (strncmp(at, "b true", 6) != 0)
        return false;
    at += 6;
    bool everyone = strncmp(at, " as 0", 5) == 0;
    bool only = listed(&at, probe->user);
    bool excluded = listed(&at, probe->user);
    return (everyone || only) && !excluded;
}

static void judge_logind(const struct account *account)
{
    struct check_row *row = sheet_row(account->sheet, "logind", "");
    const struct probe *probe = account->probe;
    if (probe == NULL || !probe->begun)
        return;
    if (probe->logind[0] == '\0') {
        row_say(row, CHECK_GOOD, "there is none, so nothing ends a run with its SSH session");
    } else if (!kills(probe)) {
        row_say(row, CHECK_GOOD, "lets the runs of %s go on when the SSH session ends",
                probe->user);
    } else {
        row_say(row, CHECK_DOUBTFUL,
                "KillUserProcesses=yes: runs of %s end whenever the worker's connection does",
                probe->user);
        row_note(row, "on the host, as root:");
        row_paste(row,
                  "mkdir -p /etc/systemd/logind.conf.d && printf "
                  "'[Login]\\nKillExcludeUsers=root %s\\n' > "
                  "/etc/systemd/logind.conf.d/agent-fleet.conf && systemctl restart systemd-logind",
                  account->host->ssh_user != NULL ? account->host->ssh_user : probe->user);
    }
}

bool account_judge(struct check_sheet *sheet, const struct config_host *host,
                   const struct probe *probe, const struct account_end *end)
{
    const struct account account = {sheet, host, probe, end};
    judge_session(&account);
    judge_work_dir(&account);
    judge_space(&account);
    judge_clock(&account);
    judge_logind(&account);
    return probe != NULL && probe->wrote && probe->ran;
}
