/* One exec_host for tests, and what came back from it. */
#ifndef FLEET_TEST_EXEC_PROBE_H
#define FLEET_TEST_EXEC_PROBE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"
#include "worker/exec.h"

struct probe {
    struct loop loop;
    struct exec_host *host;
    struct timer guard;
    int wanted, done, failed;
    int unsent; /* failures of which it is certain that not a byte left us */
    bool stopped;
    int status;      /* of the last result */
    struct buf out;  /* of the last result */
    struct buf err;  /* of the last result */
    bool truncated;  /* of the last result */
    char error[512]; /* of the last failure */
    int zeros;       /* results with status 0 */
};

/* A command that does not end, until the test has. */
static inline const char *hang(void)
{
    static char command[64];
    snprintf(command, sizeof command, "exec tail --pid=%d -f /dev/null", (int)getpid());
    return command;
}

static inline void on_guard(void *data)
{
    struct probe *probe = data;
    ck_abort_msg("not done within the time: %d of %d", probe->done, probe->wanted);
}

static inline void on_stopped(void *data)
{
    struct probe *probe = data;
    probe->stopped = true;
}

static inline void stop_when_done(struct probe *probe)
{
    if (probe->done < probe->wanted)
        return;
    exec_host_stop(probe->host, on_stopped, probe);
    timer_close(&probe->guard, NULL);
}

static inline void on_done(void *data, const struct exec_result *res, const struct error *err)
{
    struct probe *probe = data;
    probe->done++;
    ck_assert((res == NULL) != (err == NULL));
    if (err != NULL) {
        probe->failed++;
        probe->unsent += err->unsent;
        snprintf(probe->error, sizeof probe->error, "%s", err->text);
    } else {
        buf_clear(&probe->out);
        buf_clear(&probe->err);
        buf_add(&probe->out, res->out, res->out_len);
        buf_add(&probe->err, res->err, res->err_len);
        probe->status = res->status;
        probe->truncated = res->truncated;
        probe->zeros += res->status == 0;
    }
    stop_when_done(probe);
}

static inline void probe_init(struct probe *probe, const struct config_host *config, int secs)
{
    *probe = (struct probe){.status = -2};
    buf_init(&probe->out, 16 << 20);
    buf_init(&probe->err, 8192);
    loop_init(&probe->loop);
    loop_signals(&probe->loop, NULL, NULL, NULL);
    timer_init(&probe->guard, &probe->loop, on_guard, probe);
    timer_start(&probe->guard, (uint64_t)secs * 1000, 0);
    probe->host = exec_host_new(&probe->loop, config);
}

static inline void probe_run(struct probe *probe, const char *command, const void *input,
                             size_t len, size_t out_max, int timeout_ms)
{
    probe->wanted++;
    exec_run(probe->host, &(struct exec_request){
                              .command = command,
                              .input = input,
                              .input_len = len,
                              .out_max = out_max,
                              .timeout_ms = timeout_ms,
                              .on_done = on_done,
                              .data = probe,
                          });
}

/* To the end of all; what came back stays until probe_release. */
static inline void probe_finish(struct probe *probe)
{
    loop_run(&probe->loop);
    ck_assert(probe->stopped);
    loop_release(&probe->loop);
}

static inline void probe_release(struct probe *probe)
{
    buf_release(&probe->out);
    buf_release(&probe->err);
}

/* One command, to the end. */
static inline void once(struct probe *probe, const struct config_host *config, const char *command)
{
    probe_init(probe, config, 30);
    probe_run(probe, command, NULL, 0, 65536, 20000);
    probe_finish(probe);
}

static inline void fails_with(const struct config_host *config, const char *text)
{
    struct probe probe;
    once(&probe, config, "true");
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_int_eq(probe.unsent, 1);
    ck_assert_msg(strstr(probe.error, text) != NULL, "%s", probe.error);
    probe_release(&probe);
}

#endif
