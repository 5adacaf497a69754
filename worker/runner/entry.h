/* The way into a run's directory: made where it is missing, locked, fenced. What refuses a call, or
 * answers it before it was begun, is false, with the reply filled in. */
#ifndef FLEET_RUNNER_ENTRY_H
#define FLEET_RUNNER_ENTRY_H

#include <stdbool.h>

#include "worker/runner/run.h"

/* One call on its way. */
struct call {
    const struct base *base;    /* borrowed */
    struct runner_key key;      /* who asks */
    struct runner_reply *reply; /* borrowed */
    int dir, lock;              /* owned; the run's, once entered; lock: -1 when it is an agent's */
};

/* All false. */
bool call_answer(struct call *call, enum runner_verdict verdict);
bool call_answer_record(struct call *call, enum runner_verdict verdict);
bool call_refuse(struct call *call, const char *reason);

bool call_is_full(int why); /* errno: of a disk */
/* Whether anything of the run lives; the reply's record says how it is. */
bool call_lives(struct call *call);

/* Makes the run's directory where there is none; *made says whether. Instead of that of a run that
 * lives none is made: `living` is the answer. `first`: nothing of it can live. */
bool call_make_directory(struct call *call, enum runner_verdict living, bool first, bool *made);
/* Under the lock: ours by nonce, and not fenced out. A higher epoch is kept, unless it is `forged`
 * (0: none is). `living`: what is said of a run whose directory is another's, but which lives. */
bool call_enter(struct call *call, uint64_t forged, enum runner_verdict living);
bool call_is_voided(const struct call *call);
bool call_write_void(struct call *call, int go); /* false: errno */

#endif
