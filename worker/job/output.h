/* Output of all runs on its way into the database: one append() in flight, whatever is pending goes
 * with the next. */
#ifndef FLEET_OUTPUT_H
#define FLEET_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/redact.h"

struct dispatch;
struct job;
struct stream;

#define OUTPUT_ITEMS_MAX 128

/* One chunk of the append in flight. */
struct output_item {
    struct job *job; /* held */
    struct stream *stream;
};

struct output {
    struct dispatch *dispatch; /* borrowed */
    struct timer timer;        /* the next append */
    int64_t at;                /* clock_ms at which the timer comes */
    int64_t not_before;        /* clock_ms: a rest after a failure */
    bool sending;
    uint64_t life;     /* the dispatcher's, of the append in flight */
    bool closed;       /* no timer any more */
    size_t one_by_one; /* so many appends carry one chunk only: a batch failed as a whole */
    struct output_item items[OUTPUT_ITEMS_MAX];
    size_t count;
};

void output_init(struct output *output, struct dispatch *dispatch);
void output_soon(struct output *output);       /* something is pending: within a quarter second */
void output_flush(struct output *output);      /* now, when nothing is in flight */
bool output_idle(const struct output *output); /* nothing pending, nothing in flight */
void output_close(struct output *output);

/* Pending bytes that may be stored now: all of them but what a credential may go on with. */
bool stream_ready(struct stream *stream, const struct redact_words *words);

/* What the database now has of a stream: drops from pending what is stored; an offset below what
 * was stored (rows were lost) makes the job read again from there. */
void stream_settle(struct stream *stream, int64_t next_offset);

#endif
