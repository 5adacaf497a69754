/* worker/adapter: commands around an agent, in the job script as sh runs it. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/adapter/adapter.h"

/* `says X`: X on stdout and as a line of the file `order`; its status is in a file X. */
#define SAYS                                                         \
    "#!/bin/sh\necho \"$1\"; echo \"$1 ${FLEET_STATUS-}\" >>order\n" \
    "[ \"$(cat)\" = '' ] || echo \"$1 had stdin\" >>order\n"         \
    "[ ! -e \"$1\" ] || exit \"$(cat \"$1\")\"\n"
/* In place of the runner, which has a test of its own: no limit. */
#define RUNNER "#!/bin/sh\n[ \"$1 $2 $3\" = 'limit 17 --' ] || exit 99\nshift 3\nexec \"$@\"\n"

static char dir[64];
static char *after_create[] = {"./says", "created"}, *before_run[] = {"./says", "before"},
            *after_run[] = {"./says", "after"},
            *agent[] = {"sh", "-c", "./says agent; exit $0", "0"};
static struct config_list create = {after_create, 2}, before = {before_run, 2},
                          after = {after_run, 2}, command = {agent, 4};

static void put(const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, 0755), 0);
    free(path);
}

static const char *read_back(const char *name)
{
    static char text[4096];
    char *path = mem_printf("%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    size_t len = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[len] = '\0';
    if (file != NULL)
        fclose(file);
    free(path);
    return text;
}

static void set_up(void)
{
    strcpy(dir, "/tmp/fleet-hook.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    put("says", SAYS);
    put("runner", RUNNER);
    static const char *const pipes[] = {"at", "hold"};
    for (size_t i = 0; i < 2; i++) {
        char *path = mem_printf("%s/%s", dir, pipes[i]);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        free(path);
    }
}

static void tear_down(void)
{
    char *line = mem_printf("rm -rf %s", dir);
    ck_assert_int_eq(system(line), 0);
    free(line);
}

static struct adapter_template with(const struct config_list *a, const struct config_list *b,
                                    const struct config_list *c)
{
    return (struct adapter_template){
        .kind = &adapter_text, .command = &command, .hooks = {a, b, c, 17}};
}

static char *script(const struct adapter_template *template, bool repository)
{
    struct buf out;
    struct adapter_values values = {.repository = repository, .task_id = "t"};
    buf_init(&out, 100000);
    ck_assert(adapter_script(&out, template, &values));
    return buf_take(&out);
}

/* As a host runs it, in a group of its own: out, err and order are files. */
static pid_t begin(const struct adapter_template *template, bool fresh)
{
    char *text = script(template, true);
    put("job.sh", text);
    free(text);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (chdir(dir) != 0 || freopen("out", "w", stdout) == NULL ||
            freopen("err", "w", stderr) == NULL || freopen("/dev/null", "r", stdin) == NULL)
            _exit(125);
        setenv("FLEET_RUNNER", "./runner", 1);
        if (fresh)
            setenv("FLEET_FRESH", "1", 1);
        execl("/bin/sh", "sh", "job.sh", (char *)NULL);
        _exit(125);
    }
    setpgid(pid, pid);
    return pid;
}

static int end(pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

START_TEST(test_none)
{
    struct adapter_template none = with(NULL, &(struct config_list){0}, NULL);
    char *text = script(&none, true);
    ck_assert_ptr_null(strstr(text, "fleet_hook"));
    ck_assert_ptr_nonnull(strstr(text, "\nexec 'sh'"));
    free(text);
    struct adapter_template all = with(&create, &before, &after);
    text = script(&all, false); /* no clone, no hooks */
    ck_assert_ptr_null(strstr(text, "fleet_hook"));
    free(text);
}
END_TEST

START_TEST(test_order)
{
    struct adapter_template all = with(&create, &before, &after);
    ck_assert_int_eq(end(begin(&all, true)), 0);
    ck_assert_str_eq(read_back("order"), "created \nbefore \nagent \nafter 0\n");
    ck_assert_str_eq(read_back("out"), "agent\n");
    ck_assert_str_eq(read_back("err"), "created\nbefore\nafter\n");
    put("order", "");
    ck_assert_int_eq(end(begin(&all, false)), 0);
    ck_assert_str_eq(read_back("order"), "before \nagent \nafter 0\n");
}
END_TEST

START_TEST(test_failures)
{
    struct adapter_template all = with(&create, &before, &after);
    put("created", "3");
    ck_assert_int_eq(end(begin(&all, true)), 120);
    ck_assert_str_eq(read_back("order"), "created \n");
    ck_assert_ptr_nonnull(
        strstr(read_back("err"), "fleet: the hook after_create failed with status 3\n"));
    put("created", "0");
    put("before", "4");
    put("order", "");
    ck_assert_int_eq(end(begin(&all, true)), 120);
    ck_assert_str_eq(read_back("order"), "created \nbefore \n");
    ck_assert_ptr_nonnull(
        strstr(read_back("err"), "fleet: the hook before_run failed with status 4\n"));
}
END_TEST

/* What comes after an agent changes nothing of how it ended. */
START_TEST(test_status)
{
    static const struct {
        char *exit;
        int status;
    } cases[] = {{"0", 0}, {"7", 7}, {"130", 130}, {"143", 143}, {"120", 120}, {"137", 1009}};
    struct adapter_template last = with(NULL, NULL, &after);
    put("after", "5");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        agent[3] = cases[i].exit;
        put("order", "");
        ck_assert_int_eq(end(begin(&last, false)), cases[i].status);
        char *order = mem_printf("agent \nafter %s\n", cases[i].exit);
        ck_assert_str_eq(read_back("order"), order);
        free(order);
    }
    agent[3] = "0";
}
END_TEST

/* Without after_run the agent is the job itself again: a signal that ends it is the job's. */
START_TEST(test_becomes_the_agent)
{
    static char *dies[] = {"sh", "-c", "kill -TERM $$"};
    struct config_list killed = {dies, 3};
    struct adapter_template first = with(NULL, &before, NULL);
    first.command = &killed;
    ck_assert_int_eq(end(begin(&first, false)), 1015);
}
END_TEST

/* A program is what PATH says, also when it has the name of a function or a word of the shell. */
START_TEST(test_no_shell_word)
{
    static char *names[] = {"fleet_hook", "exit", "test"};
    struct adapter_template all = with(NULL, &before, &after);
    for (size_t i = 0; i < 2; i++) {
        char *words[] = {names[i], "0"};
        struct config_list named = {words, 2};
        all.command = &named;
        ck_assert_int_eq(end(begin(&all, false)), 127);
    }
}
END_TEST

/* Until it has set its trap: it writes into a pipe then. */
static void until_there(void)
{
    ck_assert_str_eq(read_back("at"), "there\n");
}

/* The agent ends in its own way on INT, and what comes after it has its turn. */
START_TEST(test_stop_of_the_agent)
{
    static char *waits[] = {
        "sh", "-c", "trap 'echo bye; exit 6' INT; exec 3<>hold; echo there >at; read x <&3"};
    struct config_list listens = {waits, 3};
    struct adapter_template all = with(NULL, NULL, &after);
    all.command = &listens;
    pid_t pid = begin(&all, false);
    until_there();
    ck_assert_int_eq(kill(-pid, SIGINT), 0);
    ck_assert_int_eq(end(pid), 6);
    ck_assert_str_eq(read_back("out"), "bye\n");
    ck_assert_str_eq(read_back("order"), "after 6\n");
}
END_TEST

/* A hook that ends well though the run is to end: no agent starts. */
START_TEST(test_stop_of_a_hook)
{
    static char *waits[] = {"sh", "-c",
                            "trap 'exit 0' TERM; exec 3<>hold; echo there >at; read x <&3"};
    struct config_list listens = {waits, 3};
    struct adapter_template all = with(NULL, &listens, &after);
    pid_t pid = begin(&all, false);
    until_there();
    ck_assert_int_eq(kill(-pid, SIGTERM), 0);
    ck_assert_int_eq(end(pid), 120);
    ck_assert_str_eq(read_back("order"), "");
}
END_TEST

START_TEST(test_words_are_no_code)
{
    static char *hostile[] = {"./shows", "$(touch pwned)", "'; touch pwned; '",
                              "a\nb",    "{task_id}",      "-- \\"};
    struct config_list words = {hostile, 6};
    struct adapter_template all = with(NULL, &words, NULL);
    put("shows", "#!/bin/sh\nprintf '[%s]' \"$@\" >shown\n");
    ck_assert_int_eq(end(begin(&all, false)), 0);
    ck_assert_str_eq(read_back("shown"), "[$(touch pwned)]['; touch pwned; '][a\nb][t][-- \\]");
    ck_assert_str_eq(read_back("pwned"), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hook");
    TCase *tcase = tcase_create("hook");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_none);
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_failures);
    tcase_add_test(tcase, test_status);
    tcase_add_test(tcase, test_becomes_the_agent);
    tcase_add_test(tcase, test_no_shell_word);
    tcase_add_test(tcase, test_stop_of_the_agent);
    tcase_add_test(tcase, test_stop_of_a_hook);
    tcase_add_test(tcase, test_words_are_no_code);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
