/* From what was seen of the way in to rows and remedies. */
#include "worker/check/way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "worker/ssh/key.h"

struct way {
    struct check_sheet *sheet;
    const struct config_host *host;
    const struct ssh_sight *sight;
    const struct error *trouble; /* NULL: it is up */
};

static bool is(const struct way *way, const char *state)
{
    return way->trouble != NULL && strcmp(way->trouble->state, state) == 0;
}

/* The sentence without what it is about, which is in the heading. */
static const char *sentence(const struct way *way)
{
    char prefix[80];
    const char *text = way->trouble != NULL ? way->trouble->text : "";
    snprintf(prefix, sizeof prefix, "host %s: ", way->host->host_id);
    return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
}

static void paste_sshd_line(struct check_row *row, const char *line)
{
    row_note(row,
             "on the host, as root: this line into /etc/ssh/sshd_config, above its first Match "
             "and in place of any other line with that word:");
    row_paste(row, "%s", line);
    row_note(row, "then:");
    row_paste(row, "sshd -t && systemctl reload ssh");
}

static void paste_journal(struct check_row *row)
{
    row_note(row, "the host's sshd has written down why; there, as root:");
    row_paste(row, "journalctl -u ssh -n 30 --no-pager");
}

/* --- The network --- */

static void judge_name(const struct way *way)
{
    struct check_row *row = sheet_row(way->sheet, "name", "");
    const char *hostname = way->host->hostname;
    if (strcmp(way->sight->addresses, hostname) == 0) {
        row_say(row, CHECK_GOOD, "%s is an address", hostname);
        return;
    }
    if (way->sight->addresses[0] != '\0') {
        row_say(row, CHECK_GOOD, "%s is %s", hostname, way->sight->addresses);
        return;
    }
    const char *why = way->trouble != NULL ? strrchr(way->trouble->text, ':') : NULL;
    row_say(row, CHECK_FAILED, "%s does not resolve to an address%s", hostname,
            why != NULL ? why : "");
    row_note(row,
             "is `hostname` in the configuration spelled right? What this machine knows of it:");
    char *name = sheet_quote(hostname);
    row_paste(row, "getent ahosts %s", name);
    row_note(row, "without DNS, with the host's address in place of ADDRESS, as root:");
    row_paste(row, "echo ADDRESS %s >> /etc/hosts", name);
    free(name);
}

static void judge_port(const struct way *way)
{
    struct check_row *row = sheet_row(way->sheet, "port", "");
    int port = way->host->ssh_port;
    if (way->sight->place < SSH_AT_PORT)
        return;
    if (way->sight->place > SSH_AT_PORT) {
        row_say(row, CHECK_GOOD, "%d answers", port);
        return;
    }
    if (is(way, "refused")) {
        row_say(row, CHECK_FAILED, "%d refuses: nothing listens there, or a firewall rejects it",
                port);
        row_note(row, "on the host, as root: is sshd there, and on which port?");
        row_paste(row,
                  "apt install openssh-server; systemctl enable --now ssh; ss -ltnp | grep sshd");
        row_note(row, "another port than %d is `ssh_port` of this host in the configuration", port);
    } else if (is(way, "timeout") || is(way, WAY_LATE)) {
        row_say(row, CHECK_FAILED,
                "%d does not answer in time: the machine is off, or a firewall drops what is sent "
                "there",
                port);
        row_note(row, "is it on, at that address, and may this machine reach its port %d?", port);
        row_paste(row, "ping -c 3 %.46s",
                  way->sight->addresses[0] != '-' ? way->sight->addresses : "ADDRESS");
    } else {
        row_say(row, CHECK_FAILED, "%s", sentence(way));
        row_note(row, "how this machine would send there:");
        row_paste(row, "ip route get %.*s", (int)strcspn(way->sight->addresses, " "),
                  way->sight->addresses);
    }
}

/* --- sshd --- */

static bool key_types_differ(const struct way *way)
{
    return way->sight->place == SSH_AT_SSHD && is(way, "host_key_unknown");
}

static void judge_refusal(const struct way *way, struct check_row *row)
{
    static const char mark[] = "sshd_config: ";
    const char *text = sentence(way), *line = strstr(text, mark);
    row_say(row, CHECK_FAILED, "%s", text);
    if (line != NULL) {
        if (strstr(text, "ssh-keygen -A") != NULL) {
            row_note(row, "on the host, as root: make the keys that are missing");
            row_paste(row, "ssh-keygen -A");
        }
        paste_sshd_line(row, line + sizeof mark - 1);
    } else {
        paste_journal(row);
    }
}

