/* What a link asks: its queue of frames, its calls and watches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "worker/link/internal.h"

#define SMALL_FRAME 1024 /* of everything but a hello and a start */
#define SILENT_MAX 3

/* What the runner would refuse as no frame is a bug of ours: better no worker. */
static void must(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "agent-fleet: link: %s is outside its character set or bounds\n", what);
    abort();
}

/* --- What ids stand for --- */

static struct list *bucket(struct link *link, uint32_t id)
{
    return &link->opened[id % LINK_BUCKETS];
}

struct opened *link_find(struct link *link, uint32_t id)
{
    list_each(item, bucket(link, id))
    {
        struct opened *opened = list_entry(item, struct opened, bucket);
        if (opened->id == id)
            return opened;
    }
    return NULL;
}

static uint32_t new_id(struct link *link)
{
    if (++link->last_id == UINT32_MAX)
        link_fail(link, "connection_lost", "the channel has used up its numbers");
    return link->last_id;
}

static void open_id(struct link *link, struct opened *opened, enum frame_type type)
{
    opened->id = new_id(link);
    opened->type = type;
    list_append(bucket(link, opened->id), &opened->bucket);
}

/* --- The queue --- */

static struct outgoing *outgoing_new(size_t size, enum frame_type type, uint32_t id,
                                     struct frame_out *out)
{
    struct outgoing *frame = mem_alloc(sizeof *frame + size);
    *out = frame_begin(frame->bytes, size, type, id);
    return frame;
}

static void outgoing_free(struct link *link, struct outgoing *frame)
{
    link->queued -= frame->len;
    list_remove(&frame->link);
    free(frame);
}

/* Queues it behind the others, or (`first`) before all that has not begun. */
static void enqueue(struct link *link, struct outgoing *frame, struct frame_out *out, bool first)
{
    frame->len = frame_end(out);
    must(frame->len > 0, "a frame");
    struct list *before = &link->outgoing;
    if (first && !list_empty(&link->outgoing)) {
        before = link->outgoing.next;
        if (list_entry(before, struct outgoing, link)->sent > 0)
            before = before->next;
    }
    list_append(before, &frame->link); /* before `before` */
    link->queued += frame->len;
    link_pump(link);
}

static void on_sent(struct link *link, struct outgoing *frame)
{
    if (frame->call != NULL) {
        frame->call->outgoing = NULL;
        frame->call->deadline = clock_ms() + link->ways->call_ms;
    }
    outgoing_free(link, frame);
}

void link_pump(struct link *link)
{
    while (link_talks(link) && !link->blocked && !list_empty(&link->outgoing)) {
        struct outgoing *frame = list_entry(link->outgoing.next, struct outgoing, link);
        size_t left = frame->len - frame->sent;
        size_t taken = stream_write(link->stream, (const char *)frame->bytes + frame->sent, left);
        frame->sent += taken;
        link->blocked = taken < left;
        if (!link->blocked)
            on_sent(link, frame);
    }
}

/* --- Calls --- */

static struct call *call_new(struct link *link, enum frame_type type, const char *run)
{
    struct call *call = mem_alloc(sizeof *call);
    open_id(link, &call->opened, type);
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
        enqueue(link, frame, out, call->opened.type == FRAME_PING);
    }
}

static void send_hello(struct link *link, struct call *call, const struct runner_look *looks,
                       int count)
{
    struct frame_out out;
    size_t size = SMALL_FRAME;
    must(count >= 0 && count <= RUNNER_LOOKS_MAX, "the number of commands to look for");
    for (int i = 0; i < count; i++)
        size += strlen(looks[i].command) + 3;
    struct outgoing *frame = outgoing_new(size, FRAME_HELLO, call->opened.id, &out);
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
    struct outgoing *frame = outgoing_new(FRAME_HEAD, FRAME_PING, call->opened.id, &out);
    call_send(link, call, frame, &out);
}

/* A call about one run, begun: its key is in the frame. `room`: for what follows. */
static struct call *begin(struct link *link, enum frame_type type, const struct runner_key *key,
                          size_t room, struct outgoing **frame, struct frame_out *out)
{
    struct call *call = call_new(link, type, key->run);
    struct runner_key read;
    *frame = outgoing_new(SMALL_FRAME + room, type, call->opened.id, out);
    put_key(out, key);
    struct frame_in in = {.at = out->start + FRAME_HEAD, .end = out->at};
    get_key(&in, &read);
    must(frame_done(&in) && !out->failed, "the run");
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
        begin(link, FRAME_START, key, (size_t)start->job_len + start->prompt_len, &frame, &out);
    struct frame_in in = {.at = out.at};
    put_start(&out, start);
    in.end = out.at;
    get_start(&in, &read);
    must(frame_done(&in) && !out.failed, "the start");
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
    must(frame_done(&in) && !out.failed, "the stop");
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
    struct outgoing *frame = outgoing_new(FRAME_HEAD, FRAME_LIST, call->opened.id, &out);
    call->on_record = on_record;
    send_call(link, call, frame, &out, on_reply, data);
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
        break;
    }
    return "call";
}

