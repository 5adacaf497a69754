/* The host of worker_scene.h: exec_run() answers as the runner would. */
#ifndef FLEET_WORKER_SCENE_HOST_H
#define FLEET_WORKER_SCENE_HOST_H

#include "tests/unit/worker_scene_sql.h"

#define SCENE_BOOT "boot-1"

/* One runner call: what it answers. `answer` NULL: the host cannot be reached. */
struct scene_call {
    const char *name;
    const char *answer; /* literal without banner and "end" */
    int calls;
    bool unsent; /* it cannot be reached, and not a byte left us */
    int hold;    /* calls from this number on get no answer yet; 0: all do */
};

#define SCENE_RECORD(state, rest) \
    "run t-1-x.1 state=" state " epoch=1 pid=7 start=9 boot=" SCENE_BOOT " " rest
#define SCENE_LIVE \
    SCENE_RECORD("running", "out=0 err=0 oend=- eend=- exit=- ms=- reason=- n1=0 n2=0")

static struct scene_call scene_call[] = {
    {.name = "hello",
     .answer = "hello v=1 machine=m1 boot=" SCENE_BOOT
               " owner=0123456789abcdef0123456789abcdef disk_free=1000000 missing=-\n"},
    {.name = "start", .answer = "started\n" SCENE_LIVE "\n"},
    {.name = "raise", .answer = "state\n" SCENE_LIVE "\n"},
    {.name = "void", .answer = "void\n"},
    {.name = "stop", .answer = "stopping\n"},
    {.name = "poll", .answer = ""},
};

static struct scene_call *call(const char *name)
{
    for (size_t i = 0; i < sizeof scene_call / sizeof scene_call[0]; i++)
        if (strcmp(scene_call[i].name, name) == 0)
            return &scene_call[i];
    ck_abort_msg("no such call: %s", name);
}

/* The run on the fake host, as polls and records see it. */
static struct {
    char run[RUNNER_RUN_SIZE];
    const char *state;
    int epoch, exit;
    const char *reason, *boot;
    char out[32768], err[4096];
    size_t out_len, err_len;
    size_t chunk; /* at most so many bytes in one poll */
    bool ignored; /* polls say nothing of it */
} scene_run;

struct exec_host {
    void (*on_stopped)(void *data);
    void *data;
    struct timer timer;
};

struct scene_exec {
    struct timer timer;
    const struct scene_call *call;
    int number; /* of the call, from 1 */
    struct buf answer;
    bool unreachable, unsent;
    exec_done_cb on_done;
    void *data;
};

static int scene_answered; /* runner calls whose callback came */

static void scene_record(struct buf *out, size_t n1, size_t n2)
{
    bool ended = strcmp(scene_run.state, "ended") == 0;
    buf_addf(out, "run %s state=%s epoch=%d pid=7 start=9 boot=%s out=%zu err=%zu ", scene_run.run,
             scene_run.state, scene_run.epoch, scene_run.boot, scene_run.out_len,
             scene_run.err_len);
    if (ended)
        buf_addf(out, "oend=%zu eend=%zu exit=%d ms=5 reason=%s", scene_run.out_len,
                 scene_run.err_len, scene_run.exit, scene_run.reason);
    else
        buf_adds(out, "oend=- eend=- exit=- ms=- reason=-");
    buf_addf(out, " n1=%zu n2=%zu\n", n1, n2);
}

static size_t scene_part(size_t have, long from)
{
    size_t left = (size_t)from < have ? have - (size_t)from : 0;
    return left < scene_run.chunk ? left : scene_run.chunk;
}

static void scene_poll(struct buf *out, const char *input)
{
    char run[RUNNER_RUN_SIZE], nonce[40];
    long from_out, from_err;
    while (sscanf(input, "%71s %39s %ld %ld", run, nonce, &from_out, &from_err) == 4) {
        ck_assert_str_eq(run, scene_run.run);
        if (scene_run.ignored)
            return;
        size_t n1 = scene_part(scene_run.out_len, from_out);
        size_t n2 = scene_part(scene_run.err_len, from_err);
        scene_record(out, n1, n2);
        buf_add(out, scene_run.out + from_out, n1);
        buf_add(out, scene_run.err + from_err, n2);
        input = strchr(input, '\n') + 1;
    }
}

