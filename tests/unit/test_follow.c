/* Streams of history and output: real loop, http room, router and followers, a fake database. */
#include "tests/unit/api_scene.h"

#define EVENTS "/api/v1/events"
#define LOGS "/api/v1/tasks/t-1/logs?follow=1"
/* A page of the history that ends at (xid, 0); and one event of it. */
#define END(xid)                                                                                 \
    "incarnation=abcd1234;xid=" #xid ";event_id=0;event_type=<null>;task_id=<null>;repo=<null>;" \
    "body=<null>;hidden=<null>;gap=<null>"
#define EVENT(xid, id, task, hidden)                                                    \
    "incarnation=abcd1234;xid=" #xid ";event_id=" #id ";event_type=moved;task_id=" task \
    ";repo=acme/r;body={\"n\": " #id "};hidden=" hidden ";gap=<null>"
#define GAP(reason)                                                                              \
    "incarnation=abcd1234;xid=90;event_id=0;event_type=<null>;task_id=<null>;repo=<null>;body=<" \
    "null>;hidden=<null>;gap=" reason
#define PLACE(attempt, stdout, stderr)                                        \
    "task=7;attempt=" #attempt ";number=2;stdout=" #stdout ";stderr=" #stderr \
    ";gone=<null>;next=<null>"
#define HEAD(out, err, ended, outcome, over, next)                           \
    "ord=1;stdout=" #out ";stderr=" #err ";ended=" ended ";outcome=" outcome \
    ";reason=<null>;status=running;over=" over ";next=" next ";next_number=3"
#define ROW(stream, start, hex) "stream=" stream ";start=" #start ";line=5;bytes=\\x" hex

struct reader {
    int fd;
    bool ended;
    struct buf got;
};

static void reader_open(struct reader *reader, const char *target, const char *headers)
{
    char request[1000];
    static char row[] = "token_id=7;name=tester;scope=read;bounded=f;expires_ms=<null>";
    api_sql("authenticate", row);
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer " API_TOKEN
                       "\r\n%s\r\n",
                       target, headers);
    *reader = (struct reader){.fd = api_connect()};
    buf_init(&reader->got, 16 << 20);
    ck_assert_int_eq(send(reader->fd, request, (size_t)len, MSG_NOSIGNAL), len);
}

