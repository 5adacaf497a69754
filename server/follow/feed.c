/* Followers between their lists, and the reads that serve them. */
#include "server/follow/feed.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define PAGES_MAX 8 /* pages of single followers under way */

static const char draining[] = "event: end\ndata: {\"reason\": \"draining\"}\n\n";
static const char revoked[] = "event: end\ndata: {\"reason\": \"token_ended\"}\n\n";

/* --- reads --- */

void feed_init(struct feed *feed, const struct feed_kind *kind, struct follow *follow)
{
    *feed = (struct feed){.kind = kind, .follow = follow};
    list_init(&feed->level);
    list_init(&feed->full);
}

static struct feed_read *read_new(struct feed *feed, bool shared)
{
    struct feed_read *read = mem_alloc(sizeof *read);
    read->feed = feed;
    read->shared = shared;
    list_init(&read->followers);
    feed->reads++;
    return read;
}

static void move(struct follower *follower, struct list *to)
{
    list_remove(&follower->link);
    list_append(to, &follower->link);
}

void feed_share(struct feed *feed)
{
    if (feed->sharing || list_empty(&feed->level))
        return;
    struct feed_read *read = read_new(feed, true);
    feed->sharing = true;
    feed->again = false;
    list_each(link, &feed->level) move(list_entry(link, struct follower, link), &read->followers);
    feed->kind->ask(feed, read);
}

static void read_page(struct follower *follower)
{
    struct feed *feed = follower->feed;
    struct feed_read *read = read_new(feed, false);
    feed->follow->reads++;
    move(follower, &read->followers);
    feed->kind->ask(feed, read);
}

void follow_read_pages(struct follow *follow)
{
    while (!follow->paused && follow->reads < PAGES_MAX && !list_empty(&follow->behind))
        read_page(list_entry(follow->behind.next, struct follower, link));
}

static void serve_all(struct feed_read *read, const struct db_result *res)
{
    struct feed *feed = read->feed;
    if (list_empty(&read->followers))
        return;
    void *rows = feed->kind->take(read, res);
    list_each(link, &read->followers)
    {
        struct follower *follower = list_entry(link, struct follower, link);
        follower_place(follower, feed->kind->serve(follower, rows), read->shared ? feed : NULL);
    }
    feed->kind->drop(rows);
}

/* They stand where they stood; the next tick asks again. */
static void serve_none(struct feed_read *read)
{
    struct follow *follow = read->feed->follow;
    follow->paused = true;
    list_each(link, &read->followers) move(list_entry(link, struct follower, link),
                                           read->shared ? &read->feed->level : &follow->behind);
}

void feed_check_idle(struct feed *feed)
{
    if (feed->followers == 0 && feed->reads == 0)
        feed->kind->idle(feed);
}

void feed_answered(void *data, const struct db_result *res, const struct error *err)
{
    struct feed_read *read = data;
    struct feed *feed = read->feed;
    struct follow *follow = feed->follow;
    if (read->shared)
        feed->sharing = false;
    else
        follow->reads--;
    if (err == NULL)
        serve_all(read, res);
    else
        serve_none(read);
    free(read->data);
    free(read);
    feed->reads--;
    if (feed->again)
        feed_share(feed);
    feed_check_idle(feed);
    follow_read_pages(follow);
}

/* --- followers --- */

static void on_ready(void *data)
{
    struct follower *follower = data;
    if (!follower->full)
        return;
    follower->full = false;
    move(follower, &follower->follow->behind);
    follow_read_pages(follower->follow);
}

static void follower_free(struct follower *follower)
{
    struct follow *follow = follower->follow;
    list_remove(&follower->link);
    follower->feed->followers--;
    seat_leave(follow->ceiling, &follower->seat);
    if (--follow->followers == 0)
        timer_stop(&follow->timer);
    follower->feed->kind->free(follower);
}

static void on_gone(void *data)
{
    struct follower *follower = data;
    struct feed *feed = follower->feed;
    follower_free(follower);
    feed_check_idle(feed);
}

static void on_revoked(void *data)
{
    struct follower *follower = data;
    struct feed *feed = follower->feed;
    stream_end(follower->stream, revoked, sizeof revoked - 1);
    follower_free(follower);
    feed_check_idle(feed);
}

bool follower_begin(struct follower *follower, struct follow *follow, struct call *call)
{
    const struct stream_events events = {on_ready, on_gone, draining, follower};
    if (call_gone(call) ||
        !seat_take(follow->ceiling, &follower->seat, SEAT_STREAM, call, on_revoked, follower))
        return false;
    follower->follow = follow;
    follower->stream = stream_begin(call, &events);
    if (follower->stream == NULL) {
        seat_leave(follow->ceiling, &follower->seat);
        return false;
    }
    if (follow->followers++ == 0)
        timer_start(&follow->timer, FOLLOW_MS, FOLLOW_MS);
    return true;
}

void follower_join(struct follower *follower, struct feed *feed)
{
    follower->feed = feed;
    feed->followers++;
    list_append(&feed->follow->behind, &follower->link);
    follow_read_pages(feed->follow);
}

void follower_switch(struct follower *follower, struct feed *feed)
{
    follower->feed->followers--;
    feed->followers++;
    follower->feed = feed;
}

void follower_place(struct follower *follower, enum served served, struct feed *shared)
{
    switch (served) {
    case SERVED_LEVEL:
        move(follower, &follower->feed->level);
        return;
    case SERVED_MORE:
        if (shared != NULL && follower->feed == shared) {
            shared->again = true;
            move(follower, &shared->level);
        } else {
            move(follower, &follower->follow->behind);
        }
        return;
    case SERVED_APART:
        move(follower, &follower->follow->behind);
        return;
    case SERVED_FULL:
        follower->full = true;
        move(follower, &follower->feed->full);
        return;
    case SERVED_ENDED:
        return;
    }
}

void follower_end(struct follower *follower, const struct buf *last)
{
    stream_end(follower->stream, last->data, last->len);
    follower_free(follower);
}

/* --- all of them --- */

static void on_tick(void *data)
{
    struct follow *follow = data;
    follow->paused = false;
    feed_share(follow->events);
    outputs_tick(follow);
    follow_read_pages(follow);
}

struct follow *follow_new(struct loop *loop, struct db *db, struct ceiling *ceiling)
{
    struct follow *follow = mem_alloc(sizeof *follow);
    follow->db = db;
    follow->ceiling = ceiling;
    list_init(&follow->behind);
    list_init(&follow->outputs);
    timer_init(&follow->timer, loop, on_tick, follow);
    follow->events = events_new(follow);
    return follow;
}

void follow_free(struct follow *follow)
{
    if (follow == NULL)
        return;
    events_free(follow->events);
    timer_close(&follow->timer, free);
}
