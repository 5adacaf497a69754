/* An Authorization header: what counts as a token of ours, and as the agents' common one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char shared[] = "common-secret";
    uint8_t digest[SHA256_SIZE], again[SHA256_SIZE];
    char *header = malloc(size + 1); /* so that a byte too many is seen */
    if (size > 0)
        memcpy(header, data, size);
    bool formed = auth_parse(header, size, digest);
    bool common = auth_is_shared(header, size, shared);
    expect(!auth_is_shared(header, size, NULL));
    expect(!formed || size >= strlen("Bearer aft_r_") + 43);
    expect(!(formed && common));
    if (formed) { /* blanks around it are nothing */
        header[size] = ' ';
        expect(auth_parse(header, size + 1, again));
        expect(memcmp(digest, again, sizeof digest) == 0);
    }
    free(header);
    return 0;
}
