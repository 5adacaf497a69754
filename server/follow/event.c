/* The history as a feed: pages of fleet.event_page, sent to whom they are for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/mem.h"
#include "server/follow/feed.h"

#define PAGE_EVENTS 250
#define TEXT_MAX (64 << 20)  /* bytes of a page: events are small, but a payload may be large */
#define TOKENS_MAX 8192      /* as many as there may be streams: whose is left out sees all */
#define PLACE_EVERY_MS 10000 /* the place is told at least so often while it moves */

struct event_follower {
    struct follower follower; /* first */
    struct event_place at;
    struct event_place told; /* the last id that was sent */
    int64_t told_ms;         /* clock_ms */
    char *task_id, *repo;    /* owned: what it is limited to; NULL: not */
};

struct event_row {
    struct event_place place;
    const char *task_id, *repo; /* borrowed from the answer */
    const char *hidden;         /* array literal of tokens; or NULL */
    size_t begin, len;          /* of its bytes in `text` */
};

/* A page; valid during the answer's callback. */
struct events {
    int count;
    struct event_row *rows; /* owned */
    struct buf text;
    bool ends;              /* the page was not full */
    struct event_place end; /* then: all before it is known */
    const char *gap;        /* why it does not go on from where it was asked for; or NULL */
};

/* --- asking --- */

static void add_token(int64_t *tokens, size_t *count, int64_t token)
{
    for (size_t i = 0; i < *count; i++) {
        if (tokens[i] == token)
            return;
    }
    if (*count < TOKENS_MAX)
        tokens[(*count)++] = token;
}

/* Of whom it serves: the place from which on, and whose eyes it is for. */
static struct event_place collect(const struct feed_read *read, struct buf *tokens)
{
    static int64_t seen[TOKENS_MAX];
    size_t count = 0;
    const struct event_follower *first = NULL;
    list_each(link, &read->followers)
    {
        const struct event_follower *follower =
            list_entry(link, struct event_follower, follower.link);
        if (first == NULL || (strcmp(first->at.incarnation, follower->at.incarnation) == 0 &&
                              event_place_compare(&follower->at, &first->at) < 0))
            first = follower;
        add_token(seen, &count, follower->follower.seat.token_id);
    }
    db_array_begin(tokens);
    for (size_t i = 0; i < count; i++)
        db_array_int(tokens, seen[i]);
    db_array_end(tokens);
    return first != NULL ? first->at : (struct event_place){0};
}

static void ask(struct feed *feed, struct feed_read *read)
{
    struct buf tokens;
    char xid[24], event[24], limit[16];
    buf_init(&tokens, 1 << 20);
    struct event_place from = collect(read, &tokens);
    bool known = from.incarnation[0] != '\0';
    snprintf(xid, sizeof xid, "%" PRIu64, from.xid);
    snprintf(event, sizeof event, "%" PRId64, from.event);
    snprintf(limit, sizeof limit, "%d", PAGE_EVENTS);
    const char *params[] = {buf_text(&tokens), known ? from.incarnation : NULL, known ? xid : NULL,
                            known ? event : NULL, limit};
    db_query(feed->follow->db,
             "select incarnation, xid, event_id, event_type, task_id, repo, body, hidden, gap "
             "from fleet.event_page($1::bigint[], $2, $3::xid8, $4::bigint, $5::int)",
             DB_REPEAT, 5, params, feed_answered, read);
    buf_release(&tokens);
}

/* --- rows --- */

static struct event_place place_of(const struct db_result *res, int row)
{
    struct event_place place = {.event = db_int(res, row, "event_id", 0)};
    const char *xid = db_text(res, row, "xid");
    snprintf(place.incarnation, sizeof place.incarnation, "%s", db_text(res, row, "incarnation"));
    place.xid = strtoull(xid, NULL, 10);
    return place;
}

static void write_event(struct events *events, struct event_row *row, const char *type,
                        const char *body)
{
    char id[PLACE_TEXT];
    event_place_write(&row->place, id);
    row->begin = events->text.len;
    buf_addf(&events->text, "id: %s\nevent: %s\ndata: %s\n\n", id, type, body);
    row->len = events->text.len - row->begin;
}

static void *take(const struct feed_read *read, const struct db_result *res)
{
    struct events *events = mem_alloc(sizeof *events);
    int count = db_rows(res);
    (void)read;
    buf_init(&events->text, TEXT_MAX);
    events->rows = mem_alloc((size_t)(count > 0 ? count : 1) * sizeof *events->rows);
    for (int i = 0; i < count; i++) {
        struct event_row *row = &events->rows[events->count];
        row->place = place_of(res, i);
        if (db_text(res, i, "event_type") == NULL) {
            events->ends = true;
            events->end = row->place;
            events->gap = db_text(res, i, "gap");
            continue;
        }
        row->task_id = db_text(res, i, "task_id");
        row->repo = db_text(res, i, "repo");
        row->hidden = db_text(res, i, "hidden");
        write_event(events, row, db_text(res, i, "event_type"), db_text(res, i, "body"));
        if (events->text.failed)
            break; /* the next page begins with it */
        events->count++;
    }
    return events;
}

