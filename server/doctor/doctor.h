/* "fleet-server forgejo doctor": what stands between a Forgejo and the fleet, one check after the
 * other, each told with the command or the click that mends it. A command for people: it asks one
 * thing at a time and waits for the answer. */
#ifndef FLEET_DOCTOR_H
#define FLEET_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/db/db.h"
#include "common/fetch/fetch.h"
#include "common/forgejo/client.h"
#include "common/loop.h"

#define DOCTOR_CONFIG_ARGS 16

struct doctor_options {
    bool fix;  /* mends what it can, asking for each */
    bool yes;  /* without asking */
    bool test; /* asks Forgejo for a test delivery of each webhook */
    int config_argc;
    char *config_argv[DOCTOR_CONFIG_ARGS]; /* of the configuration's own command line; borrowed */
};

enum finding { DOCTOR_OK, DOCTOR_WARN, DOCTOR_WRONG, DOCTOR_FINDINGS };

struct doctor {
    struct doctor_options options;
    struct config *config; /* owned */
    struct loop loop;
    struct fetch *fetch;     /* owned */
    struct forgejo *forgejo; /* owned */
    struct db *db;           /* owned; NULL: it is away, and the rest goes on */
    const char *web;         /* forgejo.url without its last "/"; borrowed */
    char login[256];         /* whose token it is; "": not known */
    bool scopes_tried;       /* on the first repository that may be read */
    int found[DOCTOR_FINDINGS];
    int mended;
};

/* --- what is told: report.c --- */

/* One line. `where` is what was looked at. */
void doctor_say(struct doctor *doctor, enum finding finding, const char *where, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
/* How to mend what the last line said. */
void doctor_mend(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* May the last thing that is wrong be mended? Asks the person; without --fix it names the option.
 */
bool doctor_may_fix(struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The last thing that was wrong is so no more. */
void doctor_mended(struct doctor *doctor);

/* --- what is asked: ask.c --- */

struct doctor_answer {
    enum forgejo_verdict verdict;
    int status;
    struct json_object *json; /* owned; NULL: none */
    int64_t date;             /* of the answer, seconds since 1970; -1: not said */
    char text[300];           /* not OK: why */
};
/* Waits for the answer. `path` is released. */
void doctor_ask(struct doctor *doctor, const char *method, struct buf *path, const char *body,
                bool lookup, struct doctor_answer *answer);
void doctor_list(struct doctor *doctor, struct buf *path, size_t max_items, bool lookup,
                 struct doctor_answer *answer);
void doctor_answer_release(struct doctor_answer *answer);
/* A path of the API; the words as of forgejo_path(). */
#define DOCTOR_PATH(path, ...)           \
    do {                                 \
        buf_init(path, 2048);            \
        forgejo_path(path, __VA_ARGS__); \
    } while (0)
/* Refused because the token lacks a scope, not because its account may not. */
bool doctor_scope_missing(const struct doctor_answer *answer);

/* Waits for the rows; `read` is called once. */
void doctor_query(struct doctor *doctor, const char *sql, int count, const char *const *params,
                  db_done_cb read, void *data);

/* The last delivery of a repository that the fleet took after number `after`. */
struct doctor_delivery {
    int64_t number; /* 0: none */
    int64_t age_secs;
    char words[400]; /* its event, and what came of it */
};
/* False: the database did not answer. */
bool doctor_delivery(struct doctor *doctor, const char *repo, int64_t after,
                     struct doctor_delivery *delivery);
void doctor_pause(struct doctor *doctor, int ms);

/* --- what is looked at --- */

void doctor_server(struct doctor *doctor);  /* version, token, account, clock: account.c */
bool doctor_reaches(struct doctor *doctor); /* version only; false: nothing answers there */
void doctor_workers(struct doctor *doctor); /* what the workers told the database: workers.c */
void doctor_address(struct doctor *doctor); /* webhook_url, as Forgejo sees it: address.c */
void doctor_scopes(struct doctor *doctor, const char *repo); /* of the token: scope.c */
void doctor_repositories(struct doctor *doctor);             /* each: repository.c */
void doctor_labels(struct doctor *doctor, const char *repo); /* label.c */
void doctor_hooks(struct doctor *doctor, const char *repo);  /* hook.c */

/* --- a webhook of a repository: hook_edit.c --- */

#define DOCTOR_HOOK_PATH "/api/v1/webhooks/forgejo"
/* The key that signs for a repository; NULL: none. */
const char *doctor_secret(const struct config *config, const char *repo);
bool doctor_hook_make(struct doctor *doctor, const char *repo);
bool doctor_hook_edit(struct doctor *doctor, const char *repo, const struct json_object *hook);
bool doctor_hook_delete(struct doctor *doctor, const char *repo, int64_t id);
/* Has all events that are taken; else the first that it has not. */
const char *doctor_hook_lacks(const struct config *config, const struct json_object *hook);

#endif
