/* The output of attempts as feeds: one query tells how far all of them are stored, and what is new
 * of one is read once for its followers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "server/follow/feed.h"
#include "server/follow/piece.h"

#define PAGE_BYTES 65536    /* read for one follower */
#define SHARED_BYTES 262144 /* read for all that are level */
#define ROW_BYTES 256       /* of the limit: fleet.log_read gives a row for each at most */
#define WORD_MAX 64

/* One attempt that is followed; or a task that has none yet. */
struct output {
    struct feed feed; /* first */
    struct list link; /* follow->outputs */
    int64_t task, attempt;
    bool known; /* what follows was told at least once */
    int64_t head[2];
    bool ended;
    bool over;    /* no other attempt will come by itself */
    int64_t next; /* the attempt behind it; 0: none yet */
    int next_number;
    char outcome[WORD_MAX], reason[WORD_MAX], status[WORD_MAX]; /* "": null */
};

struct log_follower {
    struct follower follower; /* first */
    struct log_place at;
    int64_t seen[2]; /* read, but for a cut character all sent */
    bool wanted[2];
    bool one;
    bool told_end; /* of this attempt, when the task goes on */
};

/* A read's own. */
struct output_read {
    int64_t head[2]; /* stored for sure when it was sent */
    size_t limit;
};

/* What it brought. */
struct output_rows {
    struct piece_rows rows;
    struct output_read read;
    bool full;        /* there may be more */
    struct buf piece; /* the last one that was made: of this row, from and up to these places */
    int piece_row;
    struct log_place piece_from, piece_to;
};

static struct output *output_of(const struct follower *follower)
{
    return (struct output *)(void *)follower->feed;
}

/* --- reading --- */

static void ask(struct feed *feed, struct feed_read *read)
{
    const struct output *output = (const struct output *)(void *)feed;
    struct output_read *own = mem_alloc(sizeof *own);
    int64_t from[2] = {-1, -1};
    char texts[4][24];
    const char *params[4];
    list_each(link, &read->followers)
    {
        const struct log_follower *follower = list_entry(link, struct log_follower, follower.link);
        for (int i = 0; i < 2; i++) {
            if (follower->wanted[i] && (from[i] < 0 || follower->at.at[i] < from[i]))
                from[i] = follower->at.at[i];
        }
    }
    *own = (struct output_read){.head = {output->head[0], output->head[1]},
                                .limit = read->shared ? SHARED_BYTES : PAGE_BYTES};
    read->data = own;
    const int64_t values[4] = {output->attempt, from[0], from[1], (int64_t)own->limit};
    for (int i = 0; i < 4; i++) {
        snprintf(texts[i], sizeof texts[i], "%" PRId64, values[i]);
        params[i] = values[i] >= 0 ? texts[i] : NULL;
    }
    db_query(feed->follow->db,
             "select stream, start, line, bytes "
             "from fleet.log_read($1::bigint, $2::bigint, $3::bigint, $4::int)",
             DB_REPEAT, 4, params, feed_answered, read);
}

static void *take(const struct feed_read *read, const struct db_result *res)
{
    struct output_rows *rows = mem_alloc(sizeof *rows);
    int count = db_rows(res);
    rows->read = *(const struct output_read *)read->data;
    rows->piece_row = -1;
    buf_init(&rows->piece, SIZE_MAX / 2);
    piece_rows_init(&rows->rows, count);
    for (int i = 0; i < count; i++) {
        size_t at = rows->rows.bytes.len;
        int stream = strcmp(db_text(res, i, "stream"), piece_streams[PIECE_STDERR]) == 0;
        if (!db_bytes(res, i, "bytes", &rows->rows.bytes))
            break; /* no answer of the function that we know */
        piece_rows_add(&rows->rows, stream, db_int(res, i, "start", 0), db_int(res, i, "line", 1),
                       at);
    }
    rows->full =
        (size_t)count >= rows->read.limit / ROW_BYTES || rows->rows.bytes.len >= rows->read.limit;
    return rows;
}

static void drop(void *data)
{
    struct output_rows *rows = data;
    piece_rows_release(&rows->rows);
    buf_release(&rows->piece);
    free(rows);
}

/* --- what a follower is sent --- */

