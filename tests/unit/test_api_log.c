/* GET of a task's output and of agents, hosts and nodes. */
#include "server/http/internal.h"
#include "tests/unit/api_scene.h"

#define LOGS "/api/v1/tasks/t-1/logs"
#define ROW "number=2;start=10;next=15;total=99;live=t;bytes="

START_TEST(bytes_come_as_they_are)
{
    api_sql("task_logs", ROW "\\x3c68313e0a;gone=<null>;first_line=7");
    ck_assert_int_eq(api_ask("read", "GET", LOGS, NULL), 200);
    ck_assert_str_eq(api.body, "<h1>\n");
    api_has("content-type: text/plain; charset=utf-8");
    api_has("content-security-policy: sandbox; default-src 'none'");
    api_has("x-content-type-options: nosniff");
    api_has("x-log-start: 10");
    api_has("x-log-next-offset: 15");
    api_has("x-log-total: 99");
    api_has("x-log-attempt: 2");
    api_has("x-log-first-line: 7");
    api_has("x-log-live: true");
    ck_assert_ptr_eq(strstr(api_asked("task_logs")->last[0], "(\"7\",\"127.0.0.1\",\""),
                     api_asked("task_logs")->last[0]);
    api_was_asked("task_logs", (const char *[]){api_asked("task_logs")->last[0], "t-1", "<null>",
                                                "<null>", "<null>", "262144", "<null>"});
}
END_TEST

START_TEST(a_run_that_wrote_nothing_is_no_error)
{
    api_sql("task_logs",
            "number=1;start=0;next=0;total=0;live=t;bytes=\\x;gone=<null>;first_line=7");
    ck_assert_int_eq(api_ask("read", "GET", LOGS "?offset=0", NULL), 200);
    ck_assert_str_eq(api.body, "");
}
END_TEST

START_TEST(parameters_are_passed)
{
    api_sql("task_logs", ROW "\\x00;gone=<null>;first_line=7");
    ck_assert_int_eq(
        api_ask("read", "GET", LOGS "?attempt=3&stream=stdout,stderr&offset=0&limit_bytes=5", NULL),
        200);
    api_was_asked("task_logs", (const char *[]){api_asked("task_logs")->last[0], "t-1", "3",
                                                "{\"stdout\",\"stderr\"}", "0", "5", "<null>"});
    ck_assert_int_eq(api_ask("read", "GET", LOGS "?tail=0", NULL), 200);
    api_was_asked("task_logs", (const char *[]){api_asked("task_logs")->last[0], "t-1", "<null>",
                                                "<null>", "<null>", "262144", "0"});
}
END_TEST

static const struct {
    const char *range, *offset, *limit, *tail; /* as they are asked; offset NULL: not a range */
} ranges[] = {
    {"bytes=10-14", "10", "5", "<null>"},
    {"bytes=10-", "10", "1048576", "<null>"},
    {"bytes=0-99999999", "0", "1048576", "<null>"},
    {"bytes=-5", "<null>", "1048576", "5"},
    {"bytes=14-10", NULL, NULL, NULL},
    {"bytes=1-2,4-5", NULL, NULL, NULL},
    {"bytes=-", NULL, NULL, NULL},
    {"bytes=1-x", NULL, NULL, NULL},
    {"lines=1-2", NULL, NULL, NULL},
    {"bytes=99999999999999999999-", NULL, NULL, NULL},
};

START_TEST(a_range_is_a_page)
{
    char headers[300];
    bool good = ranges[_i].limit != NULL;
    api_sql("task_logs", ROW "\\x3c68313e0a;gone=<null>;first_line=7");
    api_ask("read", "GET", LOGS, NULL);
    api_has("accept-ranges: bytes");
    snprintf(headers, sizeof headers, "Authorization: Bearer " API_TOKEN "\r\nRange: %s\r\n",
             ranges[_i].range);
    ck_assert_int_eq(api_ask_with("GET", LOGS, headers, NULL), good ? 206 : 200);
    api_was_asked("task_logs", (const char *[]){api_asked("task_logs")->last[0], "t-1", "<null>",
                                                "<null>", good ? ranges[_i].offset : "<null>",
                                                good ? ranges[_i].limit : "262144",
                                                good ? ranges[_i].tail : "<null>"});
    if (good)
        api_has("content-range: bytes 10-14/99");
    /* what the query says counts more */
    ck_assert_int_eq(api_ask_with("GET", LOGS "?offset=3", headers, NULL), 200);
    api_sql("task_logs",
            "number=1;start=9;next=9;total=9;live=t;bytes=\\x;gone=<null>;first_line=7");
    if (!good)
        return;
    api_ask_with("GET", LOGS, headers, NULL);
    api_is_error(416, "no_such_range");
    api_has("content-range: bytes */9");
}
END_TEST