static bool reader_has(struct reader *reader, const char *text)
{
    char bytes[65536];
    ssize_t got;
    while ((got = recv(reader->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buf_add(&reader->got, bytes, (size_t)got);
    reader->ended = got == 0;
    return text == NULL ? reader->ended : strstr(buf_text(&reader->got), text) != NULL;
}

static int reader_count(struct reader *reader, const char *text)
{
    int count = 0;
    for (const char *at = buf_text(&reader->got); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* Until the text has come; NULL: until the stream has ended. */
static void reader_until(struct reader *reader, const char *text)
{
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    while (!reader_has(reader, text)) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "waited in vain for %s; got %s",
                      text != NULL ? text : "the end", buf_text(&reader->got));
    }
}

/* Until the function was called so many times more: several looks of the node. */
static void until_asked(const char *name, int times)
{
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    int until = api_asked(name)->calls + times;
    while (api_asked(name)->calls < until) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "fleet.%s is not asked", name);
    }
}

static void reader_close(struct reader *reader)
{
    close(reader->fd);
    buf_release(&reader->got);
}

/* --- history --- */

START_TEST(events_come_once_and_say_where_they_stand)
{
    struct reader reader;
    api_sql("event_page", END(100));
    reader_open(&reader, EVENTS, "");
    reader_until(&reader, "id: abcd1234-100-0\n\n");
    ck_assert_str_eq(api_asked("event_page")->last[0], "{7}");
    until_asked("event_page", 2);
    ck_assert_str_eq(api_asked("event_page")->last[1], "abcd1234");
    ck_assert_str_eq(api_asked("event_page")->last[2], "100");
    api_sql("event_page",
            EVENT(100, 4, "t-1", "<null>") "|" EVENT(100, 5, "t-2", "<null>") "|" END(103));
    reader_until(&reader, "id: abcd1234-100-5\nevent: moved\ndata: {\"n\": 5}\n\n");
    until_asked("event_page", 3); /* the same rows, again and again */
    ck_assert_int_eq(reader_count(&reader, "\"n\": 4"), 1);
    ck_assert_str_eq(api_asked("event_page")->last[2], "103");
    reader_close(&reader);
}
END_TEST

START_TEST(events_go_on_behind_the_last_id)
{
    struct reader header, parameter;
    api_sql("event_page",
            EVENT(50, 9, "t-1", "<null>") "|" EVENT(51, 8, "t-1", "<null>") "|" END(60));
    reader_open(&header, EVENTS "?last_event_id=abcd1234-1-1", "Last-Event-ID: abcd1234-50-9\r\n");
    reader_until(&header, "{\"n\": 8}");
    ck_assert_int_eq(reader_count(&header, "{\"n\": 9}"), 0);
    reader_open(&parameter, EVENTS "?last_event_id=abcd1234-50-8", "");
    reader_until(&parameter, "{\"n\": 8}");
    ck_assert_int_eq(reader_count(&parameter, "{\"n\": 9}"), 1);
    reader_close(&header);
    reader_close(&parameter);
}
END_TEST

START_TEST(a_gap_is_told_and_passed)
{
    struct reader reader;
    api_sql("event_page", GAP("another_database"));
    reader_open(&reader, EVENTS, "Last-Event-ID: 00000000-50-9\r\n");
    reader_until(&reader,
                 "id: abcd1234-90-0\nevent: gap\ndata: {\"reason\": \"another_database\"}\n\n");
    api_sql("event_page", EVENT(91, 1, "t-1", "<null>") "|" END(92));
    reader_until(&reader, "{\"n\": 1}");
    ck_assert_str_eq(api_asked("event_page")->last[1], "abcd1234");
    reader_close(&reader);
}
END_TEST

/* After a failover: who began on the new database stands before who still stands in the old one. */
START_TEST(who_stands_in_another_database_gets_a_read_of_its_own)
{
    static const char there[] = "incarnation=ffff0000;xid=9;event_id=0;event_type=<null>;"
                                "task_id=<null>;repo=<null>;body=<null>;hidden=<null>;gap=<null>";
    static const char gap[] = "incarnation=ffff0000;xid=9;event_id=0;event_type=<null>;task_id="
                              "<null>;repo=<null>;body=<null>;hidden=<null>;gap=another_database";
    struct reader old, fresh;
    struct api_sql *sql = api_sql("event_page", END(100));
    reader_open(&old, EVENTS, "");
    reader_until(&old, "id: abcd1234-100-0\n\n");
    sql->held = true;
    until_asked("event_page", 1);
    reader_open(&fresh, EVENTS, "");
    until_asked("event_page", 1);
    struct list *late = list_take(&api.queries); /* the old one's */
    api_sql("event_page", there)->held = false;
    reader_until(&fresh, "id: ffff0000-9-0\n\n");
    api_sql("event_page", END(100));
    list_append(&api.queries, late);
    api_pump(NULL);
    api_sql("event_page", there);
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    do {
        until_asked("event_page", 1);
        ck_assert_msg(clock_ms() < end_ms, "nobody asks for the old place");
    } while (strcmp(sql->last[1], "abcd1234") != 0);
    api_sql("event_page", gap);
    reader_until(&old, "id: ffff0000-9-0\nevent: gap\n");
    api_sql("event_page", there);
    reader_close(&old);
    reader_close(&fresh);
}
END_TEST

START_TEST(one_read_serves_all_and_each_gets_its_own)
{
    struct reader all, task, other, same;
    api_sql("event_page", END(10));
    reader_open(&all, EVENTS, "");
    reader_open(&task, EVENTS "?task_id=t-1", "");
    reader_open(&other, EVENTS "?repo=acme%2Fother", "");
    reader_open(&same, EVENTS "?repo=Acme%2FR", ""); /* as in a list, and as Forgejo has it */
    reader_until(&all, "\nid: ");
    reader_until(&task, "\nid: ");
    reader_until(&other, "\nid: ");
    reader_until(&same, "\nid: ");
    until_asked("event_page", 1);
    int calls = api_asked("event_page")->calls;
    until_asked("event_page", 3);
    ck_assert_int_le(api_asked("event_page")->calls, calls + 3);
    api_sql("event_page", EVENT(11, 1, "t-1", "{3,77}") "|" EVENT(11, 2, "t-2", "{}") "|" EVENT(
                              11, 3, "t-1", "{3,7}") "|" END(12));
    reader_until(&all, "{\"n\": 2}");
    reader_until(&same, "{\"n\": 2}");
    reader_until(&task, "{\"n\": 1}");
    ck_assert_int_eq(reader_count(&all, "{\"n\": 1}"), 1);
    until_asked("event_page", 2);
    ck_assert_int_eq(reader_count(&all, "{\"n\": 3}"), 0); /* hidden from token 7 */
    ck_assert_int_eq(reader_count(&task, "{\"n\": 2}"), 0);
    ck_assert(!reader_has(&other, "{"));
    reader_close(&all);
    reader_close(&task);
    reader_close(&other);
    reader_close(&same);
}
END_TEST

START_TEST(a_database_that_is_away_ends_no_stream)
{
    struct reader reader;
    api_sql("event_page", END(10));
    reader_open(&reader, EVENTS, "");
    reader_until(&reader, "\nid: ");
    api.down = true;
    until_asked("event_page", 3);
    ck_assert(!reader_has(&reader, NULL));
    api.down = false;
    api_sql("event_page", EVENT(11, 1, "t-1", "<null>") "|" END(12));
    reader_until(&reader, "{\"n\": 1}");
    reader_close(&reader);
}
END_TEST

START_TEST(nobody_follows_nothing_is_asked)
{
    struct reader reader;
    api_sql("event_page", END(10));
    reader_open(&reader, EVENTS, "");
    reader_until(&reader, "\nid: ");
    reader_close(&reader);
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    while (ceiling_taken(api.server.ceiling, SEAT_STREAM) > 0 && clock_ms() < end_ms)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_uint_eq(ceiling_taken(api.server.ceiling, SEAT_STREAM), 0);
    for (int i = 0; i < 5; i++) /* what is under way */
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    int calls = api_asked("event_page")->calls;
    for (int64_t until_ms = clock_ms() + 4 * FOLLOW_MS; clock_ms() < until_ms;)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(api_asked("event_page")->calls, calls);
}
END_TEST

/* A slow reader waits with what it has; then it goes on where it was. */
START_TEST(who_is_slow_misses_nothing)
{
    static char rows[600000];
    struct reader reader;
    size_t len = 0;
    int small = 4096;
    for (int i = 1; i <= 200; i++)
        len += (size_t)snprintf(
            rows + len, sizeof rows - len,
            "incarnation=abcd1234;xid=20;event_id=%d;event_type=moved;task_id=t;repo=<null>;"
            "body={\"n%d\": \"%02000d\"};hidden=<null>;gap=<null>|",
            i, i, i);
    snprintf(rows + len, sizeof rows - len, "%s", END(30));
    api_sql("event_page", rows);
    reader_open(&reader, EVENTS, "Last-Event-ID: abcd1234-10-0\r\n");
    setsockopt(reader.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    until_asked("event_page", 1);
    for (int64_t until_ms = clock_ms() + 4 * FOLLOW_MS; clock_ms() < until_ms;)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    reader_until(&reader, "\"n200\"");
    for (int i = 1; i <= 200; i++) {
        char name[20];
        snprintf(name, sizeof name, "{\"n%d\": ", i);
        ck_assert_msg(reader_count(&reader, name) == 1, "event %d came %d times", i,
                      reader_count(&reader, name));
    }
    reader_close(&reader);
}
END_TEST

START_TEST(ids_that_are_none_are_refused)
{
    static const char *const ids[] = {"x",
                                      "abcd1234-1",
                                      "abcd1234-1-",
                                      "abcd123-1-1",
                                      "ABCD1234-1-1",
                                      "abcd1234-01-1",
                                      "abcd1234-1--1",
                                      "abcd1234-18446744073709551616-1",
                                      "abcd1234-1-9223372036854775808",
                                      "abcd1234-1-1-",
                                      "1-2"};
    char target[200];
    api_sql("event_page", END(10));
    snprintf(target, sizeof target, EVENTS "?last_event_id=%s", ids[_i]);
    api_ask("read", "GET", target, NULL);
    api_is_error(400, "malformed_event_id");
    snprintf(target, sizeof target, LOGS "&last_event_id=%s", ids[_i]);
    api_ask("read", "GET", target, NULL);
    api_is_error(400, "malformed_event_id");
}
END_TEST

/* --- output --- */

static void open_logs(struct reader *reader, const char *more, const char *place, const char *heads,
                      const char *rows)
{
    char target[200];
    api_sql("log_open", place);
    api_sql("log_heads", heads);
    api_sql("log_read", rows);
    api_sql("event_page", END(10));
    snprintf(target, sizeof target, LOGS "%s", more);
    reader_open(reader, target, "");
}

START_TEST(output_comes_as_it_is_stored)
{
    struct reader reader;
    open_logs(&reader, "", PLACE(11, 0, 0), "", ROW("stdout", 0, "6f6e650a"));
    reader_until(&reader,
                 "id: 2-0-0\nevent: attempt\ndata: {\"attempt\": 2, \"outcome\": null}\n\n");
    reader_until(&reader, "id: 2-4-0\ndata: {\"stream\": \"stdout\", \"offset\": 0, \"line\": 5, "
                          "\"text\": \"one\\n\"}\n\n");
    api_sql("log_heads", HEAD(4, 3, "f", "<null>", "f", "<null>"));
    api_sql("log_read", ROW("stderr", 0, "c3a90a"));
    reader_until(&reader, "id: 2-4-3\ndata: {\"stream\": \"stderr\", \"offset\": 0, \"line\": 5, "
                          "\"text\": \"\xc3\xa9\\n\"}\n\n");
    ck_assert_str_eq(api_asked("log_read")->last[0], "11");
    ck_assert_str_eq(api_asked("log_read")->last[1], "4");
    api_sql("log_heads", HEAD(4, 3, "t", "succeeded", "t", "<null>"));
    reader_until(&reader, NULL);
    ck_assert(reader_has(&reader, NULL));
    ck_assert_ptr_nonnull(strstr(
        buf_text(&reader.got),
        "event: end\ndata: {\"reason\": \"ended\", \"attempt\": 2, \"outcome\": \"succeeded\""));
    ck_assert_int_eq(reader_count(&reader, "\"one"), 1);
    reader_close(&reader);
}
END_TEST

START_TEST(a_cut_character_waits_for_its_rest)
{
    struct reader reader;
    open_logs(&reader, "", PLACE(11, 0, 0), "", ROW("stdout", 0, "61c3"));
    reader_until(&reader, "\"offset\": 0, \"line\": 5, \"text\": \"a\"}");
    api_sql("log_heads", HEAD(3, 0, "f", "<null>", "f", "<null>"));
    api_sql("log_read", ROW("stdout", 1, "c3") "|" ROW("stdout", 2, "a9"));
    reader_until(&reader, "\"offset\": 1, \"line\": 5, \"text\": \"\xc3\xa9\"}");
    ck_assert_int_eq(reader_count(&reader, "base64"), 0);
    reader_close(&reader);
}
END_TEST

START_TEST(what_is_no_text_is_told_as_bytes)
{
    struct reader reader;
    open_logs(&reader, "", PLACE(11, 0, 0), "", ROW("stdout", 0, "61ff00"));
    reader_until(&reader, "\"text\": \"a\xef\xbf\xbd\\u0000\", \"base64\": \"Yf8A\"}");
    /* half a character at the end of all is no character */
    api_sql("log_heads", HEAD(4, 0, "t", "succeeded", "t", "<null>"));
    api_sql("log_read", ROW("stdout", 3, "c3"));
    reader_until(&reader, NULL);
    ck_assert_ptr_nonnull(
        strstr(buf_text(&reader.got),
               "\"offset\": 3, \"line\": 5, \"text\": \"\xef\xbf\xbd\", \"base64\": \"ww==\"}"));
    reader_close(&reader);
}
END_TEST

START_TEST(one_stream_is_told_alone)
{
    struct reader reader;
    open_logs(&reader, "&stream=stderr", PLACE(11, 9, 0), "", ROW("stderr", 0, "62"));
    reader_until(&reader, "\"text\": \"b\"}");
    ck_assert_str_eq(api_asked("log_read")->last[1], "<null>");
    ck_assert_str_eq(api_asked("log_read")->last[2], "0");
    reader_close(&reader);
}
END_TEST

START_TEST(removed_output_is_a_gap)
{
    struct reader reader;
    open_logs(&reader, "&last_event_id=2-5-0", PLACE(11, 5, 0), "", ROW("stdout", 9, "62"));
    reader_until(&reader, "event: gap\ndata: {\"reason\": \"removed\", \"stream\": \"stdout\", "
                          "\"from\": 5, \"to\": 9}\n\n");
    reader_until(&reader, "\"offset\": 9");
    ck_assert_str_eq(api_asked("log_open")->last[6], "5");
    api_sql("log_read", NULL); /* and what was stored since is removed as well */
    api_sql("log_heads", HEAD(20, 0, "t", "failed", "t", "<null>"));
    reader_until(&reader, NULL);
    ck_assert_ptr_nonnull(strstr(buf_text(&reader.got), "\"from\": 10, \"to\": 20}"));
    reader_close(&reader);
}
END_TEST

START_TEST(a_task_is_followed_from_attempt_to_attempt)
{
    struct reader reader;
    open_logs(&reader, "",
              "task=7;attempt=<null>;number=0;stdout=0;stderr=0;gone=<null>;next=<null>", "", NULL);
    until_asked("log_heads", 2);
    ck_assert_str_eq(api_asked("log_heads")->last[1], "{0}");
    ck_assert(!reader_has(&reader, "event: "));
    api_sql("log_read", ROW("stdout", 0, "61"));
    api_sql("log_heads", HEAD(0, 0, "f", "<null>", "f", "12"));
    reader_until(&reader,
                 "id: 3-0-0\nevent: attempt\ndata: {\"attempt\": 3, \"outcome\": null}\n\n");
    reader_until(&reader, "id: 3-1-0\ndata");
    api_sql("log_heads", HEAD(1, 0, "t", "failed", "f", "<null>"));
    reader_until(&reader, "event: attempt\ndata: {\"attempt\": 3, \"outcome\": \"failed\"");
    until_asked("log_heads", 3);
    ck_assert_int_eq(reader_count(&reader, "\"outcome\": \"failed\""), 1);
    ck_assert(!reader_has(&reader, NULL));
    api_sql("log_heads", HEAD(1, 0, "t", "failed", "t", "<null>"));
    reader_until(&reader, NULL);
    reader_close(&reader);
}
END_TEST

START_TEST(one_attempt_ends_with_itself)
{
    struct reader reader;
    open_logs(&reader, "&attempt=2", PLACE(11, 0, 0), HEAD(0, 0, "t", "failed", "f", "12"), NULL);
    reader_until(&reader, NULL);
    ck_assert_ptr_nonnull(strstr(buf_text(&reader.got), "event: end"));
    ck_assert_int_eq(reader_count(&reader, "\"attempt\": 3"), 0);
    reader_close(&reader);
}
END_TEST

START_TEST(what_is_not_there_cannot_be_followed)
{
    api_sql_fails("log_open", "AF003");
    api_ask("read", "GET", LOGS, NULL);
    api_is_error(404, "not_found");
    api_sql("log_open",
            "task=7;attempt=11;number=2;stdout=0;stderr=0;gone=2026-01-02T03:04:05Z;next=10");
    api_ask("read", "GET", LOGS "&offset=3", NULL);
    api_is_error(410, "gone");
    api_ask("read", "GET", LOGS "&limit_bytes=3", NULL);
    api_is_error(422, "invalid_value");
    api_ask("read", "GET", LOGS "&attempt=3&last_event_id=2-0-0", NULL);
    api_is_error(422, "invalid_value");
}
END_TEST

/* --- search --- */

#define SEARCH "/api/v1/tasks/t-1/logs/search"

START_TEST(lines_are_searched_over_chunks)
{
    api_sql("log_open", PLACE(11, 0, 0));
    api_sql("log_read", ROW("stdout", 0, "6f6e65") "|" ROW("stderr", 0, "6e6f") "|" ROW(
                            "stdout", 3, "20686974"));
    ck_assert_int_eq(api_ask("read", "GET", SEARCH "?q=e+hit", NULL), 200);
    ck_assert_str_eq(api.body,
                     "{\"attempt\": 2, \"hits\": [{\"stream\": \"stdout\", \"offset\": 2, "
                     "\"line\": 5, \"text\": \"one hit\"}], \"complete\": true, "
                     "\"cursor\": null, \"scanned_bytes\": 9}");
    ck_assert_int_eq(api_ask("read", "GET", SEARCH "?q=o&limit=1", NULL), 200);
    ck_assert_ptr_nonnull(strstr(api.body, "\"complete\": false, \"cursor\": \"2-"));
    ck_assert_int_eq(api_ask("read", "GET", SEARCH "?q=o&cursor=2-3-0&stream=stderr", NULL), 200);
    ck_assert_str_eq(api_asked("log_open")->last[2], "2");
    ck_assert_str_eq(api_asked("log_open")->last[6], "3");
    ck_assert_str_eq(api_asked("log_read")->last[1], "<null>");
}
END_TEST

START_TEST(searches_that_cannot_be_are_refused)
{
    api_sql("log_open", PLACE(11, 0, 0));
    api_ask("read", "GET", SEARCH, NULL);
    api_is_error(422, "invalid_value");
    api_ask("read", "GET", SEARCH "?q=a%0ab", NULL);
    api_is_error(422, "invalid_value");
    api_ask("read", "GET", SEARCH "?q=a&limit=1001", NULL);
    api_is_error(422, "invalid_value");
    api_ask("read", "GET", SEARCH "?q=a&cursor=2-3", NULL);
    api_is_error(400, "malformed_cursor");
    api_ask("read", "GET", SEARCH "?q=a&cursor=2-3-4&attempt=1", NULL);
    api_is_error(400, "malformed_cursor");
    ck_assert_int_eq(api_asked("log_open")->calls, 0);
    api_sql_fails("log_open", "AF003");
    api_ask("read", "GET", SEARCH "?q=a", NULL);
    api_is_error(404, "not_found");
}
END_TEST

/* --- tokens, places --- */

START_TEST(a_revoked_token_ends_its_streams)
{
    struct reader reader;
    api_sql("event_page", END(10));
    reader_open(&reader, EVENTS, "");
    reader_until(&reader, "\nid: ");
    api_sql("tokens_ended", "token_id=7");
    ceiling_check(api.server.ceiling);
    reader_until(&reader, NULL);
    ck_assert_ptr_nonnull(
        strstr(buf_text(&reader.got), "event: end\ndata: {\"reason\": \"token_ended\"}\n\n"));
    ck_assert_uint_eq(ceiling_taken(api.server.ceiling, SEAT_STREAM), 0);
    reader_close(&reader);
}
END_TEST

START_TEST(a_node_that_stops_sends_its_followers_away)
{
    struct reader reader;
    api_sql("event_page", END(10));
    reader_open(&reader, EVENTS, "");
    reader_until(&reader, "\nid: ");
    http_stop(api.server.http, 5000, api_stopped, NULL);
    reader_until(&reader, NULL);
    ck_assert_ptr_nonnull(
        strstr(buf_text(&reader.got), "event: end\ndata: {\"reason\": \"draining\"}\n\n"));
    reader_close(&reader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("follow");
    TCase *tests = tcase_create("follow");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, api_setup, api_teardown);
    tcase_add_test(tests, events_come_once_and_say_where_they_stand);
    tcase_add_test(tests, events_go_on_behind_the_last_id);
    tcase_add_test(tests, a_gap_is_told_and_passed);
    tcase_add_test(tests, who_stands_in_another_database_gets_a_read_of_its_own);
    tcase_add_test(tests, one_read_serves_all_and_each_gets_its_own);
    tcase_add_test(tests, a_database_that_is_away_ends_no_stream);
    tcase_add_test(tests, nobody_follows_nothing_is_asked);
    tcase_add_test(tests, who_is_slow_misses_nothing);
    tcase_add_loop_test(tests, ids_that_are_none_are_refused, 0, 11);
    tcase_add_test(tests, output_comes_as_it_is_stored);
    tcase_add_test(tests, a_cut_character_waits_for_its_rest);
    tcase_add_test(tests, what_is_no_text_is_told_as_bytes);
    tcase_add_test(tests, one_stream_is_told_alone);
    tcase_add_test(tests, removed_output_is_a_gap);
    tcase_add_test(tests, a_task_is_followed_from_attempt_to_attempt);
    tcase_add_test(tests, one_attempt_ends_with_itself);
    tcase_add_test(tests, what_is_not_there_cannot_be_followed);
    tcase_add_test(tests, lines_are_searched_over_chunks);
    tcase_add_test(tests, searches_that_cannot_be_are_refused);
    tcase_add_test(tests, a_revoked_token_ends_its_streams);
    suite_add_tcase(suite, tests);
    TCase *last = tcase_create("end");
    tcase_set_timeout(last, 60);
    tcase_add_checked_fixture(last, api_setup, api_teardown);
    tcase_add_test(last, a_node_that_stops_sends_its_followers_away);
    suite_add_tcase(suite, last);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
