/* A credential that an agent prints reaches the database under no circumstances: not in two polls,
 * not through another worker, not as summary, error or session. */
#include "tests/unit/worker_scene.h"

#define BODY "abcdefghijklmnopqrstuvwxyz0123456789"
#define STARS "************************************"
#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
}

static bool finished(void)
{
    return sql("turn")->calls > 0;
}

static bool has_read_all(void)
{
    const struct job *job = scene_job();
    return job != NULL && scene.stored_len[0] > 0 &&
           job->out.stored + (int64_t)job->out.pending.len == (int64_t)scene_run.out_len;
}

START_TEST(test_in_two_polls)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_prints("first\nkey ghp_abcdefgh");
    scene_until(has_read_all, "half of it");
    scene_is_stored("first\nkey ");
    scene_prints("ijklmnopqrstuvwxyz0123456789 end");
    scene_ends(0, "exit");
    scene_until(finished, "finish");
    scene_is_stored("first\nkey ghp_" STARS " end");
}
END_TEST

START_TEST(test_on_stderr)
{
    static const char text[] = "OPENAI_API_KEY=sk-1234567\n";
    scene_once("claim", CLAIMED);
    memcpy(scene_run.err, text, strlen(text));
    scene_run.err_len = strlen(text);
    scene_run.chunk = 3;
    scene_until(is_running, "running");
    while (scene.stored_len[1] < strlen(text))
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_mem_eq(scene.stored[1], "OPENAI_API_KEY=**********\n", strlen(text));
}
END_TEST

/* What a former owner stored ends before the credential, so the heir sees all of it. */
START_TEST(test_taken_over_in_the_middle)
{
    memcpy(scene.stored[0], "key ", 4);
    scene.stored_len[0] = 4;
    scene_prints("key ghp_" BODY "\n");
    sql("peers")->rows = "kind=left;"
                         "node=22222222-2222-4222-8222-222222222222;beat=5";
    scene_once("adopt", SCENE_JOB("running;proven=t", "2", "t-1-x.1", "4", "<null>", "f"));
    scene_until(is_running, "running");
    scene_ends(0, "exit");
    scene_until(finished, "finish");
    scene_is_stored("key ghp_" STARS "\n");
}
END_TEST

START_TEST(test_in_what_it_says_of_itself)
{
    scene_once("claim", CLAIMED);
    scene_prints("{\"type\":\"thread.started\",\"thread_id\":\"ghp_" BODY "\"}\n"
                 "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":"
                 "\"Use ghp_" BODY "\"}}\n"
                 "{\"type\":\"turn.failed\",\"error\":{\"message\":\"PASSWORD=hunter2222\"}}\n");
    scene_until(is_running, "running");
    scene_ends(1, "exit");
    scene_until(finished, "finish");
    ck_assert_str_eq(reported("session_id"), "<null>");
    ck_assert_str_eq(reported("summary"), "Use ghp_" STARS);
    ck_assert_str_eq(reported("error"), "PASSWORD=**********");
    ck_assert_ptr_null(strstr(sql("append")->last[6], BODY)); /* checkpoint */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_secret");
    TCase *tcase = tcase_create("job_secret");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_in_two_polls);
    tcase_add_test(tcase, test_on_stderr);
    tcase_add_test(tcase, test_taken_over_in_the_middle);
    tcase_add_test(tcase, test_in_what_it_says_of_itself);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
