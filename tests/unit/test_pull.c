/* Agents' calls that wait for a task: claimed for together, answered as tasks come, let go when
 * their clients leave. */
#include "tests/unit/api_scene.h"

#include "server/http/internal.h"

#define NODE "6f1f7a52-0000-4000-8000-000000000001"
#define TASK "executor=1;attempt=9;epoch=1;node=" NODE ";body={\"task_id\": \"t-1\"}"
#define OTHER "executor=2;attempt=10;epoch=1;node=" NODE ";body={\"task_id\": \"t-2\"}"
#define BOTH TASK "|" OTHER

/* One waiting client. */
struct client {
    int fd;
    struct buf answer;
    bool closed;
};

static void client_send(struct client *client, const char *target, const char *body)
{
    struct buf request;
    buf_init(&request, 65536);
    buf_init(&client->answer, 65536);
    client->closed = false;
    client->fd = api_connect();
    buf_addf(&request,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " API_TOKEN "\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             target, strlen(body), body);
    ck_assert_int_eq(send(client->fd, request.data, request.len, MSG_NOSIGNAL),
                     (ssize_t)request.len);
    buf_release(&request);
}

static void client_read(struct client *client)
{
    char bytes[4096];
    ssize_t got = recv(client->fd, bytes, sizeof bytes, 0);
    if (got > 0)
        buf_add(&client->answer, bytes, (size_t)got);
    client->closed = got == 0;
}

static bool client_has(struct client *client, const char *text)
{
    client_read(client);
    return strstr(buf_text(&client->answer), text) != NULL;
}

static void client_end(struct client *client)
{
    close(client->fd);
    buf_release(&client->answer);
}

/* Turns the loop until the condition holds. */
#define UNTIL(condition)                                                    \
    do {                                                                    \
        int64_t end_ms_ = clock_ms() + API_WAIT_MS;                         \
        while (!(condition)) {                                              \
            uv_run(&api.server.loop.uv, UV_RUN_ONCE);                       \
            ck_assert_msg(clock_ms() < end_ms_, "in vain: %s", #condition); \
        }                                                                   \
    } while (0)

/* Some turns in which nothing is to happen: the pump turns the loop every ms. */
static void some_turns(void)
{
    for (int i = 0; i < 50; i++)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
}

static void wait_as(struct client *client, int executor, int wait_secs)
{
    static char rows[4][100];
    char body[100];
    int calls = api_asked("pull_admit")->calls;
    snprintf(rows[executor], sizeof rows[executor],
             "executor=%d;capabilities=<null>;status=<null>;body=<null>", executor);
    api_sql("pull_admit", rows[executor]);
    snprintf(body, sizeof body, "{\"agent_id\": \"a%d\", \"wait_secs\": %d}", executor, wait_secs);
    client_send(client, "/api/v1/tasks/dequeue", body);
    UNTIL(api_asked("pull_admit")->calls > calls);
    some_turns();
}

static size_t waiting(void)
{
    return ceiling_taken(api.server.ceiling, SEAT_POLL);
}

static int claims(void)
{
    return api_asked("pull")->calls;
}

/* A registered node; agents that may ask; no task. */
static void setup(void)
{
    api_setup();
    api_sql("authenticate", "token_id=7;name=agent;scope=agent;bounded=f;expires_ms=<null>");
    api_sql("node_start", "fleet_id=f;schema_version=1000;beat_ms=60000");
    api_sql("pull_admit", NULL);
    api_sql("pull", NULL);
    api_sql("sleep_begin", "x=");
    api_sql("sleep_end", "x=");
    api_sql("release", "release=created");
    pull_set_poll(api.server.pull, 3600); /* what is asked of itself is asked after the test */
    node_start(api.server.node);
    UNTIL(node_id(api.server.node) != NULL);
}

START_TEST(nothing_at_once)
{
    struct client client;
    wait_as(&client, 1, 0);
    UNTIL(client_has(&client, "HTTP/1.1 204 No Content"));
    ck_assert_int_eq(claims(), 1);
    ck_assert_uint_eq(waiting(), 0);
    api_was_asked("pull", (const char *[]){"{1}", "<null>", "1"});
    client_end(&client);
}
END_TEST

/* Who found nothing asks once more when this node is known to wait: only then it sleeps. */
START_TEST(sleeps_behind_a_claim_of_a_known_waiter)
{
    struct client client;
    api_asked("sleep_begin")->held = true;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 1 && api_asked("sleep_begin")->calls == 1);
    some_turns();
    ck_assert_int_eq(claims(), 1);
    api_asked("sleep_begin")->held = false;
    UNTIL(claims() == 2);
    some_turns();
    ck_assert_int_eq(claims(), 2);
    ck_assert_int_eq(api_asked("sleep_begin")->calls, 1);
    api_sql("pull", TASK);
    pull_notify(api.server.pull);
    UNTIL(client_has(&client, "\r\n\r\n{\"task_id\": \"t-1\"}"));
    ck_assert_int_eq(claims(), 3);
    ck_assert_uint_eq(waiting(), 0);
    client_end(&client);
}
END_TEST

