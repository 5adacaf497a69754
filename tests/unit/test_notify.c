/* common/notify: what a service manager's socket receives, and when nothing is sent. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/notify.h"

static struct loop loop;
static struct timer work; /* a node has some: alone, notify's timers let the loop end */
static struct notify notify;
static int manager = -1;
static char folder[32] = "/tmp/test_notify.XXXXXX";
static char got[1000];
static const char *now = "starting";

static bool status(void *data, char *text, size_t size)
{
    (void)data;
    snprintf(text, size, "%s", now);
    return true;
}

static void on_work(void *data)
{
    (void)data;
}

/* A manager's socket at NOTIFY_SOCKET; "@" in front: abstract. */
static void listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@')
        address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, len), 0);
    setenv("NOTIFY_SOCKET", path, 1);
}

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *path = mem_printf("%s/notify", folder);
    listen_at(path);
    free(path);
    loop_init(&loop);
    timer_init(&work, &loop, on_work, NULL);
    timer_start(&work, 10, 10);
}

static void finish(void)
{
    notify_close(&notify);
    timer_close(&work, NULL);
    loop_release(&loop);
    close(manager);
    char *path = mem_printf("%s/notify", folder);
    unlink(path);
    rmdir(folder);
    free(path);
}

/* Turns the loop until a datagram came, for at most 10 s. */
static const char *next(void)
{
    struct pollfd fd = {.fd = manager, .events = POLLIN};
    for (int i = 0; i < 1000 && poll(&fd, 1, 10) == 0; i++)
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    ssize_t len = recv(manager, got, sizeof got - 1, MSG_DONTWAIT);
    got[len > 0 ? len : 0] = '\0';
    return got;
}

static void expect(const char *text)
{
    ck_assert_str_eq(next(), text);
}

START_TEST(a_life)
{
    begin();
    notify_open(&notify, &loop, status, NULL);
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET")); /* no child inherits it */
    notify_ready(&notify);
    expect("READY=1");
    expect("STATUS=starting");
    now = "waiting for the database:\nREADY=0";
    expect("STATUS=waiting for the database: READY=0"); /* one line is one word to the manager */
    notify_reloading(&notify);
    ck_assert_int_eq(strncmp(next(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    ck_assert_int_gt(atoll(got + 27), 0);
    notify_stopping(&notify);
    expect("STOPPING=1");
    finish();
}
END_TEST

START_TEST(abstract_socket)
{
    loop_init(&loop);
    char *path = mem_printf("@fleet-test-notify-%d", (int)getpid());
    listen_at(path);
    free(path);
    notify_open(&notify, &loop, status, NULL);
    notify_ready(&notify);
    expect("READY=1");
    notify_close(&notify);
    loop_release(&loop);
    close(manager);
}
END_TEST

START_TEST(the_loop_turns)
{
    char pid[20];
    begin();
    now = "";
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_USEC", "60000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    notify_open(&notify, &loop, status, NULL);
    for (int i = 0; i < 3; i++)
        expect("WATCHDOG=1");
    ck_assert_int_eq((int)notify.watchdog.uv.repeat, 20); /* a third */
    ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
    ck_assert_ptr_null(getenv("WATCHDOG_PID"));
    finish();
}
END_TEST

START_TEST(another_process_is_watched)
{
    begin();
    setenv("WATCHDOG_USEC", "60000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    notify_open(&notify, &loop, status, NULL);
    ck_assert(!timer_active(&notify.watchdog));
    finish();
}
END_TEST

/* Without WATCHDOG_PID it is whoever has the socket; no interval is shorter than a timer's. */
START_TEST(whoever_is_started_is_watched)
{
    static const struct {
        const char *usec;
        int ms;
    } watchdogs[] = {{"30000000", 10000}, {"2000", 1}, {"0", 0}, {"soon", 0}};
    for (size_t i = 0; i < sizeof watchdogs / sizeof watchdogs[0]; i++) {
        loop_init(&loop);
        char *path = mem_printf("@fleet-test-notify-%d", (int)getpid());
        listen_at(path);
        free(path);
        setenv("WATCHDOG_USEC", watchdogs[i].usec, 1);
        unsetenv("WATCHDOG_PID");
        notify_open(&notify, &loop, status, NULL);
        ck_assert_int_eq((int)notify.watchdog.uv.repeat, watchdogs[i].ms);
        ck_assert(timer_active(&notify.watchdog) == (watchdogs[i].ms > 0));
        loop_run(&loop); /* its timers keep nothing running */
        notify_close(&notify);
        loop_release(&loop);
        close(manager);
    }
}
END_TEST

START_TEST(nobody_listens)
{
    static const char *const none[] = {NULL, "", "/no/such/socket", "relative", "vsock:2:1", "@"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        unsetenv("NOTIFY_SOCKET");
        if (none[i] != NULL)
            setenv("NOTIFY_SOCKET", none[i], 1);
        loop_init(&loop);
        notify_open(&notify, &loop, status, NULL);
        notify_ready(&notify);
        loop_run(&loop); /* its timers keep nothing running */
        notify_close(&notify);
        loop_release(&loop);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tests = tcase_create("notify");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, a_life);
    tcase_add_test(tests, abstract_socket);
    tcase_add_test(tests, the_loop_turns);
    tcase_add_test(tests, another_process_is_watched);
    tcase_add_test(tests, whoever_is_started_is_watched);
    tcase_add_test(tests, nobody_listens);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
