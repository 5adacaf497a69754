/* What agents send: taken as JSON whatever its type says, passed on, and answered as SQL decides.
 */
#include "tests/unit/api_scene.h"

#define LIFE "/api/v1/agents/"
#define LOGS "/api/v1/tasks/t-1/logs"
#define BEARER "Authorization: Bearer " API_TOKEN "\r\n"
#define OK(body) "status=200;body=" body ";next=<null>;location=<null>"

/* As an agent, with these headers besides. */
static int ask_as(const char *target, const char *headers, const char *body)
{
    char all[500];
    api_sql("authenticate", "token_id=7;name=agent;scope=agent;bounded=f;expires_ms=<null>");
    snprintf(all, sizeof all, BEARER "%s", headers);
    return api_ask_with("POST", target, all, body);
}

static const char *asked_for(const char *name, int param)
{
    return api_asked(name)->last[param];
}

/* --- life --- */

START_TEST(a_registration_gets_a_token_of_which_the_database_has_the_hash)
{
    uint8_t digest[SHA256_SIZE];
    char token[AUTH_TOKEN_MAX], hex[2 * SHA256_SIZE + 1];
    api_sql("agent_register", OK("{\"agent_id\": \"a1\"}"));
    ck_assert_int_eq(ask_as(LIFE "register", API_JSON, "{\"agent_id\":\"a1\",\"strange\":[1]}"),
                     200);
    ck_assert_str_eq(asked_for("agent_register", 1), "{\"agent_id\":\"a1\",\"strange\":[1]}");
    ck_assert_int_eq(
        sscanf(api.body, "{\"registry_token\": \"%49[^\"]\", \"agent_id\": \"a1\"}", token), 1);
    ck_assert_int_eq(strncmp(token, "aft_g_", 6), 0);
    crypto_sha256(token, strlen(token), digest);
    crypto_hex(digest, sizeof digest, hex);
    ck_assert_str_eq(asked_for("agent_register", 2) + 2, hex);
    ck_assert_int_eq(strncmp(asked_for("agent_register", 3), token, 12), 0);
    ck_assert_str_eq(asked_for("agent_register", 4), "60");
    ck_assert_str_eq(asked_for("agent_register", 5), "3");
    ck_assert_str_eq(asked_for("agent_register", 6), "60");
}
END_TEST

START_TEST(a_refused_registration_gets_none)
{
    api_sql("agent_register",
            "status=409;body={\"code\": \"agent_id_taken\"};next=<null>;location=<null>");
    ck_assert_int_eq(ask_as(LIFE "register", API_JSON, "{}"), 409);
    ck_assert_str_eq(api.body, "{\"code\": \"agent_id_taken\"}");
}
END_TEST

/* curl -d says application/x-www-form-urlencoded; the rhythm is that of the configuration. */
START_TEST(a_heartbeat_of_any_type)
{
    api.server.config->orchestrator.heartbeat_interval_secs = 5;
    api_sql("agent_heartbeat", OK("{\"status\": \"online\"}"));
    ck_assert_int_eq(ask_as(LIFE "heartbeat", "Content-Type: application/x-www-form-urlencoded\r\n",
                            "{\"agent_id\":\"a1\"}"),
                     200);
    ck_assert_str_eq(asked_for("agent_heartbeat", 1), "{\"agent_id\":\"a1\"}");
    ck_assert_str_eq(asked_for("agent_heartbeat", 2), "5");
    ck_assert_int_eq(ask_as(LIFE "heartbeat", "", ""), 200);
    ck_assert_str_eq(asked_for("agent_heartbeat", 1), "{}");
}
END_TEST

static const struct {
    const char *body;
    int status;
    const char *code;
} bad_bodies[] = {{"{", 400, "malformed_json"},
                  {"[]", 400, "wrong_type"},
                  {"null", 400, "wrong_type"},
                  {"{\"a\": {\"b\": [1e999]}}", 400, "malformed_json"}};

START_TEST(bodies_that_are_none)
{
    api_sql("agent_deregister", OK("{}"));
    ask_as(LIFE "deregister", API_JSON, bad_bodies[_i].body);
    api_is_error(bad_bodies[_i].status, bad_bodies[_i].code);
    ck_assert_int_eq(api_asked("agent_deregister")->calls, 0);
}
END_TEST

/* --- dequeue --- */

static const char *const bad_dequeues[] = {
    "{\"agent_id\": 1}",
    "{\"agent_id\": \"a\", \"wait_secs\": 61}",
    "{\"agent_id\": \"a\", \"wait_secs\": -1}",
    "{\"agent_id\": \"a\", \"wait_secs\": 1.5}",
    "{\"agent_id\": \"a\", \"capabilities\": \"x\"}",
    "{\"agent_id\": \"a\", \"capabilities\": [1]}",
};

