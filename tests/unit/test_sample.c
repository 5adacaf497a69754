/* worker/adapter: what recorded and written streams of the CLIs come to (samples/README.md), also
 * read in pieces, by an adopter, and with what does not belong between their lines. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/adapter/adapter.h"

#define CODEX "01a20758-c6d2-7912-bf93-28d8b32cbc82"
#define CLAUDE "3f89a3e0-e006-46a9-b5db-0f47530f8611"
#define MADE "0fce9895-c1d7-462d-99ba-afdbe08fab1a"
#define OPENCODE "ses_df8a731fbffeRMJwNs8NWTGAJ3"
#define GEMINI "7f2c9a10-1111-4222-8333-444455556666"
#define UNKNOWN "11111111-2222-4333-8444-555555555555"
#define DONE "Done: FIXED.txt written."
#define NOW INT64_C(1800000000) /* 2027-01-15 08:00:00 UTC */

static const struct sample {
    const char *name;
    const struct adapter_kind *kind;
    int status;
    const char *reason;  /* NULL = succeeded */
    const char *session; /* NULL = any */
    const char *summary; /* NULL = any */
    int64_t input, cached, output, micros;
    int64_t resets;     /* seconds from NOW; 0 = not told */
    const char *window; /* NULL = "" */
    const char *wanted; /* session that it was to go on with */
} samples[] = {
    {"codex-success", &adapter_codex, 0, .session = CODEX, .summary = DONE, .input = 2400,
     .cached = 1600, .output = 90},
    {"codex-resume", &adapter_codex, 0, .session = CODEX, .summary = DONE, .input = 3600,
     .cached = 2400, .output = 135, .wanted = CODEX},
    {"codex-resume-unknown", &adapter_codex, 0, .reason = "session_lost", .input = 2400,
     .cached = 1600, .output = 90, .wanted = UNKNOWN},
    {"codex-auth", &adapter_codex, 1, .reason = "auth_failed"},
    {"codex-limit", &adapter_codex, 1, .reason = "rate_limited"},
    {"codex-down", &adapter_codex, 1, .reason = "provider_down"},
    {"codex-context", &adapter_codex, 1, .reason = "context_overflow"},
    {"codex-int", &adapter_codex, 1, .reason = "exit_nonzero"},
    {"codex-term", &adapter_codex, 143, .reason = "exit_nonzero"},
    {"claude-success", &adapter_claude, 0, .session = CLAUDE, .summary = DONE, .input = 2400,
     .cached = 600, .output = 60, .micros = 10800},
    {"claude-resume", &adapter_claude, 0, .session = CLAUDE, .summary = DONE, .input = 1200,
     .cached = 300, .output = 30, .micros = 5400, .wanted = CLAUDE},
    {"claude-resume-unknown", &adapter_claude, 1, .reason = "session_lost", .wanted = UNKNOWN},
    {"claude-auth", &adapter_claude, 1, .reason = "auth_failed"},
    {"claude-limit", &adapter_claude, 1, .reason = "rate_limited"},
    {"claude-down", &adapter_claude, 1, .reason = "provider_down"},
    {"claude-context", &adapter_claude, 1, .reason = "context_overflow"},
    {"claude-int", &adapter_claude, 0, .reason = "agent_no_result"},
    {"claude-term", &adapter_claude, 143, .reason = "exit_nonzero"},
    {"opencode-success", &adapter_opencode, 0, .session = OPENCODE, .summary = DONE, .input = 2100,
     .output = 30},
    {"opencode-resume", &adapter_opencode, 0, .session = OPENCODE, .summary = DONE, .input = 1100,
     .output = 10, .wanted = OPENCODE},
    {"opencode-resume-unknown", &adapter_opencode, 1, .reason = "session_lost", .session = "",
     .wanted = UNKNOWN},
    {"opencode-auth", &adapter_opencode, 1, .reason = "auth_failed"},
    {"opencode-limit", &adapter_opencode, 1, .reason = "rate_limited"},
    {"opencode-down", &adapter_opencode, -1, .reason = "exit_nonzero"},
    {"opencode-context", &adapter_opencode, 1, .reason = "context_overflow"},
    {"opencode-int", &adapter_opencode, -1, .reason = "exit_nonzero"},
    {"opencode-term", &adapter_opencode, 143, .reason = "exit_nonzero"},
    {"made-claude-quota-healthy", &adapter_claude, 0, .session = MADE, .summary = DONE,
     .input = 2500, .cached = 600, .output = 60, .micros = 10800},
    {"made-claude-quota-event", &adapter_claude, 1, .reason = "provider_quota", .session = MADE,
     .resets = 190619000, .window = "five_hour"},
    {"made-claude-quota-text", &adapter_claude, 1, .reason = "provider_quota", .session = MADE,
     .resets = 5 * 3600},
    {"made-claude-quota-inside", &adapter_claude, 1, .reason = "provider_quota", .session = MADE,
     .resets = 190619000, .window = "five_hour"},
    {"made-claude-quota-overage", &adapter_claude, 0, .session = MADE, .summary = DONE,
     .input = 2500, .cached = 600, .output = 60, .micros = 10800},
    {"made-claude-max-turns", &adapter_claude, 1, .reason = "turn_limit", .session = MADE,
     .summary = DONE, .input = 10, .output = 5, .micros = 1500000},
    {"made-claude-too-long", &adapter_claude, 0, .reason = "context_overflow", .session = MADE,
     .summary = DONE},
    {"made-claude-execution", &adapter_claude, 1, .reason = "network_failed", .session = MADE,
     .summary = DONE},
    {"made-claude-refusal", &adapter_claude, 1, .reason = "agent_refused", .session = MADE},
    {"made-claude-asks", &adapter_claude, 0, .reason = "needs_input", .session = MADE,
     .summary = DONE, .input = 2500, .cached = 600, .output = 60, .micros = 10800},
    {"made-codex-quota-time", &adapter_codex, 1, .reason = "provider_quota", .session = CODEX,
     .resets = 5 * 3600 + 28 * 60},
    {"made-codex-quota-date", &adapter_codex, 1, .reason = "provider_quota", .session = CODEX,
     .resets = 3391 * INT64_C(86400) + 12 * 3600 + 180},
    {"made-codex-quota-span", &adapter_codex, 1, .reason = "provider_quota", .session = CODEX,
     .resets = 3 * 86400 + 6 * 3600 + 57 * 60},
    {"made-codex-quota-covered", &adapter_codex, 1, .reason = "provider_quota", .session = CODEX,
     .resets = 5 * 3600 + 28 * 60},
    {"made-codex-quota-body", &adapter_codex, 1, .reason = "provider_quota", .session = CODEX,
     .resets = 190000000, .window = "seven_day"},
    {"made-codex-capacity", &adapter_codex, 1, .reason = "provider_down", .session = CODEX},
    {"made-codex-network", &adapter_codex, 1, .reason = "network_failed", .session = CODEX},
    {"made-codex-asks", &adapter_codex, 0, .reason = "needs_input", .session = CODEX, .input = 100,
     .output = 9},
    {"made-opencode-recovered", &adapter_opencode, 1, .session = OPENCODE, .summary = "Done.",
     .input = 1110, .cached = 60, .output = 10, .micros = 250000},
    {"made-opencode-error-last", &adapter_opencode, 0, .reason = "provider_down",
     .session = OPENCODE, .summary = "Done.", .input = 1110, .cached = 60, .output = 10,
     .micros = 250000},
    {"made-opencode-cut", &adapter_opencode, 0, .reason = "agent_no_result", .session = OPENCODE,
     .summary = "Done.", .input = 1110, .cached = 60, .output = 10, .micros = 250000},
    {"made-opencode-open", &adapter_opencode, 0, .reason = "agent_no_result", .session = OPENCODE},
    {"made-opencode-refusal", &adapter_opencode, 0, .reason = "agent_refused", .session = OPENCODE,
     .input = 1110, .cached = 60, .output = 10, .micros = 250000},
    {"made-opencode-quota", &adapter_opencode, 1, .reason = "provider_quota", .session = OPENCODE},
    {"made-opencode-asks", &adapter_opencode, 0, .reason = "needs_input", .session = OPENCODE,
     .summary = "Done.", .input = 1110, .cached = 60, .output = 10, .micros = 250000},
    {"made-gemini-success", &adapter_gemini, 0, .session = GEMINI, .summary = DONE, .input = 1200,
     .cached = 400, .output = 300},
    {"made-gemini-quota", &adapter_gemini, 1, .reason = "provider_quota", .session = GEMINI,
     .input = 1200, .cached = 400, .output = 300, .resets = 21 * 3600 + 53 * 60 + 56},
    {"made-gemini-auth", &adapter_gemini, 41, .reason = "auth_failed", .session = GEMINI},
    {"made-gemini-turns", &adapter_gemini, 53, .reason = "turn_limit", .session = GEMINI},
    {"made-gemini-asks", &adapter_gemini, 0, .reason = "needs_input", .session = GEMINI},
    {"made-aider-success", &adapter_aider, 0, .session = "", .input = 2300, .cached = 800,
     .output = 150, .micros = 10000},
    {"made-aider-limit", &adapter_aider, 0, .reason = "rate_limited", .session = ""},
    {"made-aider-auth", &adapter_aider, 0, .reason = "auth_failed", .session = ""},
    {"made-aider-recovered", &adapter_aider, 0, .session = "", .summary = "All is well.\n",
     .input = 1100, .output = 20},
    {"made-aider-quota", &adapter_aider, 0, .reason = "provider_quota", .session = ""},
    {"made-aider-context", &adapter_aider, 0, .reason = "context_overflow", .session = ""},
    {"made-aider-asks", &adapter_aider, 0, .reason = "needs_input", .session = "", .input = 12000,
     .output = 20, .micros = 30000},
};

