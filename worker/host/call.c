/* One runner call on a host: installed when missing, repeated, answered once. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/clean.h"
#include "worker/host/host.h"

#define CALL_TIMEOUT_MS 60000
#define COMMAND_MAX ((size_t)1 << 16)

struct host_call {
    struct host *host;         /* borrowed; counts us in its calls */
    struct buf command, input; /* owned */
    int timeout_ms;
    int way;                /* the host's when it was asked */
    bool installed;         /* we installed the runner for this call */
    host_bytes_cb on_bytes; /* one of the two */
    host_reply_cb on_reply;
    void *data; /* borrowed */
};

void host_call_init(struct buf *command, struct buf *input)
{
    buf_init(command, COMMAND_MAX);
    buf_init(input, HOST_INPUT_MAX);
}

static void run(struct host_call *call);

/* A hello or a poll of an older way in is nobody's any more; a job learns that it does not know
 * what became of its call. */
static bool is_stale(const struct host_call *call, struct error *err)
{
    if (call->way == call->host->way)
        return false;
    error_set_state(err, "connection_lost", "the way in changed during the call");
    return true;
}

static void answer(struct host_call *call, const char *bytes, size_t len, const struct error *err)
{
    struct host *host = call->host;
    struct runner_reply reply;
    struct error problem;
    bool stale = is_stale(call, &problem);
    if (stale)
        err = &problem;
    if (call->on_reply != NULL && err == NULL && !runner_parse_reply(bytes, len, &reply, &problem))
        err = &problem;
    if (err != NULL && !stale)
        host_trouble(host, err);
    if (call->on_reply != NULL)
        call->on_reply(call->data, err == NULL ? &reply : NULL, err);
    else if (!stale)
        call->on_bytes(call->data, bytes, len, err);
    buf_release(&call->command);
    buf_release(&call->input);
    free(call);
    host_call_done(host);
}

/* What a command without a proper answer said, in one line. */
static void describe(struct error *err, const struct exec_result *res)
{
    struct buf text;
    buf_init(&text, 1024);
    clean_line(&text, res->err, res->err_len, 200);
    error_set_state(err, "runner_failed", "the runner ended with status %d: %s", res->status,
                    text.len > 0 ? text.data : "no message");
    buf_release(&text);
}

static void on_installed(void *data, const struct exec_result *res, const struct error *err)
{
    struct host_call *call = data;
    struct error problem;
    if (err == NULL && !runner_parse_installed(res->out, res->out_len, &problem)) {
        if (res->status != 0)
            describe(&problem, res);
        err = &problem;
    }
    if (err != NULL || is_stale(call, &problem))
        answer(call, NULL, 0, err);
    else
        run(call);
}

static void install(struct host_call *call)
{
    struct buf command;
    struct runner_place place = host_place(call->host);
    buf_init(&command, COMMAND_MAX);
    runner_build_install(&command, &place);
    call->installed = true;
    exec_run(call->host->exec, &(struct exec_request){.command = buf_text(&command),
                                                      .input = runner_script,
                                                      .input_len = runner_script_size,
                                                      .out_max = 4096,
                                                      .timeout_ms = CALL_TIMEOUT_MS,
                                                      .on_done = on_installed,
                                                      .data = call});
    buf_release(&command);
}

static void on_done(void *data, const struct exec_result *res, const struct error *err)
{
    struct host_call *call = data;
    struct error problem;
    if (err != NULL || is_stale(call, &problem)) {
        answer(call, NULL, 0, err);
    } else if (!call->installed && runner_missing(res->out, res->out_len)) {
        install(call);
    } else if (res->truncated || (res->status != 0 && res->out_len == 0)) {
        describe(&problem, res);
        answer(call, NULL, 0, &problem);
    } else {
        answer(call, res->out, res->out_len, NULL);
    }
}

static void run(struct host_call *call)
{
    exec_run(call->host->exec, &(struct exec_request){.command = buf_text(&call->command),
                                                      .input = call->input.data,
                                                      .input_len = call->input.len,
                                                      .out_max = HOST_ANSWER_MAX,
                                                      .timeout_ms = call->timeout_ms,
                                                      .on_done = on_done,
                                                      .data = call});
}

static struct host_call *call_new(struct host *host, struct buf *command, struct buf *input)
{
    struct host_call *call = mem_alloc(sizeof *call);
    call->host = host;
    call->command = *command;
    call->input = *input;
    call->timeout_ms = CALL_TIMEOUT_MS;
    call->way = host->way;
    host->calls++;
    return call;
}

void host_send(struct host *host, struct buf *command, struct buf *input, int timeout_ms,
               host_bytes_cb on_bytes, void *data)
{
    struct host_call *call = call_new(host, command, input);
    call->timeout_ms = timeout_ms;
    call->on_bytes = on_bytes;
    call->data = data;
    run(call);
}

void host_call(struct host *host, struct buf *command, struct buf *input, host_reply_cb on_reply,
               void *data)
{
    struct host_call *call = call_new(host, command, input);
    call->on_reply = on_reply;
    call->data = data;
    run(call);
}
