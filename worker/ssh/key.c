/* Looks at a private key before libssh2 does, for a better word than "authentication failed". */
#include "worker/ssh/key.h"

#include <unistd.h>

#include "common/crypto.h"
#include "common/file.h"

#define FILE_MAX 16384

/* What is wrong with a key of this kind; NULL when nothing is. */
static const char *fault_of(enum crypto_key kind)
{
    switch (kind) {
    case CRYPTO_KEY_ED25519:
    case CRYPTO_KEY_ECDSA:
    case CRYPTO_KEY_LOCKED:
        return NULL;
    case CRYPTO_KEY_RSA:
        return "it is an RSA key, and libssh2 1.10 signs with RSA only by SHA-1, which a sshd of "
               "today refuses";
    case CRYPTO_KEY_OTHER:
        return "it is neither ed25519 nor ECDSA";
    case CRYPTO_KEY_PUBLIC:
        return "it is the public half of a key";
    case CRYPTO_KEY_DAMAGED:
        return "it is damaged";
    case CRYPTO_KEY_NONE:
        break;
    }
    return "it is no private key in OpenSSH or PEM form";
}

static void explain(enum crypto_key kind, const char *path, struct error *err)
{
    if (kind == CRYPTO_KEY_PUBLIC)
        error_set(err, "ssh key %s: %s; ssh_key_path is the file of the private half", path,
                  fault_of(kind));
    else if (kind == CRYPTO_KEY_LOCKED)
        error_set(err,
                  "ssh key %s: it is protected by a passphrase, which a service has nobody to ask "
                  "for; take it off (ssh-keygen -p -N '' -f %s) or make a key for the service",
                  path, path);
    else
        error_set(err, "ssh key %s: %s; make one with: ssh-keygen -t ed25519 -N '' -f %s", path,
                  fault_of(kind), path);
}

bool ssh_key_check(const char *path, struct error *err)
{
    struct buf bytes;
    struct stat status;
    struct error why;
    if (!file_read(path, FILE_REGULAR, FILE_MAX, &bytes, &status, &why)) {
        error_set(err, "ssh key: %s", why.text);
        return false;
    }
    enum crypto_key kind = crypto_key_kind(bytes.data, bytes.len);
    bool usable = kind == CRYPTO_KEY_ED25519 || kind == CRYPTO_KEY_ECDSA;
    /* 0440: what 0400 looks like when an access control list lets the service in */
    bool shown = status.st_uid == geteuid() && (status.st_mode & 077) != 0 &&
                 (status.st_mode & 0777) != 0440;
    crypto_wipe(bytes.data, bytes.len);
    buf_release(&bytes);
    if (shown && kind != CRYPTO_KEY_PUBLIC)
        error_set(err, "ssh key %s: others may read it (mode %04o); do: chmod 600 %s", path,
                  (unsigned)status.st_mode & 07777, path);
    else if (!usable)
        explain(kind, path, err);
    return usable && !shown;
}
