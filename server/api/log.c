/* GET /api/v1/tasks/{}/logs: output by attempt, stream and offset. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "server/api/filter.h"
#include "server/api/handlers.h"
#include "server/api/log.h"
#include "server/api/range.h"
#include "server/api/request.h"
#include "server/server.h"

#define LIMIT_DEFAULT 262144 /* bytes of one answer */
#define LIMIT_MAX 1048576

static void add_number(struct call *call, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    call_add_header(call, name, text);
}

/* The state of a call that waits for a page. */
struct page {
    struct turn turn;
    struct log_query asked;
    struct buf streams; /* of `asked` */
    int64_t limit;      /* bytes */
    bool ranged;        /* the Range header counts */
};

static void page_free(void *state)
{
    struct page *page = state;
    buf_release(&page->streams);
    free(page);
}

/* The status of a page, 206 or 416 where a range was asked for: Content-Range says which it is. */
static int page_status(struct call *call, const struct db_result *res, size_t len)
{
    char text[80];
    int64_t start = db_int(res, 0, "start", 0), total = db_int(res, 0, "total", 0);
    const struct page *page = call->state;
    if (!page->ranged) {
        call_add_header(call, "accept-ranges", "bytes");
        return 200;
    }
    if (len == 0)
        snprintf(text, sizeof text, "bytes */%lld", (long long)total);
    else
        snprintf(text, sizeof text, "bytes %lld-%lld/%lld", (long long)start,
                 (long long)(start + (int64_t)len - 1), (long long)total);
    call_add_header(call, "content-range", text);
    return len == 0 ? 416 : 206;
}

/* Agents write what they like: a browser must neither guess the type nor run anything of it. */
static void answer_logs(struct call *call, const struct db_result *res, const struct buf *bytes)
{
    int status = page_status(call, res, bytes->len);
    if (status == 416) {
        call_error(call, 416, "no_such_range", NULL,
                   "there is no output at this range yet: %lld bytes are there",
                   (long long)db_int(res, 0, "total", 0));
        return;
    }
    add_number(call, "x-log-start", db_int(res, 0, "start", 0));
    add_number(call, "x-log-next-offset", db_int(res, 0, "next", 0));
    add_number(call, "x-log-total", db_int(res, 0, "total", 0));
    add_number(call, "x-log-first-line", db_int(res, 0, "first_line", 1));
    if (db_text(res, 0, "number") != NULL)
        add_number(call, "x-log-attempt", db_int(res, 0, "number", 0));
    call_add_header(call, "x-log-live", db_bool(res, 0, "live") ? "true" : "false");
    call_add_header(call, "content-security-policy", "sandbox; default-src 'none'");
    call_answer(call, status, "text/plain; charset=utf-8", bytes->data != NULL ? bytes->data : "",
                bytes->len);
}

void log_answer_gone(struct call *call, const struct db_result *res)
{
    char details[200];
    const char *gone = db_text(res, 0, "gone"), *next = db_text(res, 0, "next");
    snprintf(details, sizeof details,
             "{\"attempt\": %lld, \"written_before\": \"%s\", \"next_offset\": %s}",
             (long long)db_int(res, 0, "number", 0), gone, next != NULL ? next : "null");
    call_error(call, 410, "gone", details,
               "this output was written before %s and has been removed since%s%s", gone,
               next != NULL ? "; it goes on at offset " : "", next != NULL ? next : "");
}

static void on_logs(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    struct buf bytes;
    buf_init(&bytes, LIMIT_MAX + 1);
    if (err != NULL)
        call_db_error(call, err);
    else if (db_rows(res) != 1)
        call_error(call, 404, "not_found", NULL, "there is no such task");
    else if (db_text(res, 0, "gone") != NULL)
        log_answer_gone(call, res);
    else if (db_text(res, 0, "bytes") != NULL && !db_bytes(res, 0, "bytes", &bytes))
        call_error(call, 500, "internal", NULL, "internal error in request %s", call->id);
    else
        answer_logs(call, res, &bytes);
    buf_release(&bytes);
    turns_end(&call_server(call)->turns, call);
}

const char *log_parameter(int64_t value, char text[24])
{
    if (value < 0)
        return NULL;
    snprintf(text, 24, "%lld", (long long)value);
    return text;
}

/* A page that may be large is refused before it is read when its answer would be. */
static bool can_be_answered(struct call *call, const struct page *page)
{
    int64_t tail = page->asked.tail;
    int64_t most = tail >= 0 && tail < page->limit ? tail : page->limit;
    return most <= LIMIT_DEFAULT || call_room(call, (size_t)most);
}