#define SAMPLES (int)(sizeof samples / sizeof samples[0])

static struct buf stream_of(const struct sample *sample)
{
    struct buf bytes;
    struct error err = {0};
    char *path = mem_printf("tests/unit/samples/%s.%s", sample->name,
                            sample->kind == &adapter_aider ? "txt" : "jsonl");
    ck_assert_msg(file_read(path, FILE_REGULAR, 1 << 20, &bytes, NULL, &err), "%s", err.text);
    free(path);
    return bytes;
}

static void begin(struct adapter *adapter, const struct sample *sample)
{
    adapter_init(adapter, sample->kind);
    adapter_resumes(adapter, sample->wanted, NULL);
}

static void expect_limit(const struct adapter *adapter, const struct sample *sample)
{
    struct limit_clock clock = {.now = NOW, .utc_offset_secs = 2 * 3600, .offset_known = true};
    bool guessed;
    int64_t end = adapter_resets_at(adapter, &clock, &guessed);
    ck_assert_int_eq(end == 0 ? 0 : end - NOW, sample->resets);
    ck_assert_str_eq(adapter->facts.limit.window, sample->window != NULL ? sample->window : "");
}

static void expect(struct adapter *adapter, const struct sample *sample)
{
    const struct adapter_facts *facts = &adapter->facts;
    const char *reason;
    const char *outcome = adapter_judge(adapter, sample->status, &reason);
    ck_assert_msg((reason == NULL) == (sample->reason == NULL) &&
                      (reason == NULL || strcmp(reason, sample->reason) == 0),
                  "%s: %s (%s)", sample->name, reason, facts->error);
    bool good = sample->reason == NULL || strcmp(sample->reason, "needs_input") == 0;
    ck_assert_str_eq(outcome, good ? "succeeded" : "failed");
    ck_assert_int_eq(facts->question != NULL, good && sample->reason != NULL);
    if (sample->session != NULL)
        ck_assert_str_eq(facts->session_id, sample->session);
    if (sample->summary != NULL)
        ck_assert_str_eq(facts->summary, sample->summary);
    ck_assert_int_eq(facts->tokens.input, sample->input);
    ck_assert_int_eq(facts->tokens.cached_input, sample->cached);
    ck_assert_int_eq(facts->tokens.output, sample->output);
    ck_assert_int_eq(facts->cost_micros, sample->micros);
    if (sample->resets != 0 || sample->window != NULL)
        expect_limit(adapter, sample);
}

