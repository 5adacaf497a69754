/* Why a node cannot work with its database, in one sentence that names what to run: said once, and
 * again after ten minutes, however many connections and calls meet it. */
#ifndef FLEET_DB_TROUBLE_H
#define FLEET_DB_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define DB_TROUBLE_SAID 4

/* Zeroed: no trouble. */
struct db_trouble {
    struct {
        char text[400];
        int64_t at; /* clock_ms */
    } said[DB_TROUBLE_SAID];
    int next;          /* of said */
    char now[400];     /* the newest sentence; "": none, or all is well */
    unsigned failures; /* in a row */
};

/* Logs the sentence, unless it was lately. */
void db_trouble_say(struct db_trouble *trouble, const char *text);
/* Counts a failure; how many ms to wait before the next try: a second, then longer, at most
 * 30 s. */
int db_trouble_pause(struct db_trouble *trouble);
/* All is well: true when something had been said. */
bool db_trouble_end(struct db_trouble *trouble);

/* Why a connection failed, in one line, and what to do about it. `message` is libpq's, of
 * PQERRORS_VERBOSE. */
void db_trouble_connect(const char *message, char *text, size_t size);
void db_one_line(char *text, size_t size, const char *message); /* libpq's have several */

/* The connections say what became of them, and db/schema.h that this program is outdated. */
bool db_trouble_said_elsewhere(const struct error *err);

/* Of the node's first call: "schema" (missing or too old), "outdated" (this program is), "role"
 * (the login is not that of such a node), "read_only", or "database" (it does not answer). */
const char *db_trouble_word(const struct error *err);
/* The sentence. kind is "server" or "worker". */
void db_trouble_text(const struct error *err, const char *kind, char *text, size_t size);
/* The sentence for a schema that is older than `needed`; "" when it is not. */
void db_trouble_schema(int64_t schema, int needed, char *text, size_t size);
/* The sentence for a database that serves only programs of schema `oldest` and later; "" when ours
 * is one of them. */
void db_trouble_outdated(int64_t oldest, int ours, char *text, size_t size);

#endif
