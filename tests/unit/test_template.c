/* worker/adapter: how each agent is started, and that nothing in a job script is ever code. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/adapter/adapter.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define CHOSEN "01234567-89ab-4def-8123-456789abcdef"

static char *const types[] = {"codex-cli", "claude-code", "opencode", "gemini-cli", "aider"};
#define TYPES (sizeof types / sizeof types[0])

static struct adapter_template builtin(const char *type, const char *profile, const char *model)
{
    struct config config = {.orchestrator.silence_timeout_secs = 900};
    struct config_agent agent = {.agent_type = (char *)type, .profile = (char *)profile};
    struct adapter_template found;
    ck_assert(adapter_find(&config, &agent, &found));
    found.model = model;
    return found;
}

static char *script(const struct adapter_template *template, const struct adapter_values *values)
{
    struct buf out;
    buf_init(&out, 100000);
    ck_assert(adapter_script(&out, template, values));
    return buf_take(&out);
}

static char *script_of(const char *type, const char *profile, const char *model,
                       const char *session)
{
    struct adapter_template found = builtin(type, profile, model);
    struct adapter_values values = {.work_dir = "/w",
                                    .task_id = "t",
                                    .branch = "b",
                                    .run_dir = "/r",
                                    .nonce = NONCE,
                                    .session = session};
    return script(&found, &values);
}

/* All of the words, in this order, whatever stands between them. */
static void has(const char *text, const char *first, ...)
{
    const char *at = text;
    va_list words;
    va_start(words, first);
    for (const char *word = first; word != NULL; word = va_arg(words, const char *)) {
        const char *found = strstr(at, word);
        ck_assert_msg(found != NULL, "wanted %s in %s", word, text);
        at = found + strlen(word);
    }
    va_end(words);
}

static void lacks(const char *text, const char *word)
{
    ck_assert_msg(strstr(text, word) == NULL, "%s in %s", word, text);
}

START_TEST(test_codex)
{
    char *text = script_of("codex-cli", "sandboxed", NULL, NULL);
    has(text, "\nexec 'codex' 'exec' '--json'", "'--skip-git-repo-check'",
        "'--sandbox' 'workspace-write'", "'approval_policy=\"never\"'",
        "'sandbox_workspace_write.network_access=false'", " '-'\n", NULL);
    lacks(text, "'resume'");
    lacks(text, "'--model'");
    free(text);
    text = script_of("codex-cli", "full", "gpt-5", "01a2-x_Y");
    has(text, "'--sandbox' 'danger-full-access'", "'--model' 'gpt-5'", "'resume' '01a2-x_Y' '-'\n",
        NULL);
    lacks(text, "workspace-write");
    free(text);
}
END_TEST

START_TEST(test_claude)
{
    char *text = script_of("claude-code", "sandboxed", NULL, NULL);
    has(text, "export DISABLE_AUTOUPDATER='1'\n", "\nexec 'claude' '--print'",
        "'--output-format' 'stream-json' '--verbose'",
        "'--setting-sources' 'user' '--strict-mcp-config' '--disallowedTools' 'AskUserQuestion'",
        "'--permission-mode' 'acceptEdits'", "'--allowedTools' 'Bash'",
        "\"failIfUnavailable\":true", "\"allowUnsandboxedCommands\":false",
        "'--session-id' '" CHOSEN "'\n", NULL);
    lacks(text, "IS_SANDBOX");
    lacks(text, "--resume");
    free(text);
    text = script_of("claude-code", "full", "opus", CHOSEN);
    has(text, "[ \"$(id -u)\" != 0 ] || export IS_SANDBOX='1'\n",
        "'--permission-mode' 'bypassPermissions'", "'--model' 'opus'", "'--resume' '" CHOSEN "'\n",
        NULL);
    lacks(text, "--session-id");
    lacks(text, "acceptEdits");
    free(text);
}
END_TEST

START_TEST(test_opencode)
{
    char *text = script_of("opencode", "sandboxed", NULL, NULL);
    has(text, "export PWD=\"$PWD\"\n", "export OPENCODE_DISABLE_PROJECT_CONFIG='true'\n",
        "\"external_directory\":\"deny\"",
        "\nexec 'opencode' 'run' '--format' 'json' '--dir' \"$PWD\"\n", NULL);
    lacks(text, "--auto'");
    free(text);
    text = script_of("opencode", "full", "local/demo-1", "ses_1");
    has(text, "{\"*\":\"allow\"", "'--auto' '--model' 'local/demo-1' '--session' 'ses_1'\n", NULL);
    lacks(text, "external_directory");
    free(text);
}
END_TEST

START_TEST(test_gemini)
{
    char *text = script_of("gemini-cli", "sandboxed", NULL, NULL);
    has(text, "\nexec 'gemini' '--output-format' 'stream-json' '--skip-trust'",
        "'--approval-mode' 'auto_edit'", "'--session-id' '" CHOSEN "'\n", NULL);
    free(text);
    text = script_of("gemini-cli", "full", "flash", CHOSEN);
    has(text, "'--approval-mode' 'yolo'", "'--model' 'flash'", "'--resume' '" CHOSEN "'\n", NULL);
    lacks(text, "--session-id");
    free(text);
}
END_TEST

