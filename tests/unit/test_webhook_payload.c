/* server/webhook/payload: bodies of every event and action, and those that are something else. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/webhook/payload.h"

#define USER "{\"id\": 3, \"login\": \"octo\", \"active\": false}"
#define REPOSITORY                                                                      \
    "\"repository\": {\"id\": 9, \"owner\": " USER ", \"full_name\": \"acme/rocket\", " \
    "\"default_branch\": \"main\", \"parent\": null}, \"sender\": " USER
#define COMMON                                                                                    \
    "\"number\": 7, \"user\": " USER ", \"original_author\": \"\", \"title\": \"Fix "             \
    "\\u003cit\\u003e\", \"body\": \"Please.\\r\\n\", \"assignees\": null, \"state\": \"open\", " \
    "\"labels\": [{\"id\": 1, \"name\": \"agent:code:rust\"}, {\"id\": 2, \"name\": \"bug\"}], "  \
    "\"updated_at\": \"2026-11-01T10:00:00+01:00\", \"closed_at\": null, \"due_date\": null, "    \
    "\"html_url\": \"https://git.example.org/acme/rocket/issues/7\""
#define ISSUE_OF(pull)                                                                          \
    "\"issue\": {\"id\": 1007, " COMMON ", \"milestone\": {\"id\": 1, \"title\": \"1.0\"}, "    \
    "\"pull_request\": " pull ", \"repository\": {\"id\": 9, \"name\": \"rocket\", \"owner\": " \
    "\"acme\", \"full_name\": \"acme/rocket\"}}"
#define PULL                                                                                   \
    "\"pull_request\": {\"id\": 507, " COMMON ", \"draft\": true, \"merged\": false, "         \
    "\"milestone\": null, \"mergeable\": false, \"head\": {\"label\": \"task/x\", \"ref\": "   \
    "\"task/x\", \"sha\": \"abc\", \"repo_id\": 9, \"repo\": null}, \"base\": {\"label\": "    \
    "\"main\", \"ref\": \"main\", \"sha\": \"def\", \"repo_id\": 9, \"repo\": {\"id\": 9}}}, " \
    "\"requested_reviewer\": null"
#define COMMENT                                                                                   \
    "\"comment\": {\"id\": 70, \"user\": " USER ", \"body\": \"/agent status\", \"created_at\": " \
    "\"2026-11-01T10:00:00Z\", \"updated_at\": \"2026-11-01T10:00:01Z\"}"
#define BRANCH "\"ref\": \"refs/heads/task/x\", \"before\": \"aa\", \"after\": \"bb\""

static const char issue[] =
    "{\"action\": \"%s\", \"number\": 7, " ISSUE_OF("null") ", " REPOSITORY
                                                            ", \"commit_id\": \"\"}";
static const char pull[] = "{\"action\": \"%s\", \"number\": 7, " PULL ", " REPOSITORY
                           ", \"commit_id\": \"\", \"review\": null}";
static const char review[] = "{\"action\": \"%s\", \"number\": 7, " PULL ", " REPOSITORY
                             ", \"review\": {\"type\": \"x\", \"content\": \"no\"}}";
static const char on_issue[] =
    "{\"action\": \"%s\", " ISSUE_OF("null") ", " COMMENT ", " REPOSITORY ", \"is_pull\": false}";
static const char on_pull[] =
    "{\"action\": \"%s\", " ISSUE_OF("{\"merged\": false}") ", " COMMENT ", " PULL ", " REPOSITORY
                                                            ", \"is_pull\": true}";
static const char on_old_pull[] =
    "{\"action\": \"%s\", " ISSUE_OF("{\"merged\": false}") ", " COMMENT ", " REPOSITORY
                                                            ", \"is_pull\": true}";
static const char push[] = "{" BRANCH ", \"commits\": [], \"head_commit\": null, " REPOSITORY "}";
static const char deleted[] = "{\"ref\": \"task/x\", \"ref_type\": \"branch\", " REPOSITORY "}";

static struct error err;
static struct payload payload;

static enum payload_verdict read_text(const char *event, const char *type, const char *text)
{
    payload_release(&payload);
    enum payload_verdict verdict = payload_read(&payload, event, type, text, strlen(text), &err);
    ck_assert_msg((verdict == PAYLOAD_INVALID) == (err.text[0] != '\0'), "%s %s", type, err.text);
    return verdict;
}

/* Reads a body with this action in place of its "%s". */
static enum payload_verdict read_body(const char *event, const char *type, const char *body,
                                      const char *action)
{
    static char text[8192];
    const char *at = strstr(body, "%s");
    if (at == NULL)
        return read_text(event, type, body);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - body), body, action, at + 2);
    return read_text(event, type, text);
}

static const char *member(const char *object, const char *name)
{
    return json_string(json_member(payload.json, object), name, "?");
}

