/* SHA-256, as FIPS 180-4 has it. */
#ifndef FLEET_RUNNER_SHA256_H
#define FLEET_RUNNER_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX_SIZE 65

struct sha256 {
    uint32_t state[8];
    uint64_t taken; /* bytes */
    uint8_t block[64];
};

void sha256_init(struct sha256 *sum);
void sha256_take(struct sha256 *sum, const void *bytes, size_t len);
void sha256_hex(struct sha256 *sum, char hex[static SHA256_HEX_SIZE]); /* the end of `sum` */

#endif
