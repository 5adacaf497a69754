/* One issue is told how its task is: draft pull request, tracking comment, who is called, state
 * label, commit status, what is said to comments, in this order.
 *
 * Each step begins with what stands in Forgejo, so all of it may be done again. A step that could
 * not be done is told to the database with what the steps before it came to; a label, a status or
 * a pull request that Forgejo refuses is a trouble that the database keeps for people, and the
 * rest goes on. What fails because of its repository parks that, what fails by itself that row. */
#ifndef FLEET_FORGEJO_TELL_H
#define FLEET_FORGEJO_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/db/db.h"
#include "common/json.h"
#include "common/list.h"
#include "common/redact.h"
#include "worker/forgejo/comment.h"
#include "worker/forgejo/label.h"
#include "worker/forgejo/marker.h"

struct outbox;

enum tell_state {
    TELL_PULL,    /* a draft pull request is opened, where one is wanted */
    TELL_COMMENT, /* the tracking comment */
    TELL_CALL,    /* a person is needed, and was not called for this yet */
    TELL_LABEL,   /* the state label */
    TELL_STATUS,  /* the commit status */
    TELL_REPLY,   /* reactions to comments, and lines below them */
    TELL_PROBE,   /* is it this issue that cannot be told, or its repository? */
    TELL_OVER,    /* the database is told */
};

struct tell {
    struct list link;
    struct outbox *outbox; /* borrowed */
    enum tell_state state; /* set by tell_go() only */
    int64_t task, seq, number;
    char *repo;                         /* owned */
    bool comments, labels, statuses;    /* that the policy wants */
    struct json_object *story, *told;   /* owned */
    struct json_object *news;           /* owned: what stands now, for fleet.told */
    struct buf body;                    /* of the comment under way */
    char marker[MARKER_SIZE], hash[65]; /* of it; its text */
    char posting[100];                  /* which it is, for fleet.telling */
    struct comment comment;
    struct label label;
    size_t reply;      /* which of the story's responses is under way */
    int64_t announced; /* clock_ms: sent to the database */
    char failed[400];  /* why a comment could not be told, while it is asked whose fault it is */
    enum forgejo_verdict how; /* of that */
};

/* Takes the row of fleet.tells(): on its own until it is told or not, then it frees itself. */
void tell_begin(struct outbox *outbox, const struct db_result *res, int row);
void tell_free(struct tell *tell);

/* --- Between its parts --- */

void tell_go(struct tell *tell, enum tell_state state); /* the only place where it changes */
const char *tell_told(const struct tell *tell, const char *name); /* of what stood; "" for none */
void tell_news(struct tell *tell, const char *name, const char *value); /* NULL: none stands */
void tell_news_int(struct tell *tell, const char *name, int64_t value);
/* What Forgejo refuses beside the comment: kept for people, and the rest goes on. */
void tell_trouble(struct tell *tell, const char *what, const struct forgejo_answer *answer);

/* The end, as the database is told: it is told; or it is not, by a word of fleet.tell_failed. */
void tell_done(struct tell *tell);
void tell_failed(struct tell *tell, const char *kind, const char *why, int64_t retry_secs);
/* Forgejo did not do it and may later: away, or stopped by us. */
void tell_away(struct tell *tell, const struct forgejo_answer *answer);
/* Can this be done at a later time by the same call? */
bool tell_is_away(const struct forgejo_answer *answer);

void tell_pull(struct tell *tell);    /* tell_pull.c */
void tell_status(struct tell *tell);  /* tell_status.c */
void tell_comment(struct tell *tell); /* tell_comment.c */
void tell_call(struct tell *tell);
void tell_reply(struct tell *tell); /* tell_reply.c */
void tell_probe(struct tell *tell); /* tell_post.c */

/* tell_post.c: the comment `posting` with the marker and body that stand in the tell, under issue
 * or pull request `number`; `done` as a comment's. It is announced where it has to be posted. */
void tell_post(struct tell *tell, const char *posting, int64_t number, int64_t id, bool edits,
               void (*done)(void *, enum comment_end, const struct forgejo_answer *));
/* For `done`: keeps whether one may be on its way, and ends the tell where it has to be begun
 * again. True: it stands, or was refused by `why`. */
bool tell_posted(struct tell *tell, enum comment_end end, const struct forgejo_answer *why);
/* Our own tokens are in no text that Forgejo gets. `items` holds what the words borrow. */
struct redact_words tell_secrets(const struct tell *tell, const char *items[2]);

#endif