/* --- every event and action --- */

static const struct {
    const char *event, *type, *body, *actions, *kind;
} known[] = {
    {"issues", "issues", issue, "opened closed reopened edited", "issue"},
    {"issues", "issue_assign", issue, "assigned unassigned", "issue"},
    {"issues", "issue_label", issue, "label_updated label_cleared", "issue"},
    {"issues", "issue_milestone", issue, "milestoned demilestoned", "issue"},
    {"issue_comment", "issue_comment", on_issue, "created edited deleted", "comment"},
    {"issue_comment", "pull_request_comment", on_pull, "created edited deleted", "comment"},
    {"issue_comment", "pull_request_comment", on_old_pull, "created edited deleted", "comment"},
    {"pull_request", "pull_request", pull, "opened closed reopened edited", "pull"},
    {"pull_request", "pull_request_assign", pull, "assigned unassigned", "pull"},
    {"pull_request", "pull_request_label", pull, "label_updated label_cleared", "pull"},
    {"pull_request", "pull_request_milestone", pull, "milestoned demilestoned", "pull"},
    {"pull_request", "pull_request_sync", pull, "synchronized", "pull"},
    {"pull_request", "pull_request_review_request", pull, "review_requested review_request_removed",
     "pull"},
    {"pull_request_approved", "pull_request_review_approved", review, "reviewed", "review"},
    {"pull_request_rejected", "pull_request_review_rejected", review, "reviewed", "review"},
    {"pull_request_comment", "pull_request_review_comment", review, "reviewed", "review"},
    {"push", "push", push, "", "push"},
    {"delete", "delete", deleted, "", "delete"},
};
#define KNOWN (sizeof known / sizeof known[0])

static void expect_read(size_t i, const char *event, const char *type, const char *action)
{
    ck_assert_msg(read_body(event, type, known[i].body, action) == PAYLOAD_READ, "%s/%s %s: %s",
                  event, type, action, err.text);
    ck_assert_str_eq(json_string(payload.json, "kind", ""), known[i].kind);
    ck_assert_str_eq(json_string(payload.json, "action", "?"), action);
    ck_assert_str_eq(payload.repo, "acme/rocket");
    ck_assert_str_eq(payload.sender, "octo");
    bool numbered = strcmp(known[i].kind, "push") != 0 && strcmp(known[i].kind, "delete") != 0;
    ck_assert_int_eq(payload.number, numbered ? 7 : 0);
}

START_TEST(every_action_is_read)
{
    for (size_t i = 0; i < KNOWN; i++) {
        char actions[100], *rest = actions;
        snprintf(actions, sizeof actions, "%s", known[i].actions);
        do {
            const char *action = strsep(&rest, " ");
            expect_read(i, known[i].event, known[i].type, action);
            expect_read(i, known[i].event, "", action); /* from who knows no types */
            expect_read(i, "", known[i].type, action);
        } while (rest != NULL);
        enum payload_verdict odd =
            read_body(known[i].event, known[i].type, known[i].body, "pinned");
        if (known[i].actions[0] != '\0')
            ck_assert_msg(odd == PAYLOAD_IGNORED, "%s", known[i].type);
    }
}
END_TEST

/* A delivery relabelled by somebody who caught it: the headers are not signed. */
START_TEST(a_body_under_another_name_is_refused)
{
    for (size_t i = 0; i < KNOWN; i++)
        for (size_t k = 0; k < KNOWN; k++) {
            char action[40];
            snprintf(action, sizeof action, "%s", known[i].actions);
            action[strcspn(action, " ")] = '\0';
            bool same =
                strcmp(known[i].type, known[k].type) == 0 ||
                (known[i].body == known[k].body && strstr(known[k].actions, action) != NULL);
            if (!same)
                ck_assert_msg(read_body(known[k].event, known[k].type, known[i].body, action) ==
                                  PAYLOAD_INVALID,
                              "%s as %s", known[i].type, known[k].type);
        }
}
END_TEST

/* --- what is read --- */

