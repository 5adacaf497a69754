/* A command over the connection's one channel, step by step. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/ssh/internal.h"

/* Bytes on their way to us. */
#define WINDOW (2u << 20)
/* RFC 4253 6.1 */
#define PACKET 32768
/* Bytes of input that wait for the host's window, and those that wait for the socket: above either
 * no more is taken. */
#define INPUT_MAX 262144
/* A command goes into one packet. */
#define COMMAND_MAX 32000
#define ERR_MAX 4096
/* From stream_run() to a command that runs. */
#define RUN_MS 20000
/* After a refused channel: the command before may still hold the host's only session. */
#define REFUSED_MS 100
/* For the last output of a command that has failed: somebody else may hold it open. */
#define LINGER_MS 500

void ssh_channel_init(struct ssh *ssh)
{
    ssh->command = (struct ssh_command){0};
    buf_init(&ssh->command.input, INPUT_MAX);
    buf_init(&ssh->command.err, ERR_MAX);
}

void ssh_channel_release(struct ssh *ssh)
{
    struct ssh_command *command = &ssh->command;
    free(command->text);
    command->text = NULL;
    command->running = command->cut = false;
    buf_release(&command->input);
    buf_release(&command->err);
}

/* --- what the stream's owner says --- */

void ssh_run(struct stream *stream, const char *command)
{
    struct ssh *ssh = (struct ssh *)stream;
    if (ssh->command.running || strlen(command) > COMMAND_MAX)
        abort();
    if (ssh->state != SSH_UP)
        return;
    ssh_channel_release(ssh);
    ssh_channel_init(ssh);
    ssh->command.running = true;
    ssh->command.text = mem_strdup(command);
    timer_start(&ssh->limit, RUN_MS, 0);
    ssh_pump_soon(ssh, 0);
}

static size_t waiting_input(const struct ssh *ssh)
{
    return ssh->command.input.len - ssh->command.input_at;
}

size_t ssh_write(struct stream *stream, const char *bytes, size_t len)
{
    struct ssh *ssh = (struct ssh *)stream;
    struct ssh_command *command = &ssh->command;
    if (!command->running || command->cut || command->input_ended)
        return len; /* nobody will read it */
    buf_consume(&command->input, command->input_at);
    command->input_at = 0;
    size_t room = INPUT_MAX - command->input.len, taken = len < room ? len : room;
    buf_add(&command->input, bytes, taken);
    command->room_wanted |= taken < len;
    ssh_pump_soon(ssh, 0);
    return taken;
}

void ssh_end_input(struct stream *stream)
{
    struct ssh *ssh = (struct ssh *)stream;
    ssh->command.input_ended = true;
    ssh_pump_soon(ssh, 0);
}

void ssh_cut(struct stream *stream)
{
    struct ssh *ssh = (struct ssh *)stream;
    ssh->command.cut = ssh->command.running;
    ssh_pump_soon(ssh, 0);
}

/* --- steps --- */

/* Errors that are of this channel alone; after any other the connection is of no use. */
static bool of_channel(ssize_t rc)
{
    return rc == LIBSSH2_ERROR_CHANNEL_FAILURE || rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED ||
           rc == LIBSSH2_ERROR_CHANNEL_CLOSED || rc == LIBSSH2_ERROR_CHANNEL_EOF_SENT ||
           rc == LIBSSH2_ERROR_CHANNEL_UNKNOWN || rc == LIBSSH2_ERROR_REQUEST_DENIED;
}

static void fail_connection(struct ssh *ssh, ssize_t rc, const char *doing)
{
    if (ssh->gone)
        ssh_fail(ssh, "connection_lost", "the connection was lost");
    else
        ssh_fail(ssh, "connection_lost", "%s failed (libssh2 error %zd)", doing, rc);
}

/* libssh2 answers 0 also for a command that a signal ended, and what it keeps of a signal is not
 * checked against the packet's end: it is never asked for (1.10 packet.c, "exit-signal"). */
static int exit_status(const struct ssh *ssh)
{
    int status = libssh2_channel_get_exit_status(ssh->channel);
    return status >= 0 && status <= 255 ? status : -1;
}

