/* Calls, as the worker makes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/link/internal.h"

#define SILENT_MAX 3
#define WORK_ROOM 4096 /* of a work's texts and numbers */

static struct call *call_new(struct link *link, enum frame_type type, const char *run)
{
    struct call *call = mem_alloc(sizeof *call);
    link_open_id(link, &call->opened, type);
    list_append(&link->calls, &call->link);
    snprintf(call->run, sizeof call->run, "%s", run);
    return call;
}

void link_call_end(struct call *call)
{
    list_remove(&call->opened.bucket);
    list_remove(&call->link);
    free(call);
}

/* Nothing of it is sent; its callback comes from on_soon(). */
static void refuse(struct link *link, struct call *call, struct outgoing *frame, const char *why)
{
    free(frame);
    call->refusal = why;
    timer_start(&link->soon, 0, 0);
}

static void call_send(struct link *link, struct call *call, struct outgoing *frame,
                      struct frame_out *out)
{
    size_t len = (size_t)(out->at - out->start);
    if (!link_talks(link)) {
        refuse(link, call, frame, "there is no channel to the runner");
    } else if (len > FRAME_HEAD + FRAME_ASK_MAX) {
        refuse(link, call, frame, "the call is too large for the runner");
    } else if (link->queued + len > link->ways->queue_max) {
        refuse(link, call, frame, "too much is on its way to the host already");
    } else {
        frame->call = call;
        call->outgoing = frame;
        link_enqueue(link, frame, out, call->opened.type == FRAME_PING);
    }
}

static void send_hello(struct link *link, struct call *call, const struct runner_look *looks,
                       int count)
{
    struct frame_out out;
    size_t size = LINK_SMALL_FRAME;
    link_must(count >= 0 && count <= RUNNER_LOOKS_MAX, "the number of commands to look for");
    for (int i = 0; i < count; i++)
        size += strlen(looks[i].command) + 3;
    struct outgoing *frame = link_frame_new(size, FRAME_HELLO, call->opened.id, &out);
    call->looks = count;
    put_u32(&out, FRAME_VERSION);
    put_u8(&out, (uint8_t)count);
    for (int i = 0; i < count; i++) {
        put_u8(&out, looks[i].version);
        put_text(&out, looks[i].command);
    }
    call_send(link, call, frame, &out);
}

void link_first_hello(struct link *link)
{
    link_become(link, LINK_GREETING);
    send_hello(link, call_new(link, FRAME_HELLO, ""), NULL, 0);
}

void link_hello(struct link *link, const struct runner_look *looks, int count,
                link_greeting_cb on_greeting, void *data)
{
    struct call *call = call_new(link, FRAME_HELLO, "");
    call->on_greeting = on_greeting;
    call->data = data;
    send_hello(link, call, looks, count);
}

void link_ping(struct link *link)
{
    struct frame_out out;
    if (link->silent++ == SILENT_MAX) {
        link_fail(link, "timeout", "the host hangs: %d pings were not answered", SILENT_MAX);
        return;
    }
    struct call *call = call_new(link, FRAME_PING, "");
    struct outgoing *frame = link_frame_new(FRAME_HEAD, FRAME_PING, call->opened.id, &out);
    call_send(link, call, frame, &out);
}

/* A call about one run, begun: its key is in the frame. `room`: for what follows. */
static struct call *begin(struct link *link, enum frame_type type, const struct runner_key *key,
                          size_t room, struct outgoing **frame, struct frame_out *out)
{
    struct call *call = call_new(link, type, key->run);
    struct runner_key read;
    *frame = link_frame_new(LINK_SMALL_FRAME + room, type, call->opened.id, out);
    put_key(out, key);
    struct frame_in in = {.at = out->start + FRAME_HEAD, .end = out->at};
    get_key(&in, &read);
    link_must(frame_done(&in) && !out->failed, "the run");
    return call;
}

static void send_call(struct link *link, struct call *call, struct outgoing *frame,
                      struct frame_out *out, link_reply_cb on_reply, void *data)
{
    call->on_reply = on_reply;
    call->data = data;
    call_send(link, call, frame, out);
}

