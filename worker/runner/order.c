/* One child of sudo after the other. */
#include "worker/runner/order.h"

#include <stdio.h>
#include <unistd.h>

#include "worker/runner/account.h"
#include "worker/runner/process.h"
#include "worker/runner/source.h"

#define LOOK_MS 200
#define FAILED_MAX 6 /* how often the pause is doubled */

static void begin(struct orders *orders, int signal)
{
    char caller[16], number[16];
    snprintf(caller, sizeof caller, "%u", (unsigned)getuid());
    snprintf(number, sizeof number, "%d", signal);
    const char *words[] = {"every", caller, number, NULL};
    orders->pid = account_start(orders->account, words, &(struct account_streams){-1, -1, -1});
    orders->pid = orders->pid < 0 ? 0 : orders->pid;
    orders->none = false;
}

void order_signal(struct orders *orders, int signal)
{
    if (orders->pid != 0)
        orders->wanted = signal;
    else
        begin(orders, signal);
}

void order_look(struct orders *orders)
{
    if (orders->pid == 0 && clock_now() >= orders->not_before && process_count(orders->uid) == 0)
        begin(orders, 0);
}

bool order_ended(struct orders *orders, pid_t pid, int status)
{
    if (orders->pid == 0 || pid != orders->pid)
        return false;
    enum account_said said = account_status(status);
    int wanted = orders->wanted;
    orders->pid = orders->wanted = 0;
    orders->none = said == ACCOUNT_NONE;
    if (said == ACCOUNT_NONE || said == ACCOUNT_SOME)
        orders->failed = 0;
    else if (orders->failed < FAILED_MAX)
        orders->failed++;
    orders->not_before = clock_now() + ((int64_t)LOOK_MS << orders->failed);
    if (wanted != 0)
        begin(orders, wanted);
    return true;
}
