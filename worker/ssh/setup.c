/* From a TCP connection to a logged-in one: handshake, the host's key, our key. */
#include <string.h>
#include <unistd.h>

#include "common/crypto.h"
#include "worker/ssh/internal.h"
#include "worker/ssh/kexinit.h"
#include "worker/ssh/key.h"

#define ANY_TYPE "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"

static void usable_types(const struct known_hosts *known, const struct config_host *host,
                         struct buf *types)
{
    buf_init(types, 256);
    known_hosts_types(known, host->hostname, host->ssh_port, types);
}

bool ssh_check_file(const struct config_host *host, const char *key, struct error *err)
{
    struct buf types;
    if (strcmp(key, "ssh_key_path") == 0)
        return ssh_key_check(host->ssh_key_path, err);
    struct known_hosts *known = known_hosts_read(host->known_hosts, err);
    if (known == NULL)
        return false;
    usable_types(known, host, &types);
    bool listed = types.len > 0, missing = access(host->known_hosts, F_OK) != 0;
    if (!listed)
        error_set(err,
                  "%s %s of %s port %d. Compare with ssh-keygen -lf on the host itself, then: "
                  "ssh-keyscan -t ed25519,ecdsa -p %d %s >> %s",
                  host->known_hosts,
                  missing ? "is missing, and with it the key" : "lists no ed25519 or ECDSA key",
                  host->hostname, host->ssh_port, host->ssh_port, host->hostname,
                  host->known_hosts);
    buf_release(&types);
    known_hosts_free(known);
    return listed;
}

/* What can be told without the network is told first: the key, and the syntax of known_hosts. */
bool ssh_setup_files(struct ssh *ssh)
{
    struct error err;
    if (ssh->sight != NULL) {
        ssh->known = known_hosts_read(ssh->host->known_hosts, &err);
        if (ssh->known == NULL)
            ssh->known = known_hosts_parse("", 0, "", &err);
    } else if (ssh_key_check(ssh->host->ssh_key_path, &err))
        ssh->known = known_hosts_read(ssh->host->known_hosts, &err);
    if (ssh->known == NULL)
        ssh_fail(ssh, "key_unusable", "%s", err.text);
    return ssh->known != NULL;
}

bool ssh_setup_session(struct ssh *ssh, struct error *err)
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

static void report_failure(struct ssh *ssh, int rc, const char *doing)
{
    char *text = NULL;
    libssh2_session_last_error(ssh->session, &text, NULL, 0);
    if (ssh->gone && ssh->state == SSH_HANDSHAKING)
        ssh_try_again(ssh);
    else if (ssh->gone)
        ssh_fail(ssh, "connection_lost", "it closed the connection during the %s", doing);
    else
        ssh_fail(ssh, "protocol", "%s: %.100s (libssh2 error %d)", doing, text != NULL ? text : "",
                 rc);
}

static const char *host_key_type(int type)
{
    switch (type) {
    case LIBSSH2_HOSTKEY_TYPE_ED25519:
        return "ssh-ed25519";
    case LIBSSH2_HOSTKEY_TYPE_ECDSA_256:
        return "ecdsa-sha2-nistp256";
    case LIBSSH2_HOSTKEY_TYPE_ECDSA_384:
        return "ecdsa-sha2-nistp384";
    case LIBSSH2_HOSTKEY_TYPE_ECDSA_521:
        return "ecdsa-sha2-nistp521";
    default: /* none that we ask for */
        return "";
    }
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
        ssh_fail(ssh, "protocol", "it has shown no host key");
        return false;
    }
    enum known_verdict verdict =
        known_hosts_check(ssh->known, host->hostname, host->ssh_port, key, len);
    known_hosts_free(ssh->known);
    ssh->known = NULL;
    ssh_see_key(ssh, host_key_type(type), key, len, verdict);
    known_host_fingerprint(key, len, print);
    switch (verdict) {
    case KNOWN_MATCH: {
        uint8_t digest[SHA256_SIZE];
        crypto_sha256(key, len, digest);
        crypto_hex(digest, sizeof digest, ssh->host_key);
        return true;
    }
    case KNOWN_OTHER:
        ssh_fail(
            ssh, "host_key_changed",
            "its host key %s is not the one in %s: either it was set up anew, or somebody else "
            "answers at %s port %d. Compare with ssh-keygen -lf on the host itself",
            print, host->known_hosts, host->hostname, host->ssh_port);
        return false;
    case KNOWN_ABSENT:
        ssh_fail(ssh, "host_key_unknown",
                 "its host key %s is not known. Compare it with ssh-keygen -lf on the host itself, "
                 "then: ssh-keyscan -p %d %s >> %s",
                 print, host->ssh_port, host->hostname, host->known_hosts);
        return false;
    }
    return false;
}

