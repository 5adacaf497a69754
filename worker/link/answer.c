/* What the runner's side says, frame by frame. All of it is hostile: what does not fit to what was
 * asked brings the link down. */
#include <string.h>

#include "worker/link/internal.h"

static void offend(struct link *link, const char *what)
{
    if (link->state == LINK_GREETING && link_mend(link))
        return;
    link_fail(link, "protocol",
              "what came through the runner's channel is not the runner's: %s (does something that "
              "the account's login files start in the background write into it?)",
              what);
}

/* The call that a frame answers; NULL is an offence. */
static struct call *answered(struct link *link, const struct frame *frame)
{
    struct opened *opened = link_find(link, frame->id);
    if (opened == NULL || opened->type == FRAME_WATCH)
        return NULL;
    struct call *call = (struct call *)opened;
    return call->outgoing == NULL && call->refusal == NULL ? call : NULL;
}

static const char *take_greeting(struct link *link, struct frame *frame)
{
    struct call *call = answered(link, frame);
    struct runner_greeting greeting;
    memset(&greeting, 0, sizeof greeting);
    get_greeting(&frame->payload, &greeting);
    if (!frame_done(&frame->payload))
        return "a greeting that is none";
    if (call == NULL || call->opened.type != FRAME_HELLO || greeting.seen_count != call->looks)
        return "a greeting that was not asked for";
    link_greeting_cb on_greeting = call->on_greeting;
    void *data = call->data;
    link_call_end(call);
    if (on_greeting != NULL)
        on_greeting(data, &greeting, NULL);
    else
        link_greeted(link, &greeting);
    return NULL;
}

static bool takes_reply(enum frame_type type)
{
    return type == FRAME_START || type == FRAME_RAISE || type == FRAME_VOID || type == FRAME_STOP ||
           type == FRAME_GC || type == FRAME_LIST || type == FRAME_CLEAN;
}

static const char *take_reply(struct link *link, struct frame *frame)
{
    struct call *call = answered(link, frame);
    struct runner_reply reply;
    memset(&reply, 0, sizeof reply);
    get_reply(&frame->payload, &reply);
    if (!frame_done(&frame->payload))
        return "a reply that is none";
    if (call == NULL || !takes_reply(call->opened.type))
        return "a reply that was not asked for";
    if (call->run[0] != '\0' && strcmp(call->run, reply.record.run) != 0)
        return "a reply about another run";
    link_reply_cb on_reply = call->on_reply;
    void *data = call->data;
    link_call_end(call);
    if (on_reply != NULL)
        on_reply(data, &reply, NULL);
    return NULL;
}

static const char *take_worked(struct link *link, struct frame *frame)
{
    struct call *call = answered(link, frame);
    struct runner_worked worked;
    memset(&worked, 0, sizeof worked);
    get_worked(&frame->payload, &worked);
    if (!frame_done(&frame->payload))
        return "an answer about a workspace that is none";
    if (call == NULL || call->on_worked == NULL)
        return "an answer about a workspace that was not asked for";
    link_worked_cb on_worked = call->on_worked;
    void *data = call->data;
    link_call_end(call);
    on_worked(data, &worked, NULL);
    return NULL;
}

/* An id that was a watch: the runner may not have read yet that it is one no more. */
static bool was_watched(const struct link *link, uint32_t id)
{
    return id > 0 && id <= link->last_id;
}

static const char *take_record(struct link *link, struct frame *frame)
{
    struct opened *opened = link_find(link, frame->id);
    struct runner_record record;
    memset(&record, 0, sizeof record);
    get_record(&frame->payload, &record);
    if (!frame_done(&frame->payload))
        return "a record that is none";
    if (opened == NULL)
        return was_watched(link, frame->id) ? NULL : "a record that was not asked for";
    if (opened->type == FRAME_WATCH) {
        struct link_watch *watch = (struct link_watch *)opened;
        if (strcmp(watch->run, record.run) != 0)
            return "a record of another run";
        watch->events->on_record(watch->data, &record);
        return NULL;
    }
    struct call *call = answered(link, frame);
    if (call == NULL || opened->type != FRAME_LIST)
        return "a record that was not asked for";
    call->deadline = link_call_limit(link, call);
    if (call->on_record != NULL)
        call->on_record(call->data, &record);
    return NULL;
}