START_TEST(test_aider)
{
    char *text = script_of("aider", "sandboxed", "sonnet", "x");
    has(text, "cat >\"$FLEET_PROMPT_FILE\") || exit 126\n",
        "exec 'aider' '--message-file' \"$FLEET_PROMPT_FILE\" '--yes-always'",
        "'--no-check-update'", "'--no-analytics'", "'--no-auto-commits'",
        "'--no-suggest-shell-commands'", "'--model' 'sonnet' </dev/null\n", NULL);
    lacks(text, "'x'");
    free(text);
    text = script_of("aider", "full", NULL, NULL);
    lacks(text, "--no-suggest-shell-commands");
    free(text);
}
END_TEST

START_TEST(test_what_is_looked_for)
{
    static const char *const programs[] = {"codex", "claude", "opencode", "gemini", "aider"};
    for (size_t i = 0; i < TYPES; i++) {
        struct adapter_template found = builtin(types[i], "sandboxed", NULL);
        char *program = adapter_program(&found, "/w");
        ck_assert_str_eq(program, programs[i]);
        ck_assert(found.version);
        free(program);
    }
    struct adapter_template codex = builtin("codex-cli", "full", NULL);
    ck_assert_str_eq(adapter_login(&codex), "codex login status");
}
END_TEST

/* Text that would be code, if it could. The marks are what the canaries would leave. */
static const char *const hostile[] = {
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "a\ntouch pwned\n",
    "--dangerously-skip-permissions",
    "-",
    "{session}{branch}",
    "\\'; touch pwned #",
    "${IFS}touch${IFS}pwned",
    "a & touch pwned",
    "a\tb  c",
    "!!",
    "",
};

/* Runs the script with a program in place of the agent that writes its arguments, one an
 * "[…]". */
static char *arguments_of(const char *text, const char *program)
{
    static char got[100000];
    char dir[] = "/tmp/fleet-script.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = mem_printf("%s/%s", dir, program), *job = mem_printf("%s/job.sh", dir);
    FILE *file = fopen(path, "w");
    fputs("#!/bin/sh\nfor word; do printf '[%s]' \"$word\"; done >../got\n", file);
    fclose(file);
    ck_assert_int_eq(chmod(path, 0755), 0);
    file = fopen(job, "w");
    fputs(text, file);
    fclose(file);
    char *line =
        mem_printf("cd %s && mkdir empty && cd empty && PATH=%s:$PATH TMPDIR=%s sh ../job.sh "
                   "</dev/null; ls -A >../left; cd .. && cat got left && rm -rf %s",
                   dir, dir, dir, dir);
    FILE *out = popen(line, "r");
    size_t len = fread(got, 1, sizeof got - 1, out);
    got[len] = '\0';
    ck_assert_int_eq(pclose(out), 0);
    free(line);
    free(job);
    free(path);
    return got;
}

START_TEST(test_nothing_is_code)
{
    const char *text = hostile[_i];
    static const char *const programs[] = {"codex", "claude", "opencode", "gemini", "aider"};
    for (size_t i = 0; i < TYPES; i++) {
        struct adapter_template found = builtin(types[i], "sandboxed", text);
        struct adapter_values values = {text, text, text, text, NONCE, text, false};
        char *job = script(&found, &values);
        const char *got = arguments_of(job, programs[i]);
        char *model = mem_printf("[--model][%s]", text);
        ck_assert_msg(strstr(got, model) != NULL, "%s: %s", types[i], got);
        lacks(got, "pwned\n["); /* no word was cut at a newline of ours */
        ck_assert_msg(got[strlen(got) - 1] == ']', "%s left something: %s", types[i], got);
        lacks(got, "[resume]");
        lacks(got, "[--resume]");
        free(model);
        free(job);
    }
}
END_TEST

START_TEST(test_sessions)
{
    static const char *const no[] = {"",    "-x",    "--dangerously-skip-permissions",
                                     "a b", "a;b",   "../x",
                                     "a\n", "$(id)", "\xc3\xa9"};
    char id[130];
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        ck_assert_msg(!adapter_session_valid(no[i]), "%s", no[i]);
    memset(id, 'a', 129);
    id[129] = '\0';
    ck_assert(!adapter_session_valid(id));
    ck_assert(adapter_session_valid(id + 1));
    ck_assert(adapter_session_valid("_-"));
}
END_TEST

/* What is known of the session before its first line of output. */
START_TEST(test_session_is_known)
{
    static const char *const chosen[] = {"", CHOSEN, "", CHOSEN, ""};
    struct adapter_values values = {.nonce = NONCE};
    char id[129];
    for (size_t i = 0; i < TYPES; i++) {
        struct adapter_template found = builtin(types[i], "full", NULL);
        values.session = NULL;
        adapter_session(&found, &values, id);
        ck_assert_str_eq(id, chosen[i]);
        values.session = "abc";
        adapter_session(&found, &values, id);
        ck_assert_str_eq(id, "abc");
        values.session = "-abc";
        adapter_session(&found, &values, id);
        ck_assert_str_eq(id, chosen[i]);
    }
}
END_TEST

