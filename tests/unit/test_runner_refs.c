/* worker/runner/refs: what an agent's `.git` may say of its branches, and what is none. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/refs.h"

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B40 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C64 "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

START_TEST(names_of_commits)
{
    ck_assert(refs_is_commit(A40, 40));
    ck_assert(refs_is_commit(C64, 64));
    ck_assert(refs_is_commit("0123456789abcdef0123456789abcdef01234567", 40));
    ck_assert(!refs_is_commit(C64, 41));
    ck_assert(!refs_is_commit(A40, 39));
    ck_assert(!refs_is_commit("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA", 40));
    ck_assert(!refs_is_commit("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag", 40));
    ck_assert(!refs_is_commit("aaaaaaaaaaaaaaaaaaaa\0aaaaaaaaaaaaaaaaaaa", 40));
}
END_TEST

START_TEST(names_of_references)
{
    static const char *const good[] = {"refs/heads/main", "refs/heads/task/a-1", "refs/a/b",
                                       "refs/heads/a.b",  "refs/heads/a@b",      "refs/heads/a{b",
                                       "refs/heads/lock", "refs/heads/\xc3\xa4"};
    static const char *const bad[] = {
        "refs/heads/",       "refs/heads",          "refs//main",        "heads/main",
        "refs/heads/.main",  "refs/heads/main.",    "refs/heads/a.lock", "refs/heads/a..b",
        "refs/heads/a@{b",   "refs/heads/a b",      "refs/heads/a~",     "refs/heads/a^",
        "refs/heads/a:b",    "refs/heads/a?",       "refs/heads/a*",     "refs/heads/a[",
        "refs/heads/a\\b",   "refs/heads/a\x7f",    "refs/heads/a\tb",   "refs/heads/../x",
        "refs/./x",          "refs/heads/a.lock/b", "xrefs/heads/a",     "refs/heads/a\n",
        "refs/heads/a/.lock"};
    char text[REFS_NAME_SIZE + 1];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(refs_is_name(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!refs_is_name(bad[i]), "%s", bad[i]);
    memset(text, 'x', sizeof text);
    memcpy(text, "refs/heads/", 11);
    text[REFS_NAME_SIZE - 1] = '\0';
    ck_assert(refs_is_name(text));
    text[REFS_NAME_SIZE - 1] = 'x';
    text[REFS_NAME_SIZE] = '\0';
    ck_assert(!refs_is_name(text));
}
END_TEST

static void reads(const char *text, const char *name, const char *commit)
{
    struct ref ref;
    ck_assert_msg(refs_parse(text, strlen(text), &ref), "%s", text);
    ck_assert_str_eq(ref.name, name);
    ck_assert_str_eq(ref.commit, commit);
}

START_TEST(what_a_reference_holds)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      A40 "\n" B40,
                                      "ref: refs/heads/a\nx",
                                      "ref:",
                                      "ref: ",
                                      "ref: main",
                                      "ref refs/heads/a",
                                      "xref: refs/heads/a",
                                      "ref: refs/heads/a b",
                                      "ref: ../x",
                                      A40 "a",
                                      "zz"};
    struct ref ref;
    reads(A40, "", A40);
    reads(A40 "\n", "", A40);
    reads(A40 " \t\n\n", "", A40);
    reads(C64, "", C64);
    reads("ref: refs/heads/main\n", "refs/heads/main", "");
    reads("ref:refs/heads/main", "refs/heads/main", "");
    reads("ref: \t refs/heads/main", "refs/heads/main", "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!refs_parse(bad[i], strlen(bad[i]), &ref), "%s", bad[i]);
    ck_assert(!refs_parse("ref: refs/heads/a\0b", 19, &ref));
    ck_assert(!refs_parse(A40 "\0", 41, &ref));
}
END_TEST

/* True when `name` is B40 there. */
static bool packed(const char *text, const char *name)
{
    char commit[REFS_COMMIT_SIZE] = "";
    bool found = refs_packed(text, strlen(text), name, commit);
    ck_assert_str_eq(commit, found ? B40 : "");
    return found;
}