START_TEST(dequeues_that_are_wrong)
{
    api_sql("pull_admit", NULL);
    ask_as("/api/v1/tasks/dequeue", API_JSON, bad_dequeues[_i]);
    api_is_error(422, "invalid_value");
    ck_assert_int_eq(api_asked("pull_admit")->calls, 0);
}
END_TEST

START_TEST(who_may_not_ask_is_told_why)
{
    api_sql("pull_admit",
            "executor=<null>;capabilities=<null>;status=404;body={\"code\": \"unknown_agent\"};"
            "next=<null>;location=<null>");
    ask_as("/api/v1/tasks/dequeue", API_JSON, "{\"agent_id\": \"a\", \"capabilities\": [\"x\"]}");
    api_is_error(404, "unknown_agent");
    ck_assert_str_eq(asked_for("pull_admit", 1), "a");
    ck_assert_str_eq(asked_for("pull_admit", 2), "{\"x\"}");
}
END_TEST

START_TEST(status_and_receipt_are_passed_on)
{
    api_sql("agent_status", OK("{\"status\": \"running\"}"));
    api_sql("agent_complete", OK("{\"status\": \"completed\"}"));
    ck_assert_int_eq(ask_as("/api/v1/tasks/o%2Fr%231/status", API_JSON, "{\"status\":\"running\"}"),
                     200);
    ck_assert_str_eq(asked_for("agent_status", 1), "o/r#1");
    ck_assert_str_eq(asked_for("agent_status", 2), "{\"status\":\"running\"}");
    ck_assert_int_eq(ask_as("/api/v1/tasks/t-1/complete", "", "{\"status\":\"completed\"}"), 200);
    ck_assert_str_eq(asked_for("agent_complete", 1), "t-1");
}
END_TEST

/* What an agent says of its run is stored as its output is: without credentials. */
START_TEST(a_receipt_is_stored_without_secrets)
{
    api_sql("agent_status", OK("{}"));
    api_sql("agent_complete", OK("{}"));
    api.server.config->orchestrator.http_pull_token = mem_strdup("shared-by-all-agents.!");
    ask_as("/api/v1/tasks/t-1/complete", API_JSON,
           "{\"agent_id\":\"shared-by-all-agents.!\",\"status\":\"failed\","
           "\"summary\":\"I am shared-by-all-agents.!\",\"duration_seconds\":1.5,"
           "\"artifacts\":[{\"url\":\"https://me:hunter2hunter2@git.example.org/a\"},\"a.txt\"],"
           "\"error\":{\"text\":\"ghp_0123456789abcdefghijklmnopqrstuvwxyz\"}}");
    ck_assert_str_eq(
        asked_for("agent_complete", 2),
        "{\"agent_id\":\"shared-by-all-agents.!\",\"status\":\"failed\","
        "\"summary\":\"I am **********************\",\"duration_seconds\":1.5,"
        "\"artifacts\":[{\"url\":\"https:\\/\\/me:**************@git.example.org\\/a\"},\"a.txt\"],"
        "\"error\":{\"text\":\"ghp_************************************\"}}");
    api_sql("agent_register", OK("{\"agent_id\": \"a1\"}"));
    ask_as(LIFE "register", API_JSON,
           "{\"capabilities\":[\"secret:management-of-all\"],\"metadata\":{\"env\":\"A_TOKEN="
           "0123456789abcdef\"}}");
    ck_assert_str_eq(asked_for("agent_register", 1),
                     "{\"capabilities\":[\"secret:management-of-all\"],\"metadata\":{\"env\":\"A_"
                     "TOKEN=****************\"}}");
    ask_as("/api/v1/tasks/t-1/status", API_JSON,
           "{\"status\":\"running\",\"message\":\"Bearer 0123456789abcdef0123456789abcdef\"}");
    ck_assert_str_eq(
        asked_for("agent_status", 2),
        "{\"status\":\"running\",\"message\":\"Bearer ********************************\"}");
}
END_TEST

/* --- output --- */

/* The bytes that were stored, as text. */
static const char *stored(void)
{
    static char text[API_PARAM_MAX];
    const char *hex = asked_for("agent_log", 6) + 2;
    ck_assert(crypto_unhex(hex, strlen(hex), (uint8_t *)text));
    text[strlen(hex) / 2] = '\0';
    return text;
}

START_TEST(output_as_bytes)
{
    api_sql("agent_log", OK("{\"next_offset\": 6}"));
    ck_assert_int_eq(ask_as(LOGS "?agent_id=a1&attempt=2&stream=stderr&offset=0", "", "hello\n"),
                     200);
    ck_assert_str_eq(api.body, "{\"next_offset\": 6}");
    ck_assert_str_eq(stored(), "hello\n");
    ck_assert_str_eq(asked_for("agent_log", 2), "a1");
    ck_assert_str_eq(asked_for("agent_log", 3), "2");
    ck_assert_str_eq(asked_for("agent_log", 4), "stderr");
    ck_assert_str_eq(asked_for("agent_log", 5), "0");
}
END_TEST

