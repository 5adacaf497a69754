/* What counts as a credential, what does not, and that no cut lets one through. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/redact.h"

#define HEX40 "0123456789abcdef0123456789abcdef01234567"
#define BODY36 "abcdefghijklmnopqrstuvwxyz0123456789"
#define X36 "************************************"

static const char *const own[] = {"correct horse battery", "short"};
static const struct redact_words words = {own, 2};

/* Overwritten byte by byte. */
static const struct sample {
    const char *in, *out;
} samples[] = {
    {"my ghp_" BODY36 " key", "my ghp_" X36 " key"},
    {"xghp_" BODY36, "xghp_" X36},
    {"{\"text\":\"a\\nghp_" BODY36 "\\nb\"}", "{\"text\":\"a\\nghp_" X36 "\\nb\"}"},
    {"github_pat_11AAAAAAA0123456789ab_", "github_pat_**********************"},
    {"glpat-ABCDEF0123456789abcd.", "glpat-*********************"},
    {"sk-ant-api03-AbCdEfGhIjKlMn0123 ", "sk-**************************** "},
    {"\x1b[32msk-proj-abcdefgh12345678\x1b[0m", "\x1b[32msk-*********************\x1b[0m"},
    {"AKIAIOSFODNN7EXAMPLE.", "AKIA****************."},
    {"xoxb-1234567890-abcdef", "xoxb-*****************"},
    {"aft_s_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq",
     "aft_*********************************************"},
    {"t=eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl;", "t=eyJ***********************************;"},
    {"Authorization: Bearer abcDEF123\r\n", "Authorization: Bearer *********\r\n"},
    {"\"authorization\": \"token " HEX40 "\"",
     "\"authorization\": \"token ****************************************\""},
    {"curl -H 'Bearer abcdefgh12345678'", "curl -H 'Bearer ****************'"},
    {"git clone https://user:pass@h/x", "git clone https://user:****@h/x"},
    {"https://ghp_0123456789abcdefghijABCDEFGHIJ012345:x-oauth-basic@h",
     "https://ghp_************************************:*************@h"},
    {"https://:" HEX40 "@h", "https://:****************************************@h"},
    {"OPENAI_API_KEY=abc-defg\n", "OPENAI_API_KEY=********\n"},
    {"export PGPASSWORD=\"hunter22\"", "export PGPASSWORD=\"********\""},
    {"gitea_token: " HEX40 "\n", "gitea_token: ****************************************\n"},
    {"{\"refresh_token\" : \"a1b2c3d4e5f6g7h8\"}", "{\"refresh_token\" : \"****************\"}"},
    {"{\\\"api_key\\\":\\\"a1b2c3d4e5f6g7h8\\\"}", "{\\\"api_key\\\":\\\"****************\\\"}"},
    {"x --password=a1b2c3d4e5f6g7h8 y", "x --password=**************** y"},
    {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\nbnNz\n-----END OPENSSH PRIVATE KEY-----\n",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n****\n****\n-----END OPENSSH PRIVATE KEY-----\n"},
    {"\"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\"",
     "\"-----BEGIN PRIVATE KEY-----********-----END PRIVATE KEY-----\""},
    {"-----BEGIN EC PRIVATE KEY-----\nMHcC", "-----BEGIN EC PRIVATE KEY-----\n****"},
    {"say correct horse battery now", "say ********************* now"},
};

/* Ordinary text and source: stays byte for byte. */
static const char *const ordinary[] = {
    "commit " HEX40 "\nindex 1234567..89abcde 100644\n",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "\"integrity\": \"sha512-AbCdEf0123456789AbCdEf0123456789==\"",
    "token = parser.next_token(); let token: String = read_token2(input);",
    "password: string; const apiKey = process.env.API_KEY;",
    "API_KEY=$MY_KEY TOKEN=<token> SECRET={{ secret }} PASSWORD=",
    "if (SECRET == other_secret_value) MAX_TOKENS=20000000",
    "task-scheduler-0123456789-abcdef risk-free-0123456789012345 sk-learn",
    "Authorization: token required. Bearer of bad news, the bearer token",
    "http://localhost:8080/a@b https://user@host/ a://b:c d@e",
    "puts \"-----BEGIN RSA PRIVATE KEY-----\"; -----BEGIN CERTIFICATE-----\nMIIE\n",
    "eyJhbGciOiJIUzI1NiJ9 eyJ.eyJ.x draft_s_0123 ghp_short AKIA123",
    "short correct horse",
    "",
};

