/* GET /api/v1/tasks/{}/logs/search: lines of an attempt's output that hold a text, read page by
 * page within bounds of bytes and time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "server/api/filter.h"
#include "server/api/handlers.h"
#include "server/api/log.h"
#include "server/api/request.h"
#include "server/api/scan.h"
#include "server/follow/piece.h"
#include "server/server.h"

#define PAGE_BYTES (1 << 20)
#define PAGE_ROWS (PAGE_BYTES / 256) /* as fleet.log_read bounds them */
#define SCAN_BYTES_MAX (16 << 20)    /* of one call */
#define SCAN_MS 2000                 /* then no other page is begun */
#define QUERY_MAX 256                /* bytes of the text that is sought */
#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

struct search {
    struct turn turn;
    char needle[QUERY_MAX + 1];
    int64_t attempt; /* 0: there is none */
    int number;
    bool wanted[2];
    int64_t until_ms; /* clock_ms */
    size_t scanned;   /* bytes */
    struct scan scan;
};

static void search_free(void *state)
{
    struct search *search = state;
    scan_release(&search->scan);
    free(search);
}

static void answer(struct call *call, bool complete)
{
    struct search *search = call->state;
    char cursor[PLACE_TEXT];
    const struct log_place place = {search->number,
                                    {search->scan.lanes[0].at, search->scan.lanes[1].at}};
    struct buf out;
    buf_init(&out, 64 << 20);
    buf_addf(&out, "{\"attempt\": ");
    buf_addf(&out, search->number > 0 ? "%d" : "null", search->number);
    buf_addf(&out, ", \"hits\": [%s], \"complete\": %s, \"cursor\": ", buf_text(&search->scan.hits),
             complete ? "true" : "false");
    log_place_write(&place, cursor);
    buf_addf(&out, complete ? "null" : "\"%s\"", cursor);
    buf_addf(&out, ", \"scanned_bytes\": %zu}", search->scanned);
    call_json(call, 200, buf_text(&out));
    buf_release(&out);
}

static void read_page(struct call *call);

/* Feeds the rows; true when the page was full: there may be more. */
static bool take_page(struct search *search, const struct db_result *res)
{
    struct buf bytes;
    size_t total = 0;
    buf_init(&bytes, PAGE_BYTES);
    for (int i = 0; i < db_rows(res); i++) {
        int stream = strcmp(db_text(res, i, "stream"), piece_streams[PIECE_STDERR]) == 0;
        buf_clear(&bytes);
        db_bytes(res, i, "bytes", &bytes);
        scan_feed(&search->scan, stream, db_int(res, i, "start", 0), db_int(res, i, "line", 1),
                  buf_text(&bytes), bytes.len);
        total += bytes.len;
    }
    buf_release(&bytes);
    search->scanned += total;
    return total >= PAGE_BYTES || db_rows(res) >= PAGE_ROWS;
}

static void on_page(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    struct search *search = call->state;
    if (call_gone(call)) {
        /* nobody waits any more */
    } else if (err != NULL) {
        call_db_error(call, err);
    } else if (!take_page(search, res)) {
        scan_end(&search->scan);
        answer(call, !scan_full(&search->scan));
    } else if (scan_full(&search->scan) || search->scanned >= SCAN_BYTES_MAX) {
        answer(call, false);
    } else {
        read_page(call);
    }
    turns_end(&call_server(call)->turns, call);
}

static bool ask_page(struct call *call)
{
    const struct search *search = call->state;
    if (search->scanned > 0 && clock_ms() >= search->until_ms) {
        answer(call, false);
        return false;
    }
    char texts[4][24];
    const char *params[] = {log_parameter(search->attempt, texts[0]), NULL, NULL,
                            log_parameter(PAGE_BYTES, texts[3])};
    for (int i = 0; i < 2; i++) {
        if (search->wanted[i])
            params[1 + i] = log_parameter(scan_next(&search->scan, i), texts[1 + i]);
    }
    db_query(call_server(call)->db,
             "select stream, start, line, bytes "
             "from fleet.log_read($1::bigint, $2::bigint, $3::bigint, $4::int)",
             DB_REPEAT, 4, params, on_page, call);
    return true;
}

