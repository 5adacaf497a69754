/* When a live run is given up: silence, by adapter, and a provider that does not answer. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define RECONNECTING \
    "{\"type\":\"error\",\"message\":\"Reconnecting... 1/5 (stream disconnected)\"}\n"
#define MESSAGE \
    "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"Hm.\"}}\n"

#define CONFIG(limits, adapter)                                             \
    "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"             \
    "orchestrator: { " limits " }\n"                                        \
    "adapters: { demo: { command: [ demo, '{task_id}' ], " adapter " } }\n" \
    "hosts:\n"                                                              \
    "  - host_id: h1\n"                                                     \
    "    hostname: localhost\n"                                             \
    "    work_dir: /tmp/scene\n"                                            \
    "    agents: [ { agent_type: demo, max_concurrency: 2, capabilities: [ x ] } ]\n"

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
}

static bool stopped_on_host(void)
{
    return call("stop")->calls > 0;
}

static void run_with(const char *text)
{
    struct error err;
    struct config *config = config_parse(text, strlen(text), "x.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
    dispatch_reload(scene.dispatch, config);
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
}

/* So much watched silence, without waiting for it. */
static void silent_for(int64_t ms)
{
    scene_job()->quiet_ms = ms;
    job_step(scene_job());
}

START_TEST(test_silence_of_events)
{
    run_with(CONFIG("silence_timeout_secs: 60", "output: codex-json"));
    silent_for(59000);
    ck_assert_int_eq(scene_job()->state, JOB_RUNNING);
    silent_for(61000);
    ck_assert_str_eq(scene_job()->stop_reason, "silence_timeout");
}
END_TEST

START_TEST(test_text_may_be_silent)
{
    run_with(CONFIG("silence_timeout_secs: 60", "output: text"));
    silent_for(100000000);
    ck_assert_int_eq(scene_job()->state, JOB_RUNNING);
    ck_assert_ptr_null(scene_job()->stop_reason);
}
END_TEST

START_TEST(test_silence_of_an_adapter)
{
    run_with(CONFIG("silence_timeout_secs: 60", "output: text, silence_timeout_secs: 90"));
    silent_for(89000);
    ck_assert_int_eq(scene_job()->state, JOB_RUNNING);
    silent_for(91000);
    ck_assert_str_eq(scene_job()->stop_reason, "silence_timeout");
}
END_TEST

static bool has_waited(void)
{
    return scene_job()->waits_ms > 0;
}

static bool no_longer_waits(void)
{
    return scene_job()->waits_ms == 0;
}

/* One line a minute is output, so the silence clock alone would let it go on to the time-out. */
START_TEST(test_provider_down)
{
    run_with(CONFIG("provider_timeout_secs: 1", "output: codex-json"));
    scene_prints(RECONNECTING);
    scene_until(stopped_on_host, "stop");
    ck_assert_str_eq(scene_job()->stop_reason, "provider_down");
    scene_ends(1, "provider_down");
    while (sql("finish_run")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_str_eq(sql("finish_run")->last[3], "failed");
    ck_assert_str_eq(sql("finish_run")->last[4], "provider_down");
}
END_TEST

START_TEST(test_waiting_is_no_progress)
{
    run_with(CONFIG("provider_timeout_secs: 60", "output: codex-json"));
    scene_job()->quiet_ms = 30000;
    scene_prints(RECONNECTING);
    scene_until(has_waited, "waiting");
    scene_prints(RECONNECTING);
    ck_assert_int_ge(scene_job()->quiet_ms, 30000);
    scene_prints(MESSAGE);
    scene_until(no_longer_waits, "progress");
    ck_assert_int_lt(scene_job()->quiet_ms, 30000);
    ck_assert_int_eq(scene_job()->state, JOB_RUNNING);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_clock");
    TCase *tcase = tcase_create("job_clock");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_silence_of_events);
    tcase_add_test(tcase, test_text_may_be_silent);
    tcase_add_test(tcase, test_silence_of_an_adapter);
    tcase_add_test(tcase, test_provider_down);
    tcase_add_test(tcase, test_waiting_is_no_progress);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