static void end_command(struct ssh *ssh, int status)
{
    struct ssh_command *command = &ssh->command;
    struct stream_end end = {
        .status = status,
        .err = buf_text(&command->err),
        .err_len = command->err.len,
    };
    struct buf err = command->err;
    buf_init(&command->err, ERR_MAX); /* on_end may run the next command */
    command->running = command->cut = false;
    timer_stop(&ssh->limit);
    ssh->stream.events->on_end(ssh->stream.data, &end);
    buf_release(&err);
}

/* What the steps do next with the channel of a command that was cut. */
static void leave_channel(struct ssh *ssh)
{
    if (ssh->step == SSH_STEP_OPEN || ssh->step == SSH_STEP_EXEC)
        ssh->left = true; /* its answer has to be taken first */
    else if (ssh->step == SSH_STEP_TALK)
        ssh->step = SSH_STEP_CLOSE;
    else if (ssh->step == SSH_STEP_REFUSED)
        ssh->step = SSH_STEP_NONE;
}

static bool step_open(struct ssh *ssh)
{
    ssh->channel = libssh2_channel_open_ex(ssh->session, "session", 7, WINDOW, PACKET, NULL, 0);
    int rc = ssh->channel == NULL ? libssh2_session_last_errno(ssh->session) : 0;
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    if (rc == 0 && ssh->left) {
        ssh->step = SSH_STEP_CLOSE;
    } else if (rc == 0) {
        ssh->asked = ssh->command.text;
        ssh->command.text = NULL;
        ssh->step = SSH_STEP_EXEC;
    } else if (!of_channel(rc)) {
        fail_connection(ssh, rc, "opening a channel");
    } else if (ssh->left) {
        ssh->left = false;
        ssh->step = SSH_STEP_NONE;
    } else if (ssh->ran_before) {
        ssh->step = SSH_STEP_REFUSED;
        ssh_pump_soon(ssh, REFUSED_MS);
        return false;
    } else {
        ssh_fail(ssh, "runner_failed",
                 "it refuses to open a session channel (MaxSessions, or a forced setting)");
    }
    return true;
}

static bool step_exec(struct ssh *ssh)
{
    int rc = libssh2_channel_process_startup(ssh->channel, "exec", 4, ssh->asked,
                                             (unsigned)strlen(ssh->asked));
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    ssh->ran_before = true;
    ssh->step = ssh->left ? SSH_STEP_CLOSE : SSH_STEP_TALK;
    if (!ssh->left)
        timer_stop(&ssh->limit);
    if (rc != 0 && of_channel(rc))
        ssh_fail(ssh, "runner_failed", "it refuses to run commands");
    else if (rc != 0)
        fail_connection(ssh, rc, "starting a command");
    return true;
}

static bool listens(const struct ssh *ssh)
{
    return ssh->state == SSH_UP && !ssh->command.cut;
}

static ssize_t read_some(struct ssh *ssh, int stream, char *chunk)
{
    ssize_t got = libssh2_channel_read_ex(ssh->channel, stream, chunk, PACKET);
    if (got < 0 && got != LIBSSH2_ERROR_EAGAIN && !of_channel(got))
        fail_connection(ssh, got, "reading");
    return got;
}

static bool read_out(struct ssh *ssh)
{
    char chunk[PACKET];
    ssize_t got = read_some(ssh, 0, chunk);
    if (got > 0)
        ssh->stream.events->on_bytes(ssh->stream.data, chunk, (size_t)got);
    return got > 0;
}

static bool read_err(struct ssh *ssh)
{
    char chunk[PACKET];
    struct buf *err = &ssh->command.err;
    ssize_t got = read_some(ssh, SSH_EXTENDED_DATA_STDERR, chunk);
    size_t room = ERR_MAX - err->len;
    if (got > 0)
        buf_add(err, chunk, (size_t)got < room ? (size_t)got : room);
    return got > 0;
}

