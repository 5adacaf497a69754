/* known_hosts, read strictly: what we cannot judge is an error, never skipped.
 *
 * Plain and hashed names, [host]:port. `@` markers, wildcards and broken lines are configuration
 * errors: libssh2 would ignore a @revoked line in silence and never match a pattern. */
#ifndef FLEET_KNOWN_HOST_H
#define FLEET_KNOWN_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

struct known_hosts;

enum known_verdict {
    KNOWN_MATCH, /* this key is listed for this host */
    /* the host is listed with other keys only: somebody else answers, or it has a new key */
    KNOWN_OTHER,
    KNOWN_ABSENT, /* the host is not listed */
};

/* NULL with err ("path:line: what is wrong"). A file that does not exist is an empty one. */
struct known_hosts *known_hosts_read(const char *path, struct error *err);
/* The same from memory; `path` names it in errors. */
struct known_hosts *known_hosts_parse(const char *bytes, size_t len, const char *path,
                                      struct error *err);
void known_hosts_free(struct known_hosts *known);

/* key: the wire form (RFC 4253 6.6), as the server sent it. */
enum known_verdict known_hosts_check(const struct known_hosts *known, const char *hostname,
                                     int port, const void *key, size_t key_len);
/* The key types listed for the host that we can use, best first, comma-separated, for the
 * handshake: else a server would show us its key of another type. Adds nothing when there
 * is none. */
void known_hosts_types(const struct known_hosts *known, const char *hostname, int port,
                       struct buf *types);

/* The host as OpenSSH writes it: lower case, and with the port unless it is 22. */
#define KNOWN_HOST_NAME 300
void known_host_name(const char *hostname, int port, char name[KNOWN_HOST_NAME]);

/* "SHA256:…" as ssh-keygen -l prints it. */
void known_host_fingerprint(const void *key, size_t key_len, char text[64]);

#endif