static void judge_sshd(const struct way *way)
{
    struct check_row *row = sheet_row(way->sheet, "sshd", "");
    const struct ssh_sight *sight = way->sight;
    if (sight->place < SSH_AT_SSHD)
        return;
    bool speaks = strncmp(sight->version, "SSH-", 4) == 0;
    if (sight->place > SSH_AT_SSHD || key_types_differ(way)) {
        row_say(row, CHECK_GOOD, "%s; its algorithms suit", sight->version);
    } else if (speaks) {
        judge_refusal(way, row);
    } else if (is(way, "connection_lost") && sight->version[0] == '\0') {
        row_say(row, CHECK_FAILED,
                "port %d closes the connection without a word: its sshd turns this machine away "
                "(MaxStartups, hosts.deny, fail2ban), or it is none",
                way->host->ssh_port);
        paste_journal(row);
    } else {
        row_say(row, CHECK_FAILED, "what answers on port %d is no sshd%s%.80s", way->host->ssh_port,
                sight->version[0] != '\0' ? ": it says " : ": it says nothing", sight->version);
        row_note(row, "`ssh_port` of this host in the configuration is where its sshd listens; on "
                      "the host, as root:");
        row_paste(row, "ss -ltnp | grep sshd");
    }
}

/* --- The host's key --- */

/* The file that holds it on a host as Debian sets it up. */
static const char *key_file(const struct ssh_sight *sight)
{
    return strncmp(sight->key_type, "ecdsa", 5) == 0 ? "/etc/ssh/ssh_host_ecdsa_key.pub"
                                                     : "/etc/ssh/ssh_host_ed25519_key.pub";
}

static void tell_key(const struct way *way, struct check_row *row, bool changed)
{
    char name[KNOWN_HOST_NAME];
    const struct ssh_sight *sight = way->sight;
    known_host_name(way->host->hostname, way->host->ssh_port, name);
    char *line = mem_printf("%s %s %s", name, sight->key_type, sight->key);
    char *quoted = sheet_quote(line), *quoted_name = sheet_quote(name);
    char *file = sheet_quote(way->host->known_hosts);
    row_note(row,
             "first compare: on the host itself (at its console, or by a way that you trust) this "
             "has to show %s:",
             sight->fingerprint);
    row_paste(row, "ssh-keygen -lf %s", key_file(sight));
    row_note(row,
             "only if it does, here%s:", changed ? ", the old key out and the new one in" : "");
    if (changed)
        row_paste(row, "ssh-keygen -R %s -f %s", quoted_name, file);
    row_paste(row, "echo %s >> %s", quoted, file);
    free(line);
    free(quoted);
    free(quoted_name);
    free(file);
}

static void judge_host_key(const struct way *way)
{
    struct check_row *row = sheet_row(way->sheet, "host key", "");
    const struct ssh_sight *sight = way->sight;
    const char *path = way->host->known_hosts;
    struct error err;
    struct known_hosts *known = known_hosts_read(path, &err);
    known_hosts_free(known);
    if (known == NULL) {
        row_say(row, CHECK_FAILED, "%s", err.text);
        row_note(row, "correct or remove that line, then check again");
    } else if (key_types_differ(way)) {
        row_say(row, CHECK_FAILED, "%s", sentence(way));
    } else if (sight->key_type[0] == '\0') {
        return;
    } else if (sight->verdict == KNOWN_MATCH) {
        row_say(row, CHECK_GOOD, "%s %s, as %s says", sight->key_type, sight->fingerprint, path);
    } else if (sight->verdict == KNOWN_OTHER) {
        row_say(
            row, CHECK_FAILED,
            "CHANGED: %s %s is not the key that %s has for it: either the host was set up anew, "
            "or somebody else answers in its place",
            sight->key_type, sight->fingerprint, path);
        tell_key(way, row, true);
    } else {
        row_say(row, CHECK_FAILED, "unknown: %s %s is not in %s", sight->key_type,
                sight->fingerprint, path);
        tell_key(way, row, false);
    }
}

/* --- Our key --- */