static void drop(void *data)
{
    struct events *events = data;
    buf_release(&events->text);
    free(events->rows);
    free(events);
}

/* --- serving --- */

/* Is the token in "{1,2}"? */
static bool is_hidden(const char *hidden, int64_t token)
{
    while (hidden != NULL && *hidden != '\0' && *hidden != '}') {
        char *end;
        hidden++;
        if (strtoll(hidden, &end, 10) == token && end != hidden)
            return true;
        hidden = end;
    }
    return false;
}

static bool is_for(const struct event_follower *follower, const struct event_row *row)
{
    if (follower->task_id != NULL && strcmp(follower->task_id, row->task_id) != 0)
        return false;
    if (follower->repo != NULL && (row->repo == NULL || strcasecmp(follower->repo, row->repo) != 0))
        return false;
    return !is_hidden(row->hidden, follower->follower.seat.token_id);
}

static bool tell_place(struct event_follower *follower, const struct event_place *place,
                       const char *gap)
{
    char text[256], id[PLACE_TEXT];
    event_place_write(place, id);
    int len = gap == NULL ? snprintf(text, sizeof text, "id: %s\n\n", id)
                          : snprintf(text, sizeof text,
                                     "id: %s\nevent: gap\ndata: {\"reason\": \"%s\"}\n\n", id, gap);
    if (!stream_send(follower->follower.stream, text, (size_t)len))
        return false;
    follower->at = follower->told = *place;
    follower->told_ms = clock_ms();
    return true;
}

/* All is sent: who comes back is to go on from here, also when nothing was for it. */
static enum served reach_end(struct event_follower *follower, const struct events *events)
{
    int64_t now = clock_ms();
    bool first = follower->told.incarnation[0] == '\0';
    if (event_place_compare(&follower->at, &events->end) < 0)
        follower->at = events->end;
    if (first || (now - follower->told_ms >= PLACE_EVERY_MS &&
                  event_place_compare(&follower->told, &follower->at) != 0))
        return tell_place(follower, &follower->at, NULL) ? SERVED_LEVEL : SERVED_FULL;
    return SERVED_LEVEL;
}

/* From a place that does not hold here, one goes on from now. */
static enum served skip_gap(struct event_follower *follower, const struct events *events)
{
    bool here = strcmp(follower->at.incarnation, events->end.incarnation) == 0;
    if (here && strcmp(events->gap, "another_database") == 0)
        return SERVED_APART; /* another one's */
    return tell_place(follower, &events->end, events->gap) ? SERVED_LEVEL : SERVED_FULL;
}

static enum served send_rows(struct event_follower *follower, const struct events *events)
{
    for (int i = 0; i < events->count; i++) {
        const struct event_row *row = &events->rows[i];
        if (event_place_compare(&row->place, &follower->at) <= 0)
            continue;
        if (is_for(follower, row)) {
            if (!stream_send(follower->follower.stream, events->text.data + row->begin, row->len))
                return SERVED_FULL;
            follower->told = row->place;
            follower->told_ms = clock_ms();
        }
        follower->at = row->place;
    }
    return events->ends ? reach_end(follower, events) : SERVED_MORE;
}

static enum served serve(struct follower *base, void *rows)
{
    struct event_follower *follower = (struct event_follower *)(void *)base;
    const struct events *events = rows;
    const struct event_place *here = events->ends ? &events->end : &events->rows[0].place;
    if (events->count == 0 && !events->ends)
        return SERVED_LEVEL; /* no answer of the function that we know */
    if (events->gap != NULL)
        return skip_gap(follower, events);
    if (follower->at.incarnation[0] == '\0')
        return events->ends && tell_place(follower, &events->end, NULL) ? SERVED_LEVEL
                                                                        : SERVED_MORE;
    if (strcmp(follower->at.incarnation, here->incarnation) != 0)
        return SERVED_APART; /* a read is of one incarnation */
    return send_rows(follower, events);
}

static void free_follower(struct follower *base)
{
    struct event_follower *follower = (struct event_follower *)(void *)base;
    free(follower->task_id);
    free(follower->repo);
    free(follower);
}

static void idle(struct feed *feed)
{
    (void)feed;
}

static const struct feed_kind kind = {
    .ask = ask, .take = take, .drop = drop, .serve = serve, .free = free_follower, .idle = idle};

struct feed *events_new(struct follow *follow)
{
    struct feed *feed = mem_alloc(sizeof *feed);
    feed_init(feed, &kind, follow);
    return feed;
}

void events_free(struct feed *feed)
{
    free(feed);
}

void follow_events(struct follow *follow, struct call *call, const struct event_place *place,
                   const char *task_id, const char *repo)
{
    static const char retry[] = "retry: 1000\n\n";
    struct event_follower *follower = mem_alloc(sizeof *follower);
    follower->at = follower->told = *place;
    follower->told_ms = clock_ms();
    follower->task_id = task_id != NULL ? mem_strdup(task_id) : NULL;
    follower->repo = repo != NULL ? mem_strdup(repo) : NULL;
    if (!follower_begin(&follower->follower, follow, call)) {
        free_follower(&follower->follower);
        return;
    }
    stream_send(follower->follower.stream, retry, sizeof retry - 1);
    follower_join(&follower->follower, follow->events);
}
