/* worker/link: how a link comes up, installs the runner, and goes down. */
#include "tests/unit/link_scene.h"

static struct scene scene;

static void end_with(const char *word, const char *text)
{
    scene_is_down(&scene, word, text);
    ck_assert_int_eq(scene.ups, 0);
    scene_end(&scene);
}

/* The command ends without saying more: the host is down with such a sentence. */
static void says_and_ends(const char *answer, int status, const char *err, const char *text)
{
    scene_init(&scene);
    scene_open(&scene);
    scene_answers(&scene, answer);
    if (!scene.closed)
        scene_ends(&scene, status, err);
    ck_assert_int_eq(scene.downs, 0); /* never from inside */
    end_with("runner_failed", text);
}

START_TEST(comes_up)
{
    scene_init(&scene);
    scene_open(&scene);
    ck_assert_ptr_null(strpbrk(scene.command, "\n!"));
    ck_assert_ptr_nonnull(strstr(scene.command, "'/srv/it'\\''s work/.fleet/fleet_1'"));
    ck_assert(!link_up(scene.link));
    scene_serves(&scene);
    ck_assert_int_eq(scene.ups, 1);
    ck_assert_str_eq(link_greeting(scene.link)->owner, SCENE_NONCE);
    ck_assert_str_eq(link_host_key(scene.link), "abc");
    ck_assert_int_eq(scene.commands, 1);
    scene_end(&scene);
    ck_assert_int_eq(scene.downs, 0);
}
END_TEST

/* Whatever the login files print, in pieces of any size; also our own command, mark and all. */
START_TEST(noise_is_skipped)
{
    struct frame frame;
    struct buf bytes;
    scene_init(&scene);
    scene_open(&scene);
    buf_init(&bytes, 65536);
    buf_addf(&bytes, "Welcome! running: %s\nmore %s x86_64:12 ", scene.command, scene_mark(&scene));
    for (int i = 0; i < 1000; i++)
        buf_adds(&bytes, "0123456789");
    buf_addf(&bytes, "%s system Linux x86_64\r\nnoise", scene_mark(&scene));
    buf_addf(&bytes, "%s servin%s serving\n", scene_mark(&scene), scene_mark(&scene));
    for (size_t i = 0; i < bytes.len; i++)
        scene_says(&scene, bytes.data + i, 1);
    scene_asked(&scene, FRAME_HELLO, &frame);
    scene_greets(&scene, frame.id, 0);
    ck_assert_int_eq(scene.ups, 1);
    buf_release(&bytes);
    scene_end(&scene);
}
END_TEST

START_TEST(noise_is_bounded)
{
    static char noise[65536];
    memset(noise, 'x', sizeof noise);
    scene_init(&scene);
    scene_open(&scene);
    for (int i = 0; i < 16 && !scene.closed; i++)
        scene_says(&scene, noise, sizeof noise);
    ck_assert(scene.closed);
    end_with("runner_failed", "login files");
}
END_TEST

START_TEST(hosts_without_a_runner)
{
    says_and_ends("\n@ system Linux armv7l\n\n@ missing\n", 0, "",
                  "no runner for Linux armv7l; this worker carries x86_64");
    says_and_ends("\n@ system FreeBSD amd64\n", 0, "", "no runner for FreeBSD amd64;");
    says_and_ends("\n@ system \n", 0, "", "no runner for a system that does not say its name;");
    says_and_ends("", 1, "This account is \x1b[31mnot available", "This account is [31mnot avail");
    says_and_ends("Only git here.\n", 128, "", "(status 128), the answer was: Only git here.");
    says_and_ends("", 127, "", "the answer was: nothing");
}
END_TEST

/* Takes the install command and its upload, up to the answer. */
static void takes_install(void)
{
    const struct carried *runner = boot_runner("Linux x86_64");
    size_t size = (size_t)(runner->end - runner->bytes);
    ck_assert_ptr_nonnull(strstr(scene.command, "chmod 700"));
    ck_assert_ptr_null(strpbrk(scene.command, "\n!"));
    scene_room(&scene, 100000);
    ck_assert(!scene.input_ended);
    scene_room(&scene, SIZE_MAX);
    ck_assert(scene.input_ended);
    ck_assert_uint_eq(scene.written.len, size);
    ck_assert(memcmp(scene.written.data, runner->bytes, size) == 0);
}

static void is_installed(void)
{
    takes_install();
    scene_answers(&scene, "noise@ installed\nnoise");
    ck_assert(scene.cut);
    scene_ends(&scene, -1, "");
}

/* The runner there is of no use, in every way that it can be. */
START_TEST(installs_once)
{
    static const char *const answers[] = {
        "\n@ system Linux x86_64\n\n@ missing\n", "\n@ system Linux x86_64\n\n@ other\n",
        "\n@ system Linux x86_64\njunk", "\n@ system Linux x86_64\n\n@ serving\njunk and more junk",
        "\n@ system Linux x86_64\n\n@ serving\n"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        scene_init(&scene);
        scene_open(&scene);
        scene_answers(&scene, answers[i]);
        scene.takes = 1000;
        scene_ends(&scene, i == 2 ? 2 : -1, "");
        ck_assert_int_eq(scene.commands, 2);
        is_installed();
        ck_assert_int_eq(scene.commands, 3);
        scene_serves(&scene);
        ck_assert_int_eq(scene.ups, 1);
        scene_end(&scene);
    }
}
END_TEST

