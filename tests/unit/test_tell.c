/* Telling an issue: what is sent to Forgejo in which order, what the database is told of it, and
 * what becomes of every kind of trouble. */
#include "tests/unit/forgejo_scene.h"
#include "worker/forgejo/tell.h"

#define REPO "/repos/acme/rocket"
#define ISSUE REPO "/issues/42"
#define MARKER "<!-- agent-fleet:ab12 -->"
#define OURS "\"user\":{\"id\":7}"
#define STORY(more)                                                                     \
    "{\"fleet\":\"ab12\",\"repo\":\"acme/rocket\",\"number\":42,\"url\":\"https://g\"," \
    "\"status\":\"running\"" more "}"
#define LABELS                                                                        \
    "[{\"id\":30,\"name\":\"fleet/running\"},{\"id\":20,\"name\":\"fleet/running\"}," \
    "{\"id\":21,\"name\":\"fleet/queued\"},{\"id\":1,\"name\":\"bug\"}]"

static struct outbox *outbox(void)
{
    return &scene.tracker.outbox;
}

static void setup(void)
{
    scene_setup();
    outbox_init(outbox(), &scene.tracker);
    scene_sql("telling", "ours=t", 0);
}

static void teardown(void)
{
    scene_teardown();
    ck_assert(outbox_idle(outbox()));
    outbox_release(outbox());
}

/* `wants`: letters of what the policy wants: comments, labels, statuses. */
static void run(const char *wants, const char *story, const char *told)
{
    static char row[8192];
    snprintf(row, sizeof row,
             "task=12;seq=3;repo=acme/rocket;issue_number=42;comments=%s;state_labels=%s;"
             "commit_statuses=%s;story=%s;told=%s",
             strchr(wants, 'c') ? "t" : "f", strchr(wants, 'l') ? "t" : "f",
             strchr(wants, 's') ? "t" : "f", story, told);
    scene_sql("tells", row, 1);
    outbox_wake(outbox());
    scene_run();
}

/* The methods and paths, one a line. */
static void asked(const char *want)
{
    ck_assert_str_eq(scene.asked, want);
}

/* The last call of fleet.told or fleet.tell_failed; "" for none. */
static const char *end(void)
{
    static char line[8192];
    line[0] = '\0';
    for (const char *at = scene.told; *at != '\0'; at += strcspn(at, "\n") + 1) {
        if (strncmp(at, "told ", 5) == 0 || strncmp(at, "tell_failed ", 12) == 0)
            snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    }
    return line;
}

static void ends(const char *want)
{
    ck_assert_msg(strncmp(end(), want, strlen(want)) == 0, "%s\n%s", want, scene.told);
}

static void has(const char *want)
{
    ck_assert_msg(strstr(end(), want) != NULL, "%s\n%s", want, scene.told);
}

/* --- the comment --- */

START_TEST(the_first_comment)
{
    scene_page(ISSUE "/timeline", 200, "[]");
    scene_page("POST " ISSUE "/comments", 201, "{\"id\":5}");
    run("c", STORY(), "{}");
    asked(ISSUE "/timeline\nPOST " ISSUE "/comments\n");
    ck_assert(strstr(scene.told, "telling 12 3 comment\n") != NULL);
    ck_assert(strstr(scene.sent, "{\"body\":\"" MARKER "\\n**Agent Fleet: running**") != NULL);
    ends("told 12 3 ");
    has("\"comment_id\": 5");
    has("\"posting\": null");
    has("\"comment_hash\"");
}
END_TEST

START_TEST(one_that_is_known)
{
    scene_page("PATCH " REPO "/issues/comments/5", 200, "{\"id\":5}");
    run("c", STORY(), "{\"comment_id\":5,\"comment_hash\":\"other\"}");
    asked("PATCH " REPO "/issues/comments/5\n");
    ends("told 12 3 ");

    char *at = strstr(scene.told, "comment_hash\": \"") + strlen("comment_hash\": \"");
    char told[200];
    snprintf(told, sizeof told, "{\"comment_id\":5,\"comment_hash\":\"%.64s\"}", at);
    scene.asked[0] = '\0';
    run("c", STORY(), told);
    asked(""); /* nothing is new */
    ends("told 12 3 ");
}
END_TEST