START_TEST(output_as_json)
{
    api_sql("agent_log", OK("{}"));
    ck_assert_int_eq(
        ask_as(LOGS, API_JSON, "{\"agent_id\": \"a1\", \"offset\": 7, \"text\": \"\\u00e4\\n\"}"),
        200);
    ck_assert_str_eq(stored(), "\xc3\xa4\n");
    ck_assert_str_eq(asked_for("agent_log", 3), "<null>");
    ck_assert_str_eq(asked_for("agent_log", 4), "stdout");
    ck_assert_str_eq(asked_for("agent_log", 5), "7");
    ck_assert_int_eq(ask_as(LOGS, "", "{\"offset\": 0, \"base64\": \"aGkK\"}"), 200);
    ck_assert_str_eq(stored(), "hi\n");
}
END_TEST

/* A secret in two pieces: its first half is not taken, and comes again with the second. */
START_TEST(a_secret_that_is_cut_is_not_stored)
{
    static const char secret[] = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    char piece[200];
    api_sql("agent_log", OK("{}"));
    snprintf(piece, sizeof piece, "one %.20s", secret);
    ask_as(LOGS "?offset=0", "", piece);
    ck_assert_str_eq(stored(), "one ");
    snprintf(piece, sizeof piece, "%s\ntwo\n", secret);
    ask_as(LOGS "?offset=4", "", piece);
    ck_assert_str_eq(stored(), "ghp_************************************\ntwo\n");
    ask_as(LOGS "?offset=49&last=true", "", "the end");
    ck_assert_str_eq(stored(), "the end");
    api.server.config->orchestrator.http_pull_token = mem_strdup("shared-by-all-agents.!");
    ask_as(LOGS "?offset=0", "", "with shared-by-all-agents.!\n");
    ck_assert_str_eq(stored(), "with **********************\n");
}
END_TEST

static const struct {
    const char *query, *headers, *body;
} bad_output[] = {{"?stream=stdout&offset=-1", "", "x"},
                  {"?offset=x", "", "x"},
                  {"?offset=0&last=yes", "", "x"},
                  {"?offset=0&attempt=0", "", "x"},
                  {"", API_JSON, "{\"text\": \"no offset\"}"},
                  {"", API_JSON, "{\"offset\": 0, \"base64\": \"?\"}"},
                  {"", API_JSON, "{\"offset\": 0, \"text\": \"a\", \"base64\": \"aGkK\"}"},
                  {"", API_JSON, "{\"offset\": 0, \"text\": 1}"}};

START_TEST(output_that_is_wrong)
{
    char target[200];
    api_sql("agent_log", OK("{}"));
    snprintf(target, sizeof target, LOGS "%s", bad_output[_i].query);
    ask_as(target, bad_output[_i].headers, bad_output[_i].body);
    api_is_error(422, "invalid_value");
    ck_assert_int_eq(api_asked("agent_log")->calls, 0);
}
END_TEST

#define COUNT(list) ((int)(sizeof list / sizeof *list))

/* Each endpoint of agents that takes a body, and what is no object. */
START_TEST(a_body_that_is_no_object_is_refused_once)
{
    static const char *const paths[] = {"/api/v1/agents/register",   "/api/v1/agents/heartbeat",
                                        "/api/v1/agents/deregister", "/api/v1/tasks/dequeue",
                                        "/api/v1/tasks/t/status",    "/api/v1/tasks/t/logs",
                                        "/api/v1/tasks/t/complete"};
    static const char *const bodies[] = {"7", "null", "[]", "\"x\"", "{"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t k = 0; k < sizeof bodies / sizeof bodies[0]; k++)
            ck_assert_int_eq(api_ask("agent", "POST", paths[i], bodies[k]), 400);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("agent");
    tcase_add_test(tcase, a_registration_gets_a_token_of_which_the_database_has_the_hash);
    tcase_add_test(tcase, a_refused_registration_gets_none);
    tcase_add_test(tcase, a_heartbeat_of_any_type);
    tcase_add_loop_test(tcase, bodies_that_are_none, 0, COUNT(bad_bodies));
    tcase_add_loop_test(tcase, dequeues_that_are_wrong, 0, COUNT(bad_dequeues));
    tcase_add_test(tcase, who_may_not_ask_is_told_why);
    tcase_add_test(tcase, status_and_receipt_are_passed_on);
    tcase_add_test(tcase, a_receipt_is_stored_without_secrets);
    tcase_add_test(tcase, output_as_bytes);
    tcase_add_test(tcase, output_as_json);
    tcase_add_test(tcase, a_secret_that_is_cut_is_not_stored);
    tcase_add_loop_test(tcase, output_that_is_wrong, 0, COUNT(bad_output));
    tcase_add_test(tcase, a_body_that_is_no_object_is_refused_once);
    return api_run(tcase);
}
