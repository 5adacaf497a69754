/* worker/runner/origin: where an attempt begins, for each answer of git. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/runner/fault.h"
#include "worker/runner/origin.h"

#define BASE "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SERVER "5555555555555555555555555555555555555555"
#define OURS "0000000000000000000000000000000000000000"
#define COMMON "cccccccccccccccccccccccccccccccccccccccc"
#define OLD "dddddddddddddddddddddddddddddddddddddddd"

static struct git git;
static struct runner_work work;
static struct runner_worked worked;
static struct mirror mirror;
static struct stage stage;
static struct origin origin;

/* What stands where: of the server's branches, and in the stage. */
static const char *server_main, *server_task, *our_task, *old_base, *old_name;
static bool server_empty;
static const char *ancestors; /* "old<young " of those that are */
static const char *common;    /* of base and start; NULL: there is none */
static const char *broken;    /* this command of git fails, by git */

/* --- git and the stage, as origin asks them --- */

bool git_run_words(struct git *g, const struct git_child *child, const char *const *words)
{
    g->end = GIT_DONE;
    g->words[0] = '\0';
    if (broken != NULL && strcmp(words[0], broken) == 0) {
        g->end = GIT_REFUSED;
        g->exit = 128;
        snprintf(g->words, sizeof g->words, "fatal: broken");
        return false;
    }
    if (strcmp(words[0], "for-each-ref") == 0) {
        ck_assert_str_eq(words[3], "refs/heads");
        return server_empty || git_text_add(child->text, "refs/heads/x\n", 13);
    }
    char pair[200];
    ck_assert_str_eq(words[0], "merge-base");
    ck_assert_str_eq(words[1], "--is-ancestor");
    ck_assert(words[2][0] != '\0' && words[3][0] != '\0'); /* of which git makes a fault */
    snprintf(pair, sizeof pair, "%.1s<%.1s ", words[2], words[3]);
    bool is = strstr(ancestors, pair) != NULL;
    g->end = is ? GIT_DONE : GIT_REFUSED;
    g->exit = is ? 0 : 1;
    return is;
}

bool git_ask_words(struct git *g, const struct git_child *child, char *line, size_t size,
                   const char *const *words)
{
    const char *found = NULL;
    (void)child;
    line[0] = '\0';
    g->end = GIT_DONE;
    g->words[0] = '\0';
    if (broken != NULL && strcmp(words[0], broken) == 0) {
        g->end = GIT_REFUSED;
        g->exit = 128;
        snprintf(g->words, sizeof g->words, "fatal: broken");
        return false;
    }
    if (strcmp(words[0], "merge-base") == 0) {
        ck_assert_str_eq(words[1], origin.base);
        ck_assert_str_eq(words[2], origin.start);
        found = common;
    } else if (strcmp(words[3], "refs/heads/main^{commit}") == 0) {
        found = server_main;
    } else if (strcmp(words[3], "refs/heads/task/a^{commit}") == 0) {
        found = server_task;
    }
    if (found != NULL)
        snprintf(line, size, "%s", found);
    else
        g->end = GIT_REFUSED, g->exit = 1;
    return found != NULL;
}

bool git_text_add(struct git_text *text, const void *bytes, size_t len)
{
    (void)bytes;
    text->len += len;
    return true;
}

void git_text_release(struct git_text *text)
{
    *text = (struct git_text){0};
}

bool stage_ref(const struct stage *s, const char *name, char commit[static REFS_COMMIT_SIZE])
{
    const char *found = NULL;
    (void)s;
    if (strcmp(name, "refs/heads/task/a") == 0)
        found = our_task;
    else if (strcmp(name, "refs/fleet/base") == 0)
        found = old_base;
    snprintf(commit, REFS_COMMIT_SIZE, "%s", found != NULL ? found : "");
    return found != NULL;
}

