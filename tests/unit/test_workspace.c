/* worker/workspace: what a host is told of a task's repository, and what it says back. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/config.h"
#include "worker/workspace/workspace.h"

#define HEAD "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"
#define HOSTS                                                 \
    "adapters: { demo: { command: [ demo ] } }\n"             \
    "hosts:\n"                                                \
    "  - { host_id: h1, hostname: localhost, work_dir: /w,\n" \
    "      agents: [ { agent_type: demo } ] }\n"

static struct config *config;
static struct workspace_plan plan;
static struct error err;
static struct workspace_task task;

static void configure(const char *git)
{
    char text[4096];
    config_free(config);
    snprintf(text, sizeof text, HEAD "%s\n" HOSTS, git);
    config = config_parse(text, strlen(text), "x.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
}

static void setup(void)
{
    task = (struct workspace_task){.task_id = "a/b#1",
                                   .folder = "a-b-1",
                                   .repo = "a/b",
                                   .branch = "task/a-b-1",
                                   .number = 3,
                                   .leftovers = true};
}

static void teardown(void)
{
    config_free(config);
    config = NULL;
}

static void planned(void)
{
    ck_assert_msg(workspace_plan(&plan, config, &task, &err), "%s", err.text);
}

static void refused(const char *state, const char *words)
{
    ck_assert(!workspace_plan(&plan, config, &task, &err));
    ck_assert_str_eq(err.state, state);
    ck_assert_msg(strstr(err.text, words) != NULL, "%s", err.text);
    workspace_release(&plan);
}

static void holds(const struct runner_blob *blob, const char *text)
{
    ck_assert_uint_eq(blob->len, strlen(text));
    ck_assert_mem_eq(blob->bytes, text, strlen(text));
}

START_TEST(who_works_in_a_clone)
{
    struct config_host host = {.workspace = (char *)"git"};
    ck_assert(workspace_wanted(&host, "a/b"));
    ck_assert(!workspace_wanted(&host, ""));
    ck_assert(!workspace_wanted(&host, NULL));
    ck_assert(!workspace_wanted(NULL, "a/b"));
    host.workspace = (char *)"none";
    ck_assert(!workspace_wanted(&host, "a/b"));
}
END_TEST

static void url_is(const char *want)
{
    char *url = workspace_url(config, "a/b");
    if (want == NULL)
        ck_assert_ptr_null(url);
    else
        ck_assert_str_eq(url, want);
    free(url);
}

START_TEST(where_it_is_cloned_from)
{
    configure("");
    url_is(NULL);
    refused("workspace_failed", "neither git.url nor forgejo.url");
    configure("git: { url: 'ssh://git@forge.example:2222/{repository}.git' }");
    url_is("ssh://git@forge.example:2222/a/b.git");
    configure("git: { url: '/srv/{repository}' }");
    url_is("/srv/a/b");
    configure("forgejo: { url: 'https://forge.example/x/' }");
    url_is("https://forge.example/x/a/b.git");
    configure("forgejo: { url: 'https://forge.example' }\n"
              "git: { url: 'https://other.example/{repository}' }");
    url_is("https://other.example/a/b");
}
END_TEST

START_TEST(what_a_host_is_told)
{
    configure("git: { url: '/srv/{repository}', fetch_timeout_secs: 11, push_timeout_secs: 12,\n"
              "  min_free_bytes: 14000000, author: 'Fleet <f@example.org>',\n"
              "  protected_branches: [ main, 'release/*' ], allow_workflows: [ 'c/*', a/b ] }");
    task.base_branch = "trunk";
    task.run_as = "agent-1";
    planned();
    const struct runner_work *work = &plan.work;
    ck_assert_str_eq(work->folder, "a-b-1");
    ck_assert_str_eq(work->repository, "a/b");
    ck_assert_str_eq(work->url, "/srv/a/b");
    ck_assert_str_eq(work->branch, "task/a-b-1");
    ck_assert_str_eq(work->run_as, "agent-1");
    ck_assert_uint_eq(work->number, 3);
    holds(&work->base, "trunk");
    ck_assert_uint_eq(work->fetch_secs, 11);
    ck_assert_uint_eq(work->push_secs, 12);
    ck_assert_uint_eq(work->min_free, 14000000);
    holds(&work->author, "Fleet <f@example.org>");
    holds(&work->message, "task/a-b-1: what the agent left uncommitted\n\nAttempt: 3\n");
    holds(&work->protect, "main\nrelease/*\n");
    ck_assert(work->workflows);
    ck_assert_int_eq(work->access, ACCESS_NONE);
    holds(&work->secret, "");
    workspace_release(&plan);
}
END_TEST

START_TEST(leftovers_need_both_to_agree)
{
    configure("git: { url: '/srv/{repository}' }");
    planned();
    ck_assert(plan.work.leftovers);
    workspace_release(&plan);
    task.leftovers = false;
    planned();
    ck_assert(!plan.work.leftovers);
    workspace_release(&plan);
    task.leftovers = true;
    configure("git: { url: '/srv/{repository}', commit_leftovers: false }");
    planned();
    ck_assert(!plan.work.leftovers);
    workspace_release(&plan);
}
END_TEST

START_TEST(who_may_change_workflows)
{
    static const struct {
        const char *list;
        bool listed;
    } cases[] = {{"[]", false},         {"[ '*' ]", true},   {"[ 'a/*' ]", true},
                 {"[ a/b ]", true},     {"[ a/bc ]", false}, {"[ 'ab/*' ]", false},
                 {"[ x/y, a/b ]", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "git: { url: '/srv/{repository}', allow_workflows: %s }",
                 cases[i].list);
        configure(text);
        planned();
        ck_assert_msg(plan.work.workflows == cases[i].listed, "%s", cases[i].list);
        workspace_release(&plan);
    }
}
END_TEST

/* The secret goes to the scheme that asks for it, and to no other. */
START_TEST(passwords)
{
    setenv("SCENE_PASSWORD", "a-long-password", 1);
    configure("git: { url: 'https://forge.example/{repository}', password: '${SCENE_PASSWORD}' }");
    planned();
    ck_assert_int_eq(plan.work.access, ACCESS_PASSWORD);
    ck_assert_str_eq(plan.work.user, "agent-fleet");
    holds(&plan.work.secret, "a-long-password");
    holds(&plan.work.known_hosts, "");
    workspace_release(&plan);
    configure("git: { url: 'https://forge.example/{repository}', username: robot,\n"
              "  password: '${SCENE_PASSWORD}' }");
    planned();
    ck_assert_str_eq(plan.work.user, "robot");
    workspace_release(&plan);
}
END_TEST

