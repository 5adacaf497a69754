/* worker/ssh and worker/link through a real sshd and the login shells and files of accounts. The
 * key has command="…", which sshd hands to the account's shell with `-c`; it puts another shell,
 * with a home of the test, in its place: that gets the command as sshd hands it over, as one
 * argument of its own `-c`. */
#include "common/log.h"
#include "tests/unit/ssh_probe.h"
#include "worker/link/link.h"

static struct sshd shared;

static void start_shared(void)
{
    sshd_init(&shared, "MaxSessions 1");
    sshd_start(&shared);
}

static void end_shared(void)
{
    sshd_release(&shared);
}

struct login {
    const char *shell; /* its path, and arguments before -c */
    const char *file;  /* in its home */
    const char *text;  /* %s: a command that ends with the test */
};

struct scene {
    struct loop loop;
    struct link *link;
    struct timer guard;
    char home[96];
    bool up;
    struct error trouble;
};

static void end_scene(struct scene *scene)
{
    link_close(scene->link);
    timer_close(&scene->guard, NULL);
}

static void on_up(void *data)
{
    struct scene *scene = data;
    scene->up = true;
    end_scene(scene);
}

static void on_down(void *data, const struct error *err)
{
    struct scene *scene = data;
    scene->trouble = *err;
    end_scene(scene);
}

