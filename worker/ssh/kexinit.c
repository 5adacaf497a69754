/* The server's first packet (RFC 4253 4.2, 6, 7.1), read before any encryption begins. */
#include "worker/ssh/kexinit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MSG_KEXINIT 20
#define COOKIE 16
/* Of the names of algorithms. Nothing else gets into a line that somebody pastes. */
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._-+/"

/* The bytes not yet read. */
struct rest {
    const uint8_t *at;
    size_t len;
};

static bool skip(struct rest *rest, size_t len)
{
    if (rest->len < len)
        return false;
    rest->at += len;
    rest->len -= len;
    return true;
}

static bool take_u32(struct rest *rest, uint32_t *value)
{
    const uint8_t *at = rest->at;
    if (!skip(rest, 4))
        return false;
    *value = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return true;
}

/* To behind the line with its version; others may come before. */
static bool skip_version(struct rest *rest)
{
    for (;;) {
        bool version = rest->len >= 4 && memcmp(rest->at, "SSH-", 4) == 0;
        const uint8_t *newline = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
        if (newline == NULL || !skip(rest, (size_t)(newline - rest->at) + 1))
            return false;
        if (version)
            return true;
    }
}

bool kexinit_read(const void *bytes, size_t len, struct kexinit *kex)
{
    struct rest rest = {bytes, len};
    uint32_t size;
    if (!skip_version(&rest) || !take_u32(&rest, &size) || rest.len < size || size < 2 + COOKIE)
        return false;
    rest.len = size;
    bool right = rest.at[1] == MSG_KEXINIT && skip(&rest, 2 + COOKIE);
    for (int i = 0; right && i < KEXINIT_LISTS; i++) {
        right = take_u32(&rest, &size);
        kex->lists[i].names = (const char *)rest.at;
        kex->lists[i].len = size;
        right = right && skip(&rest, size);
    }
    return right;
}

/* The name at `at`; *at goes on to the next. False: no more. */
static bool next_name(const struct kexinit *kex, enum kexinit_list list, size_t *at,
                      const char **name, size_t *size)
{
    const char *names = kex->lists[list].names;
    size_t len = kex->lists[list].len;
    if (*at >= len)
        return false;
    const char *comma = memchr(names + *at, ',', len - *at);
    *name = names + *at;
    *size = comma != NULL ? (size_t)(comma - *name) : len - *at;
    *at += *size + 1;
    return true;
}

static bool holds(const struct kexinit *kex, enum kexinit_list list, const char *ours, size_t len)
{
    const char *name;
    size_t size, at = 0;
    while (next_name(kex, list, &at, &name, &size)) {
        if (size == len && memcmp(name, ours, len) == 0)
            return true;
    }
    return false;
}

bool kexinit_shares(const struct kexinit *kex, enum kexinit_list list, const char *ours)
{
    while (*ours != '\0') {
        size_t len = strcspn(ours, ",");
        if (len > 0 && holds(kex, list, ours, len))
            return true;
        ours += len + (ours[len] == ',');
    }
    return false;
}

static bool begins(const char *name, size_t size, const char *with)
{
    return size >= strlen(with) && memcmp(name, with, strlen(with)) == 0;
}

void kexinit_text(const struct kexinit *kex, enum kexinit_list list, char text[KEXINIT_TEXT])
{
    const char *name;
    size_t size, at = 0, len = 0;
    while (next_name(kex, list, &at, &name, &size)) {
        if (begins(name, size, "kex-strict-") || begins(name, size, "ext-info-"))
            continue; /* no methods but marks */
        if (len + size + sizeof ",..." > KEXINIT_TEXT) {
            snprintf(text + len, KEXINIT_TEXT - len, ",...");
            return;
        }
        if (len > 0)
            text[len++] = ',';
        for (size_t i = 0; i < size; i++)
            text[len++] =
                memchr(NAME_CHARS, name[i], sizeof NAME_CHARS - 1) != NULL ? name[i] : '?';
    }
    text[len] = '\0';
}

/* Is each name of the list an encrypt-then-MAC one? */
static bool only_etm(const struct kexinit *kex, enum kexinit_list list)
{
    static const char end[] = "-etm@openssh.com";
    const char *name;
    size_t size, at = 0;
    while (next_name(kex, list, &at, &name, &size)) {
        if (size < sizeof end - 1 || !begins(name + size - (sizeof end - 1), sizeof end - 1, end))
            return false;
    }
    return kex->lists[list].len > 0;
}

void kexinit_explain(const struct kexinit *kex, enum kexinit_list list, struct error *err)
{
    static const struct {
        const char *noun, *keyword, *name;
    } kinds[KEXINIT_LISTS] = {
        [KEXINIT_METHODS] = {"key exchange methods", "KexAlgorithms", "curve25519-sha256"},
        [KEXINIT_HOST_KEYS] = {"host key types", "HostKeyAlgorithms", "ssh-ed25519"},
        [KEXINIT_CIPHERS_IN] = {"ciphers", "Ciphers", "aes256-ctr"},
        [KEXINIT_CIPHERS_OUT] = {"ciphers", "Ciphers", "aes256-ctr"},
        [KEXINIT_MACS_IN] = {"MACs", "MACs", "hmac-sha2-256"},
        [KEXINIT_MACS_OUT] = {"MACs", "MACs", "hmac-sha2-256"},
    };
    bool macs = list == KEXINIT_MACS_IN || list == KEXINIT_MACS_OUT;
    char text[KEXINIT_TEXT];
    kexinit_text(kex, list, text);
    if (macs && only_etm(kex, list))
        error_set(err,
                  "its sshd offers only encrypt-then-MAC algorithms, which libssh2 1.10 lacks; the "
                  "line for its sshd_config: MACs %s,%s",
                  text, kinds[list].name);
    else
        error_set(err,
                  "its sshd offers none of the %s that libssh2 1.10 has; the line for its "
                  "sshd_config: %s %s,%s",
                  kinds[list].noun, kinds[list].keyword, text, kinds[list].name);
}
