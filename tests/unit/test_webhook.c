/* server/forgejo: signatures, events and issue payloads of deliveries. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/value.h"
#include "server/webhook/forgejo.h"

#include "common/text.h"

static struct error err;
static uint8_t mac[SHA256_SIZE];

/* --- signatures --- */

static const char good[] = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";

static struct forgejo_header header(const char *value)
{
    return (struct forgejo_header){value, strlen(value), 1};
}

START_TEST(a_signature_is_read_and_compared)
{
    struct forgejo_signatures headers = {.forgejo = header(good)};
    ck_assert(forgejo_signature(&headers, mac, &err));
    ck_assert(forgejo_signed_with("", "", 0, mac) == false); /* no secret fits nothing */
    ck_assert(!forgejo_signed_with(NULL, "", 0, mac));
    crypto_hmac_sha256("secret", 6, "body\n", 5, mac);
    ck_assert(forgejo_signed_with("secret", "body\n", 5, mac));
    ck_assert(!forgejo_signed_with("secret", "body", 4, mac)); /* nothing is trimmed */
    ck_assert(!forgejo_signed_with("Secret", "body\n", 5, mac));
    mac[31] ^= 1;
    ck_assert(!forgejo_signed_with("secret", "body\n", 5, mac));
}
END_TEST

START_TEST(one_header_decides)
{
    char prefixed[80];
    snprintf(prefixed, sizeof prefixed, "sha256=%s", good);
    struct forgejo_signatures headers = {.hub = header(prefixed)};
    ck_assert(forgejo_signature(&headers, mac, &err));
    headers = (struct forgejo_signatures){.gitea = header(good), .hub = header("sha256=")};
    ck_assert(forgejo_signature(&headers, mac, &err));
    headers = (struct forgejo_signatures){.forgejo = header(""), .gitea = header(good)};
    ck_assert(!forgejo_signature(&headers, mac, &err));
    headers = (struct forgejo_signatures){.forgejo = header(good)};
    headers.forgejo.count = 2;
    ck_assert(!forgejo_signature(&headers, mac, &err));
    headers = (struct forgejo_signatures){0};
    ck_assert(!forgejo_signature(&headers, mac, &err));
}
END_TEST

START_TEST(odd_signatures_are_refused)
{
    char longer[80], odd[80];
    snprintf(longer, sizeof longer, "%s0", good);
    snprintf(odd, sizeof odd, "%.63sg", good);
    const char *bad[] = {"",
                         "sha256=",
                         "0",
                         longer,
                         odd,
                         "sha1=0123456789012345678901234567890123456789",
                         " b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct forgejo_signatures headers = {.forgejo = header(bad[i])};
        ck_assert_msg(!forgejo_signature(&headers, mac, &err), "%s", bad[i]);
    }
}
END_TEST

START_TEST(events_are_sorted)
{
    ck_assert_int_eq(forgejo_event_of("issues", "issues"), FORGEJO_ISSUE);
    ck_assert_int_eq(forgejo_event_of("issues", "issue_label"), FORGEJO_ISSUE);
    ck_assert_int_eq(forgejo_event_of("issues", ""), FORGEJO_ISSUE);
    ck_assert_int_eq(forgejo_event_of("issues", "issue_assign"), FORGEJO_OTHER);
    ck_assert_int_eq(forgejo_event_of("pull_request_comment", "x"), FORGEJO_OTHER);
    ck_assert_int_eq(forgejo_event_of("", "package"), FORGEJO_OTHER);
    ck_assert_int_eq(forgejo_event_of("", ""), FORGEJO_UNKNOWN);
    ck_assert_int_eq(forgejo_event_of("Issues", ""), FORGEJO_UNKNOWN);
}
END_TEST

/* --- payloads --- */

static const char payload[] =
    "{\n  \"action\": \"label_updated\",\n  \"number\": 7,\n"
    "  \"issue\": {\"id\": 1007, \"number\": 7, \"user\": {\"id\": 3, \"login\": \"octo\"},\n"
    "    \"title\": \"Fix \\u003cit\\u003e\", \"body\": \"Please.\\r\\n\", \"state\": \"open\",\n"
    "    \"labels\": [{\"id\": 1, \"name\": \"agent:code:rust\"}, {\"id\": 2, \"name\": "
    "\"bug\"}],\n"
    "    \"updated_at\": \"2026-11-01T10:00:00+01:00\", \"assignees\": null, \"pull_request\": "
    "null,\n"
    "    \"html_url\": \"https://git.example.org/acme/rocket/issues/7\",\n"
    "    \"repository\": {\"id\": 9, \"owner\": \"acme\", \"full_name\": \"acme/rocket\"}},\n"
    "  \"repository\": {\"id\": 9, \"full_name\": \"acme/rocket\", \"owner\": {\"login\": "
    "\"acme\"}},\n"
    "  \"sender\": {\"id\": 3, \"login\": \"octo\"}, \"commit_id\": \"\"\n}";

