#include "common/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
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
