/* Who is let in: each check before a handler, and what a token of each scope may. */
#include "tests/unit/api_scene.h"

#define BEARER "Authorization: Bearer " API_TOKEN "\r\n"
#define TASKS "/api/v1/tasks"

static void let_in(void)
{
    api_sql("authenticate", "token_id=7;name=tester;scope=admin;bounded=f;expires_ms=<null>");
    api_sql("task_list", "status=200;body=[];next=<null>;location=<null>");
}

START_TEST(a_token_is_needed)
{
    let_in();
    api_ask_with("GET", TASKS, "", NULL);
    api_is_error(401, "unauthorized");
    api_has("www-authenticate: Bearer");
    api_ask_with("GET", TASKS, "Authorization: Basic YTpi\r\n", NULL);
    api_is_error(401, "unauthorized");
    api_ask_with("GET", TASKS, "Authorization: Bearer x\r\n", NULL);
    api_is_error(401, "unauthorized");
    ck_assert_int_eq(api_asked("authenticate")->calls, 0);
    ck_assert_int_eq(api_ask_with("GET", TASKS, BEARER, NULL), 200);
}
END_TEST

START_TEST(two_tokens_are_none)
{
    let_in();
    api_ask_with("GET", TASKS, BEARER BEARER, NULL);
    api_is_error(401, "unauthorized");
    ck_assert_int_eq(api_asked("authenticate")->calls, 0);
}
END_TEST

START_TEST(an_unknown_token_is_asked_for_each_time)
{
    api_sql("authenticate", NULL);
    for (int i = 1; i <= 2; i++) {
        api_ask_with("GET", TASKS, BEARER, NULL);
        api_is_error(401, "unauthorized");
        ck_assert_int_eq(api_asked("authenticate")->calls, i);
    }
}
END_TEST

START_TEST(a_known_token_is_remembered)
{
    let_in();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(api_ask_with("GET", TASKS, BEARER, NULL), 200);
    ck_assert_int_eq(api_asked("authenticate")->calls, 1);
}
END_TEST

START_TEST(no_database_is_no_wrong_token)
{
    api_sql_fails("authenticate", "08001");
    ck_assert_int_eq(api_ask_with("GET", TASKS, BEARER, NULL), 503);
}
END_TEST

/* Another token whose digest begins with the same two bytes, which choose where it is remembered.
 */
static void make_twin(char *header, size_t size)
{
    uint8_t first[SHA256_SIZE], other[SHA256_SIZE];
    char token[sizeof API_TOKEN] = API_TOKEN;
    crypto_sha256(token, strlen(token), first);
    for (int i = 0; i < 1000000; i++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%06d", i);
        memcpy(token + 10, digits, 6);
        crypto_sha256(token, strlen(token), other);
        if (memcmp(other, first, 2) == 0)
            break;
    }
    ck_assert_mem_eq(first, other, 2);
    snprintf(header, size, "Authorization: Bearer %s\r\n", token);
}

START_TEST(tokens_of_one_slot_keep_their_scopes)
{
    char twin[200];
    make_twin(twin, sizeof twin);
    let_in();
    ck_assert_int_eq(api_ask_with("GET", TASKS, BEARER, NULL), 200);
    api_sql("authenticate", "token_id=8;name=agent;scope=agent;bounded=f;expires_ms=<null>");
    api_ask_with("GET", "/api/v1/hosts", twin, NULL);
    api_is_error(403, "scope_needed");
    ck_assert_int_eq(api_asked("authenticate")->calls, 2);
}
END_TEST

/* Every path, the least scope that is let in, and what its handler asks for. */
static const struct {
    const char *method, *target, *scope, *sql;
    bool agents; /* let in too */
} doors[] = {
    {"GET", TASKS, "read", "task_list", true},
    {"GET", TASKS "/t-1", "read", "task_detail", true},
    {"GET", TASKS "/t-1/events", "read", "task_events", true},
    {"GET", TASKS "/t-1/attempts", "read", "task_attempts", true},
    {"GET", TASKS "/t-1/logs", "read", "task_logs", true},
    {"GET", "/api/v1/agents", "read", "agent_list", false},
    {"GET", "/api/v1/agents/h%2Fcodex", "read", "agent_detail", false},
    {"GET", "/api/v1/stats", "read", "stats", false},
    {"GET", "/api/v1/hosts", "read", "host_list", false},
    {"GET", "/api/v1/nodes", "read", "node_list", false},
    {"GET", "/api/v1/hosts/h", "read", "host_detail", false},
    {"DELETE", "/api/v1/hosts/h", "admin", "host_delete", false},
    {"PUT", "/api/v1/hosts/h", "admin", "host_put", false},
    {"POST", "/api/v1/hosts/h/check", "operate", "host_act", false},
    {"POST", "/api/v1/hosts/h/uncordon", "operate", "host_act", false},
    {"GET", "/api/v1/accounts", "read", "account_list", false},
    {"GET", "/api/v1/accounts/h%2Fcodex-cli", "read", "account_detail", false},
    {"POST", "/api/v1/accounts/h%2Fcodex-cli/unpark", "operate", "account_unpark", false},
    {"POST", TASKS, "submit", "submit_tasks", false},
    {"POST", TASKS "/t-1/cancel", "submit", "task_cancel", false},
    {"GET", TASKS "/t-1/explain", "read", "task_explain", false},
    {"POST", TASKS "/t-1/answer", "submit", "task_say", false},
    {"POST", TASKS "/t-1/retry", "operate", "task_retry", false},
    {"POST", TASKS "/t-1/continue", "operate", "task_say", false},
};