static void add_word(struct buf *out, const char *name, const char *word)
{
    buf_addf(out, ", \"%s\": ", name);
    if (word[0] != '\0')
        json_quote(out, word, strlen(word));
    else
        buf_adds(out, "null");
}

/* How the attempt stands, as an event of its own. */
static void write_state(struct buf *out, const struct log_follower *follower, const char *event,
                        const char *begin)
{
    const struct output *output = output_of(&follower->follower);
    char id[PLACE_TEXT];
    log_place_write(&follower->at, id);
    buf_addf(out, "id: %s\nevent: %s\ndata: {%s\"attempt\": ", id, event, begin);
    buf_addf(out, follower->at.number > 0 ? "%d" : "null", follower->at.number);
    add_word(out, "outcome", output->outcome);
    add_word(out, "failure_reason", output->reason);
    add_word(out, "status", output->status);
    buf_adds(out, "}\n\n");
}

/* Another attempt begins, or this one is where the stream does. */
static bool tell_begin(struct log_follower *follower, const struct log_place *at)
{
    char text[200], id[PLACE_TEXT];
    log_place_write(at, id);
    int len = snprintf(text, sizeof text,
                       "id: %s\nevent: attempt\ndata: {\"attempt\": %d, \"outcome\": null}\n\n", id,
                       at->number);
    return stream_send(follower->follower.stream, text, (size_t)len);
}

/* What was stored from here to there is there no more. */
static bool tell_gap(struct log_follower *follower, int stream, int64_t to)
{
    char text[256], id[PLACE_TEXT];
    struct log_place at = follower->at;
    at.at[stream] = to;
    log_place_write(&at, id);
    int len = snprintf(text, sizeof text,
                       "id: %s\nevent: gap\ndata: {\"reason\": \"removed\", \"stream\": \"%s\", "
                       "\"from\": %" PRId64 ", \"to\": %" PRId64 "}\n\n",
                       id, piece_streams[stream], follower->at.at[stream], to);
    if (!stream_send(follower->follower.stream, text, (size_t)len))
        return false;
    follower->at = at;
    follower->seen[stream] = to;
    return true;
}

static int64_t lines_in(const char *bytes, size_t len)
{
    int64_t lines = 0;
    const char *at = bytes, *end = bytes + len;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        lines++;
    }
    return lines;
}

static bool is_place(const struct log_place *a, const struct log_place *b)
{
    return a->number == b->number && a->at[0] == b->at[0] && a->at[1] == b->at[1];
}

/* The event of row i between two places, made once for all that stand there. */
static void write_piece(struct output_rows *rows, int i, const struct log_place *from,
                        const struct log_place *to)
{
    const struct piece_row *row = &rows->rows.rows[i];
    const char *bytes = rows->rows.bytes.data + row->at;
    int64_t begin = from->at[row->stream], end = to->at[row->stream];
    size_t before = (size_t)(begin - row->start);
    char id[PLACE_TEXT];
    if (rows->piece_row == i && is_place(&rows->piece_from, from) && is_place(&rows->piece_to, to))
        return;
    rows->piece_row = i;
    rows->piece_from = *from;
    rows->piece_to = *to;
    log_place_write(to, id);
    buf_clear(&rows->piece);
    buf_addf(&rows->piece, "id: %s\ndata: ", id);
    piece_write(&rows->piece, row->stream, begin, row->line + lines_in(bytes, before),
                bytes + before, (size_t)(end - begin));
    buf_adds(&rows->piece, "\n\n");
}

static bool send_row(struct log_follower *follower, struct output_rows *rows, int i)
{
    const struct piece_row *row = &rows->rows.rows[i];
    const struct output *output = output_of(&follower->follower);
    int64_t *at = &follower->at.at[row->stream], row_end = row->start + (int64_t)row->len;
    bool last = output->ended && row_end >= output->head[row->stream];
    int64_t end = row_end - (last ? 0 : (int64_t)row->held);
    if (row->start > *at && !tell_gap(follower, row->stream, row->start))
        return false;
    while (*at < end) {
        const char *bytes = rows->rows.bytes.data + row->at + (*at - row->start);
        struct log_place to = follower->at;
        to.at[row->stream] += (int64_t)piece_length(bytes, (size_t)(end - *at));
        write_piece(rows, i, &follower->at, &to);
        if (!stream_send(follower->follower.stream, rows->piece.data, rows->piece.len))
            return false;
        follower->at = to;
    }
    if (follower->seen[row->stream] < row_end)
        follower->seen[row->stream] = row_end;
    return true;
}

