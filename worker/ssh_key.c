#include "worker/ssh_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"

#define FILE_MAX 16384
#define MAGIC "openssh-key-v1" /* with its NUL: OpenSSH's PROTOCOL.key */

static const char advice_type[] = "make one with: ssh-keygen -t ed25519 -N '' -f";

static bool refuse(struct error *err, const char *path, const char *what)
{
    error_set(err, "ssh key %s: %s; %s %s", path, what, advice_type, path);
    return false;
}

static bool refuse_rsa(struct error *err, const char *path)
{
    return refuse(
        err, path,
        "it is an RSA key, and libssh2 1.10 signs with RSA only by SHA-1, which a sshd of "
        "today refuses");
}

static bool refuse_passphrase(struct error *err, const char *path)
{
    error_set(err,
              "ssh key %s: it is protected by a passphrase, which a service has nobody to ask for; "
              "take it off (ssh-keygen -p -N '' -f %s) or make a key for the service",
              path, path);
    return false;
}

/* RFC 4251 5, string. */
static bool take_string(const uint8_t **at, const uint8_t *end, const uint8_t **text, size_t *len)
{
    if (end - *at < 4)
        return false;
    size_t size =
        (size_t)(*at)[0] << 24 | (size_t)(*at)[1] << 16 | (size_t)(*at)[2] << 8 | (*at)[3];
    if (size > (size_t)(end - *at - 4))
        return false;
    *text = *at + 4;
    *len = size;
    *at += 4 + size;
    return true;
}

static bool text_is(const uint8_t *text, size_t len, const char *wanted)
{
    return len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

/* magic, cipher, kdf, kdf options, number of keys, public key (its type first), private part. */
static bool check_openssh(const uint8_t *bytes, size_t len, const char *path, struct error *err)
{
    const uint8_t *at = bytes + sizeof(MAGIC), *end = bytes + len, *cipher, *skip, *key, *type;
    size_t cipher_len, skip_len, key_len, type_len;
    if (len < sizeof(MAGIC) || memcmp(bytes, MAGIC, sizeof(MAGIC)) != 0 ||
        !take_string(&at, end, &cipher, &cipher_len) || !take_string(&at, end, &skip, &skip_len) ||
        !take_string(&at, end, &skip, &skip_len) || end - at < 4)
        return refuse(err, path, "it is damaged");
    at += 4;
    if (!take_string(&at, end, &key, &key_len) ||
        !take_string(&key, key + key_len, &type, &type_len))
        return refuse(err, path, "it is damaged");
    if (text_is(type, type_len, "ssh-rsa"))
        return refuse_rsa(err, path);
    if (!text_is(type, type_len, "ssh-ed25519") &&
        !(type_len == 19 && memcmp(type, "ecdsa-sha2-nistp", 16) == 0))
        return refuse(err, path, "it is neither ed25519 nor ECDSA");
    return text_is(cipher, cipher_len, "none") || refuse_passphrase(err, path);
}

/* The base64 text between the first line and the last, decoded. */
static bool decode(const char *bytes, size_t len, uint8_t *decoded, size_t *size)
{
    char text[FILE_MAX];
    size_t count = 0;
    const char *at = memchr(bytes, '\n', len), *end = bytes + len;
    for (; at != NULL && at < end && *at != '-'; at++) {
        if (*at != '\n' && *at != '\r' && count < sizeof(text))
            text[count++] = *at;
    }
    return crypto_unbase64(text, count, decoded, size);
}

static bool starts_with(const char *bytes, size_t len, const char *text)
{
    return len >= strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

bool ssh_key_check_bytes(const char *bytes, size_t len, const char *path, struct error *err)
{
    uint8_t decoded[FILE_MAX];
    size_t size = sizeof(decoded);
    if (len > FILE_MAX)
        return refuse(err, path, "it is larger than any key");
    if (starts_with(bytes, len, "-----BEGIN OPENSSH PRIVATE KEY-----")) {
        return decode(bytes, len, decoded, &size) ? check_openssh(decoded, size, path, err)
                                                  : refuse(err, path, "it is damaged");
    }
    if (starts_with(bytes, len, "-----BEGIN RSA PRIVATE KEY-----"))
        return refuse_rsa(err, path);
    if (starts_with(bytes, len, "-----BEGIN ENCRYPTED PRIVATE KEY-----") ||
        memmem(bytes, len, "4,ENCRYPTED", 11) != NULL)
        return refuse_passphrase(err, path);
    if (starts_with(bytes, len, "-----BEGIN EC PRIVATE KEY-----"))
        return true;
    if (starts_with(bytes, len,
                    "-----BEGIN PRIVATE KEY-----")) /* PKCS#8: the rest is OpenSSL's to say */
        return true;
    if (starts_with(bytes, len, "ssh-") || starts_with(bytes, len, "ecdsa-"))
        return refuse(err, path, "it is the public half of a key");
    return refuse(err, path, "it is no private key in OpenSSH or PEM form");
}

static bool may_be_read(const struct stat *status, const char *path, struct error *err)
{
    if (!S_ISREG(status->st_mode)) {
        error_set(err, "ssh key %s: not a regular file", path);
        return false;
    }
    if (status->st_uid == geteuid() && (status->st_mode & 077) != 0) {
        error_set(err, "ssh key %s: others may read it (mode %04o); do: chmod 600 %s", path,
                  (unsigned)status->st_mode & 07777, path);
        return false;
    }
    return true;
}

bool ssh_key_check(const char *path, struct error *err)
{
    char bytes[FILE_MAX + 1];
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set(err, "ssh key %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool right = may_be_read(&status, path, err);
    ssize_t got = right ? read(fd, bytes, sizeof(bytes)) : 0;
    close(fd);
    right = right && ssh_key_check_bytes(bytes, got > 0 ? (size_t)got : 0, path, err);
    crypto_wipe(bytes, sizeof(bytes));
    return right;
}