START_TEST(one_that_was_deleted)
{
    scene_page(ISSUE "/timeline", 200,
               "[{\"type\":\"comment\",\"id\":3,\"user\":{\"id\":8},\"body\":\"" MARKER "\"}]");
    scene_page("POST " ISSUE "/comments", 201, "{\"id\":6}");
    run("c", STORY(), "{\"comment_id\":5}");
    asked("PATCH " REPO "/issues/comments/5\n" ISSUE "/timeline\nPOST " ISSUE "/comments\n");
    has("\"comment_id\": 6");
}
END_TEST

START_TEST(several_of_ours)
{
    scene_page(ISSUE "/timeline", 200,
               "[{\"type\":\"comment\",\"id\":9," OURS ",\"body\":\"" MARKER
               "\\nx\"},{\"type\":\"comment\",\"id\":4," OURS ",\"body\":\"" MARKER
               "\\ny\"},{\"type\":\"comment\",\"id\":6," OURS ",\"body\":\"" MARKER
               "\\nz\"},{\"type\":\"comment\",\"id\":9," OURS ",\"body\":\"" MARKER
               "\\nx\"}]"); /* it came again on a page that moved */
    scene_page("DELETE " REPO "/issues/comments/9", 204, NULL);
    scene_page("PATCH " REPO "/issues/comments/4", 200, "{}");
    run("c", STORY(), "{\"posting\":\"comment\",\"posting_secs\":1}");
    asked(ISSUE "/timeline\nDELETE " REPO "/issues/comments/9\nDELETE " REPO
                "/issues/comments/6\nPATCH " REPO "/issues/comments/4\n");
    has("\"comment_id\": 4");
    has("\"posting\": null");
}
END_TEST

START_TEST(an_answer_that_was_lost)
{
    scene_page(ISSUE "/timeline", 200, "[]");
    scene_page("POST " ISSUE "/comments", 0, NULL);
    run("c", STORY(), "{}");
    ends("tell_failed 12 3 away ");
    ck_assert(strstr(end(), "posting") == NULL);
    scene.asked[0] = scene.told[0] = '\0';
    run("c", STORY(), "{\"posting\":\"comment\",\"posting_secs\":30}");
    asked(ISSUE "/timeline\n"); /* it may come yet: two time-outs of 30 s and a little */
    ends("tell_failed 12 3 wait  35 ");
    scene.asked[0] = '\0';
    run("c", STORY(), "{\"posting\":\"comment\",\"posting_secs\":65}");
    asked(ISSUE "/timeline\nPOST " ISSUE "/comments\n");
}
END_TEST

START_TEST(a_row_that_was_lost)
{
    scene_page(ISSUE "/timeline", 200, "[]");
    scene.call_count = 0;
    scene_sql("telling", "ours=f", 0);
    run("c", STORY(), "{}");
    asked(ISSUE "/timeline\n"); /* nothing is posted */
    ends("tell_failed 12 3 wait ");
}
END_TEST

/* The next one counts from the announcement how long a comment may still be on its way. */
START_TEST(an_announcement_that_was_slow)
{
    static const int64_t takes[] = {5000, 5001};
    scene_page(ISSUE "/timeline", 200, "[]");
    scene_page("POST " ISSUE "/comments", 201, "{\"id\":5}");
    scene.calls[0].takes_ms = takes[_i];
    run("c", STORY(), "{}");
    asked(_i == 0 ? ISSUE "/timeline\nPOST " ISSUE "/comments\n" : ISSUE "/timeline\n");
    ends(_i == 0 ? "told 12 3 " : "tell_failed 12 3 wait ");
}
END_TEST

START_TEST(whose_fault_it_is)
{
    static const struct {
        int comment, repo;
        const char *json, *end;
    } cases[] = {
        {403, 200, "{\"archived\":false}", "tell_failed 12 3 park the comment: 403"},
        {404, 200, "{}", "tell_failed 12 3 park "},
        {423, 200, "{\"archived\":true}", "tell_failed 12 3 repository locked: "},
        {403, 404, NULL, "tell_failed 12 3 repository gone: "},
        {401, 401, NULL, "tell_failed 12 3 repository denied: "},
        {404, 301, NULL, "tell_failed 12 3 moved "},
        {403, 502, NULL, "tell_failed 12 3 away "},
        {422, 200, "{}", "tell_failed 12 3 failed "},
        {502, 200, "{}", "tell_failed 12 3 away "},
        {0, 200, "{}", "tell_failed 12 3 away "},
    };
    scene_page(ISSUE "/timeline", cases[_i].comment, NULL);
    scene_page(REPO, cases[_i].repo, cases[_i].json);
    run("cl", STORY(",\"label\":\"fleet/running\""), "{}");
    ends(cases[_i].end);
}
END_TEST