START_TEST(test_as_it_came)
{
    const struct sample *sample = &samples[_i];
    struct buf bytes = stream_of(sample);
    struct adapter adapter;
    begin(&adapter, sample);
    adapter_feed(&adapter, buf_text(&bytes), bytes.len);
    adapter_end(&adapter);
    expect(&adapter, sample);
    adapter_release(&adapter);
    buf_release(&bytes);
}
END_TEST

static void checkpoint_of(const struct adapter *adapter, struct buf *out)
{
    buf_clear(out);
    adapter_checkpoint(adapter, out);
    ck_assert(!out->failed);
}

/* A cut there shows more than the others around it. */
static bool is_edge(const struct buf *bytes, size_t cut)
{
    return cut % 17 == 0 || cut + 1 >= bytes->len || bytes->data[cut] == '\n' ||
           bytes->data[cut - 1] == '\n';
}

static void adopt(const struct sample *sample, const struct buf *bytes, size_t cut,
                  const struct buf *whole, struct buf *text)
{
    struct adapter first, second;
    begin(&first, sample);
    adapter_feed(&first, buf_text(bytes), cut);
    checkpoint_of(&first, text);
    adapter_init(&second, sample->kind);
    ck_assert(adapter_restore(&second, buf_text(text)));
    size_t from = (size_t)adapter_next(&second);
    ck_assert_uint_le(from, cut);
    adapter_feed(&second, buf_text(bytes) + from, bytes->len - from);
    adapter_end(&second);
    checkpoint_of(&second, text);
    ck_assert_str_eq(buf_text(text), buf_text(whole));
    expect(&second, sample);
    adapter_release(&first);
    adapter_release(&second);
}

