/* Backfill: which pages are asked for, what the database is told of them, where the mark is put. */
#include "tests/unit/forgejo_scene.h"

#define REPO "/repos/acme/rocket"
#define ISSUES REPO "/issues?sort=oldest&type=issues&state=all&since=" SINCE
#define PULLS REPO "/issues?sort=oldest&type=pulls&state=all&since=" SINCE
#define SINCE "2026-01-01T09%3A59%3A00Z"
#define ITEM(number, at, more)                                                             \
    "{\"id\":90" #number ",\"number\":" #number ",\"state\":\"open\",\"updated_at\":\"" at \
    "\",\"labels\":[{\"id\":1,\"name\":\"bug\"}]" more "}"
#define SHAPED(number, at, pull)                                                           \
    "{\"id\":90" #number ",\"number\":" #number ",\"state\":\"open\",\"updated_at\":\"" at \
    "\",\"labels\":[\"bug\"],\"is_pull\":" pull "}"
#define DUE "repo=acme/rocket;repository_id=5;since=2026-01-01T09:59:00Z"

static struct backfill *backfill(void)
{
    return &scene.tracker.backfill;
}

static void setup(void)
{
    scene_setup();
    backfill_init(backfill(), &scene.tracker);
    backfill()->next_names = INT64_MAX; /* the names are known */
    scene_sql("repository_seen", "name=acme/rocket", 0);
    scene_page(REPO, 200, "{\"id\":5,\"full_name\":\"acme/rocket\",\"default_branch\":\"main\"}");
}

static void teardown(void)
{
    scene_teardown();
    ck_assert(backfill_idle(backfill()));
    backfill_release(backfill());
}

static void run(const char *due)
{
    scene_sql("backfills", due, 1);
    backfill_tick(backfill(), clock_ms());
    scene_run();
}

static void told(const char *line)
{
    ck_assert_msg(strstr(scene.told, line) != NULL, "wanted: %s\ntold: %s", line, scene.told);
}

START_TEST(test_lists)
{
    scene_page(ISSUES, 200,
               "[" ITEM(1, "2026-01-01T10:00:00Z", "") "," ITEM(
                   2, "2026-01-01T12:00:00+01:00", "") "," ITEM(3, "2026-01-01T10:30:00Z", "") "]");
    scene_page(PULLS, 200,
               "[" ITEM(4, "2026-01-01T10:10:00Z", ",\"pull_request\":{\"merged\":false}") "]");
    run(DUE);
    told("\nrepository_seen {");
    told("\nbackfilled acme/rocket [" SHAPED(1, "2026-01-01T10:00:00Z", "false") "," SHAPED(
        2, "2026-01-01T12:00:00+01:00", "false") "," SHAPED(3, "2026-01-01T10:30:00Z",
                                                            "false") "] null\n");
    told("\nbackfilled acme/rocket [" SHAPED(4, "2026-01-01T10:10:00Z", "true") "] null\n");
    /* 11:00 by UTC is the newest; what the reading took (a second, rounded up) is taken off */
    told("\nbackfilled acme/rocket [] 2026-01-01T10:59:59Z\n");
}
END_TEST

/* A long list is told in parts. */
START_TEST(test_long)
{
    struct buf list;
    int parts = 0;
    buf_init(&list, 1 << 20);
    for (int i = 1; i <= 1001; i++)
        buf_addf(&list, "%s{\"id\":%d,\"number\":%d}", i > 1 ? "," : "[", i, i);
    buf_adds(&list, "]");
    scene_page(ISSUES, 200, buf_text(&list));
    scene_page(PULLS, 200, "[]");
    run(DUE);
    for (const char *at = scene.told; (at = strstr(at, "\nbackfilled ")) != NULL; at++)
        parts++;
    ck_assert_int_eq(parts, 4); /* the last is the end */
    buf_release(&list);
}
END_TEST

/* One that is longer than anybody reads does not count as read. */
START_TEST(test_endless)
{
    scene_page(ISSUES, 200, "[]");
    scene.pages[1].more = true;
    run(DUE);
    told("\nbackfill_failed acme/rocket refused: the list of issues: there is more than we read");
}
END_TEST

START_TEST(test_nothing_new)
{
    scene_page(ISSUES, 200, "[]");
    scene_page(PULLS, 200, "[]");
    run(DUE);
    told("\nbackfilled acme/rocket [] \n"); /* the mark stays */
}
END_TEST

/* The reading took a minute: so much older is the mark than what it saw. */
START_TEST(test_slow)
{
    scene_page(ISSUES, 200, "[" ITEM(1, "2026-01-01T10:00:00Z", "") "]");
    scene_page(PULLS, 200, "[]");
    scene_sql("backfills", DUE, 1);
    backfill_tick(backfill(), clock_ms());
    ck_assert(scene_step());
    scene.now += 60000;
    scene_run();
    told("\nbackfilled acme/rocket [] 2026-01-01T09:58:59Z\n");
}
END_TEST