START_TEST(packed_references)
{
    ck_assert(packed(B40 " refs/heads/a\n", "refs/heads/a"));
    ck_assert(packed(B40 " refs/heads/a", "refs/heads/a"));
    ck_assert(packed("# pack-refs with: peeled\n" A40 " refs/heads/b\n^" A40 "\n" B40
                     " refs/heads/a\n",
                     "refs/heads/a"));
    ck_assert(!packed("", "refs/heads/a"));
    ck_assert(!packed(B40 " refs/heads/ab\n", "refs/heads/a"));
    ck_assert(!packed(B40 " xrefs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed(B40 "refs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed(" refs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed("bbbb refs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed("#" B40 " refs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed(C64 "c refs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed(B40 "xrefs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed("# a comment that ends in refs/heads/a\n", "refs/heads/a"));
    ck_assert(!packed("#" C64 C64 C64 C64 " refs/heads/a\n", "refs/heads/a"));
    /* one that is none does not hide a right one behind it */
    ck_assert(
        packed("zz refs/heads/a\n" C64 "c refs/heads/a\n" B40 " refs/heads/a\n", "refs/heads/a"));
}
END_TEST

/* --- Files --- */

static char folder[] = "/tmp/test_runner_refs.XXXXXX";
static int git;

static void shell(const char *words)
{
    char command[4096];
    snprintf(command, sizeof command, "cd %s && { %s; }", folder, words);
    ck_assert_msg(system(command) == 0, "%s", words);
}

static void make(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    shell("mkdir -p git/refs/heads/task elsewhere");
    char path[64];
    snprintf(path, sizeof path, "%s/git", folder);
    git = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(git, 0);
}

static void unmake(void)
{
    close(git);
    shell("rm -r git elsewhere");
    rmdir(folder);
}

static const char *commit_of(const char *name)
{
    static char commit[REFS_COMMIT_SIZE];
    memset(commit, 0, sizeof commit);
    return refs_commit(git, name, commit) ? commit : NULL;
}

START_TEST(loose_before_packed)
{
    shell("echo " A40 " >git/refs/heads/task/a; "
          "printf '%s\\n' '" B40 " refs/heads/task/a' '" B40 " refs/heads/b' >git/packed-refs");
    ck_assert_str_eq(commit_of("refs/heads/task/a"), A40);
    ck_assert_str_eq(commit_of("refs/heads/b"), B40);
    ck_assert_ptr_null(commit_of("refs/heads/c"));
}
END_TEST

START_TEST(symbolic_ones_end)
{
    shell("cd git/refs/heads; echo " A40 " >z; echo 'ref: refs/heads/z' >4; for i in 3 2 1 0; do "
          "echo \"ref: refs/heads/$((i + 1))\" >$i; done; echo 'ref: refs/heads/loop' >loop");
    ck_assert_str_eq(commit_of("refs/heads/1"), A40); /* five steps */
    ck_assert_ptr_null(commit_of("refs/heads/0"));
    ck_assert_ptr_null(commit_of("refs/heads/loop"));
}
END_TEST

/* Nothing is read by a link, nor anything but a file of a proper size. */
START_TEST(files_that_are_not_read)
{
    shell("echo " A40 " >elsewhere/a; ln -s ../../../elsewhere/a git/refs/heads/link; "
          "ln -s ../../../elsewhere git/refs/heads/folder; mkfifo git/refs/heads/fifo; mkdir "
          "git/refs/heads/dir; "
          "{ echo " A40 "; head -c 983 /dev/zero | tr '\\0' ' '; } >git/refs/heads/just; "
          "{ echo " A40 "; head -c 984 /dev/zero | tr '\\0' ' '; } >git/refs/heads/long");
    ck_assert_ptr_null(commit_of("refs/heads/link"));
    ck_assert_ptr_null(commit_of("refs/heads/folder/a"));
    ck_assert_ptr_null(commit_of("refs/heads/fifo"));
    ck_assert_ptr_null(commit_of("refs/heads/dir"));
    ck_assert_str_eq(commit_of("refs/heads/just"), A40); /* 1,024 bytes */
    ck_assert_ptr_null(commit_of("refs/heads/long"));
    shell("ln -s ../elsewhere/p git/packed-refs; echo '" B40 " refs/heads/x' >elsewhere/p");
    ck_assert_ptr_null(commit_of("refs/heads/x"));
    shell("rm git/packed-refs; echo '" B40 " refs/heads/x' >git/packed-refs");
    ck_assert_str_eq(commit_of("refs/heads/x"), B40);
    shell("truncate -s 16777216 git/packed-refs");
    ck_assert_str_eq(commit_of("refs/heads/x"), B40);
    shell("truncate -s 16777217 git/packed-refs");
    ck_assert_ptr_null(commit_of("refs/heads/x"));
}
END_TEST

START_TEST(heads)
{
    struct ref head;
    ck_assert(!refs_head(git, &head));
    shell("echo 'ref: refs/heads/a' >git/HEAD");
    ck_assert(refs_head(git, &head)); /* unborn */
    ck_assert_str_eq(head.name, "refs/heads/a");
    ck_assert_str_eq(head.commit, "");
    shell("echo " A40 " >git/refs/heads/a");
    ck_assert(refs_head(git, &head));
    ck_assert_str_eq(head.name, "refs/heads/a");
    ck_assert_str_eq(head.commit, A40);
    shell("echo " B40 " >git/HEAD");
    ck_assert(refs_head(git, &head)); /* detached */
    ck_assert_str_eq(head.name, "");
    ck_assert_str_eq(head.commit, B40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runner_refs");
    TCase *texts = tcase_create("texts"), *files = tcase_create("files");
    tcase_add_test(texts, names_of_commits);
    tcase_add_test(texts, names_of_references);
    tcase_add_test(texts, what_a_reference_holds);
    tcase_add_test(texts, packed_references);
    suite_add_tcase(suite, texts);
    tcase_add_checked_fixture(files, make, unmake);
    tcase_add_test(files, loose_before_packed);
    tcase_add_test(files, symbolic_ones_end);
    tcase_add_test(files, files_that_are_not_read);
    tcase_add_test(files, heads);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
