/* worker/runner/trusted: which files are an agent's configuration, and the tree that has the base's
 * version of them. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/runner/trusted.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ZEROS "0000000000000000000000000000000000000000"
#define FILE_OF(id, path) "100644 blob " id "\t" path "\0"
#define PROGRAM_OF(id, path) "100755 blob " id "\t" path "\0"
#define LINK_OF(id, path) "160000 commit " id "\t" path "\0"

/* What git says of the commit "ours" and of "base", and what it was given. */
static struct {
    const char *ours, *base;
    size_t ours_len, base_len;
    const char *broken; /* this command fails */
    char put[4096];     /* update-index, NULs shown as newlines */
    char ran[400];      /* all commands */
} told;

static struct git git;
static struct trusted_paths paths;
static char tree[REFS_COMMIT_SIZE];

bool git_text_add(struct git_text *text, const void *bytes, size_t len)
{
    text->bytes = realloc(text->bytes, text->len + len + 1);
    ck_assert_ptr_nonnull(text->bytes);
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
    return true;
}

void git_text_release(struct git_text *text)
{
    free(text->bytes);
    *text = (struct git_text){0};
}

static bool runs(struct git *g, const char *const *words)
{
    size_t len = strlen(told.ran);
    snprintf(told.ran + len, sizeof told.ran - len, "%s ", words[0]);
    g->end = told.broken != NULL && strcmp(words[0], told.broken) == 0 ? GIT_REFUSED : GIT_DONE;
    return g->end == GIT_DONE;
}

bool git_run_words(struct git *g, const struct git_child *child, const char *const *words)
{
    if (!runs(g, words))
        return false;
    if (strcmp(words[0], "update-index") == 0) {
        for (size_t i = 0; i < child->input_len; i++) {
            char byte = ((const char *)child->input)[i];
            told.put[i] = byte == '\0' ? '\n' : byte;
        }
    } else if (strcmp(words[0], "ls-tree") == 0) {
        const char *commit = words[1];
        while (*words != NULL)
            commit = *words++;
        bool is_base = strcmp(commit, "base") == 0;
        return git_text_add(child->text, is_base ? told.base : told.ours,
                            is_base ? told.base_len : told.ours_len);
    }
    return true;
}

bool git_ask_words(struct git *g, const struct git_child *child, char *line, size_t size,
                   const char *const *words)
{
    (void)child;
    snprintf(line, size, "%s", "tree");
    return runs(g, words);
}

#define SAYS(which, text) (told.which = (text), told.which##_len = sizeof "" text - 1)

static void setup(void)
{
    memset(&told, 0, sizeof told);
    told.ours = told.base = "";
    git = (struct git){0};
}

static void teardown(void)
{
    trusted_release(&paths);
}

static bool overlay(const char *commit, const char *base)
{
    return trusted_overlay(&git, "/r", "/r/none/index", commit, base, tree, &paths);
}

static void holds(const struct git_text *text, const char *want, size_t len)
{
    ck_assert_uint_eq(text->len, len);
    ck_assert(len == 0 || memcmp(text->bytes, want, len) == 0);
}
#define HOLDS(text, want) holds(text, want, sizeof "" want - 1)

/* --- Which --- */

START_TEST(files_that_agents_read)
{
    static const char *const are[] = {".claude",
                                      ".claude/settings.json",
                                      ".mcp.json",
                                      "AGENTS.md",
                                      "CONVENTIONS.md",
                                      "sub/AGENTS.md",
                                      "a/b/CLAUDE.local.md",
                                      "sub/.claude/x",
                                      "opencode.json",
                                      ".codex/a/b",
                                      ".aider.conf.yml",
                                      "AGENTS.md/x"};
    static const char *const are_not[] = {
        "claude",      ".claudex/a",    "sub/.codex/x", "sub/CONVENTIONS.md", "AGENTS.mdx",
        "xAGENTS.md",  "sub/.mcp.json", "agents.md",    "sub/x.claude/y",     "",
        "sub/.claude", "AGENTS",        ".claud"};
    for (size_t i = 0; i < sizeof are / sizeof are[0]; i++)
        ck_assert_msg(trusted_is(are[i]), "%s", are[i]);
    for (size_t i = 0; i < sizeof are_not / sizeof are_not[0]; i++)
        ck_assert_msg(!trusted_is(are_not[i]), "%s", are_not[i]);
    size_t count = 0;
    while (trusted_name(count) != NULL)
        ck_assert(trusted_is(trusted_name(count++)));
    ck_assert_uint_ge(count, 10);
}
END_TEST

/* --- The overlay --- */

START_TEST(the_bases_version_is_put_in)
{
    SAYS(ours, FILE_OF(ID_A, "AGENTS.md") FILE_OF(ID_A, "main.c"));
    SAYS(base, FILE_OF(ID_B, "AGENTS.md") FILE_OF(ID_B, "main.c"));
    ck_assert(overlay("ours", "base"));
    ck_assert_str_eq(tree, "tree");
    ck_assert_str_eq(told.put, "0 " ZEROS "\tAGENTS.md\n100644 " ID_B "\tAGENTS.md\n");
    HOLDS(&paths.flagged, "AGENTS.md\0");
    HOLDS(&paths.put, "AGENTS.md\0");
    HOLDS(&paths.added, "");
    HOLDS(&paths.links, "");
}
END_TEST

