/* worker/adapter: agents that only print, and the job script of all of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/adapter/adapter.h"

START_TEST(test_status_decides)
{
    struct adapter adapter;
    const char *why;
    adapter_init(&adapter, &adapter_text);
    adapter_feed(&adapter, "hello\n", 6);
    ck_assert_str_eq(adapter_judge(&adapter, 0, &why), "succeeded");
    ck_assert_str_eq(adapter_judge(&adapter, 3, &why), "failed");
    ck_assert_str_eq(why, "exit_nonzero");
    ck_assert_str_eq(adapter_judge(&adapter, -1, &why), "failed");
    adapter_judge(&adapter, 127, &why);
    ck_assert_str_eq(why, "adapter_missing");
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_summary_is_the_tail)
{
    struct adapter adapter;
    adapter_init(&adapter, &adapter_text);
    for (int i = 0; i < 5000; i++)
        adapter_feed(&adapter, "€", 3);
    adapter_feed(&adapter, "end\x1b\n", 5);
    adapter_end(&adapter);
    ck_assert_int_eq(adapter_next(&adapter), 15005);
    ck_assert_uint_le(strlen(adapter.facts.summary), ADAPTER_TAIL_MAX);
    ck_assert(strncmp(adapter.facts.summary, "€", 3) == 0);
    ck_assert_str_eq(strstr(adapter.facts.summary, "end"), "end\n");
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_adopter_reads_the_same_tail)
{
    char text[10000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    struct adapter first, second;
    adapter_init(&first, &adapter_text);
    adapter_feed(&first, text, 7000);
    struct buf point;
    buf_init(&point, 10000);
    adapter_checkpoint(&first, &point);
    adapter_init(&second, &adapter_text);
    ck_assert(adapter_restore(&second, buf_text(&point)));
    size_t from = (size_t)adapter_next(&second);
    ck_assert_uint_eq(from, 7000 - ADAPTER_TAIL_MAX);
    adapter_feed(&first, text + 7000, 3000);
    adapter_feed(&second, text + from, sizeof text - from);
    adapter_end(&first);
    adapter_end(&second);
    ck_assert_str_eq(first.facts.summary, second.facts.summary);
    adapter_release(&first);
    adapter_release(&second);
    buf_release(&point);
}
END_TEST

/* --- The job script --- */

static char *words[] = {"my agent",         "--dir={work_dir}", "{task_id}", "it's",
                        "{branch}{branch}", "{unknown}",        "{run_dir}"};
static struct config_list command = {words, sizeof words / sizeof words[0]};

START_TEST(test_script_quotes_everything)
{
    struct adapter_template found = {.kind = &adapter_text, .command = &command};
    struct adapter_values values = {"/w d", "$(id)'; rm {branch}", "b", "/r"};
    struct buf out;
    buf_init(&out, 10000);
    ck_assert(adapter_script(&out, &found, &values));
    ck_assert_ptr_nonnull(strstr(buf_text(&out),
                                 "\nexec 'my agent' '--dir=/w d' '$(id)'\\''; rm {branch}' "
                                 "'it'\\''s' 'bb' '{unknown}' '/r'\n"));
    buf_release(&out);
}
END_TEST

/* The variables reach the program, and the file that held them is gone by then. */
START_TEST(test_environment)
{
    static char *program[] = {"sh", "-c", "printf %s \"$KEY\" > \"$0\"", "{work_dir}/got"};
    struct config_list run = {program, 4};
    struct config_variable env[] = {{"KEY", "it's $(id) \\ \"x\""}, {"NONE", NULL}};
    struct adapter_template found = {
        .kind = &adapter_text, .command = &run, .env = env, .env_count = 2};
    char dir[] = "/tmp/fleet-env.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    struct adapter_values values = {dir, "t", "b", dir};
    struct buf out, path, got;
    struct error err;
    buf_init(&out, 10000);
    buf_init(&path, 200);
    adapter_environment(&out, &found);
    ck_assert(adapter_script(&out, &found, &values));
    buf_addf(&path, "%s/job.sh", dir);
    FILE *file = fopen(buf_text(&path), "w");
    fputs(buf_text(&out), file);
    fclose(file);
    char line[100];
    snprintf(line, sizeof line, "sh %s", buf_text(&path));
    ck_assert_int_eq(system(line), 0);
    ck_assert_int_ne(access(buf_text(&path), F_OK), 0);
    buf_clear(&path);
    buf_addf(&path, "%s/got", dir);
    ck_assert(file_read(buf_text(&path), FILE_REGULAR, 200, &got, NULL, &err));
    ck_assert_str_eq(buf_text(&got), env[0].value);
    unlink(buf_text(&path));
    rmdir(dir);
    buf_clear(&out);
    adapter_environment(&out, &(struct adapter_template){.kind = &adapter_text});
    ck_assert_str_eq(buf_text(&out), "");
    buf_release(&out);
    buf_release(&path);
    buf_release(&got);
}
END_TEST

START_TEST(test_summary_without_secrets)
{
    static const char *const said[] = {"open sesame"};
    struct adapter adapter;
    adapter_init(&adapter, &adapter_text);
    adapter.secrets = (struct redact_words){said, 1};
    adapter_feed(&adapter, "I said open sesame.\n", 20);
    adapter_end(&adapter);
    ck_assert_str_eq(adapter.facts.summary, "I said ***********.\n");
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_find)
{
    char *list[] = {"run"};
    struct config_adapter mine[] = {
        {.agent_type = "mine", .command = {list, 1}, .output = "text"},
        {.agent_type = "codex-cli", .command = {list, 1}, .output = "codex-json"}};
    struct config config = {.adapters = mine, .adapter_count = 1};
    struct config_agent agent = {.agent_type = "codex-cli", .profile = "full"};
    struct adapter_template found;
    ck_assert(adapter_find(&config, &agent, &found));
    ck_assert_ptr_null(found.command);
    ck_assert_ptr_eq(found.kind, &adapter_codex);
    struct adapter_values values = {"/w", "t", "b", "/r"};
    struct buf out;
    buf_init(&out, 10000);
    adapter_script(&out, &found, &values);
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "'-s' 'danger-full-access' '-'\n"));
    buf_clear(&out);
    agent.profile = "sandboxed";
    ck_assert(adapter_find(&config, &agent, &found));
    adapter_script(&out, &found, &values);
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "'-s' 'workspace-write' '-'\n"));
    config.adapter_count = 2;
    ck_assert(adapter_find(&config, &agent, &found));
    ck_assert_ptr_eq(found.command, &mine[1].command);
    agent.agent_type = "mine";
    ck_assert(adapter_find(&config, &agent, &found));
    ck_assert_ptr_eq(found.kind, &adapter_text);
    agent.agent_type = "nobody";
    ck_assert(!adapter_find(&config, &agent, &found));
    buf_release(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adapter_text");
    TCase *tcase = tcase_create("adapter_text");
    tcase_add_test(tcase, test_status_decides);
    tcase_add_test(tcase, test_summary_is_the_tail);
    tcase_add_test(tcase, test_environment);
    tcase_add_test(tcase, test_summary_without_secrets);
    tcase_add_test(tcase, test_adopter_reads_the_same_tail);
    tcase_add_test(tcase, test_script_quotes_everything);
    tcase_add_test(tcase, test_find);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