/* The payload with one text replaced. */
static char *with(const char *from, const char *to)
{
    static char text[4096];
    const char *at = strstr(payload, from);
    ck_assert_ptr_nonnull(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - payload), payload, to, at + strlen(from));
    return text;
}

static enum forgejo_parse parse(const char *text, const char *type)
{
    struct forgejo_issue issue;
    err = (struct error){0};
    enum forgejo_parse verdict = forgejo_issue_parse(&issue, text, strlen(text), type, &err);
    ck_assert((verdict == FORGEJO_INVALID) == (err.text[0] != '\0'));
    forgejo_issue_release(&issue);
    return verdict;
}

START_TEST(an_issue_is_read)
{
    struct forgejo_issue issue;
    ck_assert_int_eq(forgejo_issue_parse(&issue, payload, strlen(payload), "issue_label", &err),
                     FORGEJO_PARSED);
    ck_assert_str_eq(issue.action, "label_updated");
    ck_assert_str_eq(issue.repo, "acme/rocket");
    ck_assert_int_eq(issue.number, 7);
    ck_assert_str_eq(issue.title, "Fix <it>");
    ck_assert_str_eq(issue.body, "Please.\r\n");
    ck_assert_str_eq(issue.sender, "octo");
    ck_assert_str_eq(json_object_to_json_string_ext(issue.labels, JSON_C_TO_STRING_PLAIN),
                     "[\"agent:code:rust\",\"bug\"]");
    forgejo_issue_release(&issue);
}
END_TEST

START_TEST(label_cleared_means_no_labels)
{
    struct forgejo_issue issue;
    const char *text = with("label_updated", "label_cleared");
    ck_assert_int_eq(forgejo_issue_parse(&issue, text, strlen(text), "", &err), FORGEJO_PARSED);
    ck_assert_uint_eq(json_object_array_length(issue.labels), 0);
    forgejo_issue_release(&issue);
}
END_TEST

START_TEST(null_and_missing_texts_are_empty)
{
    ck_assert_int_eq(parse(with("\"Please.\\r\\n\"", "null"), ""), FORGEJO_PARSED);
    ck_assert_int_eq(parse(with("\"body\"", "\"nobody\""), ""), FORGEJO_PARSED);
    ck_assert_int_eq(parse(with("\"labels\"", "\"no_labels\""), ""), FORGEJO_PARSED);
    ck_assert_int_eq(parse(with("\"full_name\": \"acme/rocket\"}},", "\"name\": 1}},"), ""),
                     FORGEJO_PARSED);
}
END_TEST

START_TEST(headers_and_body_have_to_agree)
{
    ck_assert_int_eq(parse(payload, "issue_label"), FORGEJO_PARSED);
    ck_assert_int_eq(parse(payload, "issues"), FORGEJO_INVALID);
    ck_assert_int_eq(parse(with("label_updated", "opened"), "issues"), FORGEJO_PARSED);
    ck_assert_int_eq(parse(with("label_updated", "opened"), "issue_label"), FORGEJO_INVALID);
    ck_assert_int_eq(parse(with("label_updated", "pinned"), "issues"), FORGEJO_IGNORED);
    ck_assert_int_eq(parse(with("label_updated", ""), "issues"), FORGEJO_INVALID);
}
END_TEST