START_TEST(an_issue_is_normalised)
{
    read_body("issues", "issue_label", issue, "label_updated");
    ck_assert_str_eq(json_object_to_json_string_ext(
                         payload.json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                     "{\"kind\":\"issue\",\"action\":\"label_updated\",\"repository\":{\"id\":9,"
                     "\"full_name\":\"acme/rocket\",\"default_branch\":\"main\"},\"sender\":{"
                     "\"login\":\"octo\",\"id\":3},\"issue\":{\"milestone\":\"1.0\",\"id\":1007,"
                     "\"number\":7,\"title\":\"Fix <it>\",\"body\":\"Please.\\r\\n\",\"state\":"
                     "\"open\",\"updated_at\":\"2026-11-01T10:00:00+01:00\",\"html_url\":"
                     "\"https://git.example.org/acme/rocket/issues/7\",\"author\":\"octo\","
                     "\"author_id\":3,\"labels\":[{\"id\":1,\"name\":\"agent:code:rust\"},{\"id\":"
                     "2,\"name\":\"bug\"}]}}");
}
END_TEST

START_TEST(label_cleared_means_no_labels)
{
    read_body("issues", "issue_label", issue, "label_cleared");
    const struct json_object *item = json_member(payload.json, "issue");
    ck_assert_uint_eq(json_object_array_length(json_member(item, "labels")), 0);
}
END_TEST

START_TEST(a_pull_request_is_normalised)
{
    read_body("pull_request_rejected", "pull_request_review_rejected", review, "reviewed");
    const struct json_object *item = json_member(payload.json, "pull");
    ck_assert_int_eq(json_int(item, "id", 0), 507);
    ck_assert(json_flag(item, "draft", false) && !json_flag(item, "merged", true));
    ck_assert_str_eq(json_string(json_member(item, "head"), "ref", ""), "task/x");
    ck_assert_str_eq(json_string(json_member(item, "head"), "sha", ""), "abc");
    ck_assert_int_eq(json_int(json_member(item, "head"), "repository_id", 0), 9);
    ck_assert_str_eq(json_string(json_member(item, "base"), "ref", ""), "main");
    ck_assert_str_eq(member("review", "content"), "no");
}
END_TEST

START_TEST(comments_and_pushes_are_normalised)
{
    read_body("issue_comment", "issue_comment", on_issue, "created");
    ck_assert_str_eq(member("comment", "body"), "/agent status");
    ck_assert_str_eq(member("comment", "by"), "octo");
    ck_assert_str_eq(member("comment", "updated_at"), "2026-11-01T10:00:01Z");
    ck_assert_str_eq(member("issue", "title"), "Fix <it>");
    read_body("issue_comment", "pull_request_comment", on_pull, "created");
    ck_assert_str_eq(member("pull", "title"), "Fix <it>");
    ck_assert_ptr_null(json_member(payload.json, "issue"));
    read_body("push", "push", push, "");
    ck_assert_str_eq(member("push", "ref"), "refs/heads/task/x");
    ck_assert_str_eq(member("push", "after"), "bb");
}
END_TEST

/* Known, and of no use: whatever they hold, as long as it is an object. */
START_TEST(events_without_use_are_read)
{
    ck_assert_int_eq(read_text("", "package", "{\"repository\": null}"), PAYLOAD_READ);
    ck_assert_str_eq(json_string(payload.json, "kind", ""), "unused");
    ck_assert_int_eq(read_text("action_run_failure", "", "{\"action\": \"failure\"}"),
                     PAYLOAD_READ);
    ck_assert_int_eq(read_text("create", "create", "{" REPOSITORY "}"), PAYLOAD_READ);
    ck_assert_str_eq(payload.repo, "acme/rocket");
    ck_assert_int_eq(read_text("create", "create", "[]"), PAYLOAD_INVALID);
}
END_TEST

/* --- traps --- */

/* A body with one text replaced. */
static char *with(const char *body, const char *from, const char *to)
{
    static char text[8192];
    const char *at = strstr(body, from);
    ck_assert_msg(at != NULL, "%s", from);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - body), body, to, at + strlen(from));
    return text;
}

