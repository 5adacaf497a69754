/* One channel to the runner of one host: from the way in to its end.
 *
 * Life: link_open; on_up once the runner greets us (installed before, where it is missing or not
 * ours); calls and watches; on_down once, with every open call failed before and every watch gone;
 * link_close at any time, which frees it. A new try is a new link. No callback comes from inside of
 * these functions. All that the host sends is hostile: what is no proper frame brings the link
 * down. */
#ifndef FLEET_LINK_H
#define FLEET_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/error.h"
#include "common/loop.h"
#include "worker/runner/work.h"

struct link;

struct link_events {
    void (*on_up)(void *data);
    void (*on_down)(void *data, const struct error *err); /* err->state: a word of fleet.reason */
};

/* `host` is borrowed until link_close; `fleet_id` is copied. */
struct link *link_open(struct loop *loop, const struct config_host *host, const char *fleet_id,
                       const struct link_events *events, void *data);
void link_close(struct link *link); /* calls still open get no callback */
bool link_up(const struct link *link);
const char *link_host_key(const struct link *link); /* hex; "" for this machine, or before */
/* The one with which it came up: who the host is. No commands were looked for. */
const struct runner_greeting *link_greeting(const struct link *link);

/* Exactly once, later, unless link_close comes before. err: the call may or may not have been
 * carried out, unless err->unsent. */
typedef void (*link_greeting_cb)(void *data, const struct runner_greeting *greeting,
                                 const struct error *err);
typedef void (*link_reply_cb)(void *data, const struct runner_reply *reply,
                              const struct error *err);
typedef void (*link_worked_cb)(void *data, const struct runner_worked *worked,
                               const struct error *err);

/* Calls: only while the link is up. Arguments outside their character sets are a bug of ours and
 * abort. Without an answer in LINK_CALL_MS the link goes down. */
#define LINK_CALL_MS 60000
void link_hello(struct link *link, const struct runner_look *looks, int count,
                link_greeting_cb on_greeting, void *data);
void link_start(struct link *link, const struct runner_key *key, const struct runner_start *start,
                link_reply_cb on_reply, void *data);
/* forged: the epoch that lies there though no owner has it (the agent wrote it); 0: none. */
void link_raise(struct link *link, const struct runner_key *key, uint64_t forged,
                link_reply_cb on_reply, void *data);
void link_void(struct link *link, const struct runner_key *key, link_reply_cb on_reply, void *data);
void link_stop(struct link *link, const struct runner_key *key, const struct runner_stop *stop,
               link_reply_cb on_reply, void *data);
void link_gc(struct link *link, const struct runner_key *key, link_reply_cb on_reply, void *data);
/* The working directory of a task; "": what is nobody's any more. */
void link_clean(struct link *link, const char *folder, link_reply_cb on_reply, void *data);
/* These answer within work_limit_ms() more. */
void link_prepare(struct link *link, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data);
void link_harvest(struct link *link, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data);
void link_remove(struct link *link, const struct runner_key *key, const struct runner_work *work,
                 link_worked_cb on_worked, void *data);

/* --- Watches --- */

struct link_watch_events {
    void (*on_record)(void *data, const struct runner_record *record);
    /* stream: 1 stdout, 2 stderr. In order and without gaps from the offset that was asked for. */
    void (*on_output)(void *data, int stream, int64_t offset, const char *bytes, size_t len);
};

struct link_watch; /* owned by the link: gone when it is down */

/* `credit`: bytes of output that may come before link_grant() gives more. */
struct link_watch *link_watch(struct link *link, const struct runner_key *key, int64_t out_offset,
                              int64_t err_offset, uint32_t credit,
                              const struct link_watch_events *events, void *data);
void link_grant(struct link_watch *watch, uint32_t bytes);
void link_unwatch(struct link_watch *watch); /* frees it; no callback after */

/* Every run that lies on the host: on_record for each, then on_reply. */
void link_list(struct link *link, void (*on_record)(void *data, const struct runner_record *record),
               link_reply_cb on_reply, void *data);

#endif