/* --- Custom commands --- */

static char *words[] = {"my agent",         "--dir={work_dir}", "{task_id}", "it's",
                        "{branch}{branch}", "{unknown}",        "{run_dir}"};
static struct config_list command = {words, sizeof words / sizeof words[0]};

START_TEST(test_script_quotes_everything)
{
    struct adapter_template found = {.kind = &adapter_text, .command = &command};
    struct adapter_values values = {"/w d", "$(id)'; rm {branch}", "b", "/r", NONCE, NULL, false};
    char *text = script(&found, &values);
    has(text,
        "\nexec 'my agent' '--dir=/w d' '$(id)'\\''; rm {branch}' 'it'\\''s' 'bb' '{unknown}' "
        "'/r'\n",
        NULL);
    free(text);
}
END_TEST

START_TEST(test_custom_resume)
{
    static char *start[] = {"my", "--id={session}", "{model}"},
                *again[] = {"my", "-r", "{session}"};
    struct config_list run = {start, 3}, resume = {again, 3};
    struct adapter_template found = {
        .kind = &adapter_text, .command = &run, .resume = &resume, .model = "m"};
    struct adapter_values values = {.nonce = NONCE, .session = NULL};
    char id[129];
    char *text = script(&found, &values);
    has(text, "exec 'my' '--id=" CHOSEN "' 'm'\n", NULL);
    free(text);
    adapter_session(&found, &values, id);
    ck_assert_str_eq(id, CHOSEN);
    values.session = "abc";
    text = script(&found, &values);
    has(text, "exec 'my' '-r' 'abc'\n", NULL);
    free(text);
    found.resume = NULL; /* nothing goes on with it: a new one */
    text = script(&found, &values);
    has(text, "exec 'my' '--id=" CHOSEN "' 'm'\n", NULL);
    free(text);
}
END_TEST

/* The prompt comes on stdin and is handed on as a file that nobody else reads. */
START_TEST(test_prompt_file)
{
    static char *program[] = {"sh", "-c", "cat \"$1\"; stat -c ' %a' \"$1\"; cat", "sh",
                              "{prompt_file}"};
    struct config_list run = {program, 5};
    struct adapter_template found = {.kind = &adapter_text, .command = &run};
    struct adapter_values values = {.work_dir = "/w"};
    char dir[] = "/tmp/fleet-prompt.XXXXXX", got[100];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *text = script(&found, &values), *job = mem_printf("%s/job.sh", dir);
    FILE *file = fopen(job, "w");
    fputs(text, file);
    fclose(file);
    char *line =
        mem_printf("printf \"$(printf 'it\\047s')\" | TMPDIR=%s sh %s; rm -r %s", dir, job, dir);
    FILE *out = popen(line, "r");
    got[fread(got, 1, sizeof got - 1, out)] = '\0';
    ck_assert_int_eq(pclose(out), 0);
    ck_assert_str_eq(got, "it's 600\n");
    free(line);
    free(job);
    free(text);
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
    struct adapter_values values = {.work_dir = dir, .task_id = "t", .branch = "b", .run_dir = dir};
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

START_TEST(test_configuration_wins)
{
    struct config_variable env[] = {{"DISABLE_AUTOUPDATER", "0"}};
    struct adapter_template found = builtin("claude-code", "sandboxed", NULL);
    struct adapter_values values = {.nonce = NONCE};
    found.env = env;
    found.env_count = 1;
    char *text = script(&found, &values);
    lacks(text, "DISABLE_AUTOUPDATER");
    has(text, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", NULL);
    free(text);
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
    ck_assert(found.full);
    config.adapter_count = 2;
    ck_assert(adapter_find(&config, &agent, &found));
    ck_assert_ptr_eq(found.command, &mine[1].command);
    ck_assert_ptr_null(found.builtin);
    agent.agent_type = "mine";
    ck_assert(adapter_find(&config, &agent, &found));
    ck_assert_ptr_eq(found.kind, &adapter_text);
    ck_assert(!found.version);
    agent.agent_type = "nobody";
    ck_assert(!adapter_find(&config, &agent, &found));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("template");
    TCase *tcase = tcase_create("template");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_codex);
    tcase_add_test(tcase, test_claude);
    tcase_add_test(tcase, test_opencode);
    tcase_add_test(tcase, test_gemini);
    tcase_add_test(tcase, test_aider);
    tcase_add_test(tcase, test_what_is_looked_for);
    tcase_add_loop_test(tcase, test_nothing_is_code, 0, sizeof hostile / sizeof hostile[0]);
    tcase_add_test(tcase, test_sessions);
    tcase_add_test(tcase, test_session_is_known);
    tcase_add_test(tcase, test_script_quotes_everything);
    tcase_add_test(tcase, test_custom_resume);
    tcase_add_test(tcase, test_prompt_file);
    tcase_add_test(tcase, test_environment);
    tcase_add_test(tcase, test_configuration_wins);
    tcase_add_test(tcase, test_find);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