/* Of what nobody has read, what is open. */
START_TEST(test_first)
{
    scene_page(REPO "/issues?sort=oldest&type=issues&state=open", 200, "[]");
    scene_page(REPO "/issues?sort=oldest&type=pulls&state=open", 200, "[]");
    run("repo=acme/rocket;repository_id=<null>;since=<null>");
    told("\nbackfilled acme/rocket [] \n");
}
END_TEST

/* A Forgejo that does not know the filter `type` lists both. */
START_TEST(test_mixed)
{
    static const char both[] = "[" ITEM(1, "2026-01-01T10:00:00Z", "") "," ITEM(
        4, "2026-01-01T10:00:00Z", ",\"pull_request\":{}") "]";
    scene_page(ISSUES, 200, both);
    scene_page(PULLS, 200, both);
    run(DUE);
    told("[" SHAPED(1, "2026-01-01T10:00:00Z", "false") "] null\n");
    told("[" SHAPED(4, "2026-01-01T10:00:00Z", "true") "] null\n");
}
END_TEST

/* The database wants to know heads of pull requests that it does not know. */
START_TEST(test_heads)
{
    scene_page(ISSUES, 200, "[]");
    scene_page(PULLS, 200, "[" ITEM(4, "2026-01-01T10:00:00Z", ",\"pull_request\":{}") "]");
    scene_page(REPO "/pulls/4", 200,
               ITEM(4, "2026-01-01T10:00:00Z",
                    ",\"head\":{\"ref\":\"task/x\",\"sha\":\"abc\",\"repo_id\":5}"));
    scene_sql("backfilled", "number=4|number=6", 1);
    run(DUE);
    told("\"is_pull\":true,\"pull_head\":{\"ref\":\"task/"
         "x\",\"sha\":\"abc\",\"repository_id\":5}}] null\n");
    ck_assert_ptr_nonnull(strstr(scene.asked, REPO "/pulls/6\n")); /* 404: nothing */
    told("\nbackfilled acme/rocket [] 2026-01-01T09:59:59Z\n");
}
END_TEST

static const struct trouble {
    const char *path;
    int status;
    const char *word;
} troubles[] = {
    {REPO, 502, "away: the repository: 502 -1"},
    {REPO, 404, "missing: the repository, by its id: 404 -1"},
    {REPO, 403, "denied: the repository: 403 -1"},
    {ISSUES, 500, "away: the list of issues: 500 -1"},
    {ISSUES, 0, "away: the list of issues: 0 -1"},
    {ISSUES, 403, "denied: the list of issues: 403 -1"},
    {ISSUES, 422, "refused: the list of issues: 422 -1"},
    {PULLS, 502, "away: the list of pull requests: 502 -1"},
    {REPO "/pulls/4", 502, "away: a pull request: 502 -1"},
};

/* A page that failed: the mark is not told. */
START_TEST(test_trouble)
{
    struct scene_page home = scene.pages[0];
    scene.page_count = 0;
    scene_page(troubles[_i].path, troubles[_i].status, NULL);
    scene_page(home.path, home.status, home.json);
    scene_page(ISSUES, 200, "[" ITEM(1, "2026-01-01T10:00:00Z", "") "]");
    scene_page(PULLS, 200, "[" ITEM(4, "2026-01-01T10:00:00Z", ",\"pull_request\":{}") "]");
    scene_sql("backfilled", "number=4", 2);
    run(DUE);
    char line[200];
    snprintf(line, sizeof line, "\nbackfill_failed acme/rocket %s", troubles[_i].word);
    told(line);
    ck_assert_ptr_null(strstr(scene.told, "[] 2026"));
}
END_TEST

START_TEST(test_renamed)
{
    scene.page_count = 0;
    scene_page(REPO, 301, NULL);
    scene_page("/repositories/5", 200,
               "{\"id\":5,\"full_name\":\"new/name\",\"default_branch\":\"main\"}");
    scene.call_count = 0;
    scene_sql("repository_seen", "name=new/name", 0);
    run(DUE);
    told("\nrepository_seen {\"id\":5,\"full_name\":\"new/name\"");
    ck_assert_ptr_nonnull(strstr(scene.asked, "/repos/new/name/issues?"));
    told("\nbackfill_failed new/name missing: the list of issues: 404");
}
END_TEST

/* It is none of ours any more: nothing of it is read. */
START_TEST(test_left)
{
    scene.page_count = 0;
    scene_page(REPO, 200, "{\"id\":5,\"full_name\":\"evil/rocket\"}");
    scene.call_count = 0;
    scene_sql("repository_seen", "name=<null>", 0);
    run(DUE);
    ck_assert_ptr_null(strstr(scene.asked, "/issues"));
    told("\nbackfill_failed acme/rocket moved: it is called evil/rocket now");
}
END_TEST

