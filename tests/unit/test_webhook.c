/* server/webhook: signatures, forms, events, and what the configuration admits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/value.h"
#include "server/webhook/admit.h"
#include "server/webhook/event.h"
#include "server/webhook/form.h"
#include "server/webhook/signature.h"

#include "common/text.h"

static struct error err;
static uint8_t mac[SHA256_SIZE];

/* --- signatures --- */

static const char good[] = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";

static struct signature_header header(const char *value)
{
    return (struct signature_header){value, strlen(value), 1};
}

START_TEST(a_signature_is_read_and_compared)
{
    struct signature_headers headers = {.forgejo = header(good)};
    ck_assert(signature_read(&headers, mac, &err));
    ck_assert(signature_fits("", "", 0, mac) == false); /* no secret fits nothing */
    ck_assert(!signature_fits(NULL, "", 0, mac));
    crypto_hmac_sha256("secret", 6, "body\n", 5, mac);
    ck_assert(signature_fits("secret", "body\n", 5, mac));
    ck_assert(!signature_fits("secret", "body", 4, mac)); /* nothing is trimmed */
    ck_assert(!signature_fits("Secret", "body\n", 5, mac));
    mac[31] ^= 1;
    ck_assert(!signature_fits("secret", "body\n", 5, mac));
}
END_TEST

