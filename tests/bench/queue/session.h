/* Sessions of the drivers of tests/bench/queue: libpq in pipeline mode, whatever fails ends the
 * program with a sentence, and what the server's process of a session has used of the processor. */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct session {
    PGconn *pg; /* owned */
    int pid;    /* of the server's process */
};

_Noreturn void die(const char *what, const char *why);
uint64_t now_us(void);
void pause_ms(int ms);

/* A session with the settings of a node (common/db/target.c). */
void session_open(struct session *session, const char *url);
void session_close(struct session *session);
/* Nanoseconds of processor time that its process on the server has used. */
uint64_t session_cpu(const struct session *session);

/* Prepares `sql` under `name`, as nodes do at the first use. */
void session_prepare(struct session *session, const char *name, const char *sql);
void session_send(struct session *session, const char *name, int count, const char *const *values);
void session_sync(struct session *session);
/* The next statement's rows; to be cleared by the caller. */
PGresult *session_rows(struct session *session);
void session_synced(struct session *session);
/* One statement by itself; its first value, NULL without rows. The caller frees it. */
char *session_ask(struct session *session, const char *name, int count, const char *const *values);

/* An array literal that grows. */
struct array {
    char *text; /* owned */
    size_t len, size;
};
void array_begin(struct array *array);
void array_add(struct array *array, const char *element);
void array_end(struct array *array);

#endif