void link_start(struct link *link, const struct runner_key *key, const struct runner_start *start,
                link_reply_cb on_reply, void *data)
{
    struct outgoing *frame;
    struct frame_out out;
    struct runner_start read;
    struct call *call =
        begin(link, FRAME_START, key,
              (size_t)start->job_len + start->prompt_len + start->writable_len, &frame, &out);
    struct frame_in in = {.at = out.at};
    put_start(&out, start);
    in.end = out.at;
    get_start(&in, &read);
    link_must(frame_done(&in) && !out.failed, "the start");
    send_call(link, call, frame, &out, on_reply, data);
}

void link_stop(struct link *link, const struct runner_key *key, const struct runner_stop *stop,
               link_reply_cb on_reply, void *data)
{
    struct outgoing *frame;
    struct frame_out out;
    struct runner_stop read;
    struct call *call = begin(link, FRAME_STOP, key, 0, &frame, &out);
    struct frame_in in = {.at = out.at};
    put_stop(&out, stop);
    in.end = out.at;
    get_stop(&in, &read);
    link_must(frame_done(&in) && !out.failed, "the stop");
    send_call(link, call, frame, &out, on_reply, data);
}

void link_raise(struct link *link, const struct runner_key *key, uint64_t forged,
                link_reply_cb on_reply, void *data)
{
    struct outgoing *frame;
    struct frame_out out;
    struct call *call = begin(link, FRAME_RAISE, key, 0, &frame, &out);
    put_u64(&out, forged);
    send_call(link, call, frame, &out, on_reply, data);
}

void link_void(struct link *link, const struct runner_key *key, link_reply_cb on_reply, void *data)
{
    struct outgoing *frame;
    struct frame_out out;
    struct call *call = begin(link, FRAME_VOID, key, 0, &frame, &out);
    send_call(link, call, frame, &out, on_reply, data);
}

void link_gc(struct link *link, const struct runner_key *key, link_reply_cb on_reply, void *data)
{
    struct outgoing *frame;
    struct frame_out out;
    struct call *call = begin(link, FRAME_GC, key, 0, &frame, &out);
    send_call(link, call, frame, &out, on_reply, data);
}

void link_list(struct link *link, void (*on_record)(void *data, const struct runner_record *record),
               link_reply_cb on_reply, void *data)
{
    struct frame_out out;
    struct call *call = call_new(link, FRAME_LIST, "");
    struct outgoing *frame = link_frame_new(FRAME_HEAD, FRAME_LIST, call->opened.id, &out);
    call->on_record = on_record;
    send_call(link, call, frame, &out, on_reply, data);
}

void link_clean(struct link *link, const char *folder, link_reply_cb on_reply, void *data)
{
    struct frame_out out;
    char read[RUNNER_RUN_SIZE];
    struct call *call = call_new(link, FRAME_CLEAN, "");
    struct outgoing *frame = link_frame_new(LINK_SMALL_FRAME, FRAME_CLEAN, call->opened.id, &out);
    struct frame_in in = {.at = out.at};
    put_text(&out, folder);
    in.end = out.at;
    get_folder(&in, read);
    link_must(frame_done(&in) && !out.failed, "the folder");
    send_call(link, call, frame, &out, on_reply, data);
}

static void send_work(struct link *link, enum frame_type type, const struct runner_key *key,
                      const struct runner_work *work, link_worked_cb on_worked, void *data)
{
    struct outgoing *frame;
    struct frame_out out;
    struct runner_work read;
    size_t room = WORK_ROOM + (size_t)work->base.len + work->secret.len + work->known_hosts.len +
                  work->author.len + work->message.len + work->protect.len +
                  work->before_remove.len;
    struct call *call = begin(link, type, key, room, &frame, &out);
    struct frame_in in = {.at = out.at};
    put_work(&out, work);
    in.end = out.at;
    get_work(&in, &read);
    link_must(frame_done(&in) && !out.failed, "the work");
    call->patience = work_limit_ms(work);
    call->on_worked = on_worked;
    call->data = data;
    call_send(link, call, frame, &out);
}

