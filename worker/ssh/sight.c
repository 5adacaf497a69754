/* What somebody who looks on sees of the way in. */
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "worker/ssh/internal.h"

static void come_to(struct ssh *ssh, enum ssh_place place)
{
    if (ssh->sight->place < place)
        ssh->sight->place = place;
}

void ssh_see_connect(struct ssh *ssh)
{
    struct buf text;
    if (ssh->sight == NULL || ssh->connect == NULL)
        return;
    buf_init(&text, sizeof ssh->sight->addresses - 1);
    ssh_connect_addresses(ssh->connect, &text);
    snprintf(ssh->sight->addresses, sizeof ssh->sight->addresses, "%s", buf_text(&text));
    if (text.len > 0)
        come_to(ssh, SSH_AT_PORT);
    buf_release(&text);
    if (ssh->fd >= 0)
        come_to(ssh, SSH_AT_SSHD);
}

/* Lines may come before the one with its version (RFC 4253 4.2). */
void ssh_see_heard(struct ssh *ssh)
{
    if (ssh->sight == NULL)
        return;
    const char *first = buf_text(&ssh->heard), *line = first;
    while (strncmp(line, "SSH-", 4) != 0) {
        const char *newline = strchr(line, '\n');
        line = newline != NULL ? newline + 1 : first;
        if (newline == NULL)
            break;
    }
    snprintf(ssh->sight->version, sizeof ssh->sight->version, "%.*s", (int)strcspn(line, "\r\n"),
             line);
}

void ssh_see_key(struct ssh *ssh, const char *type, const void *key, size_t len,
                 enum known_verdict verdict)
{
    struct ssh_sight *sight = ssh->sight;
    if (sight == NULL || 4 * ((len + 2) / 3) + 1 > sizeof sight->key)
        return;
    come_to(ssh, verdict == KNOWN_MATCH ? SSH_AT_LOGIN : SSH_AT_HOST_KEY);
    snprintf(sight->key_type, sizeof sight->key_type, "%s", type);
    crypto_base64(key, len, sight->key);
    known_host_fingerprint(key, len, sight->fingerprint);
    sight->verdict = verdict;
}

/* Asks once: "none" as a way of logging in is refused with the list of the others (RFC 4252 5.2).
 */
bool ssh_see_methods(struct ssh *ssh)
{
    struct ssh_sight *sight = ssh->sight;
    const char *user = ssh->host->ssh_user;
    if (sight == NULL || sight->methods[0] != '\0')
        return true;
    const char *methods = libssh2_userauth_list(ssh->session, user, (unsigned)strlen(user));
    if (methods == NULL && libssh2_session_last_errno(ssh->session) == LIBSSH2_ERROR_EAGAIN)
        return false;
    snprintf(sight->methods, sizeof sight->methods, "%s", methods != NULL ? methods : "?");
    return true;
}

void ssh_see_refusal(struct ssh *ssh, int rc)
{
    if (ssh->sight == NULL)
        return;
    if (rc == 0)
        come_to(ssh, SSH_AT_SESSION);
    ssh->sight->key_taken = rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED;
}