START_TEST(installs_no_second_time)
{
    static const struct {
        const char *answer;
        int status;
        const char *word, *text;
    } cases[] = {
        {"@ missing\n", 0, "runner_failed", "just installed but is missing"},
        {"@ other\n", 0, "runner_failed", "just installed but is another one"},
        {"", 126, "runner_failed", "/srv/it's work/.fleet/fleet_1: is the file system of work_dir"},
        {"", 139, "runner_failed", "does not start (status 139): sh: said why"},
        {"@ serving\njunk and more junk", 0, "protocol", "login files"},
        {"@ serving\n", 1, "runner_failed", "does not start (status 1)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scene_init(&scene);
        scene_open(&scene);
        scene_answers(&scene, "@ system Linux x86_64\n@ missing\n");
        scene.takes = 1000;
        scene_ends(&scene, 0, "");
        is_installed();
        scene_answers(&scene, "@ system Linux x86_64\n");
        scene_answers(&scene, cases[i].answer);
        if (!scene.closed)
            scene_ends(&scene, cases[i].status, "sh: said why");
        end_with(cases[i].word, cases[i].text);
    }
}
END_TEST

START_TEST(install_fails)
{
    scene_init(&scene);
    scene_open(&scene);
    scene_answers(&scene, "@ system Linux x86_64\n@ missing\n");
    scene.takes = 1000;
    scene_ends(&scene, 0, "");
    scene_answers(&scene, "\n@ failed mkdir: /srv: No space left on device\n");
    end_with("runner_failed", "cannot install the runner: mkdir: /srv: No space left on device");
    scene_init(&scene);
    scene_open(&scene);
    scene_answers(&scene, "@ system Linux x86_64\n@ missing\n");
    scene_ends(&scene, 0, "");
    scene_ends(&scene, 127, "cat: not found");
    end_with("runner_failed", "cannot install the runner (status 127): cat: not found");
}
END_TEST

/* Each step has its time; a runner that hangs is installed anew. */
START_TEST(steps_have_limits)
{
    scene_init(&scene);
    scene.ways.step_ms = 50;
    scene.link = link_open_by(&scene.ways, &scene.loop, &scene.host, "fleet_1",
                              &(struct link_events){on_scene_up, on_scene_down}, &scene);
    end_with("timeout", "no connection within");
    scene_init(&scene);
    scene.ways.step_ms = 50;
    scene_open(&scene);
    scene_answers(&scene, "password: ");
    end_with("timeout", "but said: password: ;");
    for (int i = 0; i < 2; i++) {
        scene_init(&scene);
        scene.ways.step_ms = scene.ways.install_ms = 50;
        scene_open(&scene);
        scene_answers(&scene,
                      i == 0 ? "@ system Linux x86_64\n" : "@ system Linux x86_64\n@ serving\n");
        while (!scene.cut)
            uv_run(&scene.loop.uv, UV_RUN_ONCE);
        scene_says(&scene, "late", 4);
        scene_ends(&scene, -1, "");
        ck_assert_int_eq(scene.commands, 2);
        end_with("timeout", "within 0 s");
    }
}
END_TEST

START_TEST(stream_goes_down)
{
    struct error err;
    error_set_state(&err, "refused", "nothing listens");
    scene_init(&scene);
    scene_open(&scene);
    scene.stream.events->on_down(scene.stream.data, &err);
    end_with("refused", "nothing listens");
    scene_init(&scene);
    scene_up(&scene);
    scene_ends(&scene, 137, "Killed");
    scene_is_down(&scene, "connection_lost", "channel ended (status 137): Killed");
    scene_end(&scene);
}
END_TEST

START_TEST(pings)
{
    struct frame frame;
    uint8_t bytes[FRAME_HEAD];
    scene_init(&scene);
    scene.ways.ping_ms = 50;
    scene_up(&scene);
    for (int i = 0; i < 6; i++) {
        while (scene.written.len == 0)
            uv_run(&scene.loop.uv, UV_RUN_ONCE);
        scene_asked(&scene, FRAME_PING, &frame);
        struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_PONG, frame.id);
        scene_frame(&scene, bytes, &out);
    }
    ck_assert_int_eq(scene.downs, 0);
    int64_t begin = clock_ms();
    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    scene_is_down(&scene, "timeout", "hangs");
    ck_assert_int_ge(clock_ms() - begin, 100);
    ck_assert_int_eq(scene.failures, 1);
    ck_assert_int_eq(scene.unsents, 0);
    scene_end(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link");
    TCase *tcase = tcase_create("link");
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(tcase, 40);
    tcase_add_test(tcase, comes_up);
    tcase_add_test(tcase, noise_is_skipped);
    tcase_add_test(tcase, noise_is_bounded);
    tcase_add_test(tcase, hosts_without_a_runner);
    tcase_add_test(tcase, installs_once);
    tcase_add_test(tcase, installs_no_second_time);
    tcase_add_test(tcase, install_fails);
    tcase_add_test(tcase, steps_have_limits);
    tcase_add_test(tcase, stream_goes_down);
    tcase_add_test(tcase, pings);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
