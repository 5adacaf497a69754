/* Looks at a private key before libssh2 does, for a better word than "authentication failed". */
#include "worker/ssh/key.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
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

/* The base64 between OpenSSH's lines, decoded in place: how many bytes. */
static size_t unwrap(char *text)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    const char *at = strstr(text, begin);
    const char *end = at != NULL ? strstr(at, "-----END") : NULL;
    size_t len = 0, size;
    if (end == NULL)
        return 0;
    for (at += sizeof begin - 1; at < end; at++) {
        if (strchr(" \t\r\n", *at) == NULL)
            text[len++] = *at;
    }
    size = len;
    return crypto_unbase64(text, len, (uint8_t *)text, &size) ? size : 0;
}

/* RFC 4251 5, string. */
static bool take_string(const uint8_t **at, size_t *left, const uint8_t **bytes, size_t *len)
{
    if (*left < 4)
        return false;
    *len = (size_t)(*at)[0] << 24 | (size_t)(*at)[1] << 16 | (size_t)(*at)[2] << 8 | (*at)[3];
    if (*left - 4 < *len)
        return false;
    *bytes = *at + 4;
    *at += 4 + *len;
    *left -= 4 + *len;
    return true;
}

/* OpenSSH's PROTOCOL.key: magic, cipher, kdf, its options, how many, public key. */
static bool public_line(const uint8_t *bytes, size_t len, char line[SSH_KEY_LINE])
{
    static const char magic[] = "openssh-key-v1";
    const uint8_t *part, *type;
    size_t size, type_len;
    if (len < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return false;
    bytes += sizeof magic;
    len -= sizeof magic;
    for (int i = 0; i < 3; i++) {
        if (!take_string(&bytes, &len, &part, &size))
            return false;
    }
    if (len < 4)
        return false;
    bytes += 4;
    len -= 4;
    if (!take_string(&bytes, &len, &part, &size))
        return false;
    const uint8_t *inner = part;
    size_t inner_len = size;
    if (!take_string(&inner, &inner_len, &type, &type_len) || type_len > 32 || size > 256)
        return false;
    int used = snprintf(line, SSH_KEY_LINE, "%.*s ", (int)type_len, (const char *)type);
    crypto_base64(part, size, line + used);
    return true;
}

bool ssh_key_public(const char *path, char line[SSH_KEY_LINE])
{
    struct buf bytes;
    struct error err;
    if (!file_read(path, FILE_REGULAR, FILE_MAX, &bytes, NULL, &err))
        return false;
    size_t len = bytes.len > 0 ? unwrap(bytes.data) : 0;
    bool found = len > 0 && public_line((const uint8_t *)bytes.data, len, line);
    if (bytes.len > 0)
        crypto_wipe(bytes.data, bytes.len);
    buf_release(&bytes);
    return found;
}