static enum served conclude(struct log_follower *follower);

static enum served serve(struct follower *base, void *data)
{
    struct log_follower *follower = (struct log_follower *)(void *)base;
    struct output_rows *rows = data;
    for (int i = 0; i < rows->rows.count; i++) {
        if (follower->wanted[rows->rows.rows[i].stream] && !send_row(follower, rows, i))
            return SERVED_FULL;
    }
    if (rows->full)
        return SERVED_MORE;
    for (int i = 0; i < 2; i++) { /* stored, and not there: removed */
        if (follower->wanted[i] && follower->seen[i] < rows->read.head[i] &&
            !tell_gap(follower, i, rows->read.head[i]))
            return SERVED_FULL;
    }
    return conclude(follower);
}

/* --- from attempt to attempt --- */

static bool lacks(const struct log_follower *follower)
{
    const struct output *output = output_of(&follower->follower);
    bool lacking = false;
    for (int i = 0; i < 2; i++) {
        int64_t has = output->ended ? follower->at.at[i] : follower->seen[i];
        lacking = lacking || (follower->wanted[i] && has < output->head[i]);
    }
    return lacking;
}

static struct output *find_output(struct follow *follow, int64_t task, int64_t attempt);

static enum served end(struct log_follower *follower)
{
    struct buf last;
    buf_init(&last, 4096);
    write_state(&last, follower, "end", "\"reason\": \"ended\", ");
    follower_end(&follower->follower, &last);
    buf_release(&last);
    return SERVED_ENDED;
}

static enum served go_on(struct log_follower *follower)
{
    const struct output *output = output_of(&follower->follower);
    const struct log_place at = {.number = output->next_number};
    if (!tell_begin(follower, &at))
        return SERVED_FULL;
    follower_switch(&follower->follower,
                    &find_output(follower->follower.follow, output->task, output->next)->feed);
    follower->at = at;
    follower->seen[0] = follower->seen[1] = 0;
    follower->told_end = false;
    return SERVED_MORE;
}

/* When all of an attempt is sent: is it over? */
static enum served conclude(struct log_follower *follower)
{
    const struct output *output = output_of(&follower->follower);
    struct buf text;
    if (!output->known || lacks(follower) || (output->attempt != 0 && !output->ended))
        return SERVED_LEVEL;
    if (follower->one || output->over)
        return end(follower);
    if (output->attempt != 0 && !follower->told_end) {
        buf_init(&text, 4096);
        write_state(&text, follower, "attempt", "");
        follower->told_end = stream_send(follower->follower.stream, text.data, text.len);
        buf_release(&text);
        if (!follower->told_end)
            return SERVED_FULL;
    }
    return output->next != 0 ? go_on(follower) : SERVED_LEVEL;
}

/* --- how far all of them are --- */

struct heads {
    struct follow *follow; /* borrowed */
    size_t count;
    struct output *outputs[]; /* held by their feeds' reads */
};

/* After news, or none: what is lacking is read, who has all of what has ended goes on. */
static void step(struct output *output)
{
    bool lacking = false;
    list_each(link, &output->feed.level)
    {
        struct log_follower *follower = list_entry(link, struct log_follower, follower.link);
        if (lacks(follower)) {
            lacking = true;
            continue;
        }
        enum served served = conclude(follower);
        if (served != SERVED_LEVEL && served != SERVED_ENDED)
            follower_place(&follower->follower, served, NULL);
    }
    if (lacking)
        feed_share(&output->feed);
}

static void copy_word(char to[WORD_MAX], const char *word)
{
    snprintf(to, WORD_MAX, "%s", word != NULL ? word : "");
}