/* A notification that comes while a claim is under way may be of what the claim did not see. */
START_TEST(a_notification_during_a_claim_asks_again)
{
    struct client client;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    api_asked("pull")->held = true;
    pull_notify(api.server.pull);
    pull_notify(api.server.pull);
    pull_notify(api.server.pull);
    some_turns();
    ck_assert_int_eq(claims(), 3);
    api_asked("pull")->held = false;
    UNTIL(claims() == 4);
    some_turns();
    ck_assert_int_eq(claims(), 4);
    client_end(&client);
}
END_TEST

START_TEST(one_claim_for_all_and_as_many_answers_as_tasks)
{
    struct client first, second, third;
    wait_as(&first, 1, 60);
    wait_as(&second, 2, 60);
    wait_as(&third, 1, 60);
    UNTIL(waiting() == 3);
    some_turns();
    int before = claims();
    api_asked("pull")->held = true;
    pull_notify(api.server.pull);
    UNTIL(claims() == before + 1);
    api_was_asked("pull", (const char *[]){"{1,2,1}", "<null>", "3"});
    api_sql("pull", BOTH)->held = false;
    UNTIL(client_has(&first, "t-1") && client_has(&second, "t-2"));
    api_sql("pull", NULL);
    some_turns();
    ck_assert_uint_eq(waiting(), 1);
    ck_assert(!client_has(&third, "HTTP"));
    client_end(&first);
    client_end(&second);
    client_end(&third);
}
END_TEST

/* A crash of the database may have taken this node's row among the waiters. */
START_TEST(a_new_connection_lists_the_node_anew)
{
    struct client client;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    some_turns();
    pull_reconnected(api.server.pull);
    UNTIL(claims() == 4);
    some_turns();
    ck_assert_int_eq(claims(), 4);
    ck_assert_int_eq(api_asked("sleep_begin")->calls, 2);
    client_end(&client);
}
END_TEST

/* However many wait: who comes asks for itself. */
START_TEST(a_newcomer_asks_for_itself)
{
    struct client first, second;
    wait_as(&first, 1, 60);
    wait_as(&second, 2, 60);
    ck_assert_int_eq(claims(), 3); /* the first one before and behind sleep_begin */
    api_was_asked("pull", (const char *[]){"{2}", "<null>", "1"});
    pull_notify(api.server.pull);
    UNTIL(claims() == 4);
    api_was_asked("pull", (const char *[]){"{1,2}", "<null>", "2"});
    client_end(&first);
    client_end(&second);
}
END_TEST

START_TEST(a_client_that_left_is_taken_out)
{
    struct client client;
    wait_as(&client, 1, 60);
    UNTIL(waiting() == 1);
    client_end(&client);
    UNTIL(waiting() == 0);
    ck_assert_int_eq(api_asked("release")->calls, 0);
}
END_TEST

START_TEST(what_a_client_that_left_was_given_goes_back)
{
    struct client client;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    api_asked("pull")->held = true;
    pull_notify(api.server.pull);
    UNTIL(claims() == 3);
    client_end(&client); /* nobody has looked since */
    api_sql("pull", TASK)->held = false;
    UNTIL(api_asked("release")->calls == 1);
    api_was_asked("release", (const char *[]){NODE, "9", "1"});
    UNTIL(waiting() == 0);
}
END_TEST

START_TEST(another_call_of_the_agent_gets_what_one_left)
{
    struct client gone, stays;
    wait_as(&gone, 1, 60);
    wait_as(&stays, 1, 60);
    UNTIL(waiting() == 2);
    some_turns();
    int before = claims();
    api_asked("pull")->held = true;
    pull_notify(api.server.pull);
    UNTIL(claims() == before + 1);
    client_end(&gone);
    api_sql("pull", TASK)->held = false;
    UNTIL(client_has(&stays, "t-1"));
    ck_assert_int_eq(api_asked("release")->calls, 0);
    client_end(&stays);
}
END_TEST

/* The answer lies unread in the client's socket when that is closed. */
START_TEST(an_answer_that_nobody_read_is_taken_back)
{
    struct client client;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    api_sql("pull", TASK);
    pull_notify(api.server.pull);
    UNTIL(waiting() == 0);
    some_turns();
    client_end(&client);
    UNTIL(api_asked("release")->calls == 1);
    api_was_asked("release", (const char *[]){NODE, "9", "1"});
}
END_TEST

