/* What signs a delivery: an HMAC-SHA256 of the JSON, in one of four headers. Pure: bytes in,
 * verdict out. */
#ifndef FLEET_WEBHOOK_SIGNATURE_H
#define FLEET_WEBHOOK_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"

/* A header as it came: its last value and how often it was there. */
struct signature_header {
    const char *value; /* borrowed; not NUL-ended; NULL when absent */
    size_t len;
    size_t count;
};

/* In the order in which they count: the first that is present decides, alone. (X-Hub-Signature is
 * SHA-1: it decides nothing.) */
struct signature_headers {
    struct signature_header forgejo; /* X-Forgejo-Signature: 64 hexadecimal digits */
    struct signature_header gitea;   /* X-Gitea-Signature: the same */
    struct signature_header gogs;    /* X-Gogs-Signature: the same */
    struct signature_header hub;     /* X-Hub-Signature-256: the same behind "sha256=" */
};

/* The MAC that the headers claim. False with err when there is none, more than one, or one of
 * another form: Forgejo sends empty ones where no secret is configured. */
bool signature_read(const struct signature_headers *headers, uint8_t mac[SHA256_SIZE],
                    struct error *err);

/* Is it that of these very bytes? Compared in constant time. A NULL or empty secret fits nothing.
 */
bool signature_fits(const char *secret, const void *json, size_t len,
                    const uint8_t mac[SHA256_SIZE]);

#endif