/* What libssh2 can do, comma-separated. */
static void supported(struct ssh *ssh, int method, struct buf *names)
{
    const char **algorithms = NULL;
    int count = libssh2_session_supported_algs(ssh->session, method, &algorithms);
    buf_init(names, 4096);
    for (int i = 0; i < count; i++)
        buf_addf(names, "%s%s", names->len > 0 ? "," : "", algorithms[i]);
    if (count > 0)
        libssh2_free(ssh->session, algorithms);
}

/* Neither of the host's keys is one that we can judge. */
static void explain_host_keys(struct ssh *ssh, const struct kexinit *kex)
{
    char text[KEXINIT_TEXT];
    kexinit_text(kex, KEXINIT_HOST_KEYS, text);
    if (kexinit_shares(kex, KEXINIT_HOST_KEYS, ANY_TYPE))
        ssh_fail(ssh, "host_key_unknown",
                 "its sshd shows host keys of the types %s, and %s lists none of these for it. "
                 "Compare with ssh-keygen -lf on the host itself, then: ssh-keyscan -t "
                 "ed25519,ecdsa -p %d %s >> %s",
                 text, ssh->host->known_hosts, ssh->host->ssh_port, ssh->host->hostname,
                 ssh->host->known_hosts);
    else
        ssh_fail(ssh, "protocol",
                 "its sshd shows host keys of the types %s only, and ed25519 or ECDSA is needed; "
                 "on the host: ssh-keygen -A, and the line for its sshd_config: HostKey "
                 "/etc/ssh/ssh_host_ed25519_key",
                 text);
}

/* A handshake that found nothing that both sides can do: which list is it? False: none. */
static bool explain_refusal(struct ssh *ssh)
{
    static const int methods[KEXINIT_LISTS] = {
        [KEXINIT_METHODS] = LIBSSH2_METHOD_KEX,
        [KEXINIT_HOST_KEYS] = LIBSSH2_METHOD_HOSTKEY,
        [KEXINIT_CIPHERS_IN] = LIBSSH2_METHOD_CRYPT_CS,
        [KEXINIT_CIPHERS_OUT] = LIBSSH2_METHOD_CRYPT_SC,
        [KEXINIT_MACS_IN] = LIBSSH2_METHOD_MAC_CS,
        [KEXINIT_MACS_OUT] = LIBSSH2_METHOD_MAC_SC,
    };
    struct kexinit kex;
    bool read = kexinit_read(buf_text(&ssh->heard), ssh->heard.len, &kex);
    for (enum kexinit_list i = KEXINIT_METHODS; read && i < KEXINIT_LISTS; i++) {
        struct buf ours;
        struct error err;
        if (i == KEXINIT_HOST_KEYS)
            usable_types(ssh->known, ssh->host, &ours);
        else
            supported(ssh, methods[i], &ours);
        bool shared = ours.len == 0 || kexinit_shares(&kex, i, buf_text(&ours));
        buf_release(&ours);
        if (shared)
            continue;
        if (i == KEXINIT_HOST_KEYS) {
            explain_host_keys(ssh, &kex);
        } else {
            kexinit_explain(&kex, i, &err);
            ssh_fail(ssh, "protocol", "%s", err.text);
        }
        return true;
    }
    return false;
}

static bool shake_hands(struct ssh *ssh)
{
    int rc = libssh2_session_handshake(ssh->session, ssh->fd);
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    if (rc == 0 && verify(ssh))
        ssh_become(ssh, SSH_LOGGING_IN);
    else if (rc != 0 && (rc != LIBSSH2_ERROR_KEX_FAILURE || !explain_refusal(ssh)))
        report_failure(ssh, rc, "handshake");
    return true;
}

/* Of one who looks on, the key was not checked before. */
static bool key_is_usable(struct ssh *ssh)
{
    struct error err;
    if (ssh->sight == NULL || ssh_key_check(ssh->host->ssh_key_path, &err))
        return true;
    ssh_fail(ssh, "key_unusable", "%s", err.text);
    return false;
}

static bool log_in(struct ssh *ssh)
{
    const struct config_host *host = ssh->host;
    if (!ssh_see_methods(ssh))
        return false;
    if (!key_is_usable(ssh))
        return true;
    int rc = libssh2_userauth_publickey_fromfile_ex(ssh->session, host->ssh_user,
                                                    (unsigned)strlen(host->ssh_user), NULL,
                                                    host->ssh_key_path, NULL);
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    ssh_see_refusal(ssh, rc);
    if (rc == 0) {
        ssh_become(ssh, SSH_UP);
        ssh->stream.events->on_up(ssh->stream.data);
    } else if ((rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
                rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) &&
               !ssh->gone) {
        ssh_fail(
            ssh, "auth_failed",
            "it refuses the key %s for user %s: is %s.pub in that user's authorized_keys, and is "
            "the account open?",
            host->ssh_key_path, host->ssh_user, host->ssh_key_path);
    } else {
        report_failure(ssh, rc, "log-in");
    }
    return true;
}

bool ssh_setup_step(struct ssh *ssh)
{
    return ssh->state == SSH_HANDSHAKING ? shake_hands(ssh) : log_in(ssh);
}
