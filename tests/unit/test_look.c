/* Looks: what is asked of Forgejo, what the database is told, and what becomes of trouble. */
#include "tests/unit/forgejo_scene.h"

#define REPO "/repos/acme/rocket"
#define REPO_JSON                                                                              \
    "{\"id\":5,\"full_name\":\"acme/rocket\",\"default_branch\":\"main\",\"has_issues\":true," \
    "\"owner\":{\"id\":1,\"login\":\"acme\"}}"
#define ISSUE_JSON                                                                              \
    "{\"id\":900,\"number\":42,\"title\":\"Fuel\",\"body\":\"Tank it\",\"state\":\"open\","     \
    "\"updated_at\":\"2026-01-01T10:00:00+01:00\",\"html_url\":\"https://g/acme/rocket/issues/" \
    "42\","                                                                                     \
    "\"user\":{\"id\":11,\"login\":\"Ann\"},\"milestone\":{\"title\":\"v1\"},"                  \
    "\"labels\":[{\"id\":3,\"name\":\"agent:code:rust\",\"color\":\"ff0000\"}],\"comments\":9}"
#define USER(id, login) "\"user\":{\"id\":" #id ",\"login\":\"" login "\"}"
#define COMMENT(id, user, text)                                      \
    "{\"id\":" #id ",\"type\":\"comment\"," user ",\"body\":\"" text \
    "\",\"created_at\":\"2026-01-01T09:00:00Z\",\"updated_at\":\"2026-01-01T09:00:00Z\"}"
#define LABEL(id, user, name, added)                                \
    "{\"id\":" #id ",\"type\":\"label\"," user ",\"body\":\"" added \
    "\",\"created_at\":\"2026-01-01T09:00:00Z\",\"label\":{\"id\":3,\"name\":\"" name "\"}}"
#define LOOK(kind, people)                                                                \
    "kind=" kind ";id=12;seq=3;repo=acme/rocket;repository_id=5;number=42;people=" people \
    ";comment_after=100;review_after=50;head_sha=<null>"

static struct looks *looks(void)
{
    return &scene.tracker.looks;
}

static void setup(void)
{
    scene_setup();
    looks_init(looks(), &scene.tracker);
}

static void teardown(void)
{
    scene_teardown();
    ck_assert(looks_idle(looks()));
    looks_release(looks());
}

static void run_look(const char *kind)
{
    scene_sql("looks", strcmp(kind, "pull") == 0 ? LOOK("pull", "") : LOOK("issue", "bob eve"), 1);
    scene_sql("issue_seen", "result=recorded", 0);
    scene_sql("pull_seen", "result=recorded", 0);
    looks_wake(looks());
    scene_run();
}