/* What a door takes, where it wants a body. */
static const char *good_body(const char *sql)
{
    if (strcmp(sql, "submit_tasks") == 0)
        return "{\"title\": \"T\", \"labels\": [\"agent:x\"]}";
    if (strcmp(sql, "task_say") == 0)
        return "{\"text\": \"T\"}";
    if (strcmp(sql, "host_put") == 0)
        return "{\"hostname\": \"localhost\", \"work_dir\": \"/w\", \"agents\": []}";
    return NULL;
}

START_TEST(each_door_has_its_scope)
{
    static const char *const scopes[] = {"agent", "read", "submit", "operate", "admin"};
    bool wide = false;
    api_sql(doors[_i].sql, NULL)->state = "08001";
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        wide = wide || strcmp(scopes[i], doors[_i].scope) == 0;
        int before = api_asked(doors[_i].sql)->calls;
        api_ask(scopes[i], doors[_i].method, doors[_i].target, good_body(doors[_i].sql));
        bool enters = wide || (doors[_i].agents && strcmp(scopes[i], "agent") == 0);
        if (!enters)
            api_is_error(403, "scope_needed");
        ck_assert_int_eq(api_asked(doors[_i].sql)->calls > before, enters);
    }
    ck_assert(wide);
}
END_TEST

/* The whole table: nothing of the API is open to a scope that its row does not name. */
START_TEST(no_route_opens_to_less_than_its_scope)
{
    static const char *const scopes[] = {"none", "agent", "read", "submit", "operate"};
    int refused = 0;
    for (const struct route *route = server_routes; route->method != NULL; route++) {
        char target[200];
        const char *id = strstr(route->pattern, "{}");
        if (route->kind != ROUTE_API)
            continue;
        ck_assert_int_ge(route->scope, SCOPE_READ);
        snprintf(target, sizeof target, "%.*s%s%s",
                 (int)(id != NULL ? (size_t)(id - route->pattern) : strlen(route->pattern)),
                 route->pattern, id != NULL ? "1" : "", id != NULL ? id + 2 : "");
        api_ask_with(route->method, target, "", NULL);
        api_is_error(401, "unauthorized");
        for (int scope = SCOPE_NONE; scope < (int)route->scope; scope++) {
            if (scope == SCOPE_AGENT && route->agents)
                continue;
            api_ask(scopes[scope], route->method, target, NULL);
            api_is_error(403, "scope_needed");
            refused++;
        }
    }
    ck_assert_int_gt(refused, 10);
}
END_TEST

START_TEST(a_token_in_the_query_is_refused_by_name)
{
    let_in();
    api_ask_with("GET", TASKS "?token=" API_TOKEN, BEARER, NULL);
    api_is_error(400, "token_in_query");
    api_ask_with("GET", TASKS "?access_token=" API_TOKEN, BEARER, NULL);
    api_is_error(400, "token_in_query");
    api_ask_with("GET", TASKS "?colour=red", BEARER, NULL);
    api_is_error(400, "unknown_parameter");
    api_has("colour");
}
END_TEST

START_TEST(paths_and_methods)
{
    let_in();
    api_ask_with("GET", "/api/v1/nothing", BEARER, NULL);
    api_is_error(404, "not_found");
    api_ask_with("DELETE", TASKS, BEARER, NULL);
    api_is_error(405, "method_not_allowed");
    api_has("allow: POST, GET, HEAD, OPTIONS");
    ck_assert_int_eq(api_ask_with("OPTIONS", TASKS, "", NULL), 204);
    api_has("allow: POST, GET, HEAD, OPTIONS");
    ck_assert_ptr_null(strstr(api.head, "content-length"));
    ck_assert_str_eq(api.body, "");
    ck_assert_int_eq(api_ask_with("OPTIONS", "/api/v1/nothing", "", NULL), 404);
    api_ask_with("GET", "/api/v1/tasks/%zz", BEARER, NULL);
    api_is_error(400, "malformed_path");
    ck_assert_int_eq(api_asked("authenticate")->calls, 0);
}
END_TEST

