/* worker/output: what an answer to append() means for what comes next. */
#include <check.h>
#include <string.h>

#include "worker/job/job.h"
#include "worker/job/output.h"

static struct job_stream stream;

static void setup(void)
{
    stream = (struct job_stream){.stored = 100, .final = -1};
    buf_init(&stream.pending, 1000);
    buf_adds(&stream.pending, "abcdef");
}

static void teardown(void)
{
    buf_release(&stream.pending);
}

START_TEST(test_stored)
{
    job_stream_settle(&stream, 104);
    ck_assert_int_eq(stream.stored, 104);
    ck_assert_str_eq(buf_text(&stream.pending), "ef");
    job_stream_settle(&stream, 106);
    ck_assert_int_eq(stream.stored, 106);
    ck_assert_uint_eq(stream.pending.len, 0);
}
END_TEST

START_TEST(test_secret_words)
{
    static const char *const words[] = {"cdef-and-more"};
    struct redact_words secrets = {words, 1};
    buf_init(&stream.clean, 1000);
    job_stream_ready(&stream, &secrets);
    ck_assert_ptr_null(strstr(buf_text(&stream.clean), "c")); /* it may go on */
    buf_adds(&stream.pending, "-and-more, says he\n");
    stream.final = stream.stored + (int64_t)stream.pending.len;
    buf_clear(&stream.clean);
    ck_assert(job_stream_ready(&stream, &secrets));
    ck_assert_str_eq(buf_text(&stream.clean), "ab*************, says he\n");
    buf_release(&stream.clean);
}
END_TEST

START_TEST(test_nothing_new)
{
    job_stream_settle(&stream, 100);
    ck_assert_int_eq(stream.stored, 100);
    ck_assert_str_eq(buf_text(&stream.pending), "abcdef");
}
END_TEST

START_TEST(test_rows_were_lost)
{
    job_stream_settle(&stream, 40); /* read again from there */
    ck_assert_int_eq(stream.stored, 40);
    ck_assert_uint_eq(stream.pending.len, 0);
}
END_TEST

START_TEST(test_more_than_we_read)
{
    job_stream_settle(&stream, 500);
    ck_assert_int_eq(stream.stored, 500);
    ck_assert_uint_eq(stream.pending.len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output");
    TCase *tcase = tcase_create("output");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_stored);
    tcase_add_test(tcase, test_secret_words);
    tcase_add_test(tcase, test_nothing_new);
    tcase_add_test(tcase, test_rows_were_lost);
    tcase_add_test(tcase, test_more_than_we_read);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
