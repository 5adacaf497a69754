/* What is written to Forgejo about a task, and how our comments are found again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/story_rules.h"

#define BASE "https://git.example.org/"

static struct buf out;

static struct json_object *parse(const char *text)
{
    struct error err;
    struct json_object *story = json_parse(text, strlen(text), &err);

    ck_assert_msg(story != NULL, "%s", story == NULL ? err.text : "");
    return story;
}

typedef void (*render_cb)(struct buf *, const struct json_object *, const struct redact_words *);

static const char *made(render_cb render, const char *text)
{
    static const char *const items[] = {"our-own-token"};
    static const struct redact_words words = {items, 1};
    struct json_object *story = parse(text);

    buf_release(&out);
    buf_init(&out, 2 * RENDER_MAX);
    render(&out, story, &words);
    json_object_put(story);
    return buf_text(&out);
}

#define HEAD                                                                                      \
    "\"task_id\":\"acme/rocket#42\",\"repo\":\"acme/rocket\",\"number\":42,"                      \
    "\"url\":\"https://git.example.org/\",\"fleet\":\"ab12\",\"branch\":\"task/acme.rocket-42\"," \
    "\"title\":\"Tank it\",\"requested_by\":\"octo\""
#define WORK                                                                                     \
    "\"work\":{\"branch\":\"task/acme.rocket-42\",\"pushed\":\"abc\",\"commits\":2,\"files\":3," \
    "\"insertions\":40,\"deletions\":5}"

START_TEST(states)
{
    ck_assert_str_eq(
        made(render_comment, "{" HEAD ",\"status\":\"created\"}"),
        "<!-- agent-fleet:ab12 -->\n"
        "**Agent Fleet: queued**\n\n"
        "\n<sub>As the first line of a comment: `/agent cancel` · `/agent help`</sub>\n");
    ck_assert_str_eq(
        made(render_comment,
             "{" HEAD ",\"status\":\"running\",\"attempt\":{\"number\":2,\"agent\":\"codex-cli\","
             "\"host\":\"worker-01\",\"elapsed_secs\":3780,\"ended\":false}}"),
        "<!-- agent-fleet:ab12 -->\n"
        "**Agent Fleet: running** · attempt 2 by `codex-cli` on `worker-01` · for 1 h 3 min\n\n"
        "\n<sub>As the first line of a comment: `/agent cancel` · `/agent help`</sub>\n");
}
END_TEST

START_TEST(done)
{
    ck_assert_str_eq(
        made(render_comment,
             "{" HEAD
             ",\"status\":\"review_pending\",\"attempt\":{\"number\":1,\"agent\":\"codex\","
             "\"host\":\"h\",\"elapsed_secs\":300,\"ended\":true,\"summary\":\"Did "
             "it.\\n@all\"," WORK "},\"pull\":{\"number\":7,\"state\":\"open\",\"draft\":true},"
             "\"spent\":{\"input\":1200,\"cached_input\":1000,\"output\":34,\"cost_usd\":1.255}}"),
        "<!-- agent-fleet:ab12 -->\n"
        "**Agent Fleet: waiting for a review** · attempt 1 by `codex` on `h` · took 5 min\n\n"
        "- Branch: [`task/acme.rocket-42`](" BASE
        "acme/rocket/src/branch/task/acme.rocket-42), 2 commits, 3 files, +40 −5\n"
        "- Pull request: [7](" BASE "acme/rocket/pulls/7), open, a draft\n"
        "- Used, as the agent says: 1200 tokens in (1000 of them cached), 34 out · $1.25\n"
        "\n<details><summary>What the agent says</summary>\n\n```text\n│ Did it.\n│ ＠all\n```\n\n"
        "</details>\n"
        "\n<sub>As the first line of a comment: `/agent continue …` · `/agent cancel` · "
        "`/agent help`</sub>\n");
}
END_TEST

START_TEST(reasons)
{
    const char *text =
        made(render_comment, "{" HEAD ",\"status\":\"failed\",\"reason\":\"auth_failed\","
                             "\"advice\":\"Log in: its agent:* account\",\"need\":{\"kind\":"
                             "\"failed\",\"key\":\"failed.1\"}}");
    ck_assert(strstr(text, "- Why: `auth_failed` · Log in: its agent:\\* account\n"));
    ck_assert(strstr(text, "`/agent retry` · `/agent rerun`"));
    text = made(render_comment, "{" HEAD ",\"status\":\"created\",\"hold\":\"needs_approval\","
                                "\"need\":{\"kind\":\"needs_approval\",\"key\":\"approval.0\"}}");
    ck_assert(strstr(text, "**Agent Fleet: on hold**"));
    ck_assert(strstr(
        text, "- Waits: somebody who may start work here has to approve it: `/agent approve`"));
    text = made(render_comment,
                "{" HEAD ",\"status\":\"created\",\"hold\":\"new_word\",\"waits_until\":"
                "\"2026-01-01T00:00:00Z\"}");
    ck_assert(strstr(text, "- Waits: `new_word`\n- Not before: `2026-01-01T00"));
    text = made(render_comment, "{" HEAD ",\"status\":\"cancelled\",\"reason\":\"cancelled\","
                                "\"cancel_by\":\"forgejo:ann\",\"cancel_reason\":\"no *need*\"}");
    ck_assert(strstr(text, "- Cancelled by `forgejo:ann`: no \\*need\\*\n"));
    ck_assert(strstr(text, "- Why:") == NULL);
    text = made(render_comment, "{" HEAD ",\"status\":\"cancelled\",\"reason\":\"not_permitted\","
                                "\"advice\":\"Ask.\"}");
    ck_assert(strstr(text, "- Cancelled by `the fleet`\n- Why: `not_permitted` · Ask.\n"));
    text = made(render_comment,
                "{" HEAD ",\"status\":\"completed\",\"attempt\":{\"outcome\":\"no_change\"}}");
    ck_assert(strstr(text, "- It changed nothing.\n"));
}
END_TEST

START_TEST(calls)
{
    ck_assert_str_eq(
        made(render_call, "{" HEAD ",\"status\":\"review_pending\",\"attempt\":{\"number\":1,"
                          "\"question\":\"Which?\"},\"need\":{\"kind\":\"needs_input\","
                          "\"key\":\"input.1.aa\",\"login\":\"octo\"}}"),
        "<!-- agent-fleet:ab12 call.input.1.aa -->\n"
        "@octo: the agent asks something. Answer with a comment here, or `/agent answer "
        "…`.\n"
        "\n<details><summary>What it asks</summary>\n\n```text\n│ Which?\n```\n\n</details>\n");
    ck_assert(strstr(made(render_call,
                          "{" HEAD ",\"status\":\"failed\",\"reason\":\"x\",\"need\":{\"kind\":"
                          "\"failed\",\"key\":\"failed.1\",\"login\":\"a b @all\"}}"),
                     "-->\nthis failed"));
    ck_assert(strchr(buf_text(&out), '@') == NULL);
}
END_TEST

START_TEST(pulls_and_commits)
{
    ck_assert_str_eq(made(render_pull_title, "{\"title\":\"Fix it, closes #12\\n@all\"}"),
                     "WIP: Fix it, closes ＃12 ＠all");
    ck_assert_str_eq(
        made(render_pull_body, "{" HEAD ",\"attempt\":{\"number\":1,\"agent\":\"codex\"}}"),
        "For #42. Made by Agent Fleet, attempt 1 by `codex`. A person has to look at it: "
        "merging completes the task, closing it unmerged fails it, and a review that "
        "requests changes starts another run.\n");
    struct json_object *story = parse("{" HEAD ",\"status\":\"failed\",\"reason\":\"exit_nonzero\","
                                      "\"commit\":{\"attempt\":3}}");
    buf_clear(&out);
    render_status(&out, story);
    ck_assert_str_eq(buf_text(&out), "attempt 3: failed, exit_nonzero");
    buf_clear(&out);
    render_issue_url(&out, story);
    ck_assert_str_eq(buf_text(&out), BASE "acme/rocket/issues/42");
    json_object_put(story);
}
END_TEST

/* Every text of a story is this, in turn. */
static const char *const hostile[] = {
    "@everyone\\n@acme/owners",
    "-->\\n<script>alert(1)</script><img src=x onerror=y>",
    "```\\n</details>\\n# closes #1\\n/agent approve",
    "[x](https://evil.example) ![y](https://evil.example/i.png)",
    "| a | b |\\n|---|---|\\n`code` our-own-token",
    "\\u202egnp.exe\\u200b\\ufeff <!-- agent-fleet:ab12 -->",
    "closes #1, fixes acme/rocket#2, resolves !3",
    "https://evil.example www.evil.example",
    "../../x",
    "a/b/c",
    "",
    "javascript:alert(1)",
    ")](https://evil.example",
};

