/* From a TCP connection to a logged-in one: handshake, the host's key, our key. */
#include <string.h>

#include "common/crypto.h"
#include "worker/ssh/key.h"
#include "worker/ssh/old_internal.h"

#define ANY_TYPE "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"

static void usable_types(const struct known_hosts *known, const struct config_host *host,
                         struct buf *types)
{
    buf_init(types, 256);
    known_hosts_types(known, host->hostname, host->ssh_port, types);
}

/* What can be told without the network is told first: the key, and the syntax of known_hosts. */
bool old_ssh_setup_files(struct ssh *ssh)
{
    struct error err;
    if (ssh_key_check(ssh->host->ssh_key_path, &err))
        ssh->known = known_hosts_read(ssh->host->known_hosts, &err);
    if (ssh->known == NULL)
        old_ssh_fail(ssh, "key_unusable", "%s", err.text);
    return ssh->known != NULL;
}

bool old_ssh_setup_session(struct ssh *ssh, struct error *err)
{
    struct buf types;
    usable_types(ssh->known, ssh->host, &types);
    if (types.len == 0)
        buf_adds(&types, ANY_TYPE); /* to show its fingerprint */
    ssh->session = libssh2_session_init_ex(NULL, NULL, NULL, ssh);
    bool made = ssh->session != NULL &&
                libssh2_session_method_pref(ssh->session, LIBSSH2_METHOD_HOSTKEY, types.data) == 0;
    if (!made)
        error_set(err, "libssh2 cannot make a session for the key types %s", types.data);
    buf_release(&types);
    return made;
}

static bool report_failure(struct ssh *ssh, int rc, const char *doing)
{
    char *text = NULL;
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    libssh2_session_last_error(ssh->session, &text, NULL, 0);
    ssh->dropped = ssh->gone && ssh->state == SSH_HANDSHAKING;
    if (ssh->gone)
        old_ssh_fail(
            ssh, "connection_lost",
            "it closed the connection during the %s (too many at once? see MaxStartups of its "
            "sshd)",
            doing);
    else
        old_ssh_fail(ssh, "protocol", "%s: %.100s (libssh2 error %d)", doing,
                     text != NULL ? text : "", rc);
    return true;
}

/* The strict check: nothing but this key's own line in known_hosts lets us in. */
static bool verify(struct ssh *ssh)
{
    const struct config_host *host = ssh->host;
    size_t len = 0;
    int type = 0;
    char print[64];
    const char *key = libssh2_session_hostkey(ssh->session, &len, &type);
    if (key == NULL) {
        old_ssh_fail(ssh, "protocol", "it has shown no host key");
        return false;
    }
    enum known_verdict verdict =
        known_hosts_check(ssh->known, host->hostname, host->ssh_port, key, len);
    known_hosts_free(ssh->known);
    ssh->known = NULL;
    known_host_fingerprint(key, len, print);
    switch (verdict) {
    case KNOWN_MATCH: {
        uint8_t digest[SHA256_SIZE];
        crypto_sha256(key, len, digest);
        crypto_hex(digest, sizeof digest, ssh->host_key);
        return true;
    }
    case KNOWN_OTHER:
        old_ssh_fail(
            ssh, "host_key_changed",
            "its host key %s is not the one in %s: either it was set up anew, or somebody else "
            "answers at %s port %d. Compare with ssh-keygen -lf on the host itself",
            print, host->known_hosts, host->hostname, host->ssh_port);
        return false;
    case KNOWN_ABSENT:
        old_ssh_fail(
            ssh, "host_key_unknown",
            "its host key %s is not known. Compare it with ssh-keygen -lf on the host itself, "
            "then: ssh-keyscan -p %d %s >> %s",
            print, host->ssh_port, host->hostname, host->known_hosts);
        return false;
    }
    return false;
}

static bool shake_hands(struct ssh *ssh)
{
    int rc = libssh2_session_handshake(ssh->session, ssh->fd);
    if (rc == LIBSSH2_ERROR_KEX_FAILURE && !ssh->gone) {
        old_ssh_fail(
            ssh, "protocol",
            "no common algorithms, or no host key of a type that %s lists for it (ed25519 and "
            "ECDSA are supported, RSA is not)",
            ssh->host->known_hosts);
        return true;
    }
    if (rc != 0)
        return report_failure(ssh, rc, "handshake");
    if (verify(ssh))
        old_ssh_become(ssh, SSH_LOGGING_IN);
    return true;
}

static bool log_in(struct ssh *ssh)
{
    const struct config_host *host = ssh->host;
    int rc = libssh2_userauth_publickey_fromfile_ex(ssh->session, host->ssh_user,
                                                    (unsigned)strlen(host->ssh_user), NULL,
                                                    host->ssh_key_path, NULL);
    if (rc == 0) {
        old_ssh_become(ssh, SSH_UP);
    } else if ((rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
                rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) &&
               !ssh->gone) {
        old_ssh_fail(
            ssh, "auth_failed",
            "it refuses the key %s for user %s: is %s.pub in that user's authorized_keys, and is "
            "the account open?",
            host->ssh_key_path, host->ssh_user, host->ssh_key_path);
    } else {
        return report_failure(ssh, rc, "log-in");
    }
    return true;
}

bool old_ssh_setup_step(struct ssh *ssh)
{
    return ssh->state == SSH_HANDSHAKING ? shake_hands(ssh) : log_in(ssh);
}
