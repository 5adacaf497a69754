/* One command on one host, over SSH or locally: what ssh.c and local.c both offer. */
#ifndef FLEET_EXEC_H
#define FLEET_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config/config.h"
#include "common/error.h"
#include "common/loop.h"

struct exec_result {
    int status;      /* exit status; -1 when the command ended by a signal or gave none */
    const char *out; /* borrowed during the callback, NUL-ended; may hold NUL and any byte */
    size_t out_len;
    const char *err; /* beginning of stderr, at most 4096 bytes */
    size_t err_len;
    bool truncated; /* stdout passed out_max: the rest was thrown away */
};

/* Exactly once, later. err: the command may or may not have run (connection lost, time-out),
 * unless err->unsent. */
typedef void (*exec_done_cb)(void *data, const struct exec_result *res, const struct error *err);

struct exec_request {
    const char *
        command; /* for sh; copied. Built from our own words and single-quoted configuration only */
    const void *input; /* stdin; copied; closed after */
    size_t input_len;
    size_t out_max; /* bytes of stdout kept */
    int timeout_ms; /* from the call to the end */
    exec_done_cb on_done;
    void *data; /* borrowed */
};

/* One host's way in. Life: exec_host_new, exec_run any time (connects when needed), exec_host_stop,
 * on_stopped, freed. */
struct exec_host;
struct exec_host *exec_host_new(
    struct loop *loop,
    const struct config_host *host); /* config is borrowed for its life; localhost = local.c */
void exec_run(struct exec_host *host, const struct exec_request *request);
/* Fails what is in flight, closes, frees itself, then calls on_stopped. */
void exec_host_stop(struct exec_host *host, void (*on_stopped)(void *data), void *data);
/* SHA-256 of the host key that the last handshake verified, hex; "" for local or before. */
const char *exec_host_key(const struct exec_host *host);

#endif