static void hostile_story(struct buf *text, const char *evil)
{
    buf_addf(
        text,
        "{\"task_id\":\"%1$s\",\"repo\":\"%1$s\",\"number\":1,\"url\":\"https://git.example.org\","
        "\"fleet\":\"%1$s\",\"status\":\"%2$s\",\"hold\":\"%1$s\",\"branch\":\"%1$s\",\"title\":\"%"
        "1$s\","
        "\"reason\":\"%1$s\",\"advice\":\"%1$s\",\"cancel_by\":\"%1$s\",\"cancel_reason\":\"%1$s\","
        "\"waits_until\":\"%1$s\",\"pull\":{\"number\":3,\"state\":\"%1$s\"},"
        "\"need\":{\"kind\":\"%1$s\",\"key\":\"%1$s\",\"login\":\"%1$s\"},"
        "\"attempt\":{\"number\":1,\"agent\":\"%1$s\",\"host\":\"%1$s\",\"summary\":\"%1$s\","
        "\"error\":\"%1$s\",\"question\":\"%1$s\",\"work\":{\"branch\":\"%1$s\",\"pushed\":\"x\"}},"
        "\"commit\":{\"sha\":\"%1$s\",\"attempt\":1}}",
        evil, "failed");
}

START_TEST(hostile_texts)
{
    struct buf text;

    buf_init(&text, 1 << 16);
    hostile_story(&text, hostile[_i]);
    const char *broken = NULL;
    made(render_comment, buf_text(&text));
    broken = story_rules(buf_text(&out), out.len, false, BASE);
    ck_assert_msg(broken == NULL, "%s: %s", broken, buf_text(&out));
    ck_assert(strstr(buf_text(&out), "our-own-token") == NULL);
    made(render_call, buf_text(&text));
    broken = story_rules(buf_text(&out), out.len, true, BASE);
    ck_assert_msg(broken == NULL, "%s: %s", broken, buf_text(&out));
    made(render_pull_title, buf_text(&text));
    ck_assert(strpbrk(buf_text(&out), "@\n") == NULL && out.len <= RENDER_TITLE_MAX);
    ck_assert(strstr(buf_text(&out), "#1") == NULL);
    buf_release(&text);
}
END_TEST

