/* worker/adapter: what Codex's lines of JSON mean, also broken and hostile ones. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/adapter/adapter.h"

#define STARTED "{\"type\":\"thread.started\",\"thread_id\":\"01a2-x_Y\"}\n"
#define WARNING                                                                    \
    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"error\"," \
    "\"message\":\"Model metadata not found\"}}\n"
#define TURN "{\"type\":\"turn.started\"}\n"
#define TOOL_STARTED                                                                         \
    "{\"type\":\"item.started\",\"item\":{\"id\":\"item_1\",\"type\":\"command_execution\"," \
    "\"command\":\"ls\",\"status\":\"in_progress\"}}\n"
#define TOOL_DONE                                                                              \
    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_1\",\"type\":\"command_execution\"," \
    "\"exit_code\":0,\"status\":\"completed\"}}\n"
#define MESSAGE                                                                            \
    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_2\",\"type\":\"agent_message\"," \
    "\"text\":\"Done: FIXED.txt written.\"}}\n"
#define COMPLETED                                                                                 \
    "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":2400,\"cached_input_tokens\":1600," \
    "\"output_tokens\":90,\"reasoning_output_tokens\":10}}\n"
#define RECONNECTING "{\"type\":\"error\",\"message\":\"Reconnecting... 1/5 (x)\"}\n"
#define SUCCESS STARTED WARNING TURN TOOL_STARTED TOOL_DONE MESSAGE COMPLETED

static char *failed(const char *message)
{
    return mem_printf(STARTED TURN "{\"type\":\"turn.failed\",\"error\":{\"message\":\"%s\"}}\n",
                      message);
}

static void expect(const char *text, int status, const char *outcome, const char *reason)
{
    struct adapter adapter;
    const char *why;
    adapter_init(&adapter, &adapter_codex);
    adapter_feed(&adapter, text, strlen(text));
    adapter_end(&adapter);
    ck_assert_str_eq(adapter_judge(&adapter, status, &why), outcome);
    ck_assert_pstr_eq(why, reason);
    adapter_release(&adapter);
}

START_TEST(test_success)
{
    struct adapter adapter;
    const char *why;
    adapter_init(&adapter, &adapter_codex);
    adapter_feed(&adapter, SUCCESS, strlen(SUCCESS));
    ck_assert_str_eq(adapter_judge(&adapter, 0, &why), "succeeded");
    ck_assert_ptr_null(why);
    ck_assert_str_eq(adapter.facts.session_id, "01a2-x_Y");
    ck_assert_str_eq(adapter.facts.summary, "Done: FIXED.txt written.");
    ck_assert_int_eq(adapter.facts.tokens.input, 2400);
    ck_assert_int_eq(adapter.facts.tokens.reasoning, 10);
    ck_assert_int_eq(adapter.facts.warnings, 1);
    ck_assert_int_eq(adapter.facts.lines, 7);
    ck_assert_int_eq(adapter_next(&adapter), (int64_t)strlen(SUCCESS));
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_outcomes)
{
    expect(SUCCESS, 1, "failed", "exit_nonzero");
    expect(STARTED TURN, 0, "failed", "agent_no_result");
    expect(STARTED TURN, 1, "failed", "exit_nonzero"); /* SIGINT: no closing event */
    expect(STARTED TURN, 143, "failed", "exit_nonzero");
    expect(STARTED TURN, -1, "failed", "exit_nonzero");
    expect("", 127, "failed", "adapter_missing");
    expect("", 0, "failed", "agent_no_result");
    expect(STARTED TURN RECONNECTING MESSAGE COMPLETED, 0, "succeeded", NULL);
    expect(STARTED TURN RECONNECTING, 1, "failed", "provider_down");
    expect(STARTED TURN RECONNECTING, -1, "failed", "exit_nonzero");
    expect(STARTED TURN RECONNECTING MESSAGE, 1, "failed", "exit_nonzero");
    expect("Reading prompt from stdin...\n" SUCCESS, 0, "succeeded", NULL);
    expect(STARTED TURN MESSAGE "{\"type\":\"turn.completed\"}", 0, "succeeded", NULL);
}
END_TEST