static const char *const bad_queries[] = {
    "?stream=stdin",  "?stream=stdout,x",     "?attempt=0", "?offset=-1",
    "?limit_bytes=0", "?limit_bytes=1048577", "?tail=-1",   "?tail=x"};

START_TEST(bad_parameters_are_not_asked)
{
    char target[200];
    api_sql("task_logs", NULL);
    snprintf(target, sizeof target, LOGS "%s", bad_queries[_i]);
    api_ask("read", "GET", target, NULL);
    api_is_error(422, "invalid_value");
    ck_assert_int_eq(api_asked("task_logs")->calls, 0);
}
END_TEST

START_TEST(removed_output_is_gone)
{
    api_sql("task_logs", "number=2;start=3;next=10;total=99;live=f;bytes=\\x;"
                         "gone=2026-01-02T03:04:05.000000Z;first_line=7");
    api_ask("read", "GET", LOGS "?offset=3", NULL);
    api_is_error(410, "gone");
    api_has("HTTP/1.1 410 Gone");
    api_has("\"details\": {\"attempt\": 2, \"written_before\": \"2026-01-02T03:04:05.000000Z\", "
            "\"next_offset\": 10}");
    api_has("it goes on at offset 10");
    api_sql("task_logs", "number=2;start=3;next=<null>;total=99;live=f;bytes=\\x;"
                         "gone=2026-01-02T03:04:05.000000Z;first_line=7");
    api_ask("read", "GET", LOGS, NULL);
    api_is_error(410, "gone");
    api_has("\"next_offset\": null");
    ck_assert_ptr_null(strstr(api.body, "goes on"));
}
END_TEST

START_TEST(what_is_no_log)
{
    api_sql_fails("task_logs", "AF003");
    api_ask("read", "GET", LOGS, NULL);
    api_is_error(404, "not_found");
    api_sql("task_logs", ROW "text in another form;gone=<null>;first_line=7");
    api_ask("read", "GET", LOGS, NULL);
    api_is_error(500, "internal");
}
END_TEST

static size_t waiting(void)
{
    return http_counts(api.server.http).waiting;
}

static size_t queued(void)
{
    size_t count = 0;
    list_each(link, &api.server.turns.waiting) count++;
    return count;
}

static size_t asked(void)
{
    return (size_t)api_asked("task_logs")->calls;
}

static void until(size_t (*counted)(void), size_t count)
{
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    while (counted() != count) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "%zu, not %zu", counted(), count);
    }
}

/* Three of four connections are for them; one whose client leaves while it waits reads nothing. */
START_TEST(reads_take_turns)
{
    static const char *const targets[] = {LOGS, LOGS, LOGS, LOGS "/search?q=x", LOGS};
    char request[300];
    int fds[5];
    api_sql("authenticate", "token_id=7;name=tester;scope=read;bounded=f;expires_ms=<null>");
    api_sql("task_logs", ROW "\\x00;gone=<null>;first_line=7")->held = true;
    api_sql("log_open", "task=1;attempt=5;number=1;stdout=0;stderr=0;gone=<null>;next=<null>");
    api_sql("log_read", NULL);
    for (int i = 0; i < 5; i++) {
        int len = snprintf(request, sizeof request,
                           "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                           "Authorization: Bearer " API_TOKEN "\r\n\r\n",
                           targets[i]);
        fds[i] = api_connect();
        ck_assert_int_eq(send(fds[i], request, (size_t)len, 0), len);
        until(waiting, (size_t)i + 1);
    }
    until(queued, 2);
    ck_assert_int_eq(api_asked("task_logs")->calls, 3);
    ck_assert_int_eq(api_asked("log_read")->calls, 0);
    close(fds[4]);
    until(waiting, 4);
    api_asked("task_logs")->held = false;
    until(waiting, 0);
    ck_assert_int_eq(api_asked("task_logs")->calls, 3);
    ck_assert_int_eq(api_asked("log_read")->calls, 1);
    ck_assert_int_eq(api.server.turns.taken, 0);
    for (int i = 0; i < 4; i++) {
        char answer[16] = "";
        ck_assert_int_ge(recv(fds[i], answer, 12, 0), 12);
        ck_assert_str_eq(answer, "HTTP/1.1 200");
        close(fds[i]);
    }
}
END_TEST