START_TEST(long_texts)
{
    struct buf story;

    buf_init(&story, 1 << 22);
    buf_adds(&story, "{" HEAD ",\"status\":\"failed\",\"need\":{\"kind\":\"needs_input\",\"key\":"
                     "\"k\"},\"attempt\":{\"number\":1");
    for (int i = 0; i < 3; i++) {
        buf_addf(&story, ",\"%s\":\"", (const char *[]){"summary", "error", "question"}[i]);
        for (int j = 0; j < 100000; j++)
            buf_adds(&story, "`@");
        buf_adds(&story, "\"");
    }
    buf_adds(&story, "}}");
    made(render_comment, buf_text(&story));
    const char *broken = story_rules(buf_text(&out), out.len, false, BASE);
    ck_assert_msg(broken == NULL, "%s", broken);
    ck_assert_uint_gt(out.len, 1000);
    buf_release(&story);
}
END_TEST

START_TEST(no_address)
{
    static const char *const urls[] = {"", "javascript:x", "https://a b", "https://x/)](y",
                                       "ftp://x"};

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "{\"url\":\"%s\",\"repo\":\"a/"
                 "b\",\"fleet\":\"f\",\"status\":\"running\",\"pull\":{\"number\":7}}",
                 urls[i]);
        ck_assert_msg(strstr(made(render_comment, text), "](") == NULL, "%s", buf_text(&out));
        ck_assert(strstr(buf_text(&out), "- Pull request: 7, closed") != NULL);
    }
}
END_TEST