START_TEST(test_failures_by_text)
{
    const char *cases[][2] = {
        {"unexpected status 401 Unauthorized: invalid api key", "auth_failed"},
        {"exceeded retry limit, last status: 429 Too Many Requests", "rate_limited"},
        {"You've hit your usage limit.", "provider_quota"},
        {"Codex ran out of room in the model's context window.", "context_overflow"},
        {"We are currently experiencing high demand", "provider_down"},
        {"stream disconnected before completion", "provider_down"},
        {"stream disconnected before completion: error sending request", "network_failed"},
        {"the tests do not pass", "agent_error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = failed(cases[i][0]);
        expect(text, 1, "failed", cases[i][1]);
        expect(text, 0, "failed", cases[i][1]);
        free(text);
    }
}
END_TEST

#define COUNTED(id) "{\"type\":\"thread.started\",\"thread_id\":\"" id "\"}\n" COMPLETED

/* Usage is that of the whole thread; of another thread nothing was counted before. */
START_TEST(test_session_that_goes_on)
{
    static const struct adapter_tokens before = {2000, 1700, 50, 10};
    const char *texts[] = {COUNTED("wanted"), COUNTED("other")};
    const int64_t input[] = {400, 2400}, cached[] = {0, 1600}, total[] = {2400, 0};
    for (size_t i = 0; i < 2; i++) {
        struct adapter adapter;
        struct adapter_tokens tokens;
        struct buf point;
        const char *why;
        buf_init(&point, 1 << 20);
        adapter_init(&adapter, &adapter_codex);
        adapter_resumes(&adapter, "wanted", &before);
        adapter_feed(&adapter, texts[i], strlen(texts[i]));
        ck_assert_int_eq(adapter_lost_session(&adapter), i == 1);
        ck_assert_int_eq(adapter.facts.tokens.input, input[i]);
        ck_assert_int_eq(adapter.facts.tokens.cached_input, cached[i]);
        adapter_judge(&adapter, 0, &why);
        ck_assert_pstr_eq(why, i == 1 ? "session_lost" : NULL);
        adapter_checkpoint(&adapter, &point);
        adapter_session_tokens(buf_text(&point), "wanted", &tokens);
        ck_assert_int_eq(tokens.input, total[i]);
        adapter_release(&adapter);
        buf_release(&point);
    }
}
END_TEST

/* Nothing that an agent says makes a first run one that lost its session. */
START_TEST(test_no_session_to_lose)
{
    char *text = failed("No conversation found with session ID: 1");
    expect(text, 1, "failed", "agent_error");
    free(text);
}
END_TEST

START_TEST(test_first_terminal_event_wins)
{
    char *text = failed("boom");
    char *both = mem_printf("%s%s", SUCCESS, text);
    expect(both, 0, "succeeded", NULL);
    free(both);
    both = mem_printf("%s%s", text, SUCCESS);
    expect(both, 0, "failed", "agent_error");
    free(both);
    free(text);
}
END_TEST

START_TEST(test_hostile_lines)
{
    expect("{\"type\":\"turn.completed\"\n" STARTED, 0, "failed", "agent_no_result");
    expect("[{\"type\":\"turn.completed\"}]\n", 0, "failed", "agent_no_result");
    expect("{\"type\":{\"type\":\"turn.completed\"}}\n", 0, "failed", "agent_no_result");
    expect("{\"type\":\"item.completed\",\"item\":7}\n{\"type\":\"item.completed\"}\n" COMPLETED, 0,
           "succeeded", NULL);
    expect("{\"type\":\"turn.failed\",\"error\":\"x\"}\n", 1, "failed", "agent_error");
    expect("\n\n\xff\xfe\n" COMPLETED, 0, "succeeded", NULL);
}
END_TEST

START_TEST(test_bad_session_and_usage)
{
    const char *text = "{\"type\":\"thread.started\",\"thread_id\":\"$(rm -rf /)\"}\n"
                       "{\"type\":\"thread.started\",\"thread_id\":\"good\"}\n"
                       "{\"type\":\"thread.started\",\"thread_id\":\"later\"}\n"
                       "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":-5,"
                       "\"output_tokens\":99999999999999999999}}\n";
    struct adapter adapter;
    adapter_init(&adapter, &adapter_codex);
    adapter_feed(&adapter, text, strlen(text));
    ck_assert_str_eq(adapter.facts.session_id, "good");
    ck_assert_int_eq(adapter.facts.tokens.input, 0);
    ck_assert_int_ge(adapter.facts.tokens.output, 0);
    ck_assert_int_le(adapter.facts.tokens.output, ADAPTER_COUNT_MAX);
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_long_line_is_not_parsed)
{
    struct adapter adapter;
    const char *why;
    char block[4096];
    memset(block, 'x', sizeof block);
    adapter_init(&adapter, &adapter_codex);
    for (size_t sent = 0; sent <= ADAPTER_LINE_MAX; sent += sizeof block)
        adapter_feed(&adapter, block, sizeof block);
    ck_assert(adapter.skipping);
    ck_assert_int_eq(adapter.settled, adapter.next);
    adapter_feed(&adapter, "\n" COMPLETED, strlen("\n" COMPLETED));
    ck_assert_int_eq(adapter.facts.ignored, 1);
    ck_assert_str_eq(adapter_judge(&adapter, 0, &why), "succeeded");
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_summary_is_cut)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_adds(&text,
             "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"");
    for (int i = 0; i < 5000; i++)
        buf_adds(&text, "€");
    buf_adds(&text, "\"}}\n");
    struct adapter adapter;
    adapter_init(&adapter, &adapter_codex);
    adapter_feed(&adapter, text.data, text.len);
    ck_assert_uint_eq(strlen(adapter.facts.summary), 3 * ADAPTER_SUMMARY_CHARS);
    adapter_release(&adapter);
    buf_release(&text);
}
END_TEST

START_TEST(test_tool_running)
{
    struct adapter adapter;
    adapter_init(&adapter, &adapter_codex);
    adapter_feed(&adapter, TURN TOOL_STARTED, strlen(TURN TOOL_STARTED));
    ck_assert(adapter_in_tool(&adapter));
    adapter_feed(&adapter, TOOL_DONE, strlen(TOOL_DONE));
    ck_assert(!adapter_in_tool(&adapter));
    adapter_release(&adapter);
}
END_TEST

#define REFUSED(why) "{\"type\":\"error\",\"message\":\"Reconnecting... 2/5 (" why ")\"}\n"

static void expect_waits(const char *text, const char *reason)
{
    struct adapter adapter, adopter;
    struct buf point;
    buf_init(&point, 1 << 20);
    adapter_init(&adapter, &adapter_codex);
    adapter_init(&adopter, &adapter_codex);
    adapter_feed(&adapter, text, strlen(text));
    ck_assert_pstr_eq(adapter_waits_for(&adapter), reason);
    adapter_checkpoint(&adapter, &point);
    ck_assert(adapter_restore(&adopter, buf_text(&point)));
    ck_assert_pstr_eq(adapter_waits_for(&adopter), reason);
    adapter_release(&adapter);
    adapter_release(&adopter);
    buf_release(&point);
}

/* "Reconnecting" is output, yet nothing gets on; and the text says what to mend. */
START_TEST(test_waits_for_its_provider)
{
    expect_waits(STARTED TURN, NULL);
    expect_waits(STARTED TURN RECONNECTING, "provider_down");
    expect_waits(STARTED TURN RECONNECTING WARNING, NULL);
    expect_waits(STARTED TURN RECONNECTING MESSAGE RECONNECTING, "provider_down");
    expect_waits(STARTED TURN REFUSED("unexpected status 401 Unauthorized: x"), "auth_failed");
    expect_waits(TURN REFUSED("last status: 429 Too Many Requests") RECONNECTING, "rate_limited");
    expect_waits(TURN RECONNECTING COMPLETED, NULL);
}
END_TEST

/* What a person has to mend is not covered by the general word that follows it. */
START_TEST(test_a_general_error_covers_no_cause)
{
    char *text = failed("something went wrong");
    char *both =
        mem_printf("{\"type\":\"error\",\"message\":\"You've hit your usage limit.\"}\n%s", text);
    expect(both, 1, "failed", "provider_quota");
    free(both);
    free(text);
}
END_TEST

static void checkpoint_of(const struct adapter *adapter, struct buf *out)
{
    buf_clear(out);
    adapter_checkpoint(adapter, out);
}

/* Wherever the first reader dies, the second comes to the same end. */
START_TEST(test_adopter_goes_on_exactly)
{
    struct buf whole, point, end;
    buf_init(&whole, 1 << 20);
    buf_init(&point, 1 << 20);
    buf_init(&end, 1 << 20);
    struct adapter first;
    adapter_init(&first, &adapter_codex);
    adapter_feed(&first, SUCCESS, strlen(SUCCESS));
    checkpoint_of(&first, &whole);
    adapter_release(&first);
    for (size_t cut = 0; cut <= strlen(SUCCESS); cut++) {
        struct adapter second;
        adapter_init(&first, &adapter_codex);
        adapter_feed(&first, SUCCESS, cut);
        checkpoint_of(&first, &point);
        adapter_init(&second, &adapter_codex);
        ck_assert(adapter_restore(&second, buf_text(&point)));
        size_t from = (size_t)adapter_next(&second);
        ck_assert_uint_le(from, cut);
        adapter_feed(&second, SUCCESS + from, strlen(SUCCESS) - from);
        checkpoint_of(&second, &end);
        ck_assert_str_eq(buf_text(&end), buf_text(&whole));
        adapter_release(&first);
        adapter_release(&second);
    }
    buf_release(&whole);
    buf_release(&point);
    buf_release(&end);
}
END_TEST

START_TEST(test_restore_refuses)
{
    struct adapter adapter;
    adapter_init(&adapter, &adapter_codex);
    ck_assert(!adapter_restore(&adapter, NULL));
    ck_assert(!adapter_restore(&adapter, ""));
    ck_assert(!adapter_restore(&adapter, "[]"));
    ck_assert(!adapter_restore(&adapter, "{\"kind\":\"codex-json\",\"at\":-1}"));
    ck_assert(!adapter_restore(&adapter, "{\"kind\":\"text\",\"at\":5}"));
    ck_assert_int_eq(adapter_next(&adapter), 0);
    adapter_release(&adapter);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adapter_codex");
    TCase *tcase = tcase_create("adapter_codex");
    tcase_add_test(tcase, test_success);
    tcase_add_test(tcase, test_outcomes);
    tcase_add_test(tcase, test_failures_by_text);
    tcase_add_test(tcase, test_session_that_goes_on);
    tcase_add_test(tcase, test_no_session_to_lose);
    tcase_add_test(tcase, test_first_terminal_event_wins);
    tcase_add_test(tcase, test_hostile_lines);
    tcase_add_test(tcase, test_bad_session_and_usage);
    tcase_add_test(tcase, test_long_line_is_not_parsed);
    tcase_add_test(tcase, test_summary_is_cut);
    tcase_add_test(tcase, test_tool_running);
    tcase_add_test(tcase, test_waits_for_its_provider);
    tcase_add_test(tcase, test_a_general_error_covers_no_cause);
    tcase_add_test(tcase, test_adopter_goes_on_exactly);
    tcase_add_test(tcase, test_restore_refuses);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int count = srunner_ntests_failed(runner);
    srunner_free(runner);
    return count == 0 ? 0 : 1;
}
