/* A visit, step by step. */
#include "worker/check/visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "worker/check/account.h"
#include "worker/check/agents.h"
#include "worker/check/probe.h"
#include "worker/check/slots.h"
#include "worker/check/way.h"
#include "worker/link/boot.h"
#include "worker/link/link.h"
#include "worker/link/local.h"
#include "worker/ssh/ssh.h"

enum visit_step {
    VISIT_WAY,      /* the stream is on its way */
    VISIT_PROBE,    /* the probe's command runs */
    VISIT_RUNNER,   /* the link is on its way */
    VISIT_AGENTS,   /* the runner looks for agents */
    VISIT_SLOTS,    /* accounts of slots are asked */
    VISIT_CLEARING, /* what the link has put there is removed */
    VISIT_OVER,
};

/* What a link of a visit calls its fleet: a folder that no fleet has, gone afterwards. */
#define FOLDER_RANDOM 8
#define CLEARING_MS 3000 /* for its removal, when the visit's time is over */

struct visit {
    struct loop *loop;              /* borrowed */
    const struct config *config;    /* borrowed */
    const struct config_host *host; /* borrowed */
    struct check_sheet *sheet;      /* borrowed */
    int secs;
    enum visit_step step;
    struct timer limit;

    struct stream *stream; /* owned; NULL once it is down */
    struct ssh_sight sight;
    struct error way_trouble; /* why the stream never came up; text "" = it did */
    bool was_up;

    struct probe probe;
    struct account_end end;

    struct link *link; /* owned */
    struct agents_looks looks;
    char fleet_id[32];
    char *folder; /* owned; where the runner is for this visit; NULL: it was not tried */
    bool greeted;
    struct runner_greeting hello;
    struct error runner_trouble;

    bool mustered;
    struct buf slots; /* what the accounts of slots said */

    void (*on_over)(void *data);
    void *data; /* borrowed */
};

static bool is_local(const struct visit *visit)
{
    return strcmp(visit->host->hostname, "localhost") == 0;
}

/* --- The end --- */

static void fill_in(struct visit *visit)
{
    const struct error *trouble = visit->way_trouble.text[0] != '\0' ? &visit->way_trouble : NULL;
    if (!is_local(visit))
        way_judge(visit->sheet, visit->host, &visit->sight, trouble);
    account_judge(visit->sheet, visit->host, visit->end.ran ? &visit->probe : NULL, &visit->end);
    const struct agents_seen seen = {
        .system = visit->probe.system,
        .folder = visit->folder,
        .hello = visit->greeted ? &visit->hello : NULL,
        .trouble = visit->runner_trouble.text[0] != '\0' ? &visit->runner_trouble : NULL,
    };
    agents_judge(visit->sheet, visit->config, visit->host, &visit->looks, &seen);
    slots_judge(visit->sheet, visit->config, visit->host, visit->probe.user,
                visit->mustered ? buf_text(&visit->slots) : NULL, visit->probe.mark);
}

static void on_closed(void *data)
{
    struct visit *visit = data;
    void (*on_over)(void *) = visit->on_over;
    void *over_data = visit->data;
    free(visit->folder);
    free(visit);
    on_over(over_data);
}

static void close_link(struct visit *visit)
{
    if (visit->link != NULL)
        link_close(visit->link);
    visit->link = NULL;
}

static void finish(struct visit *visit)
{
    visit->step = VISIT_OVER;
    close_link(visit);
    if (visit->stream != NULL)
        stream_close(visit->stream);
    visit->stream = NULL;
    fill_in(visit);
    probe_release(&visit->probe);
    buf_release(&visit->slots);
    agents_release(&visit->looks);
    timer_close(&visit->limit, on_closed);
}

/* --- Clearing --- */

static void clear(struct visit *visit)
{
    struct buf command;
    close_link(visit);
    if (visit->folder == NULL || visit->stream == NULL) {
        finish(visit);
        return;
    }
    visit->step = VISIT_CLEARING;
    buf_init(&command, PROBE_COMMAND_MAX);
    probe_remove_command(visit->folder, &command);
    stream_run(visit->stream, buf_text(&command));
    buf_release(&command);
}

/* --- Accounts of slots --- */

static void muster(struct visit *visit)
{
    struct buf command;
    char *runner = mem_printf("%s/bin/fleet-runner-%s", visit->folder,
                              boot_hash(boot_runner(visit->probe.system)));
    visit->step = VISIT_SLOTS;
    visit->mustered = true;
    buf_init(&command, PROBE_COMMAND_MAX);
    slots_command(&command, visit->config, visit->host, runner, visit->folder, visit->probe.mark);
    stream_run(visit->stream, buf_text(&command));
    buf_release(&command);
    free(runner);
}

/* --- The runner --- */

static void on_greeting(void *data, const struct runner_greeting *hello, const struct error *err)
{
    struct visit *visit = data;
    if (err != NULL)
        return; /* the link's end says the rest */
    visit->greeted = true;
    visit->hello = *hello;
    if (slots_wanted(visit->host) && visit->stream != NULL)
        muster(visit);
    else
        clear(visit);
}

static void on_link_up(void *data)
{
    struct visit *visit = data;
    visit->step = VISIT_AGENTS;
    link_hello(visit->link, visit->looks.looks, visit->looks.count, on_greeting, visit);
}

