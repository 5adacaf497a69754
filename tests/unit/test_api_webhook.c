/* POST /api/v1/webhooks/forgejo: what a delivery has to bring, and what becomes of it. */
#include "tests/unit/api_scene.h"

#define HOOK "/api/v1/webhooks/forgejo"
#define SECRET "the-secret-of-these-tests"
#define PREVIOUS "the-secret-that-was-before"
#define ID "c10f7832-0001-4002-8003-123456789abc"

static const char issue[] =
    "{\"action\": \"label_updated\", \"number\": 42, \"repository\": {\"full_name\": "
    "\"acme/rocket\"}, \"sender\": {\"login\": \"octo\"}, \"issue\": {\"number\": 42, \"title\": "
    "\"Fuel\", \"body\": \"Tank it\", \"state\": \"open\", \"updated_at\": "
    "\"2026-01-02T03:04:05Z\", \"html_url\": \"https://git.example.org/i/42\", \"user\": {}, "
    "\"labels\": [{\"name\": \"bug\"}, {\"name\": \"agent:\\\"x\\\"\"}]}}";

static void sign(char *headers, size_t size, const char *secret, const char *body)
{
    uint8_t mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    crypto_hmac_sha256(secret, strlen(secret), body, strlen(body), mac);
    crypto_hex(mac, sizeof mac, hex);
    snprintf(headers, size,
             API_JSON "X-Forgejo-Delivery: " ID "\r\nX-Forgejo-Event: issues\r\n"
                      "X-Forgejo-Event-Type: issue_label\r\nX-Forgejo-Signature: %s\r\n",
             hex);
}

static int deliver(const char *secret, const char *body)
{
    char headers[1000];
    sign(headers, sizeof headers, secret, body);
    return api_ask_with("POST", HOOK, headers, body);
}

static void open_hook(void)
{
    api_open("forgejo:\n  webhook_secret: " SECRET "\n  webhook_secret_previous: " PREVIOUS
             "\n  repositories: [ acme/rocket ]\n  trigger_users: [ octo ]\n"
             "orchestrator: { task_timeout_secs: 61, default_max_retries: 3, "
             "max_attempts_total: 9 }\n");
    api_sql("receive_delivery",
            "result=accepted;reason=submitted;detail=<null>;task_id=acme/rocket#42");
    api_sql("wake", "wake=");
}

START_TEST(a_signed_delivery_is_taken)
{
    ck_assert_int_eq(deliver(SECRET, issue), 202);
    ck_assert_str_eq(api.body, "{\"delivery\": \"" ID "\", \"result\": \"accepted\", \"reason\": "
                               "\"submitted\", \"task_id\": \"acme/rocket#42\"}");
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    crypto_sha256(issue, strlen(issue), digest);
    crypto_hex(digest, sizeof digest, hex);
    const char *const wanted[] = {ID,
                                  hex,
                                  "issues",
                                  "issue_label",
                                  "label_updated",
                                  "acme/rocket",
                                  "42",
                                  "Fuel",
                                  "Tank it",
                                  "{\"bug\",\"agent:\\\"x\\\"\"}",
                                  "open",
                                  "2026-01-02T03:04:05Z",
                                  "https://git.example.org/i/42",
                                  "octo",
                                  "true",
                                  "<null>",
                                  "61",
                                  "3",
                                  "9"};
    ck_assert_int_eq(api_asked("receive_delivery")->count, sizeof wanted / sizeof wanted[0]);
    api_was_asked("receive_delivery", wanted);
}
END_TEST

START_TEST(the_secret_before_counts_too)
{
    ck_assert_int_eq(deliver(PREVIOUS, issue), 202);
    deliver("another-secret-altogether", issue);
    api_is_error(401, "bad_signature");
    ck_assert_int_eq(api_asked("receive_delivery")->calls, 1);
}
END_TEST

START_TEST(an_unsigned_delivery_asks_nothing)
{
    api_ask_with("POST", HOOK, API_JSON "X-Forgejo-Delivery: " ID "\r\n", issue);
    api_is_error(401, "bad_signature");
    ck_assert_int_eq(api_asked("receive_delivery")->calls, 0);
}
END_TEST

START_TEST(what_was_accepted_wakes_the_workers)
{
    deliver(SECRET, issue);
    ck_assert_int_eq(api_asked("wake")->calls, 1);
    api_sql("receive_delivery", "result=ignored;reason=stale;detail=<null>;task_id=<null>");
    ck_assert_int_eq(deliver(SECRET, issue), 202);
    api_has("\"result\": \"ignored\", \"reason\": \"stale\"}");
    ck_assert_int_eq(api_asked("wake")->calls, 1);
}
END_TEST

START_TEST(a_delivery_may_be_too_large)
{
    char *body = mem_alloc(WEBHOOK_BODY_MAX + 2);
    size_t len = strlen(issue);
    memset(body, ' ', WEBHOOK_BODY_MAX + 1);
    memcpy(body, issue, len);
    deliver(SECRET, body);
    api_is_error(413, "body_too_large");
    body[WEBHOOK_BODY_MAX] = '\0';
    ck_assert_int_eq(deliver(SECRET, body), 202);
    free(body);
}
END_TEST

START_TEST(who_may_not_is_told_to_sql)
{
    char other[sizeof issue];
    memcpy(other, issue, sizeof issue);
    memcpy(strstr(other, "octo"), "evil", 4);
    api_sql("receive_delivery",
            "result=ignored;reason=sender_not_allowed;detail=not so;task_id=<null>");
    ck_assert_int_eq(deliver(SECRET, other), 202);
    api_has("\"detail\": \"not so\"");
    ck_assert_str_eq(api_asked("receive_delivery")->last[14], "false");
    ck_assert_str_eq(api_asked("receive_delivery")->last[15], "sender_not_allowed");
}
END_TEST

START_TEST(no_database_is_said)
{
    api_sql_fails("receive_delivery", "08001");
    ck_assert_int_eq(deliver(SECRET, issue), 503);
    ck_assert_int_eq(api_asked("wake")->calls, 0);
}
END_TEST

START_TEST(what_is_no_delivery)
{
    char headers[1000];
    sign(headers, sizeof headers, SECRET, issue);
    memcpy(strstr(headers, "application/json"), "text/plain;abcde", 16);
    api_ask_with("POST", HOOK, headers, issue);
    api_is_error(415, "unsupported_media_type");
    sign(headers, sizeof headers, SECRET, issue);
    memcpy(strstr(headers, ID), "xxxxxxxx", 8);
    api_ask_with("POST", HOOK, headers, issue);
    api_is_error(400, "malformed_delivery");
    deliver(SECRET, "{}");
    api_is_error(400, "malformed_payload");
    ck_assert_int_eq(api_asked("receive_delivery")->calls, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("webhook");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_hook, api_teardown);
    tcase_add_test(tcase, a_signed_delivery_is_taken);
    tcase_add_test(tcase, the_secret_before_counts_too);
    tcase_add_test(tcase, an_unsigned_delivery_asks_nothing);
    tcase_add_test(tcase, what_was_accepted_wakes_the_workers);
    tcase_add_test(tcase, a_delivery_may_be_too_large);
    tcase_add_test(tcase, who_may_not_is_told_to_sql);
    tcase_add_test(tcase, no_database_is_said);
    tcase_add_test(tcase, what_is_no_delivery);
    return api_run(tcase);
}
