/* One command over one channel, step by step. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/text.h"
#include "worker/ssh/old_internal.h"

/* Bytes on their way to us, per channel; libssh2's own is 2 MiB. */
#define WINDOW 262144
/* RFC 4253 6.1 */
#define PACKET 32768
/* Chunks of one stream in one step: the others want their turn. */
#define READS 8
/* Bytes that wait for the socket, above which no input is added. */
#define UNSENT_ENOUGH 524288
/* Bytes of a command, which goes into one packet. */
#define COMMAND_MAX 32000

/* A command that a signal ended gives no exit status (RFC 4254 6.10), and libssh2 shows that as 0.
 * So a shell of ours says how it ended, and says 254 for 0. */
#define WRAPPER                                                                                  \
    "exec /bin/sh -c '/bin/sh -c \"$1\"; s=$?; [ $s -ne 254 ] || s=253; [ $s -ne 0 ] || s=254; " \
    "exit $s' sh "
#define WRAPPED_ZERO 254

static void forget(struct ssh_channel *channel)
{
    struct ssh *ssh = channel->ssh;
    list_remove(&channel->link);
    ssh->load--;
    ssh->changed = true;
    if (ssh->asking == channel)
        ssh->asking = NULL;
    free(channel);
}

/* The job's time is over. The command itself cannot be reached: libssh2 1.10 sends no signals. */
static void on_timeout(struct exec_job *job)
{
    struct ssh_channel *channel = job->holder;
    struct ssh *ssh = channel->ssh;
    exec_job_fail(job, "timeout",
                  "host %s: the command did not end within %d ms (it may still run)",
                  ssh->host->host_id, job->timeout_ms);
    channel->job = NULL;
    if (channel->step == SSH_STEP_OPEN && ssh->asking != channel)
        forget(channel);
    else if (ssh->asking != channel) /* else its answer has to be taken first */
        channel->step = SSH_STEP_CLOSE;
    if (ssh->silent_ticks >= 3)
        old_ssh_fail(ssh, "timeout", "the connection is silent");
    old_ssh_pump(ssh);
}

void old_ssh_channel_new(struct ssh *ssh, struct exec_job *job)
{
    struct ssh_channel *channel = mem_alloc(sizeof *channel);
    channel->ssh = ssh;
    channel->job = job;
    exec_job_hold(job, on_timeout, channel);
    list_append(&ssh->channels, &channel->link);
    ssh->load++;
}

static void give_back(struct ssh_channel *channel)
{
    struct exec_job *job = channel->job;
    channel->job = NULL;
    if (job != NULL) {
        exec_job_hold(job, NULL, NULL);
        list_append(&channel->ssh->back, &job->link);
    }
}

void old_ssh_channel_drop(struct ssh_channel *channel, const struct error *why)
{
    if (channel->job != NULL && channel->step == SSH_STEP_OPEN)
        give_back(channel);
    else if (channel->job != NULL)
        exec_job_fail(channel->job, why->state, "%s (the command may have run)", why->text);
    forget(channel);
}

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
        old_ssh_fail(ssh, "connection_lost", "the connection was lost");
    else
        old_ssh_fail(ssh, "connection_lost", "%s failed (libssh2 error %zd)", doing, rc);
}

static void fail_job(struct ssh_channel *channel, const char *what)
{
    if (channel->job != NULL)
        exec_job_fail(channel->job, "runner_failed", "host %s: %s", channel->ssh->host->host_id,
                      what);
    channel->job = NULL;
}

/* The host has no channel for us now. With others open that is its MaxSessions: learn it. */
static void on_refused(struct ssh_channel *channel)
{
    struct ssh *ssh = channel->ssh;
    if (ssh->load > 1) {
        ssh->channels_max = ssh->load - 1;
        give_back(channel);
    } else {
        fail_job(channel,
                 "it refuses to open a session channel (MaxSessions, or a forced setting)");
    }
    forget(channel);
}

static bool step_open(struct ssh_channel *channel)
{
    struct ssh *ssh = channel->ssh;
    if (ssh->asking != NULL && ssh->asking != channel)
        return false;
    ssh->asking = channel;
    channel->channel = libssh2_channel_open_ex(ssh->session, "session", 7, WINDOW, PACKET, NULL, 0);
    int rc = channel->channel == NULL ? libssh2_session_last_errno(ssh->session) : 0;
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    if (rc == 0 && channel->job != NULL) {
        channel->step = SSH_STEP_EXEC;
        return true;
    }
    ssh->asking = NULL;
    if (rc == 0)
        channel->step = SSH_STEP_CLOSE;
    else if (of_channel(rc))
        on_refused(channel);
    else
        fail_connection(ssh, rc, "opening a channel");
    return true;
}

/* libssh2 copies the command: repeated calls only wait for its answer, also when the job is gone.
 */
