/* SHA-256: FIPS 180-4, 4.1.2 (functions), 4.2.2 (constants), 5 and 6.2 (the hash). */
#include "worker/runner/sha256.h"

#include <stdio.h>
#include <string.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t right(uint32_t value, int bits)
{
    return value >> bits | value << (32 - bits);
}

static void spread(uint32_t words[static 64], const uint8_t *block)
{
    for (int i = 0; i < 16; i++, block += 4)
        words[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 |
                   block[3];
    for (int i = 16; i < 64; i++) {
        uint32_t low = words[i - 15], high = words[i - 2];
        words[i] = words[i - 16] + (right(low, 7) ^ right(low, 18) ^ low >> 3) + words[i - 7] +
                   (right(high, 17) ^ right(high, 19) ^ high >> 10);
    }
}

/* FIPS 180-4 6.2.2, whose names these are. */
static void mix(struct sha256 *sum, const uint8_t *block)
{
    const uint32_t *state = sum->state;
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7], words[64];
    spread(words, block);
    for (int i = 0; i < 64; i++) {
        uint32_t first = h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) +
                         constants[i] + words[i];
        uint32_t second =
            (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + first;
        d = c, c = b, b = a, a = first + second;
    }
    const uint32_t mixed[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        sum->state[i] += mixed[i];
}

void sha256_init(struct sha256 *sum)
{
    *sum = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                     0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_take(struct sha256 *sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        size_t used = sum->taken % sizeof sum->block, part = sizeof sum->block - used;
        if (part > len)
            part = len;
        memcpy(sum->block + used, at, part);
        sum->taken += part;
        at += part;
        len -= part;
        if (used + part == sizeof sum->block)
            mix(sum, sum->block);
    }
}

/* FIPS 180-4 5.1.1: a one bit, zeros, and the length in bits at the end of a block. */
void sha256_hex(struct sha256 *sum, char hex[static SHA256_HEX_SIZE])
{
    static const uint8_t padding[64] = {0x80};
    uint64_t bits = sum->taken * 8;
    size_t used = sum->taken % 64;
    sha256_take(sum, padding, used < 56 ? 56 - used : 120 - used);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_take(sum, length, sizeof length);
    for (int i = 0; i < 8; i++)
        snprintf(hex + (size_t)i * 8, 9, "%08x", sum->state[i]);
}