static void reopen(const char *yaml)
{
    api_teardown();
    api_open(yaml);
    let_in();
}

START_TEST(another_name_is_refused_but_to_probes)
{
    reopen("server: { public_hosts: [ fleet.example.org ] }\n"
           "forgejo: { webhook_secret: end-to-end-secret-0000, repositories: [ '*' ] }\n");
    ck_assert_int_eq(api_ask_with("GET", TASKS, BEARER "Host: fleet.example.org\r\n", NULL), 200);
    api_ask_with("GET", TASKS, BEARER "Host: rebound.example.org\r\n", NULL);
    api_is_error(421, "unknown_host");
    api_ask_with("POST", "/api/v1/webhooks/forgejo", API_JSON "Host: rebound.example.org\r\n",
                 "{}");
    api_is_error(421, "unknown_host");
    ck_assert_int_eq(api_ask_with("GET", "/healthz", "Host: 10.0.0.7:9090\r\n", NULL), 200);
}
END_TEST

#define SHARED "Authorization: Bearer shared-by-all-agents.!\r\n"

/* What the node takes as the agents' shared token is no person's, and nothing of the database. */
START_TEST(the_shared_token_is_an_agents)
{
    let_in();
    ck_assert_int_eq(api_ask_with("GET", TASKS, SHARED, NULL), 401);
    api.server.config->orchestrator.http_pull_token = mem_strdup("shared-by-all-agents.!");
    ck_assert_int_eq(api_ask_with("GET", TASKS, SHARED, NULL), 200);
    api_ask_with("GET", "/api/v1/hosts", SHARED, NULL);
    api_is_error(403, "scope_needed");
    api_ask_with("GET", TASKS, "Authorization: Bearer shared-by-all-agents.\r\n", NULL);
    api_is_error(401, "unauthorized");
    api_ask_with("GET", TASKS, SHARED SHARED, NULL);
    api_is_error(401, "unauthorized");
    ck_assert_int_eq(api_asked("authenticate")->calls, 0);
}
END_TEST

START_TEST(open_mode)
{
    reopen("server: { insecure_open: true, bind: 127.0.0.1 }\n");
    ck_assert_int_eq(api_ask_with("GET", TASKS, "", NULL), 200);
    ck_assert_int_eq(api_asked("authenticate")->calls, 0);
    api_ask_with("GET", TASKS, "Host: rebound.example.org\r\n", NULL);
    api_is_error(421, "unknown_host");
    api_ask_with("POST", TASKS "/t-1/cancel", "Origin: https://evil.example.org\r\n", NULL);
    api_is_error(403, "cross_site");
}
END_TEST

START_TEST(sizes)
{
    struct buf big;
    reopen("server: { max_body_bytes: 2000 }\n");
    buf_init(&big, 100000);
    for (int i = 0; i < 2001; i++)
        buf_adds(&big, "a");
    api_ask_with("POST", TASKS, BEARER API_JSON, buf_text(&big));
    api_is_error(413, "body_too_large");
    api_has("\"limit\": 2000");
    ck_assert_int_eq(api_asked("authenticate")->calls, 0);
    buf_release(&big);
    buf_init(&big, 100000);
    buf_adds(&big, "X-Long: ");
    for (int i = 0; i < 66000; i++)
        buf_adds(&big, "a");
    buf_adds(&big, "\r\n");
    api_ask_with("GET", "/healthz", buf_text(&big), NULL);
    api_is_error(431, "headers_too_large");
    buf_release(&big);
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("enter");
    tcase_add_test(tcase, a_token_is_needed);
    tcase_add_test(tcase, two_tokens_are_none);
    tcase_add_test(tcase, an_unknown_token_is_asked_for_each_time);
    tcase_add_test(tcase, a_known_token_is_remembered);
    tcase_add_test(tcase, no_database_is_no_wrong_token);
    tcase_add_test(tcase, tokens_of_one_slot_keep_their_scopes);
    tcase_add_loop_test(tcase, each_door_has_its_scope, 0, sizeof doors / sizeof doors[0]);
    tcase_add_test(tcase, no_route_opens_to_less_than_its_scope);
    tcase_add_test(tcase, a_token_in_the_query_is_refused_by_name);
    tcase_add_test(tcase, paths_and_methods);
    tcase_add_test(tcase, another_name_is_refused_but_to_probes);
    tcase_add_test(tcase, the_shared_token_is_an_agents);
    tcase_add_test(tcase, open_mode);
    tcase_add_test(tcase, sizes);
    return api_run(tcase);
}