static char folder[] = "/tmp/test_workspace.XXXXXX";

static void put(const char *name, size_t len)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    while (len-- > 0)
        fputc('k', file);
    fclose(file);
}

START_TEST(keys)
{
    char text[400];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    put("key", 5);
    put("known", 3);
    put("large", WORK_BLOB_MAX + 1);
    const char *form =
        "git: { url: 'ssh://forge.example/{repository}', ssh_key_path: '%s/%s'%s%s%s }";
    snprintf(text, sizeof text, form, folder, "key", ", known_hosts: '", folder, "/known'");
    configure(text);
    planned();
    ck_assert_int_eq(plan.work.access, ACCESS_SSH);
    holds(&plan.work.secret, "kkkkk");
    holds(&plan.work.known_hosts, "kkk");
    workspace_release(&plan);
    snprintf(text, sizeof text, form, folder, "none", ", known_hosts: '", folder, "/known'");
    configure(text);
    refused("git_auth_failed", "git.ssh_key_path: ");
    snprintf(text, sizeof text, form, folder, "key", ", known_hosts: '", folder, "/none'");
    configure(text);
    refused("git_auth_failed", "git.known_hosts: ");
    snprintf(text, sizeof text, form, folder, "large", ", known_hosts: '", folder, "/known'");
    configure(text);
    refused("git_auth_failed", "it is too large");
    snprintf(text, sizeof text, "rm -r %s", folder);
    ck_assert_int_eq(system(text), 0);
}
END_TEST

