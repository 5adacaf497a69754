/* server/limit and what of it a client sees: who is hot, whose turn it is, and that nobody with a
 * valid token waits for others' wrong ones. */
#include "tests/unit/api_scene.h"

#include "server/limit.h"

#define TASKS "/api/v1/tasks"
#define ADDRESS "203.0.113.7"

/* --- counting --- */

static int fail_often(struct limit *limit, const char *address, int times)
{
    int secs = 0;
    for (int i = 0; i < times; i++)
        secs = limit_failed(limit, address);
    return secs;
}

START_TEST(twenty_make_an_address_hot)
{
    struct limit *limit = limit_new();
    ck_assert_int_eq(fail_often(limit, ADDRESS, LIMIT_HOT - 1), 0);
    ck_assert(!limit_is_hot(limit, ADDRESS));
    ck_assert_int_eq(fail_often(limit, ADDRESS, 1), 3);
    ck_assert(limit_is_hot(limit, ADDRESS));
    ck_assert_int_eq(fail_often(limit, ADDRESS, 1000), (LIMIT_MOST - LIMIT_HOT + 1) * 3);
    ck_assert(!limit_is_hot(limit, "203.0.113.8"));
    limit_free(limit);
}
END_TEST

START_TEST(an_address_is_the_same_however_it_is_written)
{
    static const struct {
        const char *failed, *asked;
        bool hot;
    } cases[] = {
        {"203.0.113.7", "::ffff:203.0.113.7", true},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"2001:db8:1:2::1", "203.0.113.7", false},
        {"unknown", "nonsense", true},
        {"unknown", "203.0.113.7", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct limit *limit = limit_new();
        fail_often(limit, cases[i].failed, LIMIT_HOT);
        ck_assert_msg(limit_is_hot(limit, cases[i].asked) == cases[i].hot, "%s %s", cases[i].failed,
                      cases[i].asked);
        limit_free(limit);
    }
}
END_TEST

/* Whatever comes, memory stays, and the newest address counts. */
START_TEST(many_addresses_are_forgotten)
{
    struct limit *limit = limit_new();
    char address[32];
    for (int i = 0; i < 100000; i++) {
        snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);
        limit_failed(limit, address);
    }
    fail_often(limit, address, LIMIT_HOT);
    ck_assert(limit_is_hot(limit, address));
    limit_free(limit);
}
END_TEST

/* --- turns --- */

static struct {
    struct limit_turn turns[6];
    char order[16];
} line;

static void go(struct limit_turn *turn)
{
    size_t len = strlen(line.order);
    line.order[len] = (char)('0' + (turn - line.turns));
}

START_TEST(one_at_a_time_and_addresses_in_turn)
{
    static const char *const addresses[] = {"a:", "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"};
    struct limit *limit = limit_new();
    memset(&line, 0, sizeof line);
    for (int i = 1; i < 5; i++) {
        line.turns[i].go = go;
        limit_queue(limit, addresses[i], &line.turns[i]);
    }
    ck_assert_str_eq(line.order, "1");
    for (int i = 0; i < 3; i++)
        limit_done(limit);
    ck_assert_str_eq(line.order, "1243");
    limit_done(limit);
    line.turns[0].go = go;
    limit_queue(limit, "10.0.0.1", &line.turns[0]);
    ck_assert_str_eq(line.order, "12430");
    limit_queue(limit, "10.0.0.1", &line.turns[1]);
    ck_assert_ptr_eq(limit_take(limit), &line.turns[1]);
    ck_assert_ptr_null(limit_take(limit));
    limit_free(limit);
}
END_TEST

/* --- what clients see --- */

#define GOOD "Authorization: Bearer aft_r_GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG\r\n"
#define WRONG "Authorization: Bearer aft_r_WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW\r\n"

static void heat(void)
{
    api_sql("task_list", "status=200;body=[];next=<null>;location=<null>");
    api_sql("authenticate", NULL);
    for (int i = 1; i < LIMIT_HOT; i++) {
        api_ask_with("GET", TASKS, WRONG, NULL);
        api_is_error(401, "unauthorized");
    }
    api_ask_with("GET", TASKS, WRONG, NULL);
    api_is_error(429, "too_many_failures");
    api_has("retry-after: ");
}

static void let_in(void)
{
    api_sql("authenticate", "token_id=7;name=good;scope=read;bounded=f;expires_ms=<null>");
}

START_TEST(a_valid_token_is_served_all_the_same)
{
    heat();
    let_in();
    ck_assert_int_eq(api_ask_with("GET", TASKS, GOOD, NULL), 200);
    ck_assert_int_eq(api_ask_with("GET", TASKS, GOOD, NULL), 200);
    ck_assert_int_eq(api_asked("authenticate")->calls, LIMIT_HOT + 1);
}
END_TEST

START_TEST(a_formless_token_costs_no_query)
{
    heat();
    for (int i = 0; i < 5; i++) {
        api_ask_with("GET", TASKS, "Authorization: Bearer xyz\r\n", NULL);
        api_is_error(429, "too_many_failures");
    }
    ck_assert_int_eq(api_asked("authenticate")->calls, LIMIT_HOT);
}
END_TEST

static void send_on(int fd, const char *headers)
{
    char request[400];
    snprintf(request, sizeof request, "GET " TASKS " HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
             headers);
    ck_assert_int_eq(send(fd, request, strlen(request), 0), (int)strlen(request));
}

