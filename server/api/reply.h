/* Calls that SQL answers: one function that returns fleet.reply, sent, and passed on as it is. */
#ifndef FLEET_API_REPLY_H
#define FLEET_API_REPLY_H

#include "common/db/db.h"
#include "server/http/call.h"

/* Asks, holding the call meanwhile, and answers it. `sql` is a literal "select status, body, next,
 * location from fleet.NAME(…)"; the function returns one row of fleet.reply. Parameters as in
 * db_query. */
void reply_query(struct call *call, const char *sql, enum db_repeat repeat, int count,
                 const char *const *params);

/* The same for what may have to wait for the lock of `key`: see db_query_locking. */
void reply_query_locking(struct call *call, const char *key, const char *sql, enum db_repeat repeat,
                         int count, const char *const *params);

/* Answers with the first row: its status and body, `next` as the cursor of a Link header,
 * `location` as Location. For handlers that have to look at a row before. */
void reply_row(struct call *call, const struct db_result *res);
/* The same with another body (NULL: none). */
void reply_body(struct call *call, const struct db_result *res, const char *body);

#endif