static void on_link_down(void *data, const struct error *err)
{
    struct visit *visit = data;
    visit->runner_trouble = *err;
    if (visit->step == VISIT_SLOTS)
        close_link(visit); /* what is asked of the accounts needs it no more */
    else
        clear(visit);
}

static void open_link(struct visit *visit)
{
    static const struct link_events events = {.on_up = on_link_up, .on_down = on_link_down};
    uint8_t random[FOLDER_RANDOM / 2];
    char hex[FOLDER_RANDOM + 1];
    crypto_random(random, sizeof random);
    crypto_hex(random, sizeof random, hex);
    snprintf(visit->fleet_id, sizeof visit->fleet_id, "check-%s", hex);
    visit->folder = boot_base(visit->host->work_dir, visit->fleet_id);
    visit->step = VISIT_RUNNER;
    visit->link = link_open(visit->loop, visit->host, visit->fleet_id, &events, visit);
}

/* --- The account --- */

static void run_probe(struct visit *visit)
{
    struct buf command;
    visit->step = VISIT_PROBE;
    visit->end.ran = true;
    visit->end.asked = time(NULL);
    buf_init(&command, PROBE_COMMAND_MAX);
    probe_command(&visit->probe, visit->host->work_dir, &command);
    stream_run(visit->stream, buf_text(&command));
    buf_release(&command);
}

static bool can_try_runner(const struct visit *visit)
{
    return visit->probe.ran && boot_runner(visit->probe.system) != NULL;
}

static void take_probe_end(struct visit *visit, const struct stream_end *end)
{
    visit->end.heard = time(NULL);
    visit->end.status = end->status;
    visit->end.err_len =
        end->err_len < sizeof visit->end.err ? end->err_len : sizeof visit->end.err;
    memcpy(visit->end.err, end->err, visit->end.err_len);
    probe_read(&visit->probe);
    if (can_try_runner(visit))
        open_link(visit);
    else
        finish(visit);
}

/* --- The stream --- */

static void on_up(void *data)
{
    struct visit *visit = data;
    visit->was_up = true;
    run_probe(visit);
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    struct visit *visit = data;
    if (visit->step == VISIT_SLOTS) {
        size_t room = SLOTS_SAID_MAX - visit->slots.len;
        buf_add(&visit->slots, bytes, len < room ? len : room);
    }
    if (visit->step != VISIT_PROBE)
        return;
    probe_take(&visit->probe, bytes, len);
    if (visit->probe.flooded)
        stream_cut(visit->stream);
}

static void on_room(void *data)
{
    (void)data; /* nothing is written */
}

static void on_end(void *data, const struct stream_end *end)
{
    struct visit *visit = data;
    if (visit->step == VISIT_PROBE)
        take_probe_end(visit, end);
    else if (visit->step == VISIT_SLOTS)
        clear(visit);
    else if (visit->step == VISIT_CLEARING)
        finish(visit);
}

static void on_down(void *data, const struct error *err)
{
    struct visit *visit = data;
    struct error why = *err; /* the stream's, which goes */
    stream_close(visit->stream);
    visit->stream = NULL;
    if (!visit->was_up)
        visit->way_trouble = why;
    else if (visit->step == VISIT_PROBE)
        visit->end.trouble = why;
    else if (visit->step < VISIT_SLOTS)
        return; /* the link goes on by itself */
    finish(visit);
}

/* --- Time --- */

static void on_limit(void *data)
{
    struct visit *visit = data;
    struct error late;
    error_set_state(&late, WAY_LATE, "no answer within %d s", visit->secs);
    switch (visit->step) {
    case VISIT_WAY:
        visit->way_trouble = late;
        break;
    case VISIT_PROBE:
        probe_read(&visit->probe);
        visit->end.trouble = late;
        break;
    case VISIT_RUNNER:
    case VISIT_AGENTS:
        visit->runner_trouble = late;
        timer_start(&visit->limit, CLEARING_MS, 0);
        clear(visit);
        return;
    case VISIT_SLOTS:
        timer_start(&visit->limit, CLEARING_MS, 0);
        clear(visit);
        return;
    case VISIT_CLEARING:
    case VISIT_OVER:
        break;
    }
    finish(visit);
}

/* --- The beginning --- */

void visit_start(struct loop *loop, const struct config *config, const struct config_host *host,
                 int secs, struct check_sheet *sheet, void (*on_over)(void *data), void *data)
{
    static const struct stream_events events = {.on_up = on_up,
                                                .on_bytes = on_bytes,
                                                .on_room = on_room,
                                                .on_end = on_end,
                                                .on_down = on_down};
    struct visit *visit = mem_alloc(sizeof *visit);
    visit->loop = loop;
    visit->config = config;
    visit->host = host;
    visit->sheet = sheet;
    visit->secs = secs;
    visit->on_over = on_over;
    visit->data = data;
    probe_init(&visit->probe);
    buf_init(&visit->slots, SLOTS_SAID_MAX + 1);
    agents_choose(&visit->looks, config, host);
    timer_init(&visit->limit, loop, on_limit, visit);
    timer_start(&visit->limit, (uint64_t)secs * 1000, 0);
    visit->stream = is_local(visit) ? local_stream_open(loop, &events, visit)
                                    : ssh_stream_look(loop, host, &visit->sight, &events, visit);
}
