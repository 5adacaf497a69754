/* When a live run is given up: silence, by adapter, and a provider that does not answer. */
#include "tests/unit/worker_scene.h"

#include "common/text.h"
#include "worker/adapter/failure.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define RECONNECTING \
    "{\"type\":\"error\",\"message\":\"Reconnecting... 1/5 (stream disconnected)\"}\n"
#define MESSAGE \
    "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"Hm.\"}}\n"

#define STEP(type, part) "{\"type\":\"" type "\",\"sessionID\":\"ses_1\",\"part\":{" part "}}\n"
#define CLOSED                                    \
    STEP("step_start", "\"type\":\"step-start\"") \
    STEP("text", "\"text\":\"Done.\"")            \
    STEP("step_finish", "\"reason\":\"stop\",\"tokens\":{}")

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

static bool is_in_tool(void)
{
    return adapter_in_tool(&scene_job()->adapter);
}

/* While a command runs for it an agent says nothing. */
START_TEST(test_silence_in_a_tool)
{
    run_with(CONFIG("silence_timeout_secs: 60", "output: codex-json"));
    scene_prints(
        "{\"type\":\"item.started\",\"item\":{\"id\":\"i1\",\"type\":\"command_execution\","
        "\"command\":\"make\",\"status\":\"in_progress\"}}\n");
    scene_until(is_in_tool, "a tool call");
    silent_for(239000);
    ck_assert_int_eq(scene_job()->state, JOB_RUNNING);
    silent_for(241000);
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
    while (sql("turn")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_str_eq(sql("turn")->last[3], "failed");
    ck_assert_str_eq(sql("turn")->last[4], "provider_down");
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

static bool is_done(void)
{
    return adapter_done(&scene_job()->adapter);
}

/* An agent that said all and stays is ended, and did well. */
START_TEST(test_done_and_lingering)
{
    run_with(CONFIG("silence_timeout_secs: 60", "output: opencode-json"));
    scene_prints(CLOSED);
    scene_until(is_done, "done");
    silent_for(14000);
    ck_assert_int_eq(scene_job()->state, JOB_RUNNING);
    silent_for(16000);
    ck_assert_str_eq(scene_job()->stop_reason, "done");
    scene_until(stopped_on_host, "stop");
    scene_ends(143, "done");
    while (sql("turn")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_str_eq(sql("turn")->last[3], "succeeded");
}
END_TEST

/* It asks its provider again and again without a word. */
START_TEST(test_silent_retries)
{
    run_with(CONFIG("silence_timeout_secs: 60", "output: opencode-json"));
    silent_for(61000);
    ck_assert_str_eq(scene_job()->stop_reason, "provider_down");
}
END_TEST

static bool is_stopping(void)
{
    return scene_job() != NULL && scene_job()->stop_reason != NULL;
}

/* Whatever it does in another session is paid and of no use. */
START_TEST(test_another_session)
{
    run_with(CONFIG("silence_timeout_secs: 60", "output: codex-json"));
    adapter_resumes(&scene_job()->adapter, "wanted", NULL);
    scene_prints("{\"type\":\"thread.started\",\"thread_id\":\"other\"}\n");
    scene_until(is_stopping, "stop");
    ck_assert_str_eq(scene_job()->stop_reason, "session_lost");
}
END_TEST

/* Whatever a run can be stopped for, its supervisor knows the word. */
START_TEST(test_reasons_that_reach_the_host)
{
    static const char *const known[] = {RUNNER_STOP_REASONS, NULL};
    static const char *const texts[] = {"no conversation found",
                                        "context window",
                                        "usage policy",
                                        "usage limit",
                                        "overloaded",
                                        "rate limit",
                                        "invalid api key",
                                        "connection refused",
                                        "model not found",
                                        "max turns",
                                        "anything else"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(text_listed(failure_of(0, texts[i]), known), "%s", texts[i]);
    ck_assert(text_listed(JOB_DONE, known) && text_listed("silence_timeout", known));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_clock");
    TCase *tcase = tcase_create("job_clock");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_silence_of_events);
    tcase_add_test(tcase, test_silence_in_a_tool);
    tcase_add_test(tcase, test_text_may_be_silent);
    tcase_add_test(tcase, test_silence_of_an_adapter);
    tcase_add_test(tcase, test_provider_down);
    tcase_add_test(tcase, test_waiting_is_no_progress);
    tcase_add_test(tcase, test_done_and_lingering);
    tcase_add_test(tcase, test_silent_retries);
    tcase_add_test(tcase, test_another_session);
    tcase_add_test(tcase, test_reasons_that_reach_the_host);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
