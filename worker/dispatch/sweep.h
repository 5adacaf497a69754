/* Sweeping: what is old on hosts goes. One host at a time, when SQL says that it is due: the runner
 * there lists what lies on it, SQL answers what of that may go, the runner removes it piece by
 * piece, and SQL is told what went. A sweep that is cut anywhere is given up; the next one finds
 * what is left. */
#ifndef FLEET_SWEEP_H
#define FLEET_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "worker/runner/frame.h"

struct dispatch;
struct sweep_piece;

struct sweep {
    struct dispatch *dispatch; /* borrowed */
    bool busy;
    int64_t next;  /* clock_ms: SQL is asked for a host */
    uint64_t life; /* the node's, of this sweep */
    char host_id[65];
    /* What the host lists, as arrays for SQL. */
    struct buf runs, out_sizes, err_sizes;
    int listed;
    struct sweep_piece *pieces; /* owned: what may go */
    int count, at;
    bool raised; /* the epoch of the piece at hand, which somebody had forged */
    struct buf gone_runs, gone_tasks; /* arrays of attempts */
    int runs_gone, tasks_gone, kept;
};

void sweep_init(struct sweep *sweep, struct dispatch *dispatch);
void sweep_tick(struct sweep *sweep, int64_t now);
void sweep_release(struct sweep *sweep); /* no callback is left */

#endif