static void read_page(struct call *call)
{
    turns_take(&call_server(call)->turns, call, ask_page);
}

static void on_open(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    struct search *search = call->state;
    if (call_gone(call)) {
        /* nobody waits any more */
    } else if (err != NULL) {
        call_db_error(call, err);
    } else if (db_rows(res) == 1 && db_text(res, 0, "gone") != NULL) {
        log_answer_gone(call, res);
    } else if (db_rows(res) == 1) {
        search->attempt = db_int(res, 0, "attempt", 0);
        search->number = (int)db_int(res, 0, "number", 0);
        search->scan.lanes[0].at = db_int(res, 0, "stdout", 0);
        search->scan.lanes[1].at = db_int(res, 0, "stderr", 0);
        if (search->attempt == 0)
            answer(call, true);
        else
            read_page(call);
    }
    call_drop(call);
}

static void open_output(struct call *call, const struct log_query *query,
                        const struct log_place *cursor)
{
    struct buf by;
    char texts[3][24];
    bool on = cursor->number > 0;
    const char *params[] = {request_by(call, &by),
                            call->match.id,
                            log_parameter(on ? cursor->number : query->attempt, texts[0]),
                            query->streams,
                            NULL,
                            NULL,
                            log_parameter(on ? cursor->at[0] : -1, texts[1]),
                            log_parameter(on ? cursor->at[1] : -1, texts[2])};
    call_hold(call);
    db_query(call_server(call)->db,
             "select task, attempt, number, stdout, stderr, gone, next from fleet.log_open("
             "$1::fleet.requester, $2, $3::int, $4::text[], $5::bigint, $6::bigint, $7::bigint, "
             "$8::bigint)",
             DB_REPEAT, 8, params, on_open, call);
    buf_release(&by);
}

static bool read_text(struct call *call, const char **text)
{
    struct error err = {0};
    if (!query_text(&call->query, "q", text, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return false;
    }
    size_t len = *text != NULL ? strlen(*text) : 0;
    if (len >= 1 && len <= QUERY_MAX && strchr(*text, '\n') == NULL)
        return true;
    call_error(call, 422, "invalid_value", "{\"member\": \"q\"}",
               "the parameter 'q' is the text that is sought: 1 to %d bytes of one line, not %zu",
               QUERY_MAX, len);
    return false;
}

/* Where a call before stopped. */
static bool read_cursor(struct call *call, const struct log_query *query, struct log_place *cursor)
{
    struct error err = {0};
    const char *text = NULL;
    *cursor = (struct log_place){0};
    if (query_text(&call->query, "cursor", &text, &err) &&
        (text == NULL || (log_place_read(cursor, text, strlen(text)) &&
                          (query->attempt < 0 || cursor->number == query->attempt))))
        return true;
    call_error(call, 400, "malformed_cursor", NULL, "this cursor was not given by such a search");
    return false;
}

void api_task_log_search(struct call *call)
{
    struct error err = {0};
    struct buf streams;
    struct log_query query;
    struct log_place cursor;
    const char *text;
    int64_t limit;
    if (!query_int(&call->query, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return;
    }
    if (!read_text(call, &text) || !log_query_read(call, &query, &streams))
        return;
    if (read_cursor(call, &query, &cursor)) {
        struct search *search = mem_alloc(sizeof *search);
        snprintf(search->needle, sizeof search->needle, "%s", text);
        memcpy(search->wanted, query.wanted, sizeof search->wanted);
        search->until_ms = clock_ms() + SCAN_MS;
        scan_init(&search->scan, search->needle, (size_t)limit);
        call->state = search;
        call->state_free = search_free;
        open_output(call, &query, &cursor);
    }
    buf_release(&streams);
}
