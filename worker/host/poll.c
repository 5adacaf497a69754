/* One poll per tick asks for all runs of a host. */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"
#include "worker/job/job.h"

#define POLL_EVERY_MS 400 /* between two polls, at least */
#define POLL_SLOWEST_MS 5000
#define POLL_TIMEOUT_MS 30000

void host_poll_soon(struct host *host)
{
    if (host->polling || host->on_stopped != NULL || dispatch_draining(host->dispatch))
        return;
    timer_start(&host->timer, 50, 0);
}

static struct job *find_job(struct host *host, const char *run)
{
    list_each(link, &host->jobs)
    {
        struct job *job = list_entry(link, struct job, host_link);
        if (job->poll_round == host->round && job->run != NULL && strcmp(job->run, run) == 0)
            return job;
    }
    return NULL;
}

/* A busy host gets a rest as long as its answer took, twice. */
static uint64_t pause_ms(const struct host *host, int64_t took)
{
    struct list *head = (struct list *)&host->jobs;
    list_each(link, head)
    {
        if (job_wants_more(list_entry(link, struct job, host_link)))
            return (uint64_t)(took < 1000 ? took / 4 + 1 : took);
    }
    int64_t pause = took * 2 > POLL_EVERY_MS ? took * 2 : POLL_EVERY_MS;
    return (uint64_t)(pause < POLL_SLOWEST_MS ? pause : POLL_SLOWEST_MS);
}

static bool read_records(struct host *host, const char *bytes, size_t len, struct error *err)
{
    struct runner_poll poll;
    struct runner_record record;
    int more = 0;
    if (!runner_poll_begin(&poll, bytes, len, err))
        return false;
    while ((more = runner_poll_next(&poll, &record, err)) == 1) {
        struct job *job = find_job(host, record.run);
        if (job != NULL)
            job_on_record(job, &record);
    }
    return more == 0;
}

static void on_poll(void *data, const char *bytes, size_t len, const struct error *err)
{
    struct host *host = data;
    struct error problem;
    if (dispatch_draining(host->dispatch)) {
        host->polling = false;
        return;
    }
    if (err == NULL && !read_records(host, bytes, len, &problem))
        host_trouble(host, &problem);
    host->polling = false;
    if (host->state == HOST_READY && host->on_stopped == NULL)
        timer_start(&host->timer, pause_ms(host, clock_ms() - host->polled), 0);
}

/* Bytes per stream, so that the whole answer stays under its ceiling. */
static size_t share(size_t asks)
{
    size_t room = HOST_ANSWER_MAX - ((size_t)1 << 19) - asks * RUNNER_LINE_MAX;
    size_t max = room / (2 * asks);
    return max < HOST_POLL_MAX ? max : HOST_POLL_MAX;
}

void host_poll_now(void *data)
{
    struct host *host = data;
    struct buf command, input;
    size_t asks = 0;
    if (host->state != HOST_READY || host->polling || dispatch_draining(host->dispatch))
        return;
    host_call_init(&command, &input);
    host->round++;
    list_each(link, &host->jobs)
    {
        struct job *job = list_entry(link, struct job, host_link);
        struct runner_ask ask;
        if (asks < RUNNER_ASKS_MAX && job_ask(job, host->round, &ask)) {
            runner_add_ask(&input, &ask);
            asks++;
            list_remove(link); /* to the end: with more runs than asks all get their turn */
            list_append(&host->jobs, link);
        }
    }
    if (asks == 0) {
        buf_release(&command);
        buf_release(&input);
        return;
    }
    struct runner_place place = host_place(host);
    runner_build_poll(&command, &place, (int)share(asks));
    host->polling = true;
    host->polled = clock_ms();
    host_send(host, &command, &input, POLL_TIMEOUT_MS, on_poll, host);
}