static bool ask_page(struct call *call)
{
    const struct page *page = call->state;
    const struct log_query *asked = &page->asked;
    struct buf by;
    char texts[4][24];
    if (!can_be_answered(call, page))
        return false;
    const char *params[] = {request_by(call, &by),
                            call->match.id,
                            log_parameter(asked->attempt, texts[0]),
                            asked->streams,
                            log_parameter(asked->offset, texts[1]),
                            log_parameter(page->limit, texts[2]),
                            log_parameter(asked->tail, texts[3])};
    db_query(call_server(call)->db,
             "select number, start, next, total, live, bytes, gone, first_line "
             "from fleet.task_logs($1::fleet.requester, $2, $3::int, $4::text[], $5::bigint, "
             "$6::bigint, $7::bigint)",
             DB_REPEAT, 7, params, on_logs, call);
    buf_release(&by);
    return true;
}

static void note_stream(void *data, const char *part, size_t len)
{
    struct log_query *query = data;
    query->wanted[len == 6 && memcmp(part, "stderr", 6) == 0] = true;
}

bool log_query_read(struct call *call, struct log_query *asked, struct buf *streams)
{
    struct error err = {0};
    char wrong[65];
    const struct query *query = &call->query;
    *asked = (struct log_query){0};
    if (filter_misspelt(query, "stream", "stdout stderr", wrong)) {
        call_error(call, 422, "invalid_value", "{\"member\": \"stream\"}",
                   "the parameter 'stream' has to be stdout, stderr or both, not '%s'", wrong);
        return false;
    }
    if (!query_int(query, "attempt", 1, INT32_MAX, -1, &asked->attempt, &err) ||
        !query_int(query, "offset", 0, INT64_MAX, -1, &asked->offset, &err) ||
        !query_int(query, "tail", 0, LIMIT_MAX, -1, &asked->tail, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return false;
    }
    if (query_each(query, "stream", note_stream, asked) == 0)
        asked->wanted[0] = asked->wanted[1] = true;
    buf_init(streams, FILTER_MAX);
    asked->streams = filter_array(streams, query, "stream");
    return true;
}

/* Where the query says nothing of it, the Range header tells which bytes are wanted. */
static void read_range(struct call *call, struct page *page)
{
    struct log_query *asked = &page->asked;
    size_t len, count, conditions;
    struct range range;
    const char *condition = call_header(call, "if-range", &len, &conditions);
    const char *text = call_header(call, "range", &len, &count);
    if (asked->offset >= 0 || asked->tail >= 0 || page->limit >= 0 || condition != NULL ||
        count != 1 || !range_read(text, len, &range))
        return;
    page->ranged = true;
    page->limit = LIMIT_MAX;
    if (range.first < 0) {
        asked->tail = range.last < LIMIT_MAX ? range.last : LIMIT_MAX;
        return;
    }
    asked->offset = range.first;
    if (range.last >= 0 && range.last - range.first < LIMIT_MAX)
        page->limit = range.last - range.first + 1;
}

/* Takes `streams` over. */
static void read_page(struct call *call, const struct log_query *asked, struct buf *streams,
                      int64_t limit)
{
    struct page *page = mem_alloc(sizeof *page);
    *page = (struct page){.asked = *asked, .streams = *streams, .limit = limit};
    call->state = page;
    call->state_free = page_free;
    read_range(call, page);
    if (page->limit < 0)
        page->limit = LIMIT_DEFAULT;
    turns_take(&call_server(call)->turns, call, ask_page);
}

void api_task_logs(struct call *call)
{
    struct error err = {0};
    struct buf streams;
    struct log_query asked;
    int64_t limit, follow;
    if (!query_int(&call->query, "limit_bytes", 1, LIMIT_MAX, -1, &limit, &err) ||
        !query_int(&call->query, "follow", 0, 1, 0, &follow, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return;
    }
    if (!log_query_read(call, &asked, &streams))
        return;
    if (follow == 0) {
        read_page(call, &asked, &streams, limit);
        return;
    }
    if (limit < 0)
        log_follow(call, &asked);
    else
        call_error(call, 422, "invalid_value", "{\"member\": \"limit_bytes\"}",
                   "what is followed has no end: 'limit_bytes' is for a page, without 'follow'");
    buf_release(&streams);
}
