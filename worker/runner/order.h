/* Signals to all of another account, one order at a time: each is this program behind sudo, a child
 * of the supervisor, which reaps it. */
#ifndef FLEET_RUNNER_ORDER_H
#define FLEET_RUNNER_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct orders {
    const char *account; /* borrowed; "": there is none */
    uid_t uid;
    pid_t pid;          /* of the order that is under way; 0: none is */
    int wanted;         /* the next one's signal; 0: none */
    bool none;          /* the last one found nothing alive in the account */
    int failed;         /* how many in a row could not be given */
    int64_t not_before; /* when the next look may begin (CLOCK_BOOTTIME, ms) */
};

/* As soon as the one before is over; a later signal takes an earlier one's place. */
void order_signal(struct orders *orders, int signal);
/* Asks whether anything lives, unless everybody sees that it does, or was asked a moment ago. */
void order_look(struct orders *orders);
/* A child ended. False: it was no order. */
bool order_ended(struct orders *orders, pid_t pid, int status);

#endif
