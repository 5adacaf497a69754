/* common/loop: timers, watched descriptors and signals, and an end that leaves nothing open. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"

struct probe {
    struct loop loop;
    struct timer timer, guard;
    struct watch *watch;
    int fds[2];
    int times, stops, reloads, closes, ready;
    bool readable, writable;
    int signal;
};

static void on_guard(void *data)
{
    (void)data;
    ck_abort_msg("the condition did not come true within 10 s");
}

static void on_closed(void *data)
{
    struct probe *probe = data;

    probe->closes++;
}

static void probe_open(struct probe *probe)
{
    loop_init(&probe->loop);
    timer_init(&probe->guard, &probe->loop, on_guard, probe);
    timer_start(&probe->guard, 10000, 0);
}

/* Ends the loop of the test: nothing but the guard may be left. */
static void probe_end(struct probe *probe)
{
    timer_close(&probe->guard, on_closed);
}

static void on_third(void *data)
{
    struct probe *probe = data;

    if (++probe->times < 3)
        return;
    ck_assert(timer_active(&probe->timer));
    timer_stop(&probe->timer);
    ck_assert(!timer_active(&probe->timer));
    timer_close(&probe->timer, on_closed);
    probe_end(probe);
}

START_TEST(timers_repeat_stop_and_close)
{
    struct probe probe = {0};

    probe_open(&probe);
    timer_init(&probe.timer, &probe.loop, on_third, &probe);
    ck_assert(!timer_active(&probe.timer));
    timer_start(&probe.timer, 0, 1);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.times, 3);
    ck_assert_int_eq(probe.closes, 2);
    loop_release(&probe.loop);
}
END_TEST

static void on_late(void *data)
{
    struct probe *probe = data;

    probe->times++;
    timer_close(&probe->timer, NULL);
    probe_end(probe);
}

START_TEST(timer_is_not_early_after_a_long_turn)
{
    struct probe probe = {0};
    uint64_t start;

    probe_open(&probe);
    timer_init(&probe.timer, &probe.loop, on_late, &probe);
    usleep(60000); /* payload: sleep, the turn that makes libuv's idea of now stale */
    start = uv_hrtime();
    timer_start(&probe.timer, 50, 0);
    loop_run(&probe.loop);
    ck_assert_uint_ge(uv_hrtime() - start, 49000000u);
    loop_release(&probe.loop);
}
END_TEST

static void on_stop(void *data, int number)
{
    struct probe *probe = data;

    probe->stops++;
    probe->signal = number;
    if (probe->stops == 1)
        raise(SIGINT);
    else
        probe_end(probe);
}

static void on_reload(void *data)
{
    struct probe *probe = data;

    probe->reloads++;
    raise(SIGTERM);
}

START_TEST(signals_reach_the_node)
{
    struct probe probe = {0};

    probe_open(&probe);
    loop_signals(&probe.loop, on_stop, on_reload, &probe);
    raise(SIGPIPE);
    raise(SIGHUP);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.reloads, 1);
    ck_assert_int_eq(probe.stops, 2);
    ck_assert_int_eq(probe.signal, SIGINT);
    loop_release(&probe.loop);
}
END_TEST

START_TEST(signals_alone_do_not_hold_the_loop)
{
    struct probe probe = {0};

    loop_init(&probe.loop);
    loop_signals(&probe.loop, on_stop, on_reload, &probe);
    loop_run(&probe.loop);
    loop_release(&probe.loop);
}
END_TEST

static void on_pipe(void *data, bool readable, bool writable)
{
    struct probe *probe = data;
    char byte;

    ck_assert(readable && !writable);
    ck_assert_int_eq((int)read(probe->fds[0], &byte, 1), 1);
    if (++probe->ready < 3)
        return;
    watch_free(probe->watch); /* inside its own callback */
    close(probe->fds[0]);
    close(probe->fds[1]);
    probe_end(probe);
}

START_TEST(watch_sees_readiness_until_freed)
{
    struct probe probe = {0};

    probe_open(&probe);
    ck_assert_int_eq(pipe(probe.fds), 0);
    ck_assert_int_eq((int)write(probe.fds[1], "abc", 3), 3);
    probe.watch = watch_new(&probe.loop, probe.fds[0], on_pipe, &probe);
    watch_set(probe.watch, true, false);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.ready, 3);
    loop_release(&probe.loop);
}
END_TEST

static void on_never(void *data, bool readable, bool writable)
{
    (void)data, (void)readable, (void)writable;
    ck_abort_msg("a freed watch called back");
}

START_TEST(watch_is_made_anew_for_the_same_descriptor)
{
    struct probe probe = {0};

    probe_open(&probe);
    ck_assert_int_eq(pipe(probe.fds), 0);
    ck_assert_int_eq((int)write(probe.fds[1], "abc", 3), 3);
    for (int i = 0; i < 100; i++) { /* the fd is closed and comes back under the same number */
        int copy = dup(probe.fds[0]);
        struct watch *old = watch_new(&probe.loop, copy, on_never, &probe);

        watch_set(old, true, false);
        watch_free(old);
        close(copy);
    }
    probe.watch = watch_new(&probe.loop, probe.fds[0], on_pipe, &probe);
    watch_set(probe.watch, true, false);
    loop_run(&probe.loop);
    watch_free(NULL);
    loop_release(&probe.loop);
}
END_TEST

static void on_refused(void *data, bool readable, bool writable)
{
    struct probe *probe = data;
    int error = 0;
    socklen_t size = sizeof error;

    probe->ready++;
    probe->readable = readable;
    probe->writable = writable;
    getsockopt(probe->fds[0], SOL_SOCKET, SO_ERROR, &error, &size);
    ck_assert_int_eq(error, ECONNREFUSED);
    timer_start(&probe->timer, 20, 0);
}

static void on_quiet(void *data)
{
    struct probe *probe = data;

    timer_close(&probe->timer, NULL);
    watch_free(probe->watch);
    close(probe->fds[0]);
    probe_end(probe);
}

/* A port that was free a moment ago. */
static struct sockaddr_in closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return address;
}

START_TEST(refused_connection_calls_once_with_both)
{
    struct probe probe = {0};
    struct sockaddr_in address = closed_port();

    probe_open(&probe);
    timer_init(&probe.timer, &probe.loop, on_quiet, &probe);
    probe.fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(probe.fds[0], (struct sockaddr *)&address, sizeof address) != 0)
        ck_assert(errno == EINPROGRESS || errno == ECONNREFUSED);
    probe.watch = watch_new(&probe.loop, probe.fds[0], on_refused, &probe);
    watch_set(probe.watch, false, true);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.ready, 1);
    ck_assert(probe.readable && probe.writable);
    loop_release(&probe.loop);
}
END_TEST

START_TEST(limits_are_set)
{
    struct rlimit limit;
    uint64_t files = loop_limits();

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
    ck_assert_uint_eq(files, limit.rlim_cur);
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 0);
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, timers_repeat_stop_and_close);
    tcase_add_test(tcase, timer_is_not_early_after_a_long_turn);
    tcase_add_test(tcase, signals_reach_the_node);
    tcase_add_test(tcase, signals_alone_do_not_hold_the_loop);
    tcase_add_test(tcase, watch_sees_readiness_until_freed);
    tcase_add_test(tcase, watch_is_made_anew_for_the_same_descriptor);
    tcase_add_test(tcase, refused_connection_calls_once_with_both);
    tcase_add_test(tcase, limits_are_set);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