/* Each of them has a time of its own to be told that it is away. */
START_TEST(nobody_waits_for_a_turn_while_the_database_is_away)
{
    char request[] = "GET " LOGS " HTTP/1.1\r\nHost: localhost\r\n"
                     "Authorization: Bearer " API_TOKEN "\r\n\r\n";
    int fds[5];
    api_sql("task_logs", ROW "\\x00;gone=<null>;first_line=7");
    ck_assert_int_eq(api_ask("read", "GET", LOGS, NULL), 200); /* the token is known now */
    api_asked("task_logs")->held = true;
    api.down = true;
    for (int i = 0; i < 5; i++) {
        fds[i] = api_connect();
        ck_assert_int_eq(send(fds[i], request, sizeof request - 1, 0), sizeof request - 1);
    }
    until(asked, 6);
    api_asked("task_logs")->held = false;
    until(waiting, 0);
    for (int i = 0; i < 5; i++)
        close(fds[i]);
}
END_TEST

START_TEST(nothing_is_read_that_could_not_be_answered)
{
    api_sql("task_logs", ROW "\\x00;gone=<null>;first_line=7");
    size_t *kept = &api.server.http->answers;
    *kept += 64 << 20;
    api_ask("read", "GET", LOGS "?limit_bytes=1000000", NULL);
    api_is_error(503, "busy");
    ck_assert_int_eq(api_asked("task_logs")->calls, 0);
    ck_assert_int_eq(api_ask("read", "GET", LOGS, NULL), 200);
    ck_assert_int_eq(api_ask("read", "GET", LOGS "?limit_bytes=1000000&tail=9", NULL), 200);
    *kept -= 64 << 20;
    ck_assert_int_eq(api_ask("read", "GET", LOGS "?limit_bytes=1000000", NULL), 200);
    ck_assert_int_eq(api.server.turns.taken, 0);
}
END_TEST

/* --- agents, hosts, nodes --- */

#define REPLY(body) "status=200;body=" body ";next=<null>;location=<null>"

START_TEST(agents_are_filtered)
{
    api_sql("agent_list",
            "status=200;body=[{\"agent_id\": \"h/codex\"}];next=h/codex;location=<null>");
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/agents", NULL), 200);
    ck_assert_str_eq(api.body, "[{\"agent_id\": \"h/codex\"}]");
    api_has("link: </api/v1/agents?cursor=h%2Fcodex>; rel=\"next\"");
    api_was_asked("agent_list",
                  (const char *[]){API_BY, "50", "<null>", "<null>", "<null>", "<null>"});
    api_ask("read", "GET",
            "/api/v1/agents?status=online&capability=agent:x,y&capability=z&agent_type=codex"
            "&limit=9&cursor=h%2Fcodex",
            NULL);
    api_was_asked("agent_list", (const char *[]){API_BY, "9", "h/codex", "{\"online\"}",
                                                 "{\"agent:x\",\"y\",\"z\"}", "{\"codex\"}"});
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/agents?status=online,busy", NULL), 422);
    api_has("'busy' is none of them");
    api_sql_fails("agent_list", "08001");
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/agents", NULL), 503);
}
END_TEST

START_TEST(what_sql_writes_is_passed_on)
{
    api_sql("agent_detail", REPLY("0"));
    api_sql("host_list", REPLY("[1]"));
    api_sql("node_list", REPLY("[2]"));
    api_sql("stats", REPLY("3"));
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/agents/h%2Fcodex", NULL), 200);
    ck_assert_str_eq(api.body, "0");
    api_was_asked("agent_detail", (const char *[]){API_BY, "h/codex"});
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/hosts", NULL), 200);
    ck_assert_str_eq(api.body, "[1]");
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/nodes", NULL), 200);
    ck_assert_str_eq(api.body, "[2]");
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/stats", NULL), 200);
    ck_assert_str_eq(api.body, "3");
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("log");
    tcase_add_test(tcase, bytes_come_as_they_are);
    tcase_add_test(tcase, a_run_that_wrote_nothing_is_no_error);
    tcase_add_loop_test(tcase, a_range_is_a_page, 0, (int)(sizeof ranges / sizeof ranges[0]));
    tcase_add_test(tcase, parameters_are_passed);
    tcase_add_loop_test(tcase, bad_parameters_are_not_asked, 0,
                        sizeof bad_queries / sizeof bad_queries[0]);
    tcase_add_test(tcase, removed_output_is_gone);
    tcase_add_test(tcase, what_is_no_log);
    tcase_add_test(tcase, reads_take_turns);
    tcase_add_test(tcase, nobody_waits_for_a_turn_while_the_database_is_away);
    tcase_add_test(tcase, nothing_is_read_that_could_not_be_answered);
    tcase_add_test(tcase, agents_are_filtered);
    tcase_add_test(tcase, what_sql_writes_is_passed_on);
    return api_run(tcase);
}
