/* HTTP requests to one foreign server: libcurl on the loop.
 *
 * Always true: only scheme, host and port of the base are ever called, over TLS that is verified,
 * by HTTP/1.1; no redirect is followed, no proxy of the environment used, no cookie kept, no answer
 * decompressed. What changes something is never sent twice, also not by libcurl on a connection
 * that the server had closed. Secrets are wiped with whatever memory held them. */
#ifndef FLEET_FETCH_H
#define FLEET_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/loop.h"

#define FETCH_BODY_MAX ((size_t)8 << 20)  /* bytes of an answer */
#define FETCH_HEAD_MAX ((size_t)64 << 10) /* bytes of its headers, all of them */
#define FETCH_RETRY_MAX ((int64_t)86400)  /* seconds: a longer Retry-After is cut to it */

struct fetch_options {
    const char *base;    /* what each path is put behind (common/address.h) */
    bool allow_http;     /* http to others than loopback, too */
    int connections;     /* at once; more requests wait their turn */
    int timeout_ms;      /* of a whole request, from its turn on */
    const char *ca_file; /* PEM; NULL: those that the system trusts */
};

/* All members are copied. */
struct fetch_request {
    const char *method;        /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;          /* "/…", percent-encoded, with its query */
    const char *authorization; /* value of that header, secret; NULL: none */
    const char *body;          /* NULL: none, and no Content-Type then */
    size_t body_len;
    const char *content_type; /* of the body */
};

/* Everything borrowed until the callback returns. */
struct fetch_answer {
    int status;               /* 0: no whole answer came, error says why */
    const char *body;         /* ended by NUL, never NULL */
    size_t len;               /* bytes of it */
    int64_t retry_after_secs; /* -1: not said */
    bool sent;                /* bytes of the request may have arrived: ask before repeating it */
    const char *location;     /* "" for none */
    int64_t total;            /* X-Total-Count; -1: not said */
    int64_t date; /* when it was made by its server's clock, seconds since 1970; -1: not said */
    /* Its state is one of: "request" (it was never tried), "name", "connect", "tls", "time",
     * "slow", "big", "cut", "broken", "stopped". */
    struct error error;
};
typedef void (*fetch_done_cb)(void *data, const struct fetch_answer *answer);

struct fetch;
/* NULL with *err set when the base is none that may be called. */
struct fetch *fetch_new(struct loop *loop, const struct fetch_options *options, struct error *err);
/* `done` is called exactly once, later, from the loop. */
void fetch_send(struct fetch *fetch, const struct fetch_request *request, fetch_done_cb done,
                void *data);
bool fetch_idle(const struct fetch *fetch); /* nothing waits or is under way */
/* Ends what is under way ("stopped") and closes everything; then on_stopped (may be NULL). */
void fetch_stop(struct fetch *fetch, void (*on_stopped)(void *), void *data);
void fetch_free(struct fetch *fetch); /* after on_stopped; NULL is fine */

const char *fetch_base(const struct fetch *fetch); /* without the last "/"; borrowed */

#endif