/* Every form of header that Forgejo, Gitea and Gogs send, and what is none of them. */
START_TEST(one_header_decides)
{
    static char prefixed[80], upper[80], longer[80], odd[80], old[80];
    snprintf(prefixed, sizeof prefixed, "sha256=%s", good);
    snprintf(longer, sizeof longer, "%s0", good);
    snprintf(odd, sizeof odd, "%.63sg", good);
    snprintf(old, sizeof old, "sha1=%.40s", good);
    for (size_t i = 0; i <= strlen(good); i++)
        upper[i] = (char)(good[i] >= 'a' ? good[i] - 'a' + 'A' : good[i]);
    const struct {
        const char *forgejo, *gitea, *gogs, *hub;
        bool read;
    } rows[] = {
        {good, NULL, NULL, NULL, true},
        {upper, NULL, NULL, NULL, true},
        {NULL, good, NULL, NULL, true},
        {NULL, NULL, good, NULL, true},
        {NULL, NULL, NULL, prefixed, true},
        {NULL, good, NULL, "sha256=", true}, /* the first that is there, alone */
        {"", good, good, prefixed, false},
        {NULL, "", good, prefixed, false},
        {NULL, NULL, "", prefixed, false},
        {NULL, NULL, NULL, NULL, false},
        {"", "", "", "sha256=", false}, /* of a hook without a secret */
        {NULL, NULL, NULL, "sha256=", false},
        {NULL, NULL, NULL, good, false},
        {NULL, NULL, NULL, old, false},
        {prefixed, NULL, NULL, NULL, false},
        {NULL, prefixed, NULL, NULL, false},
        {old, NULL, NULL, NULL, false},
        {longer, NULL, NULL, NULL, false},
        {odd, NULL, NULL, NULL, false},
        {"0", NULL, NULL, NULL, false},
        {" b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5a", NULL, NULL, NULL,
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct signature_headers headers = {0};
        if (rows[i].forgejo != NULL)
            headers.forgejo = header(rows[i].forgejo);
        if (rows[i].gitea != NULL)
            headers.gitea = header(rows[i].gitea);
        if (rows[i].gogs != NULL)
            headers.gogs = header(rows[i].gogs);
        if (rows[i].hub != NULL)
            headers.hub = header(rows[i].hub);
        error_clear(&err);
        ck_assert_msg(signature_read(&headers, mac, &err) == rows[i].read, "row %zu: %s", i,
                      err.text);
        ck_assert_msg((err.text[0] == '\0') == rows[i].read, "row %zu", i);
    }
    struct signature_headers twice = {.forgejo = header(good)};
    twice.forgejo.count = 2;
    ck_assert(!signature_read(&twice, mac, &err));
}
END_TEST

/* --- forms --- */

START_TEST(a_form_is_decoded)
{
    static const struct {
        const char *form, *json; /* NULL: refused */
    } rows[] = {
        {"payload=%7B%22a%22%3A+%22%26%2B%22%7D%0A", "{\"a\": \"&+\"}\n"},
        {"payload={}", "{}"},
        {"payload=%c3%A4", "\xc3\xa4"},
        {"payload=", ""},
        {"payload=%", NULL},
        {"payload=%7", NULL},
        {"payload=%7g", NULL},
        {"payload={}&payload={}", NULL},
        {"x=1&payload={}", NULL},
        {"Payload={}", NULL},
        {"payload", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf json;
        bool done = form_payload(rows[i].form, strlen(rows[i].form), &json, &err);
        ck_assert_msg(done == (rows[i].json != NULL), "%s", rows[i].form);
        if (done)
            ck_assert_str_eq(buf_text(&json), rows[i].json);
        buf_release(&json);
    }
}
END_TEST

/* --- events --- */

START_TEST(events_have_kinds)
{
    static const struct {
        const char *event, *type;
        enum event_kind kind;
    } rows[] = {
        {"issues", "issues", EVENT_ISSUE},
        {"issues", "issue_assign", EVENT_ISSUE},
        {"issues", "issue_label", EVENT_ISSUE},
        {"issues", "issue_milestone", EVENT_ISSUE},
        {"issues", "", EVENT_ISSUE},
        {"", "issue_label", EVENT_ISSUE},
        {"issue_comment", "issue_comment", EVENT_COMMENT},
        {"issue_comment", "pull_request_comment", EVENT_COMMENT},
        {"issue_comment", "", EVENT_COMMENT},
        {"", "pull_request_comment", EVENT_COMMENT},
        {"pull_request", "pull_request", EVENT_PULL},
        {"pull_request", "pull_request_assign", EVENT_PULL},
        {"pull_request", "pull_request_label", EVENT_PULL},
        {"pull_request", "pull_request_milestone", EVENT_PULL},
        {"pull_request", "pull_request_sync", EVENT_PULL},
        {"pull_request", "pull_request_review_request", EVENT_PULL},
        {"pull_request", "", EVENT_PULL},
        {"pull_request_approved", "pull_request_review_approved", EVENT_REVIEW},
        {"pull_request_rejected", "pull_request_review_rejected", EVENT_REVIEW},
        {"pull_request_comment", "pull_request_review_comment", EVENT_REVIEW},
        {"pull_request_comment", "", EVENT_REVIEW}, /* the name, not the type */
        {"push", "push", EVENT_PUSH},
        {"delete", "delete", EVENT_DELETE},
        {"create", "create", EVENT_UNUSED},
        {"release", "", EVENT_UNUSED},
        {"action_run_failure", "action_run_failure", EVENT_UNUSED},
        {"", "package", EVENT_UNUSED}, /* Forgejo has no name for it */
        {"", "", EVENT_UNKNOWN},
        {"Issues", "", EVENT_UNKNOWN},
        {"issues", "push", EVENT_UNKNOWN},
        {"push", "issue_label", EVENT_UNKNOWN},
        {"pull_request_comment", "pull_request_comment", EVENT_UNKNOWN},
        {"brand_new", "brand_new", EVENT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(event_kind_of(rows[i].event, rows[i].type) == rows[i].kind, "%s/%s is a %s",
                      rows[i].event, rows[i].type,
                      event_kind_name(event_kind_of(rows[i].event, rows[i].type)));
    ck_assert_str_eq(event_word("issues", "issue_label"), "issue_label");
    ck_assert_str_eq(event_word("issues", ""), "issues");
}
END_TEST

/* --- what is admitted --- */

static bool listed(const char *entry, const char *repo)
{
    char *items[] = {(char *)entry};
    struct config config = {.forgejo.repositories = {items, entry[0] != '\0'}};
    return admit_repository(&config, repo);
}

START_TEST(only_listed_repositories_are_admitted)
{
    ck_assert(listed("acme/rocket", "Acme/Rocket"));
    ck_assert(listed("*", "Acme/Rocket"));
    ck_assert(listed("acme/*", "Acme/Rocket"));
    ck_assert(!listed("acm/*", "Acme/Rocket"));
    ck_assert(!listed("acme/rock", "Acme/Rocket"));
    ck_assert(!listed("*/rocket", "Acme/Rocket"));
    ck_assert(!listed("", "Acme/Rocket"));
}
END_TEST

static bool trusted(const char *entry, const char *login)
{
    char *items[] = {(char *)entry};
    struct config config = {.forgejo.trigger_users = {items, entry[0] != '\0'}};
    return admit_sender(&config, login);
}

START_TEST(only_listed_senders_are_trusted)
{
    ck_assert(trusted("octo", "Octo"));
    ck_assert(trusted("*", "Octo"));
    ck_assert(!trusted("oct", "Octo"));
    ck_assert(!trusted("", "Octo"));
}
END_TEST

/* Who keeps one repository's hook signs for that one, and no other. */
START_TEST(secrets_sign_for_their_own_repositories)
{
    char *rocket[] = {(char *)"acme/rocket"}, *all[] = {(char *)"acme/*"},
         *moon[] = {(char *)"b/moon"};
    char general[] = "general", before[] = "general before", one[] = "rocket's",
         one_before[] = "rocket's before", two[] = "acme's", three[] = "moon's";
    struct config_signer signers[] = {
        {{rocket, 1}, one, one_before}, {{all, 1}, two, NULL}, {{moon, 1}, three, NULL}};
    struct config config = {.forgejo.webhook_secret = general,
                            .forgejo.webhook_secret_previous = before,
                            .forgejo.signers = signers,
                            .forgejo.signer_count = 3};
    static const struct {
        const char *secret, *repo;
        bool fits;
    } rows[] = {
        {"general", "c/free", true},
        {"general before", "c/free", true},
        {"general", "acme/rocket", false},
        {"general before", "b/moon", false},
        {"rocket's", "Acme/Rocket", true},
        {"rocket's before", "acme/rocket", true},
        {"acme's", "acme/rocket", true},
        {"acme's", "acme/other", true},
        {"rocket's", "acme/other", false},
        {"rocket's", "b/moon", false},
        {"rocket's", "c/free", false},
        {"moon's", "acme/rocket", false},
        {"moon's", "b/moon", true},
        {"moon's", NULL, true},
        {"rocket's before", NULL, true},
        {"general before", NULL, true},
        {"another", NULL, false},
        {"another", "b/moon", false},
        {"", "c/free", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        crypto_hmac_sha256(rows[i].secret, strlen(rows[i].secret), "{}", 2, mac);
        ck_assert_msg(admit_signed(&config, rows[i].repo, "{}", 2, mac) == rows[i].fits,
                      "%s for %s", rows[i].secret, rows[i].repo != NULL ? rows[i].repo : "any");
    }
    static const char *const whose[][2] = {
        {"general", "{\"covers\":[\"*\"],\"but\":[\"acme\\/rocket\",\"acme\\/*\",\"b\\/moon\"]}"},
        {"rocket's before", "{\"covers\":[\"acme\\/rocket\"]}"}};
    for (size_t i = 0; i < 2; i++) {
        crypto_hmac_sha256(whose[i][0], strlen(whose[i][0]), "{}", 2, mac);
        struct json_object *signer = admit_signer(&config, "{}", 2, mac);
        ck_assert_str_eq(json_object_to_json_string_ext(signer, JSON_C_TO_STRING_PLAIN),
                         whose[i][1]);
        json_object_put(signer);
    }
    ck_assert(admit_has_secret(&config));
    config.forgejo.webhook_secret = config.forgejo.webhook_secret_previous = NULL;
    ck_assert(admit_has_secret(&config)); /* those of repositories are left */
    config.forgejo.signer_count = 0;
    ck_assert(!admit_has_secret(&config));
    ck_assert_ptr_null(admit_signer(&config, "{}", 2, mac));
}
END_TEST

START_TEST(listed_events_are_admitted)
{
    char *items[] = {(char *)"issue_label", (char *)"push"};
    struct config config = {.forgejo.events = {items, 2}};
    ck_assert(admit_event(&config, "push") && !admit_event(&config, "issues"));
    config.forgejo.events.count = 0;
    ck_assert(admit_event(&config, "issues"));
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
    tcase_add_test(tests, a_form_is_decoded);
    tcase_add_test(tests, events_have_kinds);
    tcase_add_test(tests, only_listed_repositories_are_admitted);
    tcase_add_test(tests, only_listed_senders_are_trusted);
    tcase_add_test(tests, secrets_sign_for_their_own_repositories);
    tcase_add_test(tests, listed_events_are_admitted);
    tcase_add_test(tests, values_have_shapes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