void link_prepare(struct link *link, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data)
{
    send_work(link, FRAME_PREPARE, key, work, on_worked, data);
}

void link_harvest(struct link *link, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data)
{
    send_work(link, FRAME_HARVEST, key, work, on_worked, data);
}

void link_remove(struct link *link, const struct runner_key *key, const struct runner_work *work,
                 link_worked_cb on_worked, void *data)
{
    send_work(link, FRAME_REMOVE, key, work, on_worked, data);
}

/* --- Calls without answer --- */

static const char *name(const struct call *call)
{
    switch (call->opened.type) {
    case FRAME_HELLO:
        return "hello";
    case FRAME_START:
        return "start";
    case FRAME_RAISE:
        return "raise";
    case FRAME_VOID:
        return "void";
    case FRAME_STOP:
        return "stop";
    case FRAME_LIST:
        return "list";
    case FRAME_GC:
        return "gc";
    case FRAME_CLEAN:
        return "clean";
    case FRAME_PREPARE:
        return "prepare";
    case FRAME_HARVEST:
        return "harvest";
    case FRAME_REMOVE:
        return "remove";
    case FRAME_PING:
        return "ping";
    case FRAME_WATCH:
    case FRAME_CREDIT:
    case FRAME_UNWATCH:
    case FRAME_GREETING:
    case FRAME_REPLY:
    case FRAME_RECORD:
    case FRAME_OUTPUT:
    case FRAME_PONG:
    case FRAME_WORKED:
        break;
    }
    return "call";
}

void link_check_calls(struct link *link)
{
    list_each(item, &link->calls)
    {
        struct call *call = list_entry(item, struct call, link);
        if (call->refusal != NULL || call->outgoing != NULL || call->deadline > link->ticks)
            continue;
        link_fail(link, "timeout", "the runner did not answer a %s within %d s", name(call),
                  (int)((link->ways->call_ms + call->patience) / 1000));
        return;
    }
}

static void fail_call(struct link *link, struct call *failed)
{
    struct call call = *failed;
    struct error why = link->trouble;
    if (call.refusal != NULL)
        error_set_state(&why, "runner_failed", "%s", call.refusal);
    why.unsent = call.refusal != NULL || (call.outgoing != NULL && call.outgoing->sent == 0);
    if (call.outgoing != NULL)
        link_frame_free(link, call.outgoing);
    link_call_end(failed);
    if (call.on_greeting != NULL)
        call.on_greeting(call.data, NULL, &why);
    else if (call.on_reply != NULL)
        call.on_reply(call.data, NULL, &why);
    else if (call.on_worked != NULL)
        call.on_worked(call.data, NULL, &why);
}

/* Not those that a callback makes: they are for the next time. */
void link_fail_calls(struct link *link)
{
    uint32_t last = link->last_id;
    list_each(item, &link->calls)
    {
        struct call *call = list_entry(item, struct call, link);
        if (link->closed || call->opened.id > last)
            return;
        if (call->refusal != NULL || link->state == LINK_DOWN)
            fail_call(link, call);
    }
}

/* --- All of it --- */

void link_ask_init(struct link *link)
{
    for (size_t i = 0; i < LINK_BUCKETS; i++)
        list_init(&link->opened[i]);
    list_init(&link->outgoing);
    list_init(&link->calls);
    list_init(&link->watches);
    buf_init(&link->in, FRAME_HEAD + FRAME_ANSWER_MAX);
}

void link_ask_release(struct link *link)
{
    list_each(item, &link->outgoing)
    {
        link_frame_free(link, list_entry(item, struct outgoing, link));
    }
    list_each(item, &link->calls)
    {
        link_call_end(list_entry(item, struct call, link));
    }
    link_drop_watches(link);
    buf_release(&link->in);
    link->blocked = false;
    link->silent = 0;
}