static char long_text[4096];

static const char *of_length(size_t len)
{
    memset(long_text, 'x', sizeof long_text);
    long_text[len] = '\0';
    return long_text;
}

/* Nothing is cut: it would be another branch, or another repository. */
START_TEST(what_is_too_long)
{
    configure("git: { url: '/srv/{repository}' }");
    task.folder = of_length(sizeof plan.work.folder);
    refused("workspace_failed", "the folder is too long");
    setup();
    task.branch = of_length(sizeof plan.work.branch);
    refused("workspace_failed", "the branch is too long");
    task.branch = of_length(sizeof plan.work.branch - 1);
    planned();
    workspace_release(&plan);
    setup();
    task.run_as = of_length(sizeof plan.work.run_as);
    refused("workspace_failed", "the account is too long");
    setup();
    task.repo = of_length(sizeof plan.work.repository);
    refused("workspace_failed", "the repository is too long");
    setup();
    task.base_branch = of_length(WORK_REF_SIZE);
    refused("base_missing", "too long");
    task.base_branch = of_length(WORK_REF_SIZE - 1);
    planned();
    workspace_release(&plan);
}
END_TEST

START_TEST(what_runs_before_a_removal)
{
    configure("git: { url: '/srv/{repository}' }");
    plan = (struct workspace_plan){0};
    buf_init(&plan.hook, WORK_BLOB_MAX);
    workspace_plan_removal(&plan, config);
    holds(&plan.work.before_remove, "");
    workspace_release(&plan);
    configure("git: { url: '/srv/{repository}', before_remove: [ clean, \"it's\" ],\n"
              "  hook_timeout_secs: 7 }");
    plan = (struct workspace_plan){0};
    buf_init(&plan.hook, WORK_BLOB_MAX);
    workspace_plan_removal(&plan, config);
    ck_assert_uint_eq(plan.work.hook_secs, 7);
    holds(&plan.work.before_remove, "exec 'clean' 'it'\\''s'");
    workspace_release(&plan);
}
END_TEST

START_TEST(a_report_says_what_applies)
{
    struct buf out;
    buf_init(&out, 4096);
    struct runner_worked worked = {.state = WORK_KEPT,
                                   .reason = "push_rejected",
                                   .detail = "say \"no\"",
                                   .base = "b",
                                   .commits = 0,
                                   .files = -1,
                                   .insertions = 2,
                                   .deletions = -1,
                                   .leftovers = -1,
                                   .withheld = -1};
    workspace_report(&out, &worked, "task/x");
    ck_assert_str_eq(
        buf_text(&out),
        "{\"state\":\"kept\",\"reason\":\"push_rejected\",\"detail\":\"say \\\"no\\\"\","
        "\"branch\":\"task/x\",\"base\":\"b\",\"commits\":0,\"insertions\":2}");
    buf_release(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workspace");
    TCase *tcase = tcase_create("workspace");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, who_works_in_a_clone);
    tcase_add_test(tcase, where_it_is_cloned_from);
    tcase_add_test(tcase, what_a_host_is_told);
    tcase_add_test(tcase, leftovers_need_both_to_agree);
    tcase_add_test(tcase, who_may_change_workflows);
    tcase_add_test(tcase, passwords);
    tcase_add_test(tcase, keys);
    tcase_add_test(tcase, what_is_too_long);
    tcase_add_test(tcase, what_runs_before_a_removal);
    tcase_add_test(tcase, a_report_says_what_applies);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