static void scene_exec_closed(void *data)
{
    struct scene_exec *exec = data;
    struct error err;
    struct exec_result res = {
        .out = buf_text(&exec->answer), .out_len = exec->answer.len, .err = ""};
    error_set(&err, "the host is away");
    err.unsent = exec->unsent;
    scene_answered++;
    exec->on_done(exec->data, exec->unreachable ? NULL : &res, exec->unreachable ? &err : NULL);
    buf_release(&exec->answer);
    free(exec);
}

static void scene_exec_time(void *data)
{
    struct scene_exec *exec = data;
    if (exec->call->hold > 0 && exec->number >= exec->call->hold) {
        timer_start(&exec->timer, 1, 0);
        return;
    }
    timer_close(&exec->timer, scene_exec_closed);
}

/* "… sh <base> <hash> start RUN EPOCH NONCE …": start, raise, void and stop. */
static void scene_answer(struct scene_exec *exec, const struct scene_call *known,
                         const char *command, const char *input)
{
    char at[16];
    buf_adds(&exec->answer, "fleet-runner 1\n");
    snprintf(at, sizeof at, " %s ", known->name);
    const char *words = strstr(command, at);
    bool of_run = strcmp(known->name, "poll") != 0 && strcmp(known->name, "hello") != 0;
    if (words != NULL && of_run)
        ck_assert_int_ge(sscanf(words + strlen(at), "%71s %d", scene_run.run, &scene_run.epoch), 1);
    const char *live = strstr(known->answer, "run t-1-x.1");
    if (strcmp(known->name, "poll") == 0) {
        scene_poll(&exec->answer, input);
    } else if (live != NULL) {
        buf_add(&exec->answer, known->answer, (size_t)(live - known->answer));
        scene_record(&exec->answer, 0, 0);
    } else {
        buf_adds(&exec->answer, known->answer);
    }
    buf_adds(&exec->answer, "end\n");
}

void exec_run(struct exec_host *host, const struct exec_request *request)
{
    (void)host;
    struct scene_exec *exec = mem_alloc(sizeof *exec);
    buf_init(&exec->answer, 1 << 20);
    exec->on_done = request->on_done;
    exec->data = request->data;
    char *input = mem_strndup(request->input != NULL ? request->input : "", request->input_len);
    struct scene_call *known = NULL;
    for (size_t i = 0; i < sizeof scene_call / sizeof scene_call[0]; i++) {
        char word[16];
        snprintf(word, sizeof word, " %s", scene_call[i].name);
        const char *at = strstr(request->command, word);
        if (at != NULL && (at[strlen(word)] == ' ' || at[strlen(word)] == '\0'))
            known = &scene_call[i];
    }
    ck_assert_msg(known != NULL, "unknown command: %s", request->command);
    exec->call = known;
    exec->number = ++known->calls;
    if (known->answer != NULL)
        scene_answer(exec, known, request->command, input);
    exec->unreachable = known->answer == NULL;
    exec->unsent = known->unsent;
    free(input);
    timer_init(&exec->timer, &scene.loop, scene_exec_time, exec);
    timer_start(&exec->timer, 1, 0);
}

struct exec_host *exec_host_new(struct loop *loop, const struct config_host *config)
{
    (void)loop, (void)config;
    return mem_alloc(sizeof(struct exec_host));
}

static void scene_host_closed(void *data)
{
    struct exec_host *host = data;
    host->on_stopped(host->data);
    free(host);
}

static void scene_host_time(void *data)
{
    struct exec_host *host = data;
    timer_close(&host->timer, scene_host_closed);
}

void exec_host_stop(struct exec_host *host, void (*on_stopped)(void *data), void *data)
{
    host->on_stopped = on_stopped;
    host->data = data;
    timer_init(&host->timer, &scene.loop, scene_host_time, host);
    timer_start(&host->timer, 1, 0);
}

const char *exec_host_key(const struct exec_host *host)
{
    (void)host;
    return "";
}

#endif
