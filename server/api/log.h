/* What is asked of a task's output, for the handlers that read it. */
#ifndef FLEET_API_LOG_H
#define FLEET_API_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/db/db.h"
#include "server/http/call.h"

struct log_query {
    int64_t attempt, offset, tail; /* -1: not given */
    const char *streams;           /* borrowed: an array for SQL; NULL: both */
    bool wanted[2];                /* stdout, stderr */
};

/* Reads what is asked for. `streams` is initialised here, what it holds is borrowed by the query.
 * False: the call is answered, and nothing is to be released. */
bool log_query_read(struct call *call, struct log_query *query, struct buf *streams);

/* A number as a parameter of SQL; NULL when it is negative: not given. */
const char *log_parameter(int64_t value, char text[24]);

/* 410: retention has removed it. The row has gone, next and number. */
void log_answer_gone(struct call *call, const struct db_result *res);

/* Answers the call with a stream. */
void log_follow(struct call *call, const struct log_query *query);

#endif