static char *redacted(const char *text, size_t len, const struct redact_words *list)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    ck_assert_uint_eq(redact_add(&out, text, len, list, true), len);
    return buf_take(&out);
}

START_TEST(test_credentials)
{
    const struct sample *sample = &samples[_i];
    char *text = redacted(sample->in, strlen(sample->in), &words);
    ck_assert_str_eq(text, sample->out);
    free(text);
}
END_TEST

START_TEST(test_ordinary_text_stays)
{
    char *text = redacted(ordinary[_i], strlen(ordinary[_i]), &words);
    ck_assert_str_eq(text, ordinary[_i]);
    free(text);
}
END_TEST

/* In two pieces, cut anywhere, the second read by somebody who knows the offset only. */
static void expect_cut(const char *text, size_t len, size_t cut, const char *whole)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    size_t done = redact_add(&out, text, cut, &words, false);
    ck_assert_uint_le(done, cut);
    ck_assert_uint_eq(out.len, done);
    ck_assert_uint_eq(redact_add(&out, text + done, len - done, &words, true), len - done);
    ck_assert_uint_eq(out.len, len);
    ck_assert_msg(memcmp(out.data, whole, len) == 0, "cut at %zu: %s", cut, out.data);
    buf_release(&out);
}

START_TEST(test_cut_anywhere)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_addf(&text, "before it: %s and then\n%s", samples[_i].in, ordinary[0]);
    char *whole = redacted(text.data, text.len, &words);
    for (size_t cut = 0; cut <= text.len; cut++)
        expect_cut(text.data, text.len, cut, whole);
    free(whole);
    buf_release(&text);
}
END_TEST

START_TEST(test_byte_by_byte)
{
    struct buf text, out;
    buf_init(&text, 1 << 20);
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        buf_addf(&text, "%s\n", samples[i].in);
    char *whole = redacted(text.data, text.len, &words);
    size_t from = 0;
    for (size_t to = 1; to <= text.len; to++)
        from += redact_add(&out, text.data + from, to - from, &words, to == text.len);
    ck_assert_uint_eq(out.len, text.len);
    ck_assert_str_eq(out.data, whole);
    free(whole);
    buf_release(&text);
    buf_release(&out);
}
END_TEST

START_TEST(test_what_is_held_is_bounded)
{
    size_t len = 100000;
    char *text = malloc(len);
    static const char *const fills[] = {
        "x", "-----BEGIN PRIVATE KEY-----A", "eyJ", "token=", "sk-", "bearer ", "://a:"};
    for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++) {
        for (size_t i = 0; i < len; i++)
            text[i] = fills[f][i % strlen(fills[f])];
        struct buf out;
        buf_init(&out, 1 << 20);
        ck_assert_uint_ge(redact_add(&out, text, len, NULL, false), len - REDACT_HOLD_MAX);
        buf_release(&out);
    }
    free(text);
}
END_TEST

START_TEST(test_in_place)
{
    char text[] = "PASSWORD=hunter2222 ok";
    redact_text(text, NULL);
    ck_assert_str_eq(text, "PASSWORD=********** ok");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redact");
    TCase *tcase = tcase_create("redact");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_credentials, 0, sizeof samples / sizeof samples[0]);
    tcase_add_loop_test(tcase, test_ordinary_text_stays, 0, sizeof ordinary / sizeof ordinary[0]);
    tcase_add_loop_test(tcase, test_cut_anywhere, 0, sizeof samples / sizeof samples[0]);
    tcase_add_test(tcase, test_byte_by_byte);
    tcase_add_test(tcase, test_what_is_held_is_bounded);
    tcase_add_test(tcase, test_in_place);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