/* --- who is called --- */

START_TEST(a_person_is_called_once)
{
    const char *story =
        STORY(",\"need\":{\"kind\":\"failed\",\"key\":\"failed.1\",\"login\":\"octo\"}");
    scene_page("PATCH " REPO "/issues/comments/5", 200, "{}");
    scene_page(ISSUE "/timeline", 200,
               "[{\"type\":\"comment\",\"id\":5," OURS ",\"body\":\"" MARKER "\"}]");
    scene_page("POST " ISSUE "/comments", 201, "{\"id\":8}");
    run("c", story, "{\"comment_id\":5}");
    asked("PATCH " REPO "/issues/comments/5\n" ISSUE "/timeline\nPOST " ISSUE "/comments\n");
    ck_assert(strstr(scene.told, "telling 12 3 failed.1\n") != NULL);
    ck_assert(strstr(scene.sent, "\\n@octo: ") != NULL);
    has("\"called\": \"failed.1\"");
    has("\"comment_id\": 5");
    scene.asked[0] = '\0';
    run("c", story, "{\"comment_id\":5,\"called\":\"failed.1\"}");
    asked("PATCH " REPO "/issues/comments/5\n");
    scene.asked[0] = '\0'; /* the answer was lost, and it is there */
    scene.page_count = 0;
    scene_page("PATCH " REPO "/issues/comments/5", 200, "{}");
    scene_page(ISSUE "/timeline", 200,
               "[{\"type\":\"comment\",\"id\":8," OURS
               ",\"body\":\"<!-- agent-fleet:ab12 call.failed.1 -->\\nx\"}]");
    run("c", story, "{\"comment_id\":5,\"posting\":\"failed.1\",\"posting_secs\":1}");
    asked("PATCH " REPO "/issues/comments/5\n" ISSUE "/timeline\n");
    has("\"called\": \"failed.1\"");
    has("\"posting\": null");
}
END_TEST

/* --- labels --- */

START_TEST(a_label_is_set_by_id)
{
    scene_page(REPO "/labels", 200, LABELS);
    scene_page("POST " ISSUE "/labels", 200, LABELS);
    scene_page("DELETE " ISSUE "/labels/30", 422, NULL);
    scene_page("DELETE " ISSUE "/labels/21", 204, NULL);
    run("l", STORY(",\"label\":\"fleet/running\""), "{\"label\":\"fleet/queued\"}");
    asked(REPO "/labels\nPOST " ISSUE "/labels\nDELETE " ISSUE "/labels/21\nDELETE " ISSUE
               "/labels/30\n");
    ck_assert(strstr(scene.sent, "{\"labels\":[20]}") != NULL);
    has("\"label\": \"fleet\\/running\"");
    scene.asked[0] = '\0';
    run("l", STORY(",\"label\":\"fleet/running\""), "{\"label\":\"fleet/running\"}");
    asked("");
}
END_TEST

START_TEST(a_label_that_is_missing)
{
    scene_page(REPO "/labels", 200, "[]");
    scene.pages[0].times = 1;
    scene_page("POST " REPO "/labels", 201, "{\"id\":40}");
    scene_page(REPO "/labels", 200,
               "[{\"id\":39,\"name\":\"fleet/done\"},{\"id\":40,\"name\":\"fleet/done\"}]");
    scene_page("DELETE " REPO "/labels/40", 204, NULL);
    scene_page("POST " ISSUE "/labels", 200, "[{\"id\":39,\"name\":\"fleet/done\"}]");
    run("l", STORY(",\"label\":\"fleet/done\""), "{}");
    asked(REPO "/labels\nPOST " REPO "/labels\n" REPO "/labels\nDELETE " REPO
               "/labels/40\nPOST " ISSUE "/labels\n");
    ck_assert(strstr(scene.sent, "\"exclusive\":true") != NULL);
    has("\"label\": \"fleet\\/done\"");
}
END_TEST

START_TEST(a_label_that_forgejo_drops)
{
    scene_page(REPO "/labels", 200, LABELS);
    scene_page("POST " ISSUE "/labels", 200, "[{\"id\":1,\"name\":\"bug\"}]");
    run("l", STORY(",\"label\":\"fleet/running\""), "{}");
    asked(REPO "/labels\nPOST " ISSUE "/labels\n" REPO "/labels\nPOST " ISSUE "/labels\n");
    ends("told ");
    has("\"trouble\": \"the state label: ");
    has("\"label\": \"?\"");
}
END_TEST