void stage_base_branch(const struct stage *s, char name[static REFS_NAME_SIZE])
{
    (void)s;
    snprintf(name, REFS_NAME_SIZE, "%s", old_name != NULL ? old_name : "");
}

bool fault(struct runner_worked *to, const char *reason, const char *detail)
{
    snprintf(to->reason, sizeof to->reason, "%s", reason);
    snprintf(to->detail, sizeof to->detail, "%s", detail);
    return false;
}

/* --- The scene --- */

static void setup(void)
{
    git = (struct git){0};
    work = (struct runner_work){.branch = "task/a"};
    worked = (struct runner_worked){0};
    origin = (struct origin){0};
    mirror =
        (struct mirror){.work = &work, .git = &git, .worked = &worked, .head = "refs/heads/main"};
    server_main = BASE;
    server_task = our_task = old_base = old_name = broken = NULL;
    server_empty = false;
    ancestors = "";
    common = COMMON;
}

static void want_base(const char *name)
{
    work.base = (struct runner_blob){.bytes = name, .len = (uint32_t)strlen(name)};
}

static void has_base(const char *name, const char *commit)
{
    ck_assert(origin_find_base(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_DONE);
    ck_assert_str_eq(origin.base_name, name);
    ck_assert_str_eq(origin.base, commit);
}

static void has_no_base(const char *detail)
{
    ck_assert(!origin_find_base(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_DONE);
    ck_assert_str_eq(worked.reason, "base_missing");
    ck_assert_msg(strstr(worked.detail, detail) != NULL, "%s", worked.detail);
}

/* --- The base --- */

START_TEST(the_default_branch_and_the_one_that_is_asked_for)
{
    has_base("refs/heads/main", BASE);
    setup();
    mirror.head[0] = '\0';
    want_base("main");
    has_base("refs/heads/main", BASE);
}
END_TEST

START_TEST(names_that_are_none)
{
    static const char *const names[] = {"a..b", "-", "a b", "../x", "a.lock", "x/"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setup();
        want_base(names[i]);
        if (strcmp(names[i], "-") == 0)
            has_no_base("the server has no branch -");
        else
            has_no_base("no proper name");
    }
    setup();
    work.base = (struct runner_blob){.bytes = "main\0x", .len = 6};
    has_no_base("no proper name");
}
END_TEST

START_TEST(an_empty_repository)
{
    server_main = NULL;
    server_empty = true;
    has_base("refs/heads/main", "");
    setup();
    server_main = NULL;
    server_empty = true;
    mirror.head[0] = '\0';
    has_base("refs/heads/main", "");
    setup();
    server_empty = true;
    want_base("trunk");
    has_base("refs/heads/trunk", "");
}
END_TEST

START_TEST(a_branch_that_is_not_there)
{
    want_base("gone");
    has_no_base("the server has no branch gone");
    setup();
    mirror.head[0] = '\0';
    has_no_base("names no branch that is there");
}
END_TEST

/* It is still that of a task that began on it; of no other. */
START_TEST(a_branch_that_is_gone_by_now)
{
    server_main = NULL;
    old_name = "trunk";
    old_base = OLD;
    has_base("refs/heads/trunk", OLD);
    setup();
    want_base("gone");
    old_name = "gone";
    old_base = OLD;
    has_base("refs/heads/gone", OLD);
    setup();
    want_base("gone");
    old_name = "trunk";
    old_base = OLD;
    has_no_base("the server has no branch gone");
    setup();
    want_base("gone");
    old_name = "gone";
    has_no_base("the server has no branch gone");
    setup();
    server_main = NULL;
    old_base = OLD;
    has_no_base("the server has no branch main");
}
END_TEST

START_TEST(a_git_that_fails_is_no_missing_branch)
{
    broken = "rev-parse";
    ck_assert(!origin_find_base(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_REFUSED);
    ck_assert_str_eq(worked.reason, "");
    setup();
    server_main = NULL;
    broken = "for-each-ref";
    ck_assert(!origin_find_base(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_REFUSED);
    ck_assert_str_eq(worked.reason, "");
}
END_TEST

/* --- The start --- */

static void begins(const char *start, const char *began, bool diverged)
{
    snprintf(origin.base, sizeof origin.base, "%s", BASE);
    ck_assert(origin_find_start(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_DONE);
    ck_assert_str_eq(origin.start, start);
    ck_assert_str_eq(origin.began, began);
    ck_assert_int_eq(origin.diverged, diverged);
}

START_TEST(one_of_them_is_there)
{
    begins(BASE, BASE, false);
    setup();
    server_task = SERVER;
    begins(SERVER, COMMON, false);
    setup();
    our_task = OURS;
    begins(OURS, COMMON, false);
}
END_TEST

START_TEST(ours_goes_on_from_the_servers)
{
    our_task = OURS;
    server_task = SERVER;
    ancestors = "5<0 ";
    begins(OURS, COMMON, false);
}
END_TEST

START_TEST(the_servers_goes_on_from_ours)
{
    our_task = OURS;
    server_task = SERVER;
    ancestors = "0<5 ";
    begins(SERVER, COMMON, false);
}
END_TEST

/* What is in the base is lost to nobody. */
START_TEST(both_went_their_ways)
{
    our_task = OURS;
    server_task = SERVER;
    begins(SERVER, COMMON, true);
    setup();
    our_task = OURS;
    server_task = SERVER;
    ancestors = "0<b ";
    begins(SERVER, COMMON, false);
}
END_TEST

START_TEST(nothing_in_common)
{
    server_task = SERVER;
    common = NULL;
    begins(SERVER, BASE, false);
}
END_TEST

START_TEST(an_unborn_branch)
{
    server_main = NULL;
    ck_assert(origin_find_start(&origin, &git, &mirror, &stage));
    ck_assert_str_eq(origin.start, "");
    ck_assert_str_eq(origin.began, "");
    setup();
    our_task = OURS; /* of a repository that was empty */
    ck_assert(origin_find_start(&origin, &git, &mirror, &stage));
    ck_assert_str_eq(origin.start, OURS);
    ck_assert_str_eq(origin.began, "");
    setup();
    our_task = OURS;
    server_task = SERVER;
    ck_assert(origin_find_start(&origin, &git, &mirror, &stage));
    ck_assert(origin.diverged);
}
END_TEST

START_TEST(a_git_that_fails_is_no_answer)
{
    server_task = SERVER;
    broken = "rev-parse";
    ck_assert(!origin_find_start(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_REFUSED);
    setup();
    our_task = OURS;
    server_task = SERVER;
    broken = "merge-base";
    ck_assert(!origin_find_start(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_REFUSED);
    setup();
    server_task = SERVER;
    snprintf(origin.base, sizeof origin.base, "%s", BASE);
    broken = "merge-base";
    ck_assert(!origin_find_start(&origin, &git, &mirror, &stage));
    ck_assert_int_eq(git.end, GIT_REFUSED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runner_origin");
    TCase *tcase = tcase_create("runner_origin");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, the_default_branch_and_the_one_that_is_asked_for);
    tcase_add_test(tcase, names_that_are_none);
    tcase_add_test(tcase, an_empty_repository);
    tcase_add_test(tcase, a_branch_that_is_not_there);
    tcase_add_test(tcase, a_branch_that_is_gone_by_now);
    tcase_add_test(tcase, a_git_that_fails_is_no_missing_branch);
    tcase_add_test(tcase, one_of_them_is_there);
    tcase_add_test(tcase, ours_goes_on_from_the_servers);
    tcase_add_test(tcase, the_servers_goes_on_from_ours);
    tcase_add_test(tcase, both_went_their_ways);
    tcase_add_test(tcase, nothing_in_common);
    tcase_add_test(tcase, an_unborn_branch);
    tcase_add_test(tcase, a_git_that_fails_is_no_answer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