START_TEST(other_shapes_are_refused)
{
    static const char *const changes[][2] = {
        {"\"number\": 7, \"user\"", "\"number\": 0, \"user\""},
        {"\"number\": 7, \"user\"", "\"number\": -7, \"user\""},
        {"\"number\": 7, \"user\"", "\"number\": 8, \"user\""},
        {"\"number\": 7, \"user\"", "\"number\": \"7\", \"user\""},
        {"\"number\": 7,\n", "\"number\": 99999999999,\n"},
        {"{\"id\": 3, \"login\": \"octo\"},\n    \"title\"", "null,\n    \"title\""},
        {"\"pull_request\": null", "\"pull_request\": {\"merged\": false}"},
        {"\"commit_id\": \"\"", "\"comment\": {}"},
        {"\"commit_id\": \"\"", "\"pull_request\": {}"},
        {"\"commit_id\": \"\"", "\"review\": {}"},
        {"\"issue\": {\"id\"", "\"thing\": {\"id\""},
        {"\"full_name\": \"acme/rocket\", \"owner\"", "\"full_name\": \"acme/other\", \"owner\""},
        {"\"login\": \"octo\"}, \"commit", "\"login\": \"\"}, \"commit"},
        {"\"state\": \"open\"", "\"state\": \"OPEN\""},
        {"2026-11-01T10", "2026-13-01T10"},
        {"\"title\"", "\"no_title\""},
        {"[{\"id\": 1, \"name\"", "[{\"id\": 1, \"no_name\""},
        {"[{\"id\": 1", "[5, {\"id\": 1"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        ck_assert_msg(parse(with(changes[i][0], changes[i][1]), "") == FORGEJO_INVALID, "%s -> %s",
                      changes[i][0], changes[i][1]);
    static const char *const whole[] = {"", "null", "[]", "{}", "5", "{\"action\":", "\"x\""};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        struct forgejo_issue issue;
        ck_assert_msg(forgejo_issue_parse(&issue, whole[i], strlen(whole[i]), "", &err) ==
                          FORGEJO_INVALID,
                      "%s", whole[i]);
        forgejo_issue_release(&issue);
    }
}
END_TEST

static const char *refusal(const char *repository, const char *user)
{
    struct forgejo_issue issue = {.repo = "Acme/Rocket", .sender = "Octo"};
    char *repositories[] = {(char *)repository}, *users[] = {(char *)user};
    struct config_list first = {repositories, repository != NULL}, second = {users, user != NULL};
    const char *reason = forgejo_refusal(&issue, &first, &second);
    return reason != NULL ? reason : "";
}

START_TEST(only_the_listed_may_start_work)
{
    ck_assert_str_eq(refusal("acme/rocket", "octo"), "");
    ck_assert_str_eq(refusal("*", "*"), "");
    ck_assert_str_eq(refusal("acme/*", "OCTO"), "");
    ck_assert_str_eq(refusal("acm/*", "octo"), "repository_not_allowed");
    ck_assert_str_eq(refusal("acme/rock", "octo"), "repository_not_allowed");
    ck_assert_str_eq(refusal("*/rocket", "octo"), "repository_not_allowed");
    ck_assert_str_eq(refusal(NULL, "*"), "repository_not_allowed");
    ck_assert_str_eq(refusal("*", NULL), "sender_not_allowed");
    ck_assert_str_eq(refusal("*", "oct"), "sender_not_allowed");
}
END_TEST

START_TEST(values_have_shapes)
{
    static const char *const times[] = {"2026-11-01T10:00:00Z", "2024-02-29T23:59:59.123456+15:59",
                                        "0001-01-01T00:00:00Z", "1970-01-01t00:00:00z"};
    static const char *const no_times[] = {"",
                                           "2026-11-01",
                                           "2026-02-29T00:00:00Z",
                                           "0000-01-01T00:00:00Z",
                                           "2026-11-01T24:00:00Z",
                                           "2026-11-01T10:00:00",
                                           "2026-11-01T10:00:00+16:00",
                                           "2026-11-01T10:00:00.Z",
                                           "2026-11-01T10:00:00Z ",
                                           "2026-11-01 10:00:00Z",
                                           "-026-11-01T10:00:00Z"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        ck_assert_msg(value_is_time(times[i]), "%s", times[i]);
    for (size_t i = 0; i < sizeof no_times / sizeof no_times[0]; i++)
        ck_assert_msg(!value_is_time(no_times[i]), "%s", no_times[i]);
    ck_assert(value_is_uuid("0f8fad5b-d9cb-469f-a165-70867728950e", 36));
    ck_assert(!value_is_uuid("0f8fad5b-d9cb-469f-a165-70867728950", 35));
    ck_assert(!value_is_uuid("0f8fad5b+d9cb-469f-a165-70867728950e", 36));
    ck_assert_uint_eq(text_characters("a\u20acb"), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("webhook");
    TCase *tests = tcase_create("webhook");
    tcase_add_test(tests, a_signature_is_read_and_compared);
    tcase_add_test(tests, one_header_decides);
    tcase_add_test(tests, odd_signatures_are_refused);
    tcase_add_test(tests, events_are_sorted);
    tcase_add_test(tests, an_issue_is_read);
    tcase_add_test(tests, label_cleared_means_no_labels);
    tcase_add_test(tests, null_and_missing_texts_are_empty);
    tcase_add_test(tests, headers_and_body_have_to_agree);
    tcase_add_test(tests, other_shapes_are_refused);
    tcase_add_test(tests, only_the_listed_may_start_work);
    tcase_add_test(tests, values_have_shapes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