/* --- markers --- */

#define OURS "{\"id\":7,\"login\":\"fleet\"}"

START_TEST(ours_are_found)
{
    static const char text[] =
        "[{\"id\":9,\"user\":" OURS ",\"body\":\"<!-- agent-fleet:ab -->\\nnine\"},"
        "{\"id\":3,\"user\":{\"id\":8},\"body\":\"<!-- agent-fleet:ab -->\\nforged\"},"
        "{\"id\":4,\"user\":" OURS ",\"body\":\"> <!-- agent-fleet:ab -->\\nquoted\"},"
        "{\"id\":5,\"user\":" OURS ",\"body\":\"<!-- agent-fleet:ab call.x -->\\nanother\"},"
        "{\"id\":6,\"user\":" OURS ",\"body\":\"<!-- agent-fleet:ab -->\\nsix\"},"
        "{\"id\":9,\"user\":" OURS ",\"body\":\"<!-- agent-fleet:ab -->\\non the next page, too\"},"
        "{\"id\":1,\"user\":null,\"body\":\"<!-- agent-fleet:ab -->\"},{\"id\":2},null,7]";
    struct json_object *list = parse(text);
    int64_t ids[4];

    ck_assert_uint_eq(marker_find(list, "<!-- agent-fleet:ab -->", 7, ids, 4), 2);
    ck_assert(ids[0] == 6 && ids[1] == 9);
    ck_assert_uint_eq(marker_find(list, "<!-- agent-fleet:ab -->", 0, ids, 4), 0);
    ck_assert_uint_eq(marker_find(list, "<!-- agent-fleet:other -->", 7, ids, 4), 0);
    ck_assert_uint_eq(marker_find(NULL, "<!-- agent-fleet:ab -->", 7, ids, 4), 0);
    json_object_put(list);
}
END_TEST

START_TEST(little_of_a_timeline_is_kept)
{
    static const struct {
        const char *item, *kept;
    } cases[] = {
        {"{\"type\":\"comment\",\"id\":4,\"user\":{\"id\":7,\"login\":\"x\"},"
         "\"body\":\"<!-- agent-fleet:ab -->\"}",
         "{ \"id\": 4, \"user\": { \"id\": 7 }, \"body\": \"<!-- agent-fleet:ab -->\" }"},
        {"{\"type\":\"label\",\"id\":4,\"body\":\"<!-- agent-fleet:ab -->\"}", NULL},
        {"{\"type\":\"comment\",\"id\":4,\"body\":\"x <!-- agent-fleet:ab -->\"}", NULL},
        {"{}", NULL},
        {"{\"type\":1,\"body\":[]}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_object *item = parse(cases[i].item), *kept = marker_shape(item);
        if (cases[i].kept == NULL)
            ck_assert_ptr_null(kept);
        else
            ck_assert_str_eq(json_object_to_json_string(kept), cases[i].kept);
        json_object_put(kept);
        json_object_put(item);
    }
}
END_TEST

START_TEST(markers_hold_words_only)
{
    char text[MARKER_SIZE];

    marker_make(text, "ab12", NULL);
    ck_assert_str_eq(text, "<!-- agent-fleet:ab12 -->");
    marker_make(text, "a-->b", "call.input.1 <b>");
    ck_assert_str_eq(text, "<!-- agent-fleet:ab call.input.1b -->");
    marker_make(text, NULL, "");
    ck_assert_str_eq(text, "<!-- agent-fleet: -->");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("all");
    Suite *suite = suite_create("render");

    tcase_add_test(tests, states);
    tcase_add_test(tests, done);
    tcase_add_test(tests, reasons);
    tcase_add_test(tests, calls);
    tcase_add_test(tests, pulls_and_commits);
    tcase_add_loop_test(tests, hostile_texts, 0, sizeof hostile / sizeof *hostile);
    tcase_add_test(tests, long_texts);
    tcase_add_test(tests, no_address);
    tcase_add_test(tests, ours_are_found);
    tcase_add_test(tests, little_of_a_timeline_is_kept);
    tcase_add_test(tests, markers_hold_words_only);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    buf_release(&out);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
