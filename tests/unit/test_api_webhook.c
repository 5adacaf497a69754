/* POST /api/v1/webhooks/forgejo: what a delivery has to bring, and what becomes of it. */
#include "tests/unit/api_scene.h"

#define HOOK "/api/v1/webhooks/forgejo"
#define SECRET "the-secret-of-these-tests"
#define PREVIOUS "the-secret-that-was-before"
#define MOON "the-secret-of-another-repository"
#define ID "c10f7832-0001-4002-8003-123456789abc"

#define DIGEST "64b483d2ef49a2da150a4ab1ea40e69ccca001b952b6fd4cf6b6bd879b97a5e5" /* of issue */

static const char issue[] =
    "{\"action\": \"label_updated\", \"number\": 42, \"repository\": {\"id\": 9, \"full_name\": "
    "\"acme/rocket\"}, \"sender\": {\"id\": 3, \"login\": \"octo\"}, \"issue\": {\"id\": 1042, "
    "\"number\": 42, \"title\": "
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
             "\n  webhook_secrets: [ { repositories: [ acme/moon ], secret: " MOON
             " } ]\n  repositories: [ acme/rocket, acme/moon ]\n  trigger_users: [ octo ]\n"
             "  events: [ issue_label, push ]\n"
             "orchestrator: { task_timeout_secs: 61, default_max_retries: 3, "
             "max_attempts_total: 9 }\n");
    api_sql("receive_event",
            "result=accepted;reason=submitted;detail=<null>;task_id=acme/rocket#42");
    api_sql("wake", "wake=");
}

START_TEST(a_signed_delivery_is_taken)
{
    ck_assert_int_eq(deliver(SECRET, issue), 202);
    ck_assert_str_eq(api.body, "{\"delivery\": \"" ID "\", \"result\": \"accepted\", \"reason\": "
                               "\"submitted\", \"task_id\": \"acme/rocket#42\"}");
    const char *const wanted[] = {
        "{\"kind\":\"issue\",\"action\":\"label_updated\",\"repository\":{\"id\":9,\"full_name\":"
        "\"acme\\/rocket\",\"default_branch\":\"\"},\"sender\":{\"login\":\"octo\",\"id\":3},"
        "\"issue\":{\"milestone\":\"\",\"id\":1042,\"number\":42,\"title\":\"Fuel\",\"body\":"
        "\"Tank it\",\"state\":\"open\",\"updated_at\":\"2026-01-02T03:04:05Z\",\"html_url\":"
        "\"https:\\/\\/git.example.org\\/i\\/42\",\"author\":\"\",\"author_id\":0,\"labels\":[{"
        "\"id\":0,\"name\":\"bug\"},{\"id\":0,\"name\":\"agent:\\\"x\\\"\"}]},\"delivery\":\"" ID
        "\",\"sha256\":\"" DIGEST "\",\"event\":\"issues\",\"event_type\":\"issue_label\","
        "\"refusal\":null,\"signer\":{\"covers\":[\"*\"],\"but\":[\"acme\\/"
        "moon\"]},\"trusted\":true,\"reads\":false,\"timeout_secs\":61,\"max_retries\":3,"
        "\"max_attempts_total\":9}"};
    ck_assert_int_eq(api_asked("receive_event")->count, 1);
    api_was_asked("receive_event", wanted);
    /* Forgejo waits for five seconds */
    ck_assert_int_le(api_asked("receive_event")->until_ms, clock_ms() + 4000);
    ck_assert_int_gt(api_asked("receive_event")->until_ms, 0);
}
END_TEST

START_TEST(the_secret_before_counts_too)
{
    ck_assert_int_eq(deliver(PREVIOUS, issue), 202);
    deliver("another-secret-altogether", issue);
    api_is_error(401, "bad_signature");
    ck_assert_int_eq(api_asked("receive_event")->calls, 1);
}
END_TEST

/* A text of the issue's in place of another, both of the same length. */
static char *with(const char *from, const char *to)
{
    static char text[sizeof issue];
    memcpy(text, issue, sizeof issue);
    for (char *at = text; (at = strstr(at, from)) != NULL; at += strlen(to))
        memcpy(at, to, strlen(to));
    return text;
}

