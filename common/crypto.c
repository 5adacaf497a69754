/* The only user of libcrypto. */
#include "common/crypto.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void fail(const char *what)
{
    fprintf(stderr, "agent-fleet: %s\n", what);
    abort();
}

void crypto_sha256(const void *bytes, size_t len, uint8_t digest[SHA256_SIZE])
{
    if (EVP_Digest(len > 0 ? bytes : "", len, digest, NULL, EVP_sha256(), NULL) != 1)
        fail("SHA-256 failed in libcrypto");
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
                        uint8_t mac[SHA256_SIZE])
{
    /* A NULL key would mean "the key of before" to libcrypto. */
    if (HMAC(EVP_sha256(), key_len > 0 ? key : "", (int)key_len, len > 0 ? bytes : "", len, mac,
             NULL) == NULL)
        fail("HMAC-SHA-256 failed in libcrypto");
}

void crypto_random(void *bytes, size_t len)
{
    uint8_t *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR)
            fail("getrandom failed");
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *bytes, size_t len)
{
    if (bytes != NULL)
        OPENSSL_cleanse(bytes, len);
}

void crypto_hex(const void *bytes, size_t len, char *text)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = "0123456789abcdef"[at[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[at[i] & 15];
    }
    text[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool crypto_unhex(const char *text, size_t len, uint8_t *bytes)
{
    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void crypto_base64(const void *bytes, size_t len, char *text)
{
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
}

void crypto_base64url(const void *bytes, size_t len, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                         (left > 2 ? at[i + 2] : 0);
        *text++ = digits[group >> 18];
        *text++ = digits[group >> 12 & 63];
        if (left > 1)
            *text++ = digits[group >> 6 & 63];
        if (left > 2)
            *text++ = digits[group & 63];
    }
    *text = '\0';
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* RFC 4648 4, strict: no white space, padded, unused bits zero: one text for one value. */
bool crypto_unbase64(const char *text, size_t text_len, uint8_t *bytes, size_t *len)
{
    size_t pad = 0;
    if (text_len % 4 != 0)
        return false;
    while (pad < 2 && pad < text_len && text[text_len - 1 - pad] == '=')
        pad++;
    size_t digits = text_len - pad;
    size_t size = text_len / 4 * 3 - pad;
    if (size > *len)
        return false;
    uint32_t group = 0;
    unsigned bits = 0;
    size_t out = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        group = (group << 6 | (uint32_t)digit) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[out++] = (uint8_t)(group >> bits);
        }
    }
    if ((group & ((1u << bits) - 1)) != 0)
        return false;
    *len = size;
    return true;
}

void crypto_uuid(char text[37])
{
    uint8_t id[16];
    char hex[33];
    crypto_random(id, sizeof id);
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); /* RFC 9562 5.4: version 4 */
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80); /* variant 10 */
    crypto_hex(id, sizeof id, hex);
    snprintf(text, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* ---- Private keys ---- */

static bool holds(const void *bytes, size_t len, const char *text, size_t text_len)
{
    return memmem(bytes, len, text, text_len) != NULL;
}

/* OpenSSH's PROTOCOL.key: magic with its NUL, cipher, kdf, kdf options, number of keys, public key,
 * which begins with its type (RFC 4253 6.6). The types of keys in it stand in its first bytes. */
static enum crypto_key openssh_kind(const uint8_t *bytes, size_t len)
{
    static const char plain[] = "openssh-key-v1\0\0\0\0\4none";
    size_t head = len < 128 ? len : 128;
    if (len < sizeof plain || memcmp(bytes, plain, 15) != 0)
        return CRYPTO_KEY_DAMAGED;
    if (holds(bytes, head, "\0\0\0\7ssh-rsa", 11))
        return CRYPTO_KEY_RSA;
    if (memcmp(bytes, plain, sizeof plain - 1) != 0)
        return CRYPTO_KEY_LOCKED;
    if (holds(bytes, head, "\0\0\0\13ssh-ed25519", 15))
        return CRYPTO_KEY_ED25519;
    return holds(bytes, head, "\0\0\0\23ecdsa-sha2-nistp", 20) ? CRYPTO_KEY_ECDSA
                                                               : CRYPTO_KEY_OTHER;
}

/* pem_password_cb: there is none, but it is remembered that one was wanted. */
static int no_passphrase(char *text, int size, int writing, void *asked)
{
    (void)text, (void)size, (void)writing;
    *(bool *)asked = true;
    return -1;
}

static enum crypto_key pem_kind(BIO *bio)
{
    bool asked = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    int id = key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
    EVP_PKEY_free(key);
    return asked                    ? CRYPTO_KEY_LOCKED
           : id == EVP_PKEY_NONE    ? CRYPTO_KEY_DAMAGED
           : id == EVP_PKEY_RSA     ? CRYPTO_KEY_RSA
           : id == EVP_PKEY_EC      ? CRYPTO_KEY_ECDSA
           : id == EVP_PKEY_ED25519 ? CRYPTO_KEY_ED25519
                                    : CRYPTO_KEY_OTHER;
}

/* A block that OpenSSL could read as far as its frame and its base64. */
static enum crypto_key block_kind(BIO *bio, const char *name, const uint8_t *data, long len)
{
    if (strcmp(name, "OPENSSH PRIVATE KEY") == 0)
        return openssh_kind(data, (size_t)len);
    if (strcmp(name, "RSA PRIVATE KEY") == 0)
        return CRYPTO_KEY_RSA;
    if (strstr(name, "PUBLIC KEY") != NULL)
        return CRYPTO_KEY_PUBLIC;
    return strstr(name, "PRIVATE KEY") != NULL && BIO_reset(bio) == 1 ? pem_kind(bio)
                                                                      : CRYPTO_KEY_NONE;
}

enum crypto_key crypto_key_kind(const char *bytes, size_t len)
{
    char *name = NULL, *header = NULL;
    uint8_t *data = NULL;
    long size = 0;
    enum crypto_key kind = CRYPTO_KEY_NONE;
    BIO *bio = BIO_new_mem_buf(bytes, len < INT_MAX ? (int)len : INT_MAX);
    if (bio == NULL)
        abort();
    if (PEM_read_bio(bio, &name, &header, &data, &size) == 1)
        kind = block_kind(bio, name, data, size);
    else if (len > 11 && memcmp(bytes, "-----BEGIN ", 11) == 0)
        kind = holds(bytes, len, "PRIVATE KEY-----", 16) ? CRYPTO_KEY_DAMAGED : CRYPTO_KEY_NONE;
    else if (len > 6 && (memcmp(bytes, "ssh-", 4) == 0 || memcmp(bytes, "ecdsa-", 6) == 0))
        kind = CRYPTO_KEY_PUBLIC;
    OPENSSL_clear_free(data, (size_t)size);
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    ERR_clear_error();
    return kind;
}
