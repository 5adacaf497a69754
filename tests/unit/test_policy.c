/* What the database is told of the configuration's Forgejo. */
#include "tests/unit/config_scene.h"

#include "common/json.h"

/* The policy of a configuration whose group forgejo has these lines. The caller puts it. */
static struct json_object *policy_of(const char *lines)
{
    char *text = mem_printf(DATABASE "forgejo:\n%s", lines);
    struct config *config = parse(text, CONFIG_WORKER);
    ck_assert_msg(config != NULL, "%s", err.text);
    struct buf out;
    buf_init(&out, 65536);
    config_policy(config, &out);
    struct json_object *policy = json_parse(buf_text(&out), out.len, &err);
    ck_assert_msg(policy != NULL, "%s: %s", err.text, buf_text(&out));
    buf_release(&out);
    config_free(config);
    free(text);
    return policy;
}

START_TEST(all_of_it)
{
    struct json_object *policy = policy_of(
        "  url: https://git.example.org\n  token: not-told\n  lookup_token: not-told-either\n"
        "  repositories: [acme/rocket, 'tools/*']\n  trigger_users: [o]\n"
        "  approval: untrusted\n  open_pull_request: true\n  required_checks: [ci / test]\n"
        "  rules:\n  - { repositories: [tools/x], approval: always, open_pull_request: false }\n");
    const char *text = json_object_to_json_string(policy);
    ck_assert_ptr_null(strstr(text, "not-told"));
    ck_assert_str_eq(json_string(policy, "url", ""), "https://git.example.org");
    ck_assert(json_flag(policy, "reads", false) && json_flag(policy, "open_pull_request", false));
    ck_assert(json_flag(policy, "comments", false) && !json_flag(policy, "poll_only", true));
    ck_assert_str_eq(json_string(policy, "approval", ""), "untrusted");
    ck_assert_int_eq(json_int(policy, "max_reviews", 0), 3);
    ck_assert_int_eq(json_int(policy, "poll_interval_secs", 0), 300);
    ck_assert_str_eq(json_object_to_json_string(json_member(policy, "required_checks")),
                     "[ \"ci \\/ test\" ]");
    struct json_object *rule = json_object_array_get_idx(json_member(policy, "rules"), 0);
    ck_assert_str_eq(json_object_to_json_string(rule),
                     "{ \"repositories\": [ \"tools\\/x\" ], \"approval\": \"always\", "
                     "\"open_pull_request\": false }");
    json_object_put(policy);
}
END_TEST

START_TEST(without_a_token)
{
    struct json_object *policy = policy_of("  repositories: []\n");
    ck_assert(!json_flag(policy, "reads", true));
    ck_assert_ptr_null(json_member(policy, "url"));
    json_object_put(policy);
}
END_TEST

START_TEST(names_are_covered)
{
    char *items[] = {"Acme/Rocket", "tools/*"};
    struct config_list list = {items, 2};
    ck_assert(config_list_covers(&list, "acme/rocket") && config_list_covers(&list, "Tools/x"));
    ck_assert(!config_list_covers(&list, "acme/rocket2") && !config_list_covers(&list, "tools2/x"));
    ck_assert(!config_list_covers(&list, "acme") && !config_list_covers(&list, ""));
    char *all[] = {"*"};
    ck_assert(config_list_covers(&(struct config_list){all, 1}, "a/b"));
    ck_assert(!config_list_covers(&(struct config_list){NULL, 0}, "a/b"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, all_of_it);
    tcase_add_test(tests, without_a_token);
    tcase_add_test(tests, names_are_covered);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
