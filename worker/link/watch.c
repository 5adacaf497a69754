/* Watches, as the worker asks for them. */
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "worker/link/internal.h"

static void send_word(struct link *link, enum frame_type type, uint32_t id, uint32_t number)
{
    struct frame_out out;
    struct outgoing *frame = link_frame_new(FRAME_HEAD + 4, type, id, &out);
    if (type == FRAME_CREDIT)
        put_u32(&out, number);
    link_enqueue(link, frame, &out, false);
}

struct link_watch *link_watch(struct link *link, const struct runner_key *key, int64_t out_offset,
                              int64_t err_offset, uint32_t credit,
                              const struct link_watch_events *events, void *data)
{
    struct link_watch *watch = mem_alloc(sizeof *watch);
    struct runner_key read;
    struct frame_out out;
    link_must(out_offset >= 0 && err_offset >= 0, "an offset");
    link_open_id(link, &watch->opened, FRAME_WATCH);
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
    struct outgoing *frame = link_frame_new(LINK_SMALL_FRAME, FRAME_WATCH, watch->opened.id, &out);
    put_key(&out, key);
    struct frame_in in = {.at = out.start + FRAME_HEAD, .end = out.at};
    get_key(&in, &read);
    link_must(frame_done(&in), "the run");
    put_u64(&out, (uint64_t)out_offset);
    put_u64(&out, (uint64_t)err_offset);
    put_u32(&out, credit);
    link_enqueue(link, frame, &out, false);
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
    list_each(item, &link->watches)
    {
        forget_watch(list_entry(item, struct link_watch, link));
    }
}