/* Wherever the first reader dies, the second comes to the same end. */
START_TEST(test_adopter_goes_on_exactly)
{
    const struct sample *sample = &samples[_i];
    struct buf bytes = stream_of(sample), whole, text;
    struct adapter adapter;
    buf_init(&whole, 1 << 20);
    buf_init(&text, 1 << 20);
    begin(&adapter, sample);
    for (size_t i = 0; i < bytes.len; i++)
        adapter_feed(&adapter, bytes.data + i, 1);
    adapter_end(&adapter);
    checkpoint_of(&adapter, &whole);
    adapter_release(&adapter);
    for (size_t cut = 0; cut <= bytes.len; cut++)
        if (cut == 0 || is_edge(&bytes, cut))
            adopt(sample, &bytes, cut, &whole, &text);
    buf_release(&bytes);
    buf_release(&whole);
    buf_release(&text);
}
END_TEST

/* What a terminal, a wrapper script or a careless tool puts around the lines of events. */
static void add_noise(struct buf *out, const char *line, size_t len, int i)
{
    static const char *const before[] = {"\xef\xbb\xbf", "\x1b[0m", "npm warn: ", "\x1b]0;title\a",
                                         "\\u0000",      "[1] ",    "\x1b[2K\r"};
    static const char *const behind[] = {"\r", "\x1b[0m", " ", "\x1b[K", "\\u0000\r", "", "{"};
    size_t n = sizeof before / sizeof before[0];
    buf_adds(out, before[(size_t)i % n]);
    buf_add(out, line, len);
    buf_adds(out, behind[(size_t)i % n]);
    if (i % 3 == 2)
        buf_add(out, "\0", 1);
    if (i % 4 != 3) /* else two events in a line */
        buf_adds(out, "\n");
}

START_TEST(test_with_noise_around)
{
    const struct sample *sample = &samples[_i];
    if (sample->kind == &adapter_aider)
        return;
    struct buf bytes = stream_of(sample), noisy;
    struct adapter adapter;
    buf_init(&noisy, 1 << 20);
    const char *at = buf_text(&bytes), *end;
    for (int i = 0; (end = strchr(at, '\n')) != NULL; at = end + 1, i++)
        add_noise(&noisy, at, (size_t)(end - at), i);
    begin(&adapter, sample);
    adapter_feed(&adapter, buf_text(&noisy), noisy.len);
    adapter_end(&adapter);
    expect(&adapter, sample);
    adapter_release(&adapter);
    buf_release(&bytes);
    buf_release(&noisy);
}
END_TEST

#define PIECE(text) \
    "{\"type\":\"message\",\"role\":\"assistant\",\"delta\":true,\"content\":\"" text "\"}\n"

/* A credential that comes in pieces is in no summary, nor the rest of one. */
START_TEST(test_credential_in_pieces)
{
    const char *secret = "open sesame";
    const char *text = PIECE("It is open ses") PIECE("ame, and ")
        PIECE("-----BEGIN PRIVATE KEY-----\\nMIIE") PIECE("vQIBADANBgkqhkiG9w0BAQ");
    struct adapter adapter;
    adapter_init(&adapter, &adapter_gemini);
    adapter.secrets = (struct redact_words){.items = &secret, .count = 1};
    adapter_feed(&adapter, text, strlen(text));
    ck_assert_str_eq(adapter.facts.summary, "It is ***********, and ");
    adapter_release(&adapter);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample");
    TCase *tcase = tcase_create("sample");
    tcase_add_loop_test(tcase, test_as_it_came, 0, SAMPLES);
    tcase_add_loop_test(tcase, test_adopter_goes_on_exactly, 0, SAMPLES);
    tcase_add_loop_test(tcase, test_with_noise_around, 0, SAMPLES);
    tcase_add_test(tcase, test_credential_in_pieces);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
