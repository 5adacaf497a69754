/* What a link's numbers stand for, and its queue of frames. */
#include <stdlib.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "worker/link/internal.h"

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

void link_open_id(struct link *link, struct opened *opened, enum frame_type type)
{
    opened->id = new_id(link);
    opened->type = type;
    list_append(bucket(link, opened->id), &opened->bucket);
}

/* --- The queue --- */

struct outgoing *link_frame_new(size_t size, enum frame_type type, uint32_t id,
                                struct frame_out *out)
{
    struct outgoing *frame = mem_alloc(sizeof *frame + size);
    *out = frame_begin(frame->bytes, size, type, id);
    return frame;
}

void link_frame_free(struct link *link, struct outgoing *frame)
{
    link->queued -= frame->len;
    list_remove(&frame->link);
    crypto_wipe(frame->bytes, frame->len); /* a credential may be in it */
    free(frame);
}

void link_enqueue(struct link *link, struct outgoing *frame, struct frame_out *out, bool first)
{
    frame->len = frame_end(out);
    link_must(frame->len > 0, "a frame");
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

int link_call_limit(const struct link *link, const struct call *call)
{
    int64_t ms = link->ways->call_ms + call->patience;
    return link->ticks + 1 + (int)(ms * TICKS_PER_PING / link->ways->ping_ms);
}

static void on_sent(struct link *link, struct outgoing *frame)
{
    if (frame->call != NULL) {
        frame->call->outgoing = NULL;
        frame->call->deadline = link_call_limit(link, frame->call);
    }
    link_frame_free(link, frame);
}

void link_pump(struct link *link)
{
    list_each(item, &link->outgoing)
    {
        struct outgoing *frame = list_entry(item, struct outgoing, link);
        size_t left = frame->len - frame->sent;
        if (!link_talks(link) || link->blocked)
            return;
        size_t taken = stream_write(link->stream, (const char *)frame->bytes + frame->sent, left);
        frame->sent += taken;
        link->blocked = taken < left;
        if (!link->blocked)
            on_sent(link, frame);
    }
}
