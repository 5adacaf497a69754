/* Hashes, HMAC, random bytes and their encodings (libcrypto). */
#ifndef FLEET_CRYPTO_H
#define FLEET_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

void crypto_sha256(const void *bytes, size_t len, uint8_t digest[SHA256_SIZE]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
                        uint8_t mac[SHA256_SIZE]);
void crypto_random(void *bytes, size_t len);                      /* aborts when the source fails */
bool crypto_equal(const void *a, const void *b, size_t len);      /* constant time */
void crypto_wipe(void *bytes, size_t len);                        /* not optimised away */
void crypto_hex(const void *bytes, size_t len, char *text);       /* text holds 2 * len + 1 */
bool crypto_unhex(const char *text, size_t len, uint8_t *bytes);  /* len hex digits, any case */
void crypto_base64url(const void *bytes, size_t len, char *text); /* no padding; 4*(len+2)/3 + 1 */
void crypto_base64(const void *bytes, size_t len, char *text);    /* std, padded; 4*(len+2)/3 + 1 */
bool crypto_unbase64(const char *text, size_t text_len, uint8_t *bytes,
                     size_t *len); /* std, padded; *len in: room, out: bytes */
void crypto_uuid(char text[37]);   /* random version 4 */

/* What a file that should be a private key is, in PEM or OpenSSH's form. */
enum crypto_key {
    CRYPTO_KEY_NONE, /* something else */
    CRYPTO_KEY_PUBLIC,
    CRYPTO_KEY_DAMAGED,
    CRYPTO_KEY_LOCKED, /* by a passphrase, and not RSA as far as can be seen */
    CRYPTO_KEY_RSA,
    CRYPTO_KEY_ECDSA,
    CRYPTO_KEY_ED25519,
    CRYPTO_KEY_OTHER,
};
enum crypto_key crypto_key_kind(const char *bytes, size_t len);

#endif