static const struct {
    const char *event, *body, *action, *from, *to;
    enum payload_verdict verdict;
} traps[] = {
    /* null, [] and absent mean the same; unknown members are left alone */
    {"issues", issue, "opened", "\"Please.\\r\\n\"", "null", PAYLOAD_READ},
    {"issues", issue, "opened", "\"body\"", "\"nobody\"", PAYLOAD_READ},
    {"issues", issue, "opened", "\"labels\"", "\"no_labels\"", PAYLOAD_READ},
    {"issues", issue, "opened", "\"milestone\": {", "\"no_milestone\": {", PAYLOAD_READ},
    {"issues", issue, "opened", "\"commit_id\": \"\"", "\"changes\": {\"title\": {}}",
     PAYLOAD_READ},
    {"pull_request", pull, "opened", "\"repo_id\": 9", "\"repo_id\": -1", PAYLOAD_READ},
    {"pull_request", pull, "opened", "\"sha\": \"abc\"", "\"sha\": \"\"", PAYLOAD_READ},
    {"push", push, "", "\"commits\": []", "\"commits\": null", PAYLOAD_READ},
    /* a database error of Forgejo's: number 0, no user */
    {"issues", issue, "opened", "\"number\": 7, \"user\"", "\"number\": 0, \"user\"",
     PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"user\": " USER, "\"user\": null", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"id\": 1007", "\"id\": 0", PAYLOAD_INVALID},
    {"pull_request", pull, "opened", "\"pull_request\": {", "\"pull_request\": null, \"x\": {",
     PAYLOAD_INVALID},
    /* what contradicts itself */
    {"issues", issue, "opened", "\"number\": 7, \"user\"", "\"number\": 8, \"user\"",
     PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"full_name\": \"acme/rocket\"}}", "\"full_name\": \"a/b\"}}",
     PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"pull_request\": null", "\"pull_request\": {}", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"commit_id\": \"\"", "\"comment\": {}", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"commit_id\": \"\"", "\"review\": {}", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"commit_id\": \"\"", "\"commits\": []", PAYLOAD_INVALID},
    {"issue_comment", on_pull, "created", "\"number\": 7", "\"number\": 8", PAYLOAD_INVALID},
    {"issue_comment", on_issue, "created", "\"is_pull\": false", "\"is_pull\": true",
     PAYLOAD_INVALID},
    {"issue_comment", on_pull, "created", "\"is_pull\": true", "\"is_pull\": false",
     PAYLOAD_INVALID},
    /* what is not there, or not what it should be */
    {"issues", issue, "opened", "\"number\": 7, \"user\"", "\"number\": -7, \"user\"",
     PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"number\": 7, \"user\"", "\"number\": \"7\", \"user\"",
     PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"number\": 7, \"user\"", "\"number\": 99999999999, \"user\"",
     PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"issue\": {", "\"thing\": {", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"state\": \"open\"", "\"state\": \"OPEN\"", PAYLOAD_INVALID},
    {"issues", issue, "opened", "2026-11-01T10", "2026-13-01T10", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"title\"", "\"no_title\"", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"name\": \"bug\"", "\"no_name\": 1", PAYLOAD_INVALID},
    {"issues", issue, "opened", "[{\"id\": 1", "[5, {\"id\": 1", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"labels\": [", "\"labels\": 1, \"x\": [", PAYLOAD_INVALID},
    {"issues", issue, "", "\"commit_id\"", "\"commit\"", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"repository\": {\"id\": 9, \"owner\"",
     "\"repository\": {\"id\": 0, \"owner\"", PAYLOAD_INVALID},
    {"issues", issue, "opened", "\"sender\": " USER, "\"sender\": {\"login\": \"\"}",
     PAYLOAD_INVALID},
    {"pull_request", pull, "opened", "\"head\": {", "\"hat\": {", PAYLOAD_INVALID},
    {"issue_comment", on_issue, "created", "\"id\": 70", "\"id\": 0", PAYLOAD_INVALID},
    {"push", push, "", "\"before\"", "\"afore\"", PAYLOAD_INVALID},
    {"push", push, "", "\"head_commit\"", "\"action\": \"opened\", \"x\"", PAYLOAD_INVALID},
    {"delete", deleted, "", "\"ref_type\"", "\"type\"", PAYLOAD_INVALID},
};

START_TEST(traps_are_seen)
{
    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++) {
        const char *text = with(traps[i].body, traps[i].from, traps[i].to);
        ck_assert_msg(read_body(traps[i].event, "", text, traps[i].action) == traps[i].verdict,
                      "%s: %s -> %s: %s", traps[i].event, traps[i].from, traps[i].to, err.text);
    }
    static const char *const whole[] = {"", "null", "[]", "{}", "5", "{\"action\":", "\"x\""};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        ck_assert_msg(read_text("issues", "issues", whole[i]) == PAYLOAD_INVALID, "%s", whole[i]);
}
END_TEST

START_TEST(depth_has_a_limit)
{
    char text[200] = "{\"x\": ";
    for (int i = 0; i < 31; i++)
        strcat(text, "[");
    for (int i = 0; i < 31; i++)
        strcat(text, "]");
    ck_assert_int_eq(read_text("create", "", strcat(text, "}")), PAYLOAD_READ);
    memmove(strchr(text, '[') + 1, strchr(text, '['), strlen(strchr(text, '[')) + 1);
    memcpy(strchr(text, '}'), "]}", 3);
    ck_assert_int_eq(read_text("create", "", text), PAYLOAD_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("webhook_payload");
    TCase *tests = tcase_create("webhook_payload");
    tcase_add_test(tests, every_action_is_read);
    tcase_add_test(tests, a_body_under_another_name_is_refused);
    tcase_add_test(tests, an_issue_is_normalised);
    tcase_add_test(tests, label_cleared_means_no_labels);
    tcase_add_test(tests, a_pull_request_is_normalised);
    tcase_add_test(tests, comments_and_pushes_are_normalised);
    tcase_add_test(tests, events_without_use_are_read);
    tcase_add_test(tests, traps_are_seen);
    tcase_add_test(tests, depth_has_a_limit);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