/* The JSON that SQL was given, one member of it as text. */
static const char *seen(const char *member)
{
    static char text[8192];
    struct error err;
    const char *at = strstr(scene.told, "_seen 12 3 ");
    ck_assert_msg(at != NULL, "nothing was seen: %s", scene.told);
    at += strlen("_seen 12 3 ");
    struct json_object *whole = json_parse(at, strcspn(at, "\n"), &err);
    ck_assert_ptr_nonnull(whole);
    struct json_object *value = json_member(whole, member);
    snprintf(text, sizeof text, "%s",
             value != NULL ? json_object_to_json_string_ext(
                                 value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
                           : "<null>");
    json_object_put(whole);
    return text;
}

static void a_whole_issue(void)
{
    scene_page(REPO, 200, REPO_JSON);
    scene_page(REPO "/issues/42", 200, ISSUE_JSON);
    scene_page(
        REPO "/issues/42/timeline", 200,
        "[" LABEL(1, USER(21, "carl"), "agent:code:rust", "1") "," LABEL(
            2, USER(22, "dora"), "bug",
            "1") ","
                 "{\"id\":3,\"type\":\"label\",\"label\":null,\"body\":\"1\"}," LABEL(
                     4, USER(21, "Carl"), "agent:old",
                     "") "," COMMENT(99, USER(31, "late"),
                                     "old") "," COMMENT(101, USER(7, "fleet"),
                                                        "ours") "," COMMENT(102, USER(32, "frank"),
                                                                            "/agent status") "]");
    scene_page(REPO "/collaborators/carl/permission", 200, "{\"permission\":\"write\"}");
    scene_page(REPO "/collaborators/bob/permission", 200, "{\"permission\":\"owner\"}");
    scene_page(REPO "/collaborators/eve/permission", 403, NULL);
    scene_page(REPO "/collaborators/Ann/permission", 200, "{\"permission\":\"strange\"}");
}

START_TEST(test_issue)
{
    a_whole_issue();
    run_look("issue");
    ck_assert_str_eq(seen("repository"),
                     "{\"id\":5,\"full_name\":\"acme/rocket\",\"default_branch\":\"main\"}");
    ck_assert_str_eq(seen("issue"),
                     "{\"id\":900,\"number\":42,\"title\":\"Fuel\",\"state\":\"open\","
                     "\"html_url\":\"https://g/acme/rocket/issues/"
                     "42\",\"updated_at\":\"2026-01-01T10:00:00+01:00\","
                     "\"author\":\"Ann\",\"author_id\":11,\"body\":\"Tank it\","
                     "\"labels\":[{\"id\":3,\"name\":\"agent:code:rust\"}],\"milestone\":\"v1\"}");
    ck_assert_str_eq(seen("label_events"),
                     "[{\"id\":1,\"label\":\"agent:code:rust\",\"label_id\":3,\"added\":true,"
                     "\"by\":\"carl\",\"by_id\":21,\"at\":\"2026-01-01T09:00:00Z\"},"
                     "{\"id\":2,\"label\":\"bug\",\"label_id\":3,\"added\":true,\"by\":\"dora\","
                     "\"by_id\":22,\"at\":\"2026-01-01T09:00:00Z\"},"
                     "{\"id\":4,\"label\":\"agent:old\",\"label_id\":3,\"added\":false,"
                     "\"by\":\"Carl\",\"by_id\":21,\"at\":\"2026-01-01T09:00:00Z\"}]");
    ck_assert_str_eq(seen("comments"),
                     "[{\"id\":102,\"by\":\"frank\",\"by_id\":32,\"body\":\"/agent status\","
                     "\"created_at\":\"2026-01-01T09:00:00Z\","
                     "\"updated_at\":\"2026-01-01T09:00:00Z\"}]");
    ck_assert_str_eq(seen("people"), "{\"bob\":\"owner\",\"eve\":\"unknown\",\"Ann\":\"unknown\","
                                     "\"carl\":\"write\",\"frank\":\"none\"}");
    ck_assert_ptr_nonnull(strstr(scene.asked, "\nlookup " REPO "/collaborators/carl/permission\n"));
    ck_assert_ptr_null(strstr(scene.asked, "dora")); /* her label starts nothing */
}
END_TEST

/* Its labels are read before its timeline: what is there has its event. */
START_TEST(test_order)
{
    a_whole_issue();
    run_look("issue");
    ck_assert_ptr_nonnull(
        strstr(scene.asked, REPO "\n" REPO "/issues/42\n" REPO "/issues/42/timeline\nlookup "));
}
END_TEST

static void failed_with(const char *want)
{
    char line[600];
    snprintf(line, sizeof line, "\nlook_failed issue 12 3 %s", want);
    ck_assert_msg(strstr(scene.told, line) != NULL, "wanted:%s\ntold: %s", line, scene.told);
    ck_assert_ptr_null(strstr(scene.told, "issue_seen"));
}

/* Each step at each answer: what the database is told. */
static const struct trouble {
    const char *path;
    int status;
    const char *json, *word;
} troubles[] = {
    {REPO, 0, NULL, "away: the repository: 0 -1"},
    {REPO, 502, NULL, "away: the repository: 502 -1"},
    {REPO, 401, NULL, "denied: the repository: 401 -1"},
    {REPO, 403, NULL, "denied: the repository: 403 -1"},
    {REPO, 423, NULL, "locked: the repository: 423 -1"},
    {REPO, 404, NULL, "missing: the repository, by its id: 404 -1"},
    {REPO, 410, NULL, "missing: the repository, by its id: 404 -1"},
    {REPO, 301, NULL, "missing: the repository, by its id: 404 -1"},
    {REPO, 200, "{\"id\":5}", "garbled: the repository"},
    {REPO "/issues/42", 0, NULL, "away: the issue: 0 -1"},
    {REPO "/issues/42", 500, NULL, "away: the issue: 500 -1"},
    {REPO "/issues/42", 403, NULL, "denied: the issue: 403 -1"},
    {REPO "/issues/42", 404, NULL, "missing: its issues: 404 -1"}, /* none of them is shown */
    {REPO "/issues/42", 200, "{\"id\":0,\"number\":0,\"user\":null}", "garbled: the issue"},
    {REPO "/issues/42/timeline", 504, NULL, "away: its timeline: 504 -1"},
    {REPO "/issues/42/timeline", 403, NULL, "denied: its timeline: 403 -1"},
    {REPO "/issues/42/timeline", 301, NULL, "renamed: its timeline: 301 -1"}, /* meanwhile */
    {REPO "/collaborators/carl/permission", 503, NULL, "away: a permission: 503 -1"},
    {REPO "/collaborators/eve/permission", 0, NULL, "away: a permission: 0 -1"},
};

START_TEST(test_trouble)
{
    const struct trouble *trouble = &troubles[_i];
    scene_page(trouble->path, trouble->status, trouble->json);
    a_whole_issue();
    run_look("issue");
    failed_with(trouble->word);
}
END_TEST

START_TEST(test_retry_after)
{
    scene_page(REPO, 429, NULL);
    scene.pages[0].retry = 77;
    run_look("issue");
    failed_with("away: the repository: 429 77");
}
END_TEST

/* 404 of an issue whose repository answers, and lists its issues. */
START_TEST(test_gone)
{
    scene_page(REPO, 200, REPO_JSON);
    scene_page(REPO "/issues?state=all&type=issues&page=1&limit=1", 200, "[]");
    run_look("issue");
    failed_with("gone: acme/rocket has no issue 42 any more -1");
}
END_TEST

START_TEST(test_switched_off)
{
    scene_page(REPO, 200, "{\"id\":5,\"full_name\":\"acme/rocket\",\"has_issues\":false}");
    scene_page(REPO "/issues?state=all&type=issues&page=1&limit=1", 200, "[]");
    run_look("issue");
    failed_with("missing: switched off in its repository: 404 -1");
}
END_TEST

/* A renamed repository is found by its id, and read under its new name. */
START_TEST(test_renamed)
{
    static const char renamed[] =
        "{\"id\":5,\"full_name\":\"new/name\",\"default_branch\":\"main\"}";
    scene_page(REPO,
               _i == 0   ? 301
               : _i == 1 ? 404
                         : 200,
               "{\"id\":6,\"full_name\":\"acme/rocket\",\"default_branch\":\"x\"}");
    scene_page("/repositories/5", 200, renamed);
    scene_page("/repos/new/name/issues/42", 200, ISSUE_JSON);
    scene_page("/repos/new/name/issues/42/timeline", 200, "[]");
    run_look("issue");
    ck_assert_str_eq(seen("repository"), renamed);
    ck_assert_ptr_null(strstr(scene.asked, REPO "/"));
}
END_TEST

START_TEST(test_renamed_unknown)
{
    scene_page(REPO, 301, NULL);
    scene_sql("looks",
              "kind=issue;id=12;seq=3;repo=acme/rocket;repository_id=<null>;number=42;"
              "people=;comment_after=0;review_after=0;head_sha=<null>",
              1);
    looks_wake(looks());
    scene_run();
    failed_with("moved: acme/rocket was renamed before we knew its id");
}
END_TEST

START_TEST(test_long_timeline)
{
    scene_page(REPO "/issues/42/timeline", 200, "[]");
    scene.pages[0].more = true;
    a_whole_issue();
    run_look("issue");
    failed_with("refused: its timeline: there is more than we read -1");
}
END_TEST

/* The worker stops in the middle: others are to have it at once. */
START_TEST(test_dropped)
{
    a_whole_issue();
    scene_sql("looks", LOOK("issue", ""), 1);
    looks_wake(looks());
    for (int i = 0; i < _i + 2; i++)
        ck_assert(scene_step());
    scene.closing = true;
    scene_run();
    ck_assert_ptr_nonnull(strstr(scene.told, "\nlook_failed issue 12 3 dropped: "));
}
END_TEST

START_TEST(test_life_over)
{
    a_whole_issue();
    scene_sql("looks", LOOK("issue", ""), 1);
    looks_wake(looks());
    ck_assert(scene_step());
    scene.node.life++;
    scene_run();
    ck_assert_ptr_null(strstr(scene.told, "look_failed"));
    ck_assert_ptr_null(strstr(scene.told, "issue_seen"));
}
END_TEST

/* The database does not take what was seen: that is said, too; but not by who is dead to it. */
START_TEST(test_not_taken)
{
    a_whole_issue();
    scene.calls[scene.call_count++] =
        (struct scene_call){.name = "issue_seen", .state = _i == 0 ? "22P02" : "AF002"};
    run_look("issue");
    bool said = strstr(scene.told, "\nlook_failed issue 12 3 refused: the database") != NULL;
    ck_assert_int_eq(said, _i == 0);
}
END_TEST

START_TEST(test_several)
{
    a_whole_issue();
    scene_sql("looks",
              LOOK("issue", "") "|" LOOK("issue", "") "|" LOOK("issue", "") "|" LOOK("issue", ""),
              1);
    scene_sql("issue_seen", "result=recorded", 0);
    looks_tick(looks(), 0);
    looks_tick(looks(), 0);
    looks_wake(looks());
    scene_run();
    ck_assert_str_eq(strtok(scene.told, "\n"), "looks 4"); /* one question at a time */
    ck_assert_int_eq(looks()->count, 0);
}
END_TEST

/* --- Pull requests --- */

#define PULL_JSON                                                                              \
    "{\"id\":800,\"number\":42,\"title\":\"T\",\"state\":\"open\",\"merged\":false,\"draft\":" \
    "true,"                                                                                    \
    "\"updated_at\":\"2026-01-01T10:00:00Z\",\"html_url\":\"https://g/p\"," USER(              \
        7, "fleet") ",\"head\":{\"ref\":\"task/"                                               \
                    "x\",\"sha\":\"abc\",\"repo_id\":5},\"base\":{\"ref\":\"main\"}}"

static void a_whole_pull(void)
{
    scene_page(REPO, 200, REPO_JSON);
    scene_page(REPO "/pulls/42", 200, PULL_JSON);
    scene_page(
        REPO "/pulls/42/reviews", 200,
        "[{\"id\":50,\"state\":\"REQUEST_CHANGES\"," USER(
            1, "old") ",\"body\":\"\"},"
                      "{\"id\":51,\"state\":\"APPROVED\"," USER(
                          1, "ann") ",\"body\":\"ok\"},"
                                    "{\"id\":52,\"state\":\"REQUEST_CHANGES\"," USER(
                                        2,
                                        "ben") ",\"body\":\"no\",\"submitted_at\":\"2026-01-01T09:"
                                               "00:00Z\"},"
                                               "{\"id\":53,\"state\":\"REQUEST_CHANGES\","
                                               "\"dismissed\":true," USER(
                                                   3,
                                                   "cat") "},"
                                                          "{\"id\":54,\"state\":\"PENDING\"," USER(
                                                              4, "dan") "}]");
    scene_page(
        REPO "/pulls/42/reviews/52/comments", 200,
        "[{\"id\":1,\"path\":\"a.c\",\"position\":7,\"original_position\":0,\"body\":\"x\"},"
        "{\"id\":2,\"path\":\"b.c\",\"position\":0,\"original_position\":9,\"body\":\"y\"}]");
    scene_page(REPO "/commits/abc/status?page=1&limit=50", 200,
               "{\"state\":\"failure\",\"sha\":\"abc\",\"statuses\":["
               "{\"id\":2,\"context\":\"ci\",\"status\":\"failure\",\"description\":\"bad\"},"
               "{\"id\":1,\"context\":\"ci\",\"status\":\"pending\",\"description\":\"\"},"
               "{\"id\":3,\"context\":\"lint\",\"status\":\"success\",\"description\":\"\"}]}");
    scene_page(REPO "/issues/42/timeline", 200, "[" COMMENT(101, USER(32, "frank"), "hm") "]");
    scene_page(REPO "/collaborators/ben/permission", 200, "{\"permission\":\"write\"}");
}

START_TEST(test_pull)
{
    a_whole_pull();
    run_look("pull");
    ck_assert_str_eq(seen("pull"),
                     "{\"id\":800,\"number\":42,\"title\":\"T\",\"state\":\"open\","
                     "\"html_url\":\"https://g/p\",\"updated_at\":\"2026-01-01T10:00:00Z\","
                     "\"author\":\"fleet\",\"author_id\":7,\"merged\":false,\"draft\":true,"
                     "\"head\":{\"ref\":\"task/x\",\"sha\":\"abc\",\"repository_id\":5},"
                     "\"base\":{\"ref\":\"main\"}}");
    ck_assert_str_eq(
        seen("reviews"),
        "[{\"id\":51,\"state\":\"APPROVED\",\"by\":\"ann\",\"by_id\":1,\"body\":\"ok\","
        "\"submitted_at\":null,\"comments\":[]},"
        "{\"id\":52,\"state\":\"REQUEST_CHANGES\",\"by\":\"ben\",\"by_id\":2,\"body\":\"no\","
        "\"submitted_at\":\"2026-01-01T09:00:00Z\",\"comments\":["
        "{\"path\":\"a.c\",\"line\":7,\"body\":\"x\"},{\"path\":\"b.c\",\"line\":9,\"body\":\"y\"}]"
        "}]");
    ck_assert_str_eq(seen("checks"),
                     "{\"sha\":\"abc\",\"state\":\"failure\",\"statuses\":["
                     "{\"context\":\"ci\",\"state\":\"failure\",\"description\":\"bad\"},"
                     "{\"context\":\"lint\",\"state\":\"success\",\"description\":\"\"}]}");
    ck_assert_str_eq(seen("people"), "{\"fleet\":\"none\",\"ann\":\"none\",\"ben\":\"write\","
                                     "\"frank\":\"none\"}");
}
END_TEST

START_TEST(test_pull_trouble)
{
    static const char *const paths[] = {REPO "/pulls/42", REPO "/pulls/42/reviews",
                                        REPO "/pulls/42/reviews/52/comments",
                                        REPO "/commits/abc/status?page=1&limit=50"};
    scene_page(paths[_i], 502, NULL);
    a_whole_pull();
    run_look("pull");
    ck_assert_ptr_nonnull(strstr(scene.told, "\nlook_failed pull 12 3 away: "));
    ck_assert_ptr_null(strstr(scene.told, "pull_seen"));
}
END_TEST

/* A head whose branch or commit is gone has no checks. */
START_TEST(test_pull_no_head)
{
    static const char gone[] = "{\"id\":800,\"number\":42,\"state\":\"closed\"," USER(
        7, "fleet") ",\"head\":{\"ref\":\"refs/pull/42/"
                    "head\",\"sha\":\"\",\"repo_id\":-1},\"base\":{}}";
    scene_page(_i == 0 ? REPO "/pulls/42" : REPO "/commits/abc/status?page=1&limit=50",
               _i == 0 ? 200 : 404, gone);
    a_whole_pull();
    run_look("pull");
    ck_assert_ptr_nonnull(strstr(seen("checks"), "\"statuses\":[]"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("look");
    TCase *tc = tcase_create("look");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_issue);
    tcase_add_test(tc, test_order);
    tcase_add_loop_test(tc, test_trouble, 0, (int)(sizeof troubles / sizeof troubles[0]));
    tcase_add_test(tc, test_retry_after);
    tcase_add_test(tc, test_gone);
    tcase_add_test(tc, test_switched_off);
    tcase_add_loop_test(tc, test_renamed, 0, 3);
    tcase_add_test(tc, test_renamed_unknown);
    tcase_add_test(tc, test_long_timeline);
    tcase_add_loop_test(tc, test_dropped, 0, 5);
    tcase_add_test(tc, test_life_over);
    tcase_add_loop_test(tc, test_not_taken, 0, 2);
    tcase_add_test(tc, test_several);
    tcase_add_test(tc, test_pull);
    tcase_add_loop_test(tc, test_pull_trouble, 0, 4);
    tcase_add_loop_test(tc, test_pull_no_head, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
