/* worker/link over a real sshd: login shells of every kind, with login files that print and leave
 * processes behind, on a host that allows a single session. */
#include "common/clock.h"
#include "tests/unit/lingers.h"
#include "tests/unit/sshd.h"
#include "worker/link/link.h"

static struct scene {
    struct sshd sshd;
    struct loop loop;
    struct link *link;
    int ups, downs, replies;
    struct error trouble;
} scene;

static void on_up(void *data)
{
    (void)data;
    scene.ups++;
}

static void on_down(void *data, const struct error *err)
{
    (void)data;
    scene.downs++;
    scene.trouble = *err;
}

static void on_reply(void *data, const struct runner_reply *reply, const struct error *err)
{
    (void)data;
    scene.replies++;
    ck_assert_msg(err == NULL, "%s", err != NULL ? err->text : "");
    ck_assert_int_eq(reply->verdict, RUNNER_VOIDED);
}

static void turn_until(const int *count, int wanted)
{
    int64_t deadline = clock_ms() + 40000;
    while (*count < wanted) {
        ck_assert_msg(clock_ms() < deadline, "not within 40 s");
        ck_assert_msg(scene.downs == 0 || count == &scene.downs, "%s", scene.trouble.text);
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    }
}

static void scene_init(const char *command)
{
    char extra[1000];
    scene = (struct scene){0};
    snprintf(extra, sizeof extra, "MaxSessions 1\nForceCommand %s", command);
    sshd_init(&scene.sshd, extra);
    sshd_start(&scene.sshd);
    loop_init(&scene.loop);
    loop_signals(&scene.loop, NULL, NULL, NULL);
}

static void open_link(void)
{
    static const struct link_events events = {.on_up = on_up, .on_down = on_down};
    scene.ups = scene.downs = 0;
    scene.link = link_open(&scene.loop, &scene.sshd.host, "f1", &events, &scene);
}

static void scene_end(void)
{
    link_close(scene.link);
    loop_run(&scene.loop);
    loop_release(&scene.loop);
    sshd_release(&scene.sshd);
}

static const char *const commands[] = {
    "exec sh -c \"$SSH_ORIGINAL_COMMAND\"",
    "printf Welcome; exec bash -c \"$SSH_ORIGINAL_COMMAND\"",
    "echo Welcome >&2; " LINGERS(5) " & exec bash -c \"$SSH_ORIGINAL_COMMAND\"",
    "head -c 300000 /dev/zero; bash -c \"$SSH_ORIGINAL_COMMAND\"",
    "printf Welcome; " LINGERS(5) " & exec fish -c \"$SSH_ORIGINAL_COMMAND\"",
    "printf Welcome; " LINGERS(5) " & exec tcsh -c \"$SSH_ORIGINAL_COMMAND\"",
    "echo $SSH_ORIGINAL_COMMAND; exec sh -xc \"$SSH_ORIGINAL_COMMAND\"",
};

START_TEST(comes_up)
{
    static const struct runner_key key = {
        .run = "a-1.1", .epoch = 1, .nonce = "0123456789abcdef0123456789abcdef"};
    if (strstr(commands[_i], "fish") != NULL && access("/usr/bin/fish", X_OK) != 0)
        return;
    if (strstr(commands[_i], "tcsh") != NULL && access("/usr/bin/tcsh", X_OK) != 0)
        return;
    scene_init(commands[_i]);
    for (int i = 1; i <= 2; i++) {
        open_link();
        turn_until(&scene.ups, 1);
        ck_assert_uint_eq(strlen(link_host_key(scene.link)), 64);
        link_void(scene.link, &key, on_reply, NULL);
        turn_until(&scene.replies, i);
        if (i == 1)
            link_close(scene.link);
    }
    scene_end();
}
END_TEST

START_TEST(no_shell)
{
    scene_init("echo This account is for backups.; exit 3");
    open_link();
    turn_until(&scene.downs, 1);
    ck_assert_str_eq(scene.trouble.state, "runner_failed");
    ck_assert_msg(strstr(scene.trouble.text, "(status 3), the answer was: This account is for") !=
                      NULL,
                  "%s", scene.trouble.text);
    scene_end();
}
END_TEST

/* What login files leave behind writes into the channel: said as what it is. */
START_TEST(a_background_that_writes)
{
    scene_init(
        "(while echo tick; do " LINGERS(0.2) "; done) & exec sh -c \"$SSH_ORIGINAL_COMMAND\"");
    open_link();
    turn_until(&scene.downs, 1);
    ck_assert_str_eq(scene.trouble.state, "protocol");
    ck_assert_msg(strstr(scene.trouble.text, "login files") != NULL, "%s", scene.trouble.text);
    scene_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link_ssh");
    TCase *tcase = tcase_create("link_ssh");
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(tcase, 90);
    tcase_add_loop_test(tcase, comes_up, 0, (int)(sizeof commands / sizeof commands[0]));
    tcase_add_test(tcase, no_shell);
    tcase_add_test(tcase, a_background_that_writes);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