static int ask_for_command(struct ssh_channel *channel)
{
    struct buf command;
    buf_init(&command, COMMAND_MAX);
    buf_adds(&command, WRAPPER);
    text_shell_quote(&command, channel->job != NULL ? channel->job->command : "");
    int rc = LIBSSH2_ERROR_OUT_OF_BOUNDARY;
    if (channel->job != NULL && !command.failed)
        channel->job->begun = true;
    if (!command.failed)
        rc = libssh2_channel_process_startup(channel->channel, "exec", 4, command.data,
                                             (unsigned)command.len);
    buf_release(&command);
    return rc;
}

static bool step_exec(struct ssh_channel *channel)
{
    int rc = ask_for_command(channel);
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    channel->ssh->asking = NULL;
    channel->step = rc == 0 && channel->job != NULL ? SSH_STEP_TALK : SSH_STEP_CLOSE;
    if (rc == LIBSSH2_ERROR_OUT_OF_BOUNDARY)
        fail_job(channel, "the command line is too long");
    else if (rc != 0 && of_channel(rc))
        fail_job(channel, "it refuses to run commands");
    else if (rc != 0)
        fail_connection(channel->ssh, rc, "starting a command");
    return true;
}

static bool read_stream(struct ssh_channel *channel, int stream,
                        void (*add)(struct exec_job *, const void *, size_t))
{
    char chunk[PACKET];
    bool moved = false;
    for (int i = 0; i < READS; i++) {
        ssize_t got = libssh2_channel_read_ex(channel->channel, stream, chunk, sizeof chunk);
        if (got < 0 && got != LIBSSH2_ERROR_EAGAIN && !of_channel(got))
            fail_connection(channel->ssh, got, "reading");
        if (got <= 0)
            break;
        add(channel->job, chunk, (size_t)got);
        moved = true;
    }
    return moved;
}

/* A command that ends without having read all is no failure: its status counts. */
static bool write_input(struct ssh_channel *channel)
{
    struct exec_job *job = channel->job;
    ssize_t rc;
    if (channel->input_ended || channel->ssh->unsent.len > UNSENT_ENOUGH)
        return false;
    if (job->input_sent == job->input_len) {
        rc = libssh2_channel_send_eof(channel->channel);
        channel->input_ended = rc != LIBSSH2_ERROR_EAGAIN;
    } else {
        size_t left = job->input_len - job->input_sent;
        rc = libssh2_channel_write_ex(channel->channel, 0, job->input + job->input_sent,
                                      left < PACKET ? left : PACKET);
        job->input_sent += rc > 0 ? (size_t)rc : 0;
        channel->input_ended = rc < 0 && of_channel(rc);
    }
    if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN && !of_channel(rc))
        fail_connection(channel->ssh, rc, "writing");
    return rc > 0 || channel->input_ended;
}

static void end_job(struct ssh_channel *channel)
{
    int status = libssh2_channel_get_exit_status(channel->channel);
    exec_job_end(channel->job, status == 0 ? -1 : status == WRAPPED_ZERO ? 0 : status);
    channel->job = NULL;
}

/* The end is the other side's close, not the end of its output: a command may close its output and
 * go on reading, and the exit status comes last. */
static bool step_talk(struct ssh_channel *channel)
{
    bool moved = read_stream(channel, 0, exec_job_out);
    moved |= read_stream(channel, SSH_EXTENDED_DATA_STDERR, exec_job_err);
    if (channel->ssh->state == SSH_DOWN)
        return true;
    if (!moved && libssh2_channel_eof(channel->channel) == 1 &&
        libssh2_channel_wait_closed(channel->channel) == 0) {
        end_job(channel);
        channel->step = SSH_STEP_CLOSE;
        return true;
    }
    return write_input(channel) || moved;
}

static bool step_close(struct ssh_channel *channel)
{
    int rc = libssh2_channel_close(channel->channel);
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return false;
    if (rc != 0 && !of_channel(rc))
        fail_connection(channel->ssh, rc, "closing a channel");
    channel->step = SSH_STEP_FREE;
    return true;
}

static bool step_free(struct ssh_channel *channel)
{
    if (libssh2_channel_free(channel->channel) == LIBSSH2_ERROR_EAGAIN)
        return false;
    forget(channel);
    return true;
}

bool old_ssh_channel_step(struct ssh_channel *channel)
{
    switch (channel->step) {
    case SSH_STEP_OPEN:
        return step_open(channel);
    case SSH_STEP_EXEC:
        return step_exec(channel);
    case SSH_STEP_TALK:
        return step_talk(channel);
    case SSH_STEP_CLOSE:
        return step_close(channel);
    case SSH_STEP_FREE:
        return step_free(channel);
    }
    return false;
}