/* A known token's question goes at once; strangers' wait in line behind one. */
START_TEST(one_question_at_a_time_and_the_known_pass)
{
    int fds[5];
    heat();
    let_in();
    api_ask_with("GET", TASKS, GOOD, NULL);
    auth_forget(api.server.auth); /* it is known, and has to be asked for again */
    struct api_sql *sql = api_sql("authenticate", NULL);
    int before = sql->calls;
    sql->held = true;
    for (int i = 0; i < 5; i++) {
        fds[i] = api_connect();
        send_on(fds[i], WRONG);
    }
    while (sql->calls < before + 1)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    int fd = api_connect();
    send_on(fd, GOOD);
    while (sql->calls < before + 2)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    for (int i = 0; i < 50; i++)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(sql->calls, before + 2);
    sql->held = false;
    while (sql->calls < before + 6)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    close(fd);
    for (int i = 0; i < 5; i++)
        close(fds[i]);
}
END_TEST

/* What was found revoked waits in line like any other stranger's. */
START_TEST(a_revoked_token_is_a_strangers)
{
    heat();
    let_in();
    ck_assert_int_eq(api_ask_with("GET", TASKS, GOOD, NULL), 200);
    auth_forget(api.server.auth);
    struct api_sql *sql = api_sql("authenticate", NULL);
    api_ask_with("GET", TASKS, GOOD, NULL);
    api_is_error(429, "too_many_failures");
    int before = sql->calls;
    sql->held = true;
    int wrong = api_connect(), revoked = api_connect();
    send_on(wrong, WRONG);
    while (sql->calls < before + 1)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    send_on(revoked, GOOD);
    for (int i = 0; i < 50; i++)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(sql->calls, before + 1);
    sql->held = false;
    while (sql->calls < before + 2)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    close(wrong);
    close(revoked);
}
END_TEST

/* Who comes and goes leaves nothing in the line. */
START_TEST(who_has_left_is_not_asked_for)
{
    int fds[5];
    heat();
    struct api_sql *sql = api_sql("authenticate", NULL);
    int before = sql->calls;
    sql->held = true;
    for (int i = 0; i < 5; i++) {
        fds[i] = api_connect();
        send_on(fds[i], WRONG);
    }
    while (sql->calls < before + 1 || http_counts(api.server.http).connections < 5)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    for (int i = 0; i < 50; i++)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    while (http_counts(api.server.http).connections > 0)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    sql->held = false;
    for (int i = 0; i < 100; i++)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(sql->calls, before + 1);
}
END_TEST

/* An answer that was on its way when a token was revoked is older than that. */
START_TEST(an_old_answer_is_not_remembered)
{
    api_sql("task_list", "status=200;body=[];next=<null>;location=<null>");
    let_in();
    struct api_sql *sql = api_asked("authenticate");
    sql->held = true;
    int fd = api_connect();
    send_on(fd, GOOD);
    while (sql->calls < 1)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    auth_forget(api.server.auth);
    sql->held = false;
    while (api_asked("task_list")->calls < 1)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    close(fd);
    ck_assert_int_eq(api_ask_with("GET", TASKS, GOOD, NULL), 200);
    ck_assert_int_eq(sql->calls, 2);
}
END_TEST

START_TEST(an_expiring_token_is_remembered_no_longer)
{
    api_sql("task_list", "status=200;body=[];next=<null>;location=<null>");
    api_sql("authenticate", "token_id=7;name=good;scope=read;bounded=f;expires_ms=0");
    for (int i = 1; i <= 2; i++) {
        ck_assert_int_eq(api_ask_with("GET", TASKS, GOOD, NULL), 200);
        ck_assert_int_eq(api_asked("authenticate")->calls, i);
    }
    api_sql("authenticate", NULL);
    api_ask_with("GET", TASKS, GOOD, NULL);
    api_is_error(401, "unauthorized");
}
END_TEST

START_TEST(a_bound_token_reaches_tasks_and_not_the_fleet)
{
    for (const struct route *route = server_routes; route->method != NULL; route++) {
        bool task = strncmp(route->pattern, "/api/v1/tasks", 13) == 0 ||
                    strncmp(route->pattern, "/api/v1/events", 14) == 0;
        if (route->kind != ROUTE_API || task || route->agents)
            continue;
        char target[200];
        const char *id = strstr(route->pattern, "{}");
        snprintf(target, sizeof target, "%.*s%s%s",
                 (int)(id != NULL ? (size_t)(id - route->pattern) : strlen(route->pattern)),
                 route->pattern, id != NULL ? "1" : "", id != NULL ? id + 2 : "");
        api_sql("authenticate", "token_id=7;name=bound;scope=admin;bounded=t;expires_ms=<null>");
        api_ask_with(route->method, target, GOOD, NULL);
        api_is_error(403, "token_is_bound");
    }
    api_sql("task_list", "status=200;body=[];next=<null>;location=<null>");
    ck_assert_int_eq(api_ask_with("GET", TASKS, GOOD, NULL), 200);
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("wrong tokens");
    tcase_add_test(tcase, twenty_make_an_address_hot);
    tcase_add_test(tcase, an_address_is_the_same_however_it_is_written);
    tcase_add_test(tcase, many_addresses_are_forgotten);
    tcase_add_test(tcase, one_at_a_time_and_addresses_in_turn);
    tcase_add_test(tcase, a_valid_token_is_served_all_the_same);
    tcase_add_test(tcase, a_formless_token_costs_no_query);
    tcase_add_test(tcase, one_question_at_a_time_and_the_known_pass);
    tcase_add_test(tcase, a_revoked_token_is_a_strangers);
    tcase_add_test(tcase, who_has_left_is_not_asked_for);
    tcase_add_test(tcase, an_old_answer_is_not_remembered);
    tcase_add_test(tcase, an_expiring_token_is_remembered_no_longer);
    tcase_add_test(tcase, a_bound_token_reaches_tasks_and_not_the_fleet);
    return api_run(tcase);
}