static const char *take_output(struct link *link, struct frame *frame)
{
    struct opened *opened = link_find(link, frame->id);
    int stream = get_u8(&frame->payload);
    uint64_t offset = get_u64(&frame->payload);
    size_t len = (size_t)(frame->payload.end - frame->payload.at);
    if (frame->payload.failed || (stream != 1 && stream != 2) || len > FRAME_OUTPUT_MAX || len < 1)
        return "an output that is none";
    if (opened == NULL)
        return was_watched(link, frame->id) ? NULL : "an output that was not asked for";
    if (opened->type != FRAME_WATCH)
        return "an output that was not asked for";
    struct link_watch *watch = (struct link_watch *)opened;
    if (offset != watch->next[stream - 1])
        return "an output with a gap";
    if (len > watch->credit)
        return "more output than was granted";
    watch->credit -= len;
    watch->next[stream - 1] += len;
    watch->events->on_output(watch->data, stream, (int64_t)offset, (const char *)frame->payload.at,
                             len);
    return NULL;
}

static const char *take_pong(struct link *link, struct frame *frame)
{
    struct call *call = answered(link, frame);
    if (call == NULL || call->opened.type != FRAME_PING || frame->len != 0)
        return "a pong that was not asked for";
    link_call_end(call);
    return NULL;
}

/* What is wrong with it; NULL: nothing. */
static const char *take(struct link *link, struct frame *frame)
{
    switch (frame->type) {
    case FRAME_GREETING:
        return take_greeting(link, frame);
    case FRAME_REPLY:
        return take_reply(link, frame);
    case FRAME_RECORD:
        return take_record(link, frame);
    case FRAME_OUTPUT:
        return take_output(link, frame);
    case FRAME_PONG:
        return take_pong(link, frame);
    case FRAME_WORKED:
        return take_worked(link, frame);
    case FRAME_HELLO:
    case FRAME_START:
    case FRAME_RAISE:
    case FRAME_VOID:
    case FRAME_STOP:
    case FRAME_WATCH:
    case FRAME_CREDIT:
    case FRAME_UNWATCH:
    case FRAME_LIST:
    case FRAME_GC:
    case FRAME_CLEAN:
    case FRAME_PREPARE:
    case FRAME_HARVEST:
    case FRAME_REMOVE:
    case FRAME_PING:
        break;
    }
    return "a frame of an unknown kind";
}

/* Takes every whole frame that begins at `bytes`; returns their length. */
static size_t take_all(struct link *link, const char *bytes, size_t len)
{
    struct frame frame;
    size_t at = 0;
    int whole;
    while (link_talks(link) &&
           (whole = frame_read(bytes + at, len - at, FRAME_ANSWER_MAX, &frame)) != 0) {
        const char *wrong = whole < 0 ? "no frame" : take(link, &frame);
        if (wrong != NULL) {
            offend(link, wrong);
            break;
        }
        link->silent = 0;
        at += FRAME_HEAD + frame.len;
    }
    return at;
}

/* Frames are taken where they lie, unless they are in pieces. */
void link_receive(struct link *link, const char *bytes, size_t len)
{
    struct buf *in = &link->in;
    while (len > 0 && link_talks(link)) {
        size_t taken;
        if (in->len == 0) {
            taken = take_all(link, bytes, len);
            if (link_talks(link))
                buf_add(in, bytes + taken, len - taken); /* less than a frame */
            return;
        }
        size_t room = in->max - in->len;
        size_t more = len < room ? len : room;
        buf_add(in, bytes, more);
        bytes += more;
        len -= more;
        taken = take_all(link, in->data, in->len);
        if (link_talks(link)) /* else it may be gone */
            buf_consume(in, taken);
    }
}
