/* Output of all runs on its way into the database: one append() in flight, whatever is pending goes
 * with the next. */
#ifndef FLEET_OUTPUT_H
#define FLEET_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/loop.h"
#include "common/redact.h"

struct job;
struct node;
struct job_stream;

#define OUTPUT_ITEMS_MAX 128

/* One chunk of the append in flight. */
struct output_item {
    struct job *job; /* held */
    struct job_stream *stream;
};

struct output {
    struct node *node;  /* borrowed */
    struct list jobs;   /* of struct job.to_store: those with something pending */
    struct timer timer; /* the next append */
    int64_t at;         /* clock_ms at which the timer comes */
    int64_t sent;       /* clock_ms of the last append */
    int64_t not_before; /* clock_ms: a rest after a failure */
    bool sending;
    uint64_t life;     /* the node's, of the append in flight */
    bool closed;       /* no timer any more */
    size_t one_by_one; /* so many appends carry one chunk only: a batch failed as a whole */
    struct output_item items[OUTPUT_ITEMS_MAX];
    size_t count;
};

void output_init(struct output *output, struct node *node);
/* The job has something pending: appended at once when the last append is a while ago. */
void output_soon(struct output *output, struct job *job);
void output_flush(struct output *output);      /* now, when nothing is in flight */
bool output_idle(const struct output *output); /* nothing pending, nothing in flight */
void output_close(struct output *output);

/* Pending bytes that may be stored now: all of them but what a credential may go on with. */
bool job_stream_ready(struct job_stream *stream, const struct redact_words *words);

/* What the database now has of a stream: drops from pending what is stored; an offset below what
 * was stored (rows were lost) makes the job read again from there. */
void job_stream_settle(struct job_stream *stream, int64_t next_offset);

#endif