static void judge_private_key(const struct way *way)
{
    static const char *const marks[] = {"; do: ", "; make one with: ", "take it off ("};
    struct check_row *row = sheet_row(way->sheet, "private key", "");
    const char *path = way->host->ssh_key_path;
    char line[SSH_KEY_LINE];
    struct stat status;
    struct error err;
    if (ssh_key_check(path, &err)) {
        unsigned mode = stat(path, &status) == 0 ? (unsigned)status.st_mode & 07777 : 0;
        bool open = ssh_key_public(path, line);
        row_say(row, CHECK_GOOD, "%s, mode %04o; its public half: %s", path, mode,
                open ? line : "ssh-keygen -y shows it");
        return;
    }
    row_say(row, CHECK_FAILED, "%s", err.text);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        const char *at = strstr(err.text, marks[i]);
        if (at == NULL)
            continue;
        at += strlen(marks[i]);
        row_note(row, "here, as its owner:");
        row_paste(row, "%.*s", (int)strcspn(at, ")"), at);
        return;
    }
    row_note(row, "a new one, made as the owner of its folder:");
    row_paste(row, "ssh-keygen -t ed25519 -N '' -f %s", path);
}

/* --- The log-in --- */

static void tell_account(const struct way *way, struct check_row *row)
{
    char line[SSH_KEY_LINE];
    const char *user = way->host->ssh_user; /* letters and digits */
    char *path = sheet_quote(way->host->ssh_key_path);
    paste_journal(row);
    row_note(row,
             "usual reasons: 1. the key is not in the account's authorized_keys; on the host, "
             "as %s:",
             user);
    if (ssh_key_public(way->host->ssh_key_path, line)) {
        row_paste(
            row,
            "mkdir -p -m 700 ~/.ssh && echo 'restrict %s agent-fleet' >> ~/.ssh/authorized_keys "
            "&& chmod 600 ~/.ssh/authorized_keys",
            line);
    } else {
        row_note(row, "a line of authorized_keys: the word restrict, and what this prints here:");
        row_paste(row, "ssh-keygen -y -f %s", path);
    }
    row_note(row,
             "2. there is no such account, or its shell does not exist; on the host, as root:");
    row_paste(row, "getent passwd %s || useradd -m -s /bin/bash %s", user, user);
    row_note(row,
             "3. its password is locked (L) and sshd_config says UsePAM no: then no key opens it. "
             "An impossible password does not lock:");
    row_paste(row, "passwd -S %s; usermod -p '*' %s", user, user);
    row_note(row,
             "4. others may write to its home or ~/.ssh; or AllowUsers, DenyUsers and the like "
             "leave it out:");
    row_paste(row,
              "ls -ld ~%s ~%s/.ssh ~%s/.ssh/authorized_keys; sshd -T | grep -iE "
              "'^(allow|deny|authorizedkeys|usepam)'",
              user, user, user);
    free(path);
}

static void judge_refused_login(const struct way *way, struct check_row *row)
{
    const struct ssh_sight *sight = way->sight;
    const char *user = way->host->ssh_user;
    if (sight->key_taken && is(way, "auth_failed")) {
        row_say(row, CHECK_FAILED,
                "the key of %s is right, but sshd wants more than a key (it offers %s)", user,
                sight->methods);
        paste_sshd_line(row, "AuthenticationMethods publickey");
    } else if (sight->methods[0] != '\0' && strstr(sight->methods, "publickey") == NULL &&
               sight->methods[0] != '?') {
        row_say(row, CHECK_FAILED, "sshd takes no keys from %s, it offers %s only", user,
                sight->methods);
        paste_sshd_line(row, "PubkeyAuthentication yes");
    } else if (is(way, "auth_failed")) {
        row_say(row, CHECK_FAILED,
                "the host refuses this key for user %s, and tells a stranger no reason", user);
        tell_account(way, row);
    } else if (is(way, "connection_lost") || is(way, "protocol")) {
        row_say(
            row, CHECK_FAILED,
            "the host took the key of %s and closed the connection: its PAM refuses the account "
            "(expired, /etc/nologin, access.conf), or it cut us off",
            user);
        paste_journal(row);
        row_note(row, "is the account expired?");
        row_paste(row, "chage -l %s; ls -l /etc/nologin /run/nologin", user);
    } else {
        row_say(row, CHECK_FAILED, "%s", sentence(way));
        paste_journal(row);
    }
}

static void judge_login(const struct way *way)
{
    struct check_row *row = sheet_row(way->sheet, "login", "");
    if (way->sight->place < SSH_AT_LOGIN || is(way, "key_unusable"))
        return;
    if (way->sight->place == SSH_AT_SESSION)
        row_say(row, CHECK_GOOD, "as %s, by this key", way->host->ssh_user);
    else
        judge_refused_login(way, row);
}

void way_judge(struct check_sheet *sheet, const struct config_host *host,
               const struct ssh_sight *sight, const struct error *trouble)
{
    const struct way way = {sheet, host, sight, trouble};
    judge_name(&way);
    judge_port(&way);
    judge_sshd(&way);
    judge_host_key(&way);
    judge_private_key(&way);
    judge_login(&way);
}
