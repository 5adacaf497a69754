/* Whatever stands in known_hosts, and in a private key's file: no crash; a file is either read
 * whole or refused with a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "worker/ssh/known_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1);
    char print[64];
    struct error err = {0};
    struct buf types;
    memcpy(bytes, data, size);
    struct known_hosts *known = known_hosts_parse(bytes, size, "file", &err);
    if (known == NULL && err.text[0] == '\0')
        abort();
    if (known != NULL) {
        buf_init(&types, 4096);
        known_hosts_types(known, "host", 22, &types);
        known_hosts_types(known, "host", 2222, &types);
        known_hosts_check(known, "host", 22, bytes, size);
        known_hosts_check(known, "host", 2222, bytes, size);
        buf_release(&types);
        known_hosts_free(known);
    }
    known_host_fingerprint(bytes, size, print);
    crypto_key_kind(bytes, size);
    free(bytes);
    return 0;
}