/* A command that ends without having read all is no failure: its status counts. */
static bool write_some(struct ssh *ssh)
{
    struct ssh_command *command = &ssh->command;
    const char *bytes = command->input.data + command->input_at;
    ssize_t rc = libssh2_channel_write_ex(ssh->channel, 0, bytes, waiting_input(ssh));
    if (rc > 0)
        command->input_at += (size_t)rc;
    else if (of_channel(rc))
        command->input_ended = command->eof_sent = true;
    else if (rc != LIBSSH2_ERROR_EAGAIN && rc != 0)
        fail_connection(ssh, rc, "writing");
    return rc > 0;
}

static bool send_eof(struct ssh *ssh)
{
    int rc = libssh2_channel_send_eof(ssh->channel);
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    ssh->command.eof_sent = true;
    if (rc != 0 && !of_channel(rc))
        fail_connection(ssh, rc, "writing");
    return true;
}

static bool write_input(struct ssh *ssh)
{
    struct ssh_command *command = &ssh->command;
    if (command->eof_sent || ssh->unsent.len > INPUT_MAX)
        return false;
    if (waiting_input(ssh) == 0)
        return command->input_ended && send_eof(ssh);
    bool moved = write_some(ssh);
    if (command->room_wanted && listens(ssh) && waiting_input(ssh) < INPUT_MAX / 2) {
        command->room_wanted = false;
        ssh->stream.events->on_room(ssh->stream.data);
    }
    return moved;
}

/* All of its output has come, or as much as is waited for. */
static bool is_over(struct ssh *ssh)
{
    if (libssh2_channel_eof(ssh->channel) == 1)
        return libssh2_channel_wait_closed(ssh->channel) == 0;
    if (exit_status(ssh) != 0 && !ssh->lingered && !timer_active(&ssh->limit))
        timer_start(&ssh->limit, LINGER_MS, 0);
    return ssh->lingered;
}

static bool step_talk(struct ssh *ssh)
{
    bool moved = read_out(ssh);
    if (listens(ssh))
        moved |= read_err(ssh);
    if (!listens(ssh))
        return true;
    if (!moved && is_over(ssh)) {
        ssh->step = SSH_STEP_CLOSE;
        end_command(ssh, exit_status(ssh));
        return true;
    }
    return write_input(ssh) || moved;
}

static bool step_close(struct ssh *ssh)
{
    int rc = libssh2_channel_close(ssh->channel);
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    if (rc != 0 && !of_channel(rc))
        fail_connection(ssh, rc, "closing a channel");
    ssh->step = SSH_STEP_FREE;
    return true;
}

static bool step_free(struct ssh *ssh)
{
    if (libssh2_channel_free(ssh->channel) == LIBSSH2_ERROR_EAGAIN)
        return false;
    ssh->channel = NULL;
    free(ssh->asked);
    ssh->asked = NULL;
    ssh->left = ssh->lingered = false;
    ssh->step = SSH_STEP_NONE;
    return true;
}

bool ssh_channel_step(struct ssh *ssh)
{
    if (ssh->command.cut) {
        leave_channel(ssh);
        end_command(ssh, -1);
        return true;
    }
    switch (ssh->step) {
    case SSH_STEP_NONE:
    case SSH_STEP_REFUSED:
        ssh->step = ssh->command.running ? SSH_STEP_OPEN : SSH_STEP_NONE;
        return ssh->command.running;
    case SSH_STEP_OPEN:
        return step_open(ssh);
    case SSH_STEP_EXEC:
        return step_exec(ssh);
    case SSH_STEP_TALK:
        return step_talk(ssh);
    case SSH_STEP_CLOSE:
        return step_close(ssh);
    case SSH_STEP_FREE:
        return step_free(ssh);
    }
    return false;
}

void ssh_channel_limit(struct ssh *ssh)
{
    if (ssh->step == SSH_STEP_TALK)
        ssh->lingered = true;
    else if (ssh->step == SSH_STEP_REFUSED)
        ssh_fail(ssh, "runner_failed", "it opens no further session channel for %d s (MaxSessions)",
                 RUN_MS / 1000);
    else
        ssh_fail(ssh, "timeout", "it did not begin a command within %d s", RUN_MS / 1000);
}