START_TEST(no_label)
{
    scene_page(ISSUE "/labels", 200, LABELS);
    run("l", STORY(), "{\"label\":\"fleet/running\"}");
    asked(ISSUE "/labels\nDELETE " ISSUE "/labels/21\nDELETE " ISSUE "/labels/20\nDELETE " ISSUE
                "/labels/30\n");
    has("\"label\": null");
}
END_TEST

/* What was sent may have been done, though no answer came: it is not known what stands there. */
START_TEST(what_may_have_been_done)
{
    scene_page(REPO "/labels", 200, LABELS);
    scene_page("POST " ISSUE "/labels", 0, NULL);
    run("l", STORY(",\"label\":\"fleet/running\""), "{}");
    ends("tell_failed 12 3 away ");
    has("\"label\": \"?\"");
    scene_page("PATCH " REPO "/issues/comments/5", 0, NULL);
    run("c", STORY(), "{\"comment_id\":5,\"comment_hash\":\"x\"}");
    has("\"comment_hash\": null");
    scene_page("POST " REPO "/statuses/abc", 0, NULL);
    run("s", STORY(",\"commit\":{\"sha\":\"abc\"}"), "{}");
    has("\"status_told\": null");
    scene.asked[0] = '\0';
    scene_page(ISSUE "/labels", 200, "[]");
    run("l", STORY(), "{\"label\":\"?\"}");
    asked(ISSUE "/labels\n"); /* looked at, though none is wanted */
}
END_TEST

START_TEST(labels_that_we_may_not_set)
{
    scene_page(REPO "/labels", 403, NULL);
    run("l", STORY(",\"label\":\"fleet/running\""), "{}");
    ends("told ");
    has("\"trouble\": \"the state label: 403\"");
}
END_TEST

/* --- commit statuses --- */

#define COMMIT                                                                      \
    ",\"commit\":{\"sha\":\"abc\",\"state\":\"success\",\"context\":\"agent-fleet/" \
    "x\",\"attempt\":1}"

START_TEST(a_commit_status)
{
    scene_page("POST " REPO "/statuses/abc", 201, "{}");
    run("s", STORY(COMMIT), "{}");
    asked("POST " REPO "/statuses/abc\n");
    ck_assert(strstr(scene.sent, "\"state\": \"success\"") != NULL);
    has("\"status_told\": \"abc success agent-fleet\\/x\"");
    scene.asked[0] = '\0';
    run("s", STORY(COMMIT), "{\"status_told\":\"abc success agent-fleet/x\"}");
    asked("");
}
END_TEST

START_TEST(a_head_that_is_unknown)
{
    scene_page("POST " REPO "/statuses/abc", _i == 0 ? 404 : 500, NULL);
    run("s", STORY(COMMIT), "{\"status_tries\":1}");
    ends("tell_failed 12 3 wait  40 ");
    has("\"status_tries\": 2");
    run("s", STORY(COMMIT), "{\"status_tries\":4}");
    ends("told ");
    has("\"trouble\": \"the commit status: ");
}
END_TEST

/* --- pull requests --- */

#define OPEN \
    ",\"open_pull\":{\"head\":\"task/x\",\"sha\":\"abc\",\"base\":\"main\"},\"title\":\"T\""
#define PULL                                                                        \
    "{\"id\":70,\"number\":7,\"state\":\"open\",\"title\":\"WIP: "                  \
    "T\",\"head\":{\"ref\":\"task/x\","                                             \
    "\"sha\":\"abc\",\"repo_id\":5},\"base\":{\"ref\":\"main\",\"repo\":{\"id\":5," \
    "\"full_name\":\"acme/rocket\",\"default_branch\":\"main\"}}}"

START_TEST(a_draft_is_opened)
{
    scene_page("POST " REPO "/pulls", 201, PULL);
    run("c", STORY(OPEN), "{}");
    asked("POST " REPO "/pulls\n");
    ck_assert(strstr(scene.sent, "\"title\": \"WIP: T\"") != NULL);
    ck_assert(strstr(scene.told, "pull_opened {") != NULL);
    ck_assert(strstr(scene.told, "\"full_name\": \"acme\\/rocket\"") != NULL);
    ends("tell_failed 12 3 wait  0 "); /* with it the story is another one */
    has("\"pull_asked\": \"abc\"");
}
END_TEST