START_TEST(test_switched_off)
{
    scene.page_count = 0;
    scene_page(REPO, 200, "{\"id\":5,\"full_name\":\"acme/rocket\",\"has_issues\":false}");
    scene_page(PULLS, 200, "[]");
    run(DUE);
    told("\nbackfilled acme/rocket [] \n");
}
END_TEST

/* Others have it, or our life is over: nothing more is said, and only the second ends all that we
 * do. And the worker stops: others are to have it. */
START_TEST(test_fenced)
{
    uint64_t life = scene.node.life;
    scene_page(ISSUES, 200, "[" ITEM(1, "2026-01-01T10:00:00Z", "") "]");
    scene.calls[scene.call_count++] =
        (struct scene_call){.name = "backfilled", .state = _i == 0 ? "AF004" : "AF002"};
    run(DUE);
    ck_assert_ptr_null(strstr(scene.told, "backfill_failed"));
    ck_assert_uint_eq(scene.node.life, life + (uint64_t)_i);
}
END_TEST

/* What was given to an earlier life is not ours any more, and what it was refused ends no other. */
START_TEST(test_asked_in_another_life)
{
    if (_i == 0)
        scene_sql("backfills", DUE, 1);
    else
        scene.calls[scene.call_count++] =
            (struct scene_call){.name = "backfills", .state = "AF002", .times = 1};
    backfill_tick(backfill(), clock_ms());
    uint64_t life = ++scene.node.life;
    scene_run();
    ck_assert_uint_eq(scene.node.life, life);
    ck_assert_int_eq(backfill()->count, 0);
    ck_assert_str_eq(scene.asked, "");
}
END_TEST

START_TEST(test_dropped)
{
    scene_page(ISSUES, 200, "[" ITEM(1, "2026-01-01T10:00:00Z", "") "]");
    scene_sql("backfills", DUE, 1);
    backfill_tick(backfill(), clock_ms());
    for (int i = 0; i < _i + 2; i++)
        ck_assert(scene_step());
    scene.closing = true;
    scene_run();
    told("\nbackfill_failed acme/rocket dropped: ");
}
END_TEST

START_TEST(test_names)
{
    backfill()->next_names = 0;
    scene_page("/users/tools/repos", _i == 0 ? 200 : 404,
               "[{\"full_name\":\"tools/a\"},{\"full_name\":\"tools/old\",\"archived\":true}]");
    scene_page("/orgs/tools/repos", _i == 1 ? 200 : 502, "[{\"full_name\":\"tools/b\"}]");
    backfill_tick(backfill(), clock_ms());
    ck_assert_ptr_null(strstr(scene.told, "backfills"));
    scene_run();
    told(_i == 0   ? "know_repositories {\"acme/rocket\",\"tools/a\"}\n"
         : _i == 1 ? "know_repositories {\"acme/rocket\",\"tools/b\"}\n"
                   : "know_repositories {\"acme/rocket\"}\n");
    ck_assert_int_gt(backfill()->next_names, clock_ms());
    backfill_tick(backfill(), clock_ms());
    told("\nbackfills 2\n");
}
END_TEST

START_TEST(test_stamps)
{
    static const struct {
        const char *text, *utc;
    } stamps[] = {
        {"2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"},
        {"2026-01-01T10:00:00.123z", "2026-01-01T10:00:00Z"},
        {"2026-01-01T00:30:00+05:45", "2025-12-31T18:45:00Z"},
        {"2026-12-31T23:30:00-03:30", "2027-01-01T03:00:00Z"},
        {"2026-01-01", NULL},
        {"2026-01-01T10:00:00", NULL},
        {"2026-01-01T10:00:00+x", NULL},
        {"2026-01-01T10:00:00+01:00x", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof stamps / sizeof stamps[0]; i++) {
        char text[32];
        int64_t stamp = stamp_parse(stamps[i].text);
        ck_assert_msg((stamp != 0) == (stamps[i].utc != NULL), "%s", stamps[i].text);
        stamp_format(stamp, text, sizeof text);
        if (stamps[i].utc != NULL)
            ck_assert_str_eq(text, stamps[i].utc);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backfill");
    TCase *tc = tcase_create("backfill");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_lists);
    tcase_add_test(tc, test_long);
    tcase_add_test(tc, test_endless);
    tcase_add_test(tc, test_nothing_new);
    tcase_add_test(tc, test_slow);
    tcase_add_test(tc, test_first);
    tcase_add_test(tc, test_mixed);
    tcase_add_test(tc, test_heads);
    tcase_add_loop_test(tc, test_trouble, 0, (int)(sizeof troubles / sizeof troubles[0]));
    tcase_add_test(tc, test_renamed);
    tcase_add_test(tc, test_left);
    tcase_add_test(tc, test_switched_off);
    tcase_add_loop_test(tc, test_fenced, 0, 2);
    tcase_add_loop_test(tc, test_asked_in_another_life, 0, 2);
    tcase_add_loop_test(tc, test_dropped, 0, 4);
    tcase_add_loop_test(tc, test_names, 0, 3);
    tcase_add_test(tc, test_stamps);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