START_TEST(an_answer_that_was_read_stays)
{
    struct client client;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    api_sql("pull", TASK);
    pull_notify(api.server.pull);
    UNTIL(client_has(&client, "t-1}") || client_has(&client, "t-1\"}"));
    client_end(&client);
    UNTIL(http_counts(api.server.http).connections == 0);
    some_turns();
    ck_assert_int_eq(api_asked("release")->calls, 0);
}
END_TEST

/* A large task, and no room for its answer beside those that clients do not read. */
START_TEST(what_there_is_no_room_for_is_taken_back)
{
    static char rows[40000];
    struct client client;
    int len = snprintf(rows, sizeof rows, "executor=1;attempt=9;epoch=1;node=" NODE ";body=");
    memset(rows + len, 'x', 20000);
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    api.server.http->answers = (size_t)64 << 20;
    api_sql("pull", rows);
    pull_notify(api.server.pull);
    UNTIL(client_has(&client, "HTTP/1.1 503 "));
    UNTIL(api_asked("release")->calls == 1);
    api_was_asked("release", (const char *[]){NODE, "9", "1"});
    client_end(&client);
    UNTIL(http_counts(api.server.http).connections == 0);
    some_turns();
    ck_assert_int_eq(api_asked("release")->calls, 1);
    api.server.http->answers = 0;
}
END_TEST

START_TEST(a_node_that_drains_lets_all_go)
{
    struct client client, late;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    http_lame(api.server.http);
    pull_drain(api.server.pull);
    UNTIL(client_has(&client, "HTTP/1.1 204"));
    ck_assert(client_has(&client, "onnection: close"));
    wait_as(&late, 1, 60);
    UNTIL(client_has(&late, "HTTP/1.1 204"));
    ck_assert_int_eq(claims(), 2);
    client_end(&client);
    client_end(&late);
}
END_TEST

/* Whoever waits goes on waiting; whose time is over meanwhile hears why. */
START_TEST(the_database_goes_and_comes)
{
    struct client client, hasty;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    api_sql_fails("pull", "08001");
    wait_as(&hasty, 2, 1);
    UNTIL(client_has(&hasty, "HTTP/1.1 503"));
    ck_assert(client_has(&hasty, "etry-after: 1"));
    ck_assert_uint_eq(waiting(), 1);
    api_sql("pull", TASK);
    UNTIL(client_has(&client, "t-1"));
    client_end(&client);
    client_end(&hasty);
}
END_TEST

START_TEST(whose_token_is_revoked_waits_no_more)
{
    struct client client;
    wait_as(&client, 1, 60);
    UNTIL(claims() == 2);
    api_sql("tokens_ended", "token_id=7");
    ceiling_check(api.server.ceiling);
    UNTIL(client_has(&client, "HTTP/1.1 401"));
    ck_assert_uint_eq(waiting(), 0);
    client_end(&client);
}
END_TEST

START_TEST(narrowed_calls_are_claimed_for_apart)
{
    struct client wide, narrow;
    wait_as(&wide, 1, 60);
    UNTIL(claims() == 2);
    api_sql("pull_admit", "executor=2;capabilities={a};status=<null>;body=<null>");
    client_send(&narrow, "/api/v1/tasks/dequeue",
                "{\"agent_id\": \"a2\", \"capabilities\": [\"a\"], \"wait_secs\": 60}");
    UNTIL(waiting() == 2 && claims() == 3);
    api_was_asked("pull", (const char *[]){"{2}", "{a}", "1"});
    client_end(&wide);
    client_end(&narrow);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("pull");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, api_teardown);
    tcase_add_test(tcase, nothing_at_once);
    tcase_add_test(tcase, sleeps_behind_a_claim_of_a_known_waiter);
    tcase_add_test(tcase, a_notification_during_a_claim_asks_again);
    tcase_add_test(tcase, one_claim_for_all_and_as_many_answers_as_tasks);
    tcase_add_test(tcase, a_new_connection_lists_the_node_anew);
    tcase_add_test(tcase, a_newcomer_asks_for_itself);
    tcase_add_test(tcase, a_client_that_left_is_taken_out);
    tcase_add_test(tcase, what_a_client_that_left_was_given_goes_back);
    tcase_add_test(tcase, another_call_of_the_agent_gets_what_one_left);
    tcase_add_test(tcase, an_answer_that_nobody_read_is_taken_back);
    tcase_add_test(tcase, an_answer_that_was_read_stays);
    tcase_add_test(tcase, what_there_is_no_room_for_is_taken_back);
    tcase_add_test(tcase, a_node_that_drains_lets_all_go);
    tcase_add_test(tcase, the_database_goes_and_comes);
    tcase_add_test(tcase, whose_token_is_revoked_waits_no_more);
    tcase_add_test(tcase, narrowed_calls_are_claimed_for_apart);
    return api_run(tcase);
}