static void on_late(void *data)
{
    (void)data;
    ck_abort_msg("neither up nor down");
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* A home with the login's file, and a key that leads there. */
static void make_login(const struct login *login, const char *home)
{
    char command[600];
    shell("rm -rf %s && mkdir -p %s/.config/fish", home, home);
    char *text = mem_printf(login->text, hang() + strlen("exec ")); /* NOLINT */
    write_file(home, login->file, text);
    free(text);
    /* Without SHLVL bash takes sshd for its parent, and reads .bashrc. */
    snprintf(command, sizeof command,
             "printf '%%s ' 'command=\"cd %s && exec env -u SHLVL HOME=%s %s -c "
             "\\\"$SSH_ORIGINAL_COMMAND\\\"\"' | cat - %s.pub >%s/authorized_keys",
             home, home, login->shell, shared.user_key, shared.folder);
    shell("%s", command);
}

static void log_in(struct scene *scene, const struct login *login)
{
    static const struct link_events events = {.on_up = on_up, .on_down = on_down};
    struct config_host host = shared.host;
    *scene = (struct scene){0};
    snprintf(scene->home, sizeof scene->home, "%s/home", shared.folder);
    make_login(login, scene->home);
    host.work_dir = scene->home;
    loop_init(&scene->loop);
    loop_signals(&scene->loop, NULL, NULL, NULL);
    timer_init(&scene->guard, &scene->loop, on_late, scene);
    timer_start(&scene->guard, 60000, 0);
    scene->link = link_open(&scene->loop, &host, "f", &events, scene);
    loop_run(&scene->loop);
    loop_release(&scene->loop);
}

static const struct login good[] = {
    {"/bin/sh", ".profile", "exit 1\n"}, /* of another kind of login */
    {"/bin/bash", ".bashrc", ""},
    {"/bin/bash", ".bashrc", "printf 'Welcome '\n"},
    {"/bin/bash", ".bashrc", "echo Welcome; echo there >&2\n"},
    {"/bin/bash", ".bashrc", "head -c 750000 /dev/urandom | base64 -w 0\n"},
    {"/bin/bash", ".bashrc", "head -c 1000000 /dev/urandom >&2\n"},
    {"/bin/bash", ".bashrc", "%s &\n"},
    {"/bin/bash", ".bashrc", "%s </dev/null 2>/dev/null & disown\n"},
    {"/bin/bash", ".bashrc", "exec 2>&1; no-such-program\n"},
    {"/bin/bash", ".bashrc", "stty erase ^H; tput clear; bind x\n"},
    {"/bin/bash", ".bashrc", "trap 'echo bye' EXIT; trap '' HUP INT TERM; trap 'echo no' DEBUG\n"},
    {"/bin/bash", ".bashrc",
     "shopt -s expand_aliases; alias exec='echo no' uname='echo SunOS 5.8' echo='true'\n"},
    {"/bin/bash", ".bashrc",
     "uname() { command echo SunOS 5.8; }; cat() { true; }; chmod() { false; }; "
     "export -f uname cat chmod\n"},
    {"/bin/bash", ".bashrc", "set -eu; set -o pipefail noclobber; IFS=/; umask 0777\n"},
    {"/bin/bash", ".bashrc", "set -x; set -v\n"},
    {"/bin/bash", ".bashrc", "cd /proc; export CDPATH=/ LC_ALL=xx_YY.none ENV=/nowhere\n"},
    {"/bin/bash", ".bashrc", "ulimit -c 0; ulimit -n 20; export POSIXLY_CORRECT=1\n"},
    {"/usr/bin/fish", ".config/fish/config.fish", "echo Welcome; set -x PATH /usr/bin /bin\n"},
    {"/usr/bin/fish", ".config/fish/config.fish", "%s &\necho -n no newline\n"},
    {"/usr/bin/fish", ".config/fish/config.fish", "alias uname 'echo SunOS'\n"},
    {"/bin/tcsh", ".cshrc", "echo Welcome\nalias uname echo SunOS\nalias exec echo no\n"},
    {"/bin/tcsh", ".tcshrc", "%s &\nset noclobber\n"},
    {"/usr/bin/ksh", ".profile", "echo Welcome\n"},
    {"/usr/bin/zsh", ".zshenv", "printf Welcome; setopt nounset\n"},
};

START_TEST(reaches_serving)
{
    const struct login *login = &good[_i];
    struct scene scene;
    if (access(login->shell, X_OK) != 0)
        return; /* not installed here */
    log_in(&scene, login);
    ck_assert_msg(scene.up, "%s with %s: %s", login->shell, login->text, scene.trouble.text);
    log_in(&scene, login); /* now the runner is there */
    ck_assert_msg(scene.up, "%s with %s: %s", login->shell, login->text, scene.trouble.text);
}
END_TEST

/* What no command can survive is told, with what came instead. */
START_TEST(is_told)
{
    static const struct {
        struct login login;
        const char *words[3];
    } cases[] = {
        {{"/bin/bash", ".bashrc", "echo 'No entry today'; exit 0\n"}, {"No entry today", "login"}},
        {{"/bin/bash", ".bashrc", "echo 'Closed' >&2; exit 3\n"}, {"Closed"}},
        {{"/bin/bash", ".bashrc", "exec >/dev/null\n"}, {"login"}},
        {{"/usr/sbin/nologin", ".bashrc", ""}, {"not available"}},
        {{"/bin/false", ".bashrc", ""}, {"login"}},
        {{"/no/such/shell", ".bashrc", ""}, {"no/such/shell"}},
    };
    struct scene scene;
    log_in(&scene, &cases[_i].login);
    ck_assert(!scene.up);
    for (size_t i = 0; i < 3 && cases[_i].words[i] != NULL; i++)
        ck_assert_msg(strstr(scene.trouble.text, cases[_i].words[i]) != NULL, "%s: %s",
                      cases[_i].login.text, scene.trouble.text);
    ck_assert_str_eq(scene.trouble.state, "runner_failed");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ssh login");
    TCase *tcase = tcase_create("ssh login");
    SRunner *runner = srunner_create(suite);
    log_open("test", LOG_ERROR_LEVEL);
    tcase_set_timeout(tcase, 90);
    tcase_add_unchecked_fixture(tcase, start_shared, end_shared);
    tcase_add_loop_test(tcase, reaches_serving, 0, sizeof good / sizeof good[0]);
    tcase_add_loop_test(tcase, is_told, 0, 6);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