START_TEST(a_draft_that_is_there)
{
    scene_page("POST " REPO "/pulls", 409, NULL);
    scene_page(REPO "/pulls/main/task%2Fx", 200, PULL);
    run("c", STORY(OPEN), "{}");
    asked("POST " REPO "/pulls\n" REPO "/pulls/main/task%2Fx\n");
    ck_assert(strstr(scene.told, "pull_opened {") != NULL);
}
END_TEST

START_TEST(a_draft_that_is_refused)
{
    scene_page("POST " REPO "/pulls", 422, NULL);
    scene_page("PATCH " REPO "/issues/comments/5", 200, "{}");
    run("c", STORY(OPEN), "{\"comment_id\":5}");
    asked("POST " REPO "/pulls\nPATCH " REPO "/issues/comments/5\n");
    ends("told ");
    has("\"trouble\": \"the draft pull request: 422\"");
    has("\"pull_asked\": \"abc\"");
}
END_TEST

/* --- answers to comments --- */

START_TEST(comments_are_answered)
{
    scene_page("PATCH " REPO "/issues/comments/5", 200, "{}");
    scene_page("POST " REPO "/issues/comments/90/reactions", 201, "{}");
    scene_page("POST " REPO "/issues/comments/91/reactions", 200, "{}");
    scene_page(REPO "/issues/43/timeline", 200, "[]");
    scene_page("POST " REPO "/issues/43/comments", 201, "{\"id\":99}");
    run("c",
        STORY(",\"responses\":[{\"comment\":90,\"number\":42,\"reaction\":\"eyes\"},"
              "{\"comment\":91,\"number\":43,\"reaction\":\"confused\",\"text\":\"No.\"},"
              "{\"comment\":92,\"number\":42,\"reaction\":\"eyes\"}]"),
        "{\"comment_id\":5,\"comment_hash\":\"x\"}");
    ck_assert(strstr(scene.asked,
                     "POST " REPO "/issues/comments/90/reactions\nPOST " REPO
                     "/issues/comments/91/reactions\n" REPO "/issues/43/timeline\nPOST " REPO
                     "/issues/43/comments\nPOST " REPO "/issues/comments/92/reactions\n") != NULL);
    ck_assert(strstr(scene.sent, "call.") == NULL);
    ck_assert(strstr(scene.sent, "<!-- agent-fleet:ab12 reply.91 -->\\nNo.\\n") != NULL);
    has("\"answered\": [ 90, 91, 92 ]");
}
END_TEST

START_TEST(a_worker_that_stops)
{
    scene_page(ISSUE "/timeline", 200, "[]");
    scene_sql("tells",
              "task=12;seq=3;repo=acme/rocket;issue_number=42;comments=t;state_labels=t;"
              "commit_statuses=t;story={};told={}",
              1);
    outbox_wake(outbox());
    scene_step();
    scene.closing = true;
    scene_run();
    ends("tell_failed 12 3 wait ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tell");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_first_comment);
    tcase_add_test(tests, one_that_is_known);
    tcase_add_test(tests, one_that_was_deleted);
    tcase_add_test(tests, several_of_ours);
    tcase_add_test(tests, an_answer_that_was_lost);
    tcase_add_test(tests, a_row_that_was_lost);
    tcase_add_loop_test(tests, an_announcement_that_was_slow, 0, 2);
    tcase_add_loop_test(tests, whose_fault_it_is, 0, 10);
    tcase_add_test(tests, a_person_is_called_once);
    tcase_add_test(tests, a_label_is_set_by_id);
    tcase_add_test(tests, a_label_that_is_missing);
    tcase_add_test(tests, a_label_that_forgejo_drops);
    tcase_add_test(tests, no_label);
    tcase_add_test(tests, what_may_have_been_done);
    tcase_add_test(tests, labels_that_we_may_not_set);
    tcase_add_test(tests, a_commit_status);
    tcase_add_loop_test(tests, a_head_that_is_unknown, 0, 2);
    tcase_add_test(tests, a_draft_is_opened);
    tcase_add_test(tests, a_draft_that_is_there);
    tcase_add_test(tests, a_draft_that_is_refused);
    tcase_add_test(tests, comments_are_answered);
    tcase_add_test(tests, a_worker_that_stops);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
