/* server/token_command: what is asked for, wherever the options stand. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "server/token_command.h"

#define WORDS_MAX 16

/* "a b c" as argv behind the program's name. */
static int split(const char *line, char **argv)
{
    static char words[300];
    int argc = 1;
    argv[0] = (char *)(void *)"fleet-server";
    strcpy(words, line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return argc;
}

static char said[4000];

/* The exit status; stderr and stdout go to `said`. */
static int run(const char *line)
{
    char *argv[WORDS_MAX + 1];
    int argc = split(line, argv);
    FILE *file = tmpfile();
    int out = dup(STDOUT_FILENO), complain = dup(STDERR_FILENO);
    fflush(NULL);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int status = token_command(argc, argv);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(complain, STDERR_FILENO);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    close(out);
    close(complain);
    return status;
}

START_TEST(the_word_token_is_found_among_options)
{
    static const struct {
        const char *line;
        bool wanted;
    } cases[] = {
        {"", false},
        {"token", true},
        {"token create --scope read", true},
        {"--config f.yaml token create", true},
        {"--config=f.yaml --log-level debug token list", true},
        {"--scope read token create", true},
        {"--config token", false},
        {"--check-config", false},
        {"--check-config --config f.yaml", false},
        {"serve token", false},
        {"--help", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *argv[WORDS_MAX + 1];
        int argc = split(cases[i].line, argv);
        ck_assert_msg(token_command_wanted(argc, argv) == cases[i].wanted, "%s", cases[i].line);
        for (int word = 1; word + 1 < argc; word++) /* and none was moved */
            ck_assert(argv[word] < argv[word + 1]);
    }
}
END_TEST

/* All of these are right, and end where the configuration is missing. */
START_TEST(options_stand_before_and_after_the_verb)
{
    static const char *const lines[] = {
        "token create --scope read --config /no/such",
        "token --scope read create --config /no/such",
        "--config /no/such token --scope read create",
        "--scope read --config /no/such token create",
        "token --config /no/such list",
        "--config=/no/such token list",
        "--log-format text --log-level=debug token create --scope=read --name=x --config=/no/such",
        "token list --log-format=json --config=/no/such",
        "token create --config /no/such --scope agent --name box --expires=30 --repository=o/r",
        "token --config /no/such revoke 7",
        "token revoke --config /no/such 7",
        "--force token --config /no/such revoke 7",
        "token create --scope agent --agent-id b-1 --capability x --capability y --config /no/such",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(run(lines[i]) == 78, "%s: %s", lines[i], said);
        ck_assert_msg(strstr(said, "cannot open /no/such") != NULL, "%s: %s", lines[i], said);
    }
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"token", "a command is missing"},
        {"token make", "there is no command 'make'"},
        {"token create", "--scope has to be"},
        {"token create --scope all", "--scope has to be"},
        {"token create --scope read x", "unknown argument 'x'"},
        {"token create --scope read x y", "unknown argument 'y'"},
        {"token create --scope", "requires an argument"},
        {"token create --colour red", "unrecognized option"},
        {"token create --scope read --expires 0", "--expires has to be"},
        {"token create --scope read --force", "--force is for revoke"},
        {"token list --scope read", "'list' takes no such option"},
        {"token revoke 7 --repository acme/rocket", "'revoke' takes no such option"},
        {"token list 7", "unknown argument '7'"},
        {"token revoke", "revoke needs the number"},
        {"token revoke x", "revoke needs the number"},
        {"token list --log-level loud", "--log-level is debug"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(run(cases[i].line) == 2, "%s", cases[i].line);
        ck_assert_msg(strstr(said, cases[i].words) != NULL, "%s: %s", cases[i].line, said);
        ck_assert_msg(strstr(said, "--help") != NULL, "%s: %s", cases[i].line, said);
    }
}
END_TEST

START_TEST(a_database_is_all_it_needs)
{
    ck_assert_int_eq(run("token list --database postgresql://db.example.org/fleet"), 78);
    ck_assert_msg(strstr(said, "verify-full") != NULL, "%s", said);
}
END_TEST

START_TEST(help)
{
    ck_assert_int_eq(run("token --help"), 0);
    ck_assert_ptr_nonnull(strstr(said, "Usage: fleet-server token create"));
    ck_assert_int_eq(run("token create --help"), 0);
    ck_assert_int_eq(run("--help token"), 0);
    ck_assert_int_eq(run("token --help create"), 0);
    ck_assert_int_eq(run("--config /no/such token create --help"), 0);
    ck_assert_int_eq(run("token revoke -h 7"), 0);
    ck_assert_ptr_nonnull(strstr(said, "Exit status:"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token command");
    TCase *tests = tcase_create("token command");
    tcase_add_test(tests, the_word_token_is_found_among_options);
    tcase_add_test(tests, options_stand_before_and_after_the_verb);
    tcase_add_test(tests, what_is_wrong_is_said);
    tcase_add_test(tests, a_database_is_all_it_needs);
    tcase_add_test(tests, help);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