START_TEST(secrets_may_not_be_crossed)
{
    deliver(MOON, issue);
    api_is_error(401, "bad_signature");
    char moon[sizeof issue];
    snprintf(moon, sizeof moon, "%s", issue);
    memmove(strstr(moon, "rocket") + 4, strstr(moon, "rocket") + 6,
            strlen(strstr(moon, "rocket")) - 5);
    memcpy(strstr(moon, "acme/") + 5, "moon", 4);
    deliver(SECRET, moon);
    api_is_error(401, "bad_signature");
    ck_assert_int_eq(api_asked("receive_event")->calls, 0);
    ck_assert_int_eq(deliver(MOON, moon), 202);
}
END_TEST

/* The signature of a form is that of the JSON in it. */
START_TEST(a_form_is_taken)
{
    char headers[1000], body[3 * sizeof issue + 10] = "payload=";
    size_t at = strlen(body);
    for (const char *c = issue; *c != '\0'; c++)
        at += (size_t)snprintf(body + at, sizeof body - at, *c == ' ' ? "+" : "%%%02X",
                               (unsigned char)*c);
    sign(headers, sizeof headers, SECRET, issue);
    char *type = strstr(headers, "application/json");
    memmove(type + 33, type + 16, strlen(type + 16) + 1);
    memcpy(type, "application/x-www-form-urlencoded", 33);
    ck_assert_int_eq(api_ask_with("POST", HOOK, headers, body), 202);
    ck_assert_ptr_nonnull(strstr(api_asked("receive_event")->last[0], "\"sha256\":\"" DIGEST));
    body[at - 1] = 'x';
    api_ask_with("POST", HOOK, headers, body);
    api_is_error(401, "bad_signature");
    sign(headers, sizeof headers, SECRET, body);
    memmove(type + 33, type + 16, strlen(type + 16) + 1);
    memcpy(type, "application/x-www-form-urlencoded", 33);
    api_ask_with("POST", HOOK, headers, body);
    api_is_error(401, "bad_signature");
}
END_TEST

START_TEST(what_is_not_on_a_list_is_told_to_sql)
{
    api_sql("receive_event", "result=ignored;reason=x;detail=<null>;task_id=<null>");
    ck_assert_int_eq(deliver(SECRET, with("rocket", "socket")), 202);
    ck_assert_ptr_nonnull(strstr(api_asked("receive_event")->last[0], "repository_not_allowed"));
    char headers[1000];
    sign(headers, sizeof headers, SECRET, issue);
    memcpy(strstr(headers, "Event-Type: issue_label"), "Event-Xxxx", 10);
    ck_assert_int_eq(api_ask_with("POST", HOOK, headers, issue), 202);
    ck_assert_ptr_nonnull(strstr(api_asked("receive_event")->last[0], "event_not_allowed"));
}
END_TEST

START_TEST(an_unsigned_delivery_asks_nothing)
{
    api_ask_with("POST", HOOK, API_JSON "X-Forgejo-Delivery: " ID "\r\n", issue);
    api_is_error(401, "bad_signature");
    ck_assert_int_eq(api_asked("receive_event")->calls, 0);
}
END_TEST

START_TEST(what_was_accepted_wakes_the_workers)
{
    deliver(SECRET, issue);
    ck_assert_int_eq(api_asked("wake")->calls, 1);
    api_sql("receive_event", "result=ignored;reason=stale;detail=<null>;task_id=<null>");
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
    api_sql("receive_event",
            "result=ignored;reason=sender_not_allowed;detail=not so;task_id=<null>");
    ck_assert_int_eq(deliver(SECRET, with("octo", "evil")), 202);
    api_has("\"detail\": \"not so\"");
    ck_assert_ptr_nonnull(strstr(api_asked("receive_event")->last[0], "\"trusted\":false"));
}
END_TEST

START_TEST(no_database_is_said)
{
    api_sql_fails("receive_event", "08001");
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
    ck_assert_int_eq(api_asked("receive_event")->calls, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("webhook");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_hook, api_teardown);
    tcase_add_test(tcase, a_signed_delivery_is_taken);
    tcase_add_test(tcase, the_secret_before_counts_too);
    tcase_add_test(tcase, secrets_may_not_be_crossed);
    tcase_add_test(tcase, a_form_is_taken);
    tcase_add_test(tcase, what_is_not_on_a_list_is_told_to_sql);
    tcase_add_test(tcase, an_unsigned_delivery_asks_nothing);
    tcase_add_test(tcase, what_was_accepted_wakes_the_workers);
    tcase_add_test(tcase, a_delivery_may_be_too_large);
    tcase_add_test(tcase, who_may_not_is_told_to_sql);
    tcase_add_test(tcase, no_database_is_said);
    tcase_add_test(tcase, what_is_no_delivery);
    return api_run(tcase);
}
