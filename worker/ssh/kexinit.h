/* What a server offers for the key exchange, for a word on why there is none: libssh2 1.10 says
 * only that there is none. */
#ifndef FLEET_SSH_KEXINIT_H
#define FLEET_SSH_KEXINIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* In the order of the packet (RFC 4253 7.1). */
enum kexinit_list {
    KEXINIT_METHODS,
    KEXINIT_HOST_KEYS,
    KEXINIT_CIPHERS_IN, /* towards the server */
    KEXINIT_CIPHERS_OUT,
    KEXINIT_MACS_IN,
    KEXINIT_MACS_OUT,
};
#define KEXINIT_LISTS 6

/* Names, comma-separated. Borrowed from the bytes. */
struct kexinit {
    struct {
        const char *names;
        size_t len;
    } lists[KEXINIT_LISTS];
};

/* bytes: all that the server sent so far, from its first. False: there is no whole KEXINIT. */
bool kexinit_read(const void *bytes, size_t len, struct kexinit *kex);
/* Is one of `ours` (comma-separated) in the server's list? */
bool kexinit_shares(const struct kexinit *kex, enum kexinit_list list, const char *ours);
/* For methods, ciphers and MACs that are not shared: what to do on the host. */
void kexinit_explain(const struct kexinit *kex, enum kexinit_list list, struct error *err);
/* The names of a list for a sentence: harmless anywhere, shortened. */
#define KEXINIT_TEXT 140
void kexinit_text(const struct kexinit *kex, enum kexinit_list list, char text[KEXINIT_TEXT]);

#endif