void link_check_calls(struct link *link)
{
    int64_t now = clock_ms();
    list_each(item, &link->calls)
    {
        struct call *call = list_entry(item, struct call, link);
        if (call->refusal != NULL || call->outgoing != NULL || call->deadline > now)
            continue;
        link_fail(link, "timeout", "the runner did not answer a %s within %d s", name(call),
                  link->ways->call_ms / 1000);
        return;
    }
}

/* The next call that has failed, of those up to number `last`. */
static struct call *next_failed(const struct link *link, uint32_t last)
{
    list_each(item, &link->calls)
    {
        struct call *call = list_entry(item, struct call, link);
        if (call->opened.id > last)
            break;
        if (call->refusal != NULL || link->state == LINK_DOWN)
            return call;
    }
    return NULL;
}

void link_fail_calls(struct link *link)
{
    uint32_t last = link->last_id;
    struct call *failed;
    while (!link->closed && (failed = next_failed(link, last)) != NULL) {
        struct call call = *failed;
        struct error why = link->trouble;
        if (call.refusal != NULL)
            error_set_state(&why, "runner_failed", "%s", call.refusal);
        why.unsent = call.refusal != NULL || (call.outgoing != NULL && call.outgoing->sent == 0);
        if (failed->outgoing != NULL)
            outgoing_free(link, failed->outgoing);
        link_call_end(failed);
        if (call.on_greeting != NULL)
            call.on_greeting(call.data, NULL, &why);
        else if (call.on_reply != NULL)
            call.on_reply(call.data, NULL, &why);
    }
}

/* --- Watches --- */

static void send_word(struct link *link, enum frame_type type, uint32_t id, uint32_t number)
{
    struct frame_out out;
    struct outgoing *frame = outgoing_new(FRAME_HEAD + 4, type, id, &out);
    if (type == FRAME_CREDIT)
        put_u32(&out, number);
    enqueue(link, frame, &out, false);
}

struct link_watch *link_watch(struct link *link, const struct runner_key *key, int64_t out_offset,
                              int64_t err_offset, uint32_t credit,
                              const struct link_watch_events *events, void *data)
{
    struct link_watch *watch = mem_alloc(sizeof *watch);
    struct runner_key read;
    struct frame_out out;
    must(out_offset >= 0 && err_offset >= 0, "an offset");
    open_id(link, &watch->opened, FRAME_WATCH);
    list_append(&link->watches, &watch->link);
    watch->of = link;
    snprintf(watch->run, sizeof watch->run, "%s", key->run);
    watch->next[0] = (uint64_t)out_offset;
    watch->next[1] = (uint64_t)err_offset;
    watch->credit = credit;
    watch->events = events;
    watch->data = data;
    if (!link_talks(link))
        return watch;
    struct outgoing *frame = outgoing_new(SMALL_FRAME, FRAME_WATCH, watch->opened.id, &out);
    put_key(&out, key);
    struct frame_in in = {.at = out.start + FRAME_HEAD, .end = out.at};
    get_key(&in, &read);
    must(frame_done(&in), "the run");
    put_u64(&out, (uint64_t)out_offset);
    put_u64(&out, (uint64_t)err_offset);
    put_u32(&out, credit);
    enqueue(link, frame, &out, false);
    return watch;
}

void link_grant(struct link_watch *watch, uint32_t bytes)
{
    if (bytes == 0 || !link_talks(watch->of))
        return;
    watch->credit += bytes;
    send_word(watch->of, FRAME_CREDIT, watch->opened.id, bytes);
}

static void forget_watch(struct link_watch *watch)
{
    list_remove(&watch->opened.bucket);
    list_remove(&watch->link);
    free(watch);
}

void link_unwatch(struct link_watch *watch)
{
    struct link *link = watch->of;
    uint32_t id = watch->opened.id;
    forget_watch(watch);
    if (link_talks(link))
        send_word(link, FRAME_UNWATCH, id, 0);
}

void link_drop_watches(struct link *link)
{
    while (!list_empty(&link->watches))
        forget_watch(list_entry(link->watches.next, struct link_watch, link));
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
    while (!list_empty(&link->outgoing))
        outgoing_free(link, list_entry(link->outgoing.next, struct outgoing, link));
    while (!list_empty(&link->calls))
        link_call_end(list_entry(link->calls.next, struct call, link));
    link_drop_watches(link);
    buf_release(&link->in);
    link->blocked = false;
    link->silent = 0;
}