START_TEST(what_only_one_of_them_has)
{
    SAYS(ours, FILE_OF(ID_A, ".claude/x") FILE_OF(ID_A, "main.c"));
    SAYS(base, FILE_OF(ID_B, "CLAUDE.md"));
    ck_assert(overlay("ours", "base"));
    ck_assert_str_eq(told.put, "0 " ZEROS "\t.claude/x\n100644 " ID_B "\tCLAUDE.md\n");
    HOLDS(&paths.flagged, ".claude/x\0");
    HOLDS(&paths.put, "CLAUDE.md\0");
    HOLDS(&paths.added, "CLAUDE.md\0");
}
END_TEST

/* What is the same is no difference; another mode is one. */
START_TEST(what_both_of_them_have)
{
    SAYS(ours,
         FILE_OF(ID_A, "AGENTS.md") PROGRAM_OF(ID_A, "GEMINI.md") FILE_OF(ID_A, "sub/CLAUDE.md"));
    SAYS(base,
         FILE_OF(ID_A, "AGENTS.md") FILE_OF(ID_A, "GEMINI.md") FILE_OF(ID_A, "sub/CLAUDE.md"));
    ck_assert(overlay("ours", "base"));
    HOLDS(&paths.flagged, "GEMINI.md\0");
    HOLDS(&paths.put, "AGENTS.md\0GEMINI.md\0sub/CLAUDE.md\0");
    HOLDS(&paths.added, "");
}
END_TEST

/* A submodule is taken out, of whatever name; and none of the base's is put in. */
START_TEST(submodules)
{
    SAYS(ours, LINK_OF(ID_A, "lib") LINK_OF(ID_A, ".claude"));
    SAYS(base, LINK_OF(ID_B, ".codex") LINK_OF(ID_B, "lib"));
    ck_assert(overlay("ours", "base"));
    ck_assert_str_eq(told.put, "0 " ZEROS "\tlib\n0 " ZEROS "\t.claude\n");
    HOLDS(&paths.links, "lib\0.claude\0");
    HOLDS(&paths.put, "");
    HOLDS(&paths.flagged, "");
}
END_TEST

START_TEST(nothing_to_do)
{
    SAYS(ours, FILE_OF(ID_A, "main.c"));
    SAYS(base, FILE_OF(ID_B, "main.c"));
    ck_assert(overlay("ours", "base"));
    ck_assert_str_eq(told.ran, "ls-tree ls-tree read-tree write-tree ");
    ck_assert_str_eq(told.put, "");
}
END_TEST

/* An unborn branch, and no base: git is asked for no tree of theirs. */
START_TEST(no_commits)
{
    SAYS(base, FILE_OF(ID_B, "AGENTS.md"));
    ck_assert(overlay("", "base"));
    ck_assert_str_eq(told.put, "100644 " ID_B "\tAGENTS.md\n");
    HOLDS(&paths.added, "AGENTS.md\0");
    teardown();
    setup();
    SAYS(ours, FILE_OF(ID_A, "AGENTS.md"));
    ck_assert(overlay("ours", ""));
    ck_assert_str_eq(told.put, "0 " ZEROS "\tAGENTS.md\n");
    HOLDS(&paths.flagged, "AGENTS.md\0");
}
END_TEST

START_TEST(a_git_that_fails)
{
    static const char *const commands[] = {"ls-tree", "read-tree", "update-index", "write-tree"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        teardown();
        setup();
        SAYS(ours, FILE_OF(ID_A, "AGENTS.md"));
        SAYS(base, "");
        told.broken = commands[i];
        ck_assert_msg(!overlay("ours", "base"), "%s", commands[i]);
        ck_assert_int_eq(git.end, GIT_REFUSED);
    }
}
END_TEST

START_TEST(files_that_are_named_to_the_agent)
{
    char names[64], few[12];
    SAYS(base, FILE_OF(ID_B, "CLAUDE.md") FILE_OF(ID_B, "AGENTS.md") FILE_OF(ID_B, "sub/GEMINI.md")
                   FILE_OF(ID_B, "x"));
    ck_assert(trusted_instructions(&git, "/r", "base", names, sizeof names));
    ck_assert_str_eq(names, "AGENTS.md CLAUDE.md");
    ck_assert(trusted_instructions(&git, "/r", "base", few, sizeof few));
    ck_assert_str_eq(few, "AGENTS.md");
    ck_assert(trusted_instructions(&git, "/r", "", names, sizeof names));
    ck_assert_str_eq(names, "");
    told.broken = "ls-tree";
    ck_assert(!trusted_instructions(&git, "/r", "base", names, sizeof names));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runner_trusted");
    TCase *tcase = tcase_create("runner_trusted");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, files_that_agents_read);
    tcase_add_test(tcase, the_bases_version_is_put_in);
    tcase_add_test(tcase, what_only_one_of_them_has);
    tcase_add_test(tcase, what_both_of_them_have);
    tcase_add_test(tcase, submodules);
    tcase_add_test(tcase, nothing_to_do);
    tcase_add_test(tcase, no_commits);
    tcase_add_test(tcase, a_git_that_fails);
    tcase_add_test(tcase, files_that_are_named_to_the_agent);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
