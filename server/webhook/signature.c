/* Signature headers read, and compared with what a secret makes of the bytes. */
#include "server/webhook/signature.h"

#include <string.h>

static bool parse_mac(const struct signature_header *header, const char *prefix,
                      uint8_t mac[SHA256_SIZE])
{
    size_t skip = strlen(prefix);
    return header->len == skip + (size_t)2 * SHA256_SIZE &&
           memcmp(header->value, prefix, skip) == 0 &&
           crypto_unhex(header->value + skip, header->len - skip, mac);
}

bool signature_read(const struct signature_headers *headers, uint8_t mac[SHA256_SIZE],
                    struct error *err)
{
    const struct {
        const struct signature_header *header;
        const char *name, *prefix;
    } all[] = {{&headers->forgejo, "X-Forgejo-Signature", ""},
               {&headers->gitea, "X-Gitea-Signature", ""},
               {&headers->gogs, "X-Gogs-Signature", ""},
               {&headers->hub, "X-Hub-Signature-256", "sha256="}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].header->count == 0)
            continue;
        if (all[i].header->count > 1) {
            error_set(err, "%s is there %zu times", all[i].name, all[i].header->count);
            return false;
        }
        if (!parse_mac(all[i].header, all[i].prefix, mac)) {
            error_set(err, "%s is not %s64 hexadecimal digits of an HMAC-SHA256", all[i].name,
                      all[i].prefix);
            return false;
        }
        return true;
    }
    error_set(err, "there is no X-Forgejo-Signature header");
    return false;
}

bool signature_fits(const char *secret, const void *json, size_t len,
                    const uint8_t mac[SHA256_SIZE])
{
    uint8_t own[SHA256_SIZE];
    if (secret == NULL || secret[0] == '\0')
        return false;
    crypto_hmac_sha256(secret, strlen(secret), json, len, own);
    bool equal = crypto_equal(own, mac, sizeof own);
    crypto_wipe(own, sizeof own);
    return equal;
}