static void learn(struct output *output, const struct db_result *res, int row)
{
    output->known = true;
    output->head[0] = db_int(res, row, "stdout", 0);
    output->head[1] = db_int(res, row, "stderr", 0);
    output->ended = db_bool(res, row, "ended");
    output->over = db_bool(res, row, "over");
    output->next = db_int(res, row, "next", 0);
    output->next_number = (int)db_int(res, row, "next_number", 0);
    copy_word(output->outcome, db_text(res, row, "outcome"));
    copy_word(output->reason, db_text(res, row, "reason"));
    copy_word(output->status, db_text(res, row, "status"));
}

static void on_heads(void *data, const struct db_result *res, const struct error *err)
{
    struct heads *heads = data;
    heads->follow->asking = false;
    for (int row = 0; err == NULL && row < db_rows(res); row++) {
        int64_t ord = db_int(res, row, "ord", 0);
        if (ord >= 1 && ord <= (int64_t)heads->count)
            learn(heads->outputs[ord - 1], res, row);
    }
    for (size_t i = 0; i < heads->count; i++) {
        struct output *output = heads->outputs[i];
        if (err == NULL)
            step(output);
        output->feed.reads--;
        feed_check_idle(&output->feed);
    }
    follow_read_pages(heads->follow);
    free(heads);
}

static struct heads *heads_new(struct follow *follow)
{
    size_t count = 0;
    list_each(link, &follow->outputs) count++;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): they are pointers */
    struct heads *heads = mem_alloc(sizeof *heads + count * sizeof heads->outputs[0]);
    heads->follow = follow;
    list_each(link, &follow->outputs)
    {
        struct output *output = list_entry(link, struct output, link);
        heads->outputs[heads->count++] = output;
        output->feed.reads++;
    }
    return heads;
}

void outputs_tick(struct follow *follow)
{
    struct buf arrays[3];
    const char *params[3];
    if (follow->asking || list_empty(&follow->outputs))
        return;
    struct heads *heads = heads_new(follow);
    for (int i = 0; i < 3; i++) {
        buf_init(&arrays[i], 1 << 20);
        db_array_begin(&arrays[i]);
        for (size_t k = 0; k < heads->count; k++) {
            const struct output *output = heads->outputs[k];
            int64_t stored = output->known ? output->head[0] + output->head[1] : -1;
            db_array_int(&arrays[i], i == 0 ? output->task : i == 1 ? output->attempt : stored);
        }
        db_array_end(&arrays[i]);
        params[i] = buf_text(&arrays[i]);
    }
    follow->asking = true;
    db_query(follow->db,
             "select ord, stdout, stderr, ended, outcome, reason, status, over, next, next_number "
             "from fleet.log_heads($1::bigint[], $2::bigint[], $3::bigint[])",
             DB_REPEAT, 3, params, on_heads, heads);
    for (int i = 0; i < 3; i++)
        buf_release(&arrays[i]);
}

/* --- life --- */

static void free_follower(struct follower *base)
{
    free(base);
}

static void idle(struct feed *feed)
{
    struct output *output = (struct output *)(void *)feed;
    list_remove(&output->link);
    free(output);
}

static const struct feed_kind kind = {
    .ask = ask, .take = take, .drop = drop, .serve = serve, .free = free_follower, .idle = idle};

static struct output *find_output(struct follow *follow, int64_t task, int64_t attempt)
{
    list_each(link, &follow->outputs)
    {
        struct output *output = list_entry(link, struct output, link);
        if (output->task == task && output->attempt == attempt)
            return output;
    }
    struct output *output = mem_alloc(sizeof *output);
    feed_init(&output->feed, &kind, follow);
    output->task = task;
    output->attempt = attempt;
    list_append(&follow->outputs, &output->link);
    return output;
}

void follow_log(struct follow *follow, struct call *call, const struct follow_log *from)
{
    static const char retry[] = "retry: 1000\n\n";
    struct log_follower *follower = mem_alloc(sizeof *follower);
    follower->at = from->place;
    memcpy(follower->seen, from->place.at, sizeof follower->seen);
    memcpy(follower->wanted, from->wanted, sizeof follower->wanted);
    follower->one = from->one;
    if (!follower_begin(&follower->follower, follow, call)) {
        free(follower);
        return;
    }
    stream_send(follower->follower.stream, retry, sizeof retry - 1);
    if (from->attempt != 0)
        tell_begin(follower, &from->place);
    follower_join(&follower->follower, &find_output(follow, from->task, from->attempt)->feed);
}
