/* A worker's side of one channel, for the runner's tests: frames out of words, words out of frames.
 *
 *   runner-client RUNNER BASE HASH COMMAND WORD...    one command, its answer as lines
 *   runner-client RUNNER BASE HASH                    commands from stdin, a line each
 *
 * Of many commands every line of an answer begins with its command's number. RUNNER may be several
 * words; HASH is the SHA-256 of the program.
 *
 *   hello [version COMMAND | look COMMAND]...
 *   start RUN EPOCH NONCE TIMEOUT CAP FOLDER JOB_FILE PROMPT_FILE [run_as=ACCOUNT] [sandbox=1]
 *         [writable=PATH]
 *   void RUN EPOCH NONCE           raise RUN EPOCH NONCE [forged=EPOCH]
 *   gc RUN EPOCH NONCE             stop RUN EPOCH NONCE GRACE TERM REASON
 *   list                           ping
 *   clean [FOLDER]
 *   prepare RUN EPOCH NONCE FOLDER NUMBER URL [repository=OWNER/NAME] [base=NAME | base_file=FILE]
 *           [branch=NAME] [run_as=ACCOUNT] [fetch=SECS] [push=SECS] [free=BYTES] [leftovers=0]
 *           [workflows=1] [access=password|ssh] [user=NAME] [secret=FILE] [known_hosts=FILE]
 *           [author=TEXT] [message=TEXT] [protect=FILE]
 *   harvest ..., remove ...        the same; hook=TEXT [hook_secs=SECS], before a removal
 *   watch RUN NONCE OUT_FILE ERR_FILE [out=OFFSET] [err=OFFSET] [credit=BYTES] [epoch=N]
 *         [until=STATE|record]     bytes go to their offset in the files ("-": nowhere). It is over
 *                                  when the state is there with all of its bytes
 * Of stdin only:
 *   credit N BYTES, unwatch N      N: the number of the watch
 *   wait                           for the answers of all that was asked until now
 *   pause MS
 *   frame TYPE HEX                 a payload as it is, under this command's number
 *   bytes HEX                      what may be no frame at all
 *   cut BYTES                      of what is asked from now on no more is sent; -1: all
 *   hangup                         once that is sent: ends, which closes the channel
 *   kill | killall                 ... and serve is killed | with all of its calls
 * After any RUN …: pid=N start=N boot=TEXT, what a database knows of the supervisor.
 * The environment: CLIENT_DEADLINE, seconds until everything is given up (240); CLIENT_HELLO=no: no
 * hello is sent before the commands.
 *
 * Exit status: 0; 1 the channel was closed, 2 usage, 3 the runner is another, 124 too late. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/work.h"

#define MARK "c1c1e0000000000000000000000c1e27"
#define WORDS_MAX 256
#define ASKS_MAX 8192
#define FIRST_HELLO 0x7fffffff /* id of the one that nobody asked for */

static const char *const states[RUNNER_STATES] = {
    "prepared", "running", "orphaned", "ended", "void", "lost", "absent", "foreign", "tampered",
};

/* What a command's number stands for until it is over. */
struct ask {
    enum frame_type type;
    bool open;
    int files[2];     /* of a watch; -1: nowhere */
    uint64_t next[2]; /* of a watch: the stream's next byte */
    uint64_t size[2]; /* of a watch: bytes of the stream as its last record says */
    int until;        /* a state, or -1: the first record, or -2: never */
    bool there;       /* it was seen */
};

static int channel = -1;
static int64_t deadline;
static bool many; /* commands come from stdin */
static uint8_t *out;
static size_t out_len, out_size;
static size_t cut = SIZE_MAX; /* how many more bytes are sent */
static pid_t serve;           /* leads a group of its own */
static uint8_t in[FRAME_HEAD + FRAME_ANSWER_MAX];
static size_t in_len;
static struct ask asks[ASKS_MAX];
static int asked, opened;

static void leave(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void leave(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
    _exit(status);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(int number, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(int number, const char *format, ...)
{
    if (many)
        printf("%d ", number);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* --- Answers --- */

static const char *numeral(int64_t number)
{
    static char text[16][24];
    static int turn;
    turn = (turn + 1) % 16;
    if (number < 0)
        return "-";
    snprintf(text[turn], sizeof text[turn], "%lld", (long long)number);
    return text[turn];
}

static const char *word_or_dash(const char *text)
{
    return *text != '\0' ? text : "-";
}

static void say_record(int number, struct runner_record *record)
{
    for (char *at = record->proof; *at != '\0'; at++)
        *at = *at == ' ' ? ',' : *at;
    say(number,
        "run %s state=%s epoch=%s pid=%s start=%s boot=%s out=%s err=%s oend=%s eend=%s exit=%s "
        "signal=%s ms=%s reason=%s proof=%s",
        record->run, states[record->state], numeral(record->epoch), numeral(record->pid),
        word_or_dash(record->start), word_or_dash(record->boot), numeral(record->out_size),
        numeral(record->err_size), numeral(record->out_final), numeral(record->err_final),
        numeral(record->exit), numeral(record->signal), numeral(record->elapsed_ms),
        word_or_dash(record->reason), word_or_dash(record->proof));
}

static void say_reply(int number, struct runner_reply *reply)
{
    switch (reply->verdict) {
    case RUNNER_STARTED:
        say(number, "started");
        break;
    case RUNNER_EXISTS:
        say(number, "exists");
        break;
    case RUNNER_VOIDED:
        say(number, "void");
        return;
    case RUNNER_FENCED:
        say(number, "fenced epoch=%s", numeral(reply->epoch));
        return;
    case RUNNER_REFUSED:
        say(number, "refused reason=%s", word_or_dash(reply->reason));
        return;
    case RUNNER_STOPPING:
        say(number, "stopping");
        return;
    case RUNNER_STATE:
    case RUNNER_VERDICTS:
        say(number, "state");
        break;
    }
    if (asks[number].type != FRAME_LIST)
        say_record(number, &reply->record);
}

static void say_greeting(int number, struct runner_greeting *greeting)
{
    char *space = strchr(greeting->system, ' ');
    if (space != NULL)
        *space = '_';
    say(number, "hello v=%d system=%s machine=%s boot=%s owner=%s disk_free=%s lacks=%s",
        FRAME_VERSION, greeting->system, greeting->machine, greeting->boot, greeting->owner,
        numeral(greeting->disk_free), greeting->lacks);
    say(number, "path %s", greeting->path);
    say(number, "sandbox %s", word_or_dash(greeting->sandbox));
    say(number, "shell %s", greeting->shell);
    for (int i = 0; i < greeting->seen_count; i++)
        say(number, "agent %s %s", greeting->seen[i].found ? greeting->seen[i].file : "missing",
            greeting->seen[i].version);
}

static const char *blankless(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        *at = *at == ' ' ? ',' : *at;
    return word_or_dash(text);
}

static void say_worked(int number, struct runner_worked *worked)
{
    static const char *const names[WORK_STATES] = {
        [WORK_READY] = "ready", [WORK_NO_CHANGE] = "no_change", [WORK_PUSHED] = "pushed",
        [WORK_KEPT] = "kept",   [WORK_FAILED] = "failed",       [WORK_FENCED] = "fenced",
    };
    say(number,
        "worked state=%s reason=%s base_branch=%s base=%s head=%s pushed=%s commits=%s files=%s "
        "insertions=%s deletions=%s leftovers=%s withheld=%s instructions=%s rescue=%s",
        names[worked->state], word_or_dash(worked->reason), blankless(worked->base_branch),
        word_or_dash(worked->base), word_or_dash(worked->head), word_or_dash(worked->pushed),
        numeral(worked->commits), numeral(worked->files), numeral(worked->insertions),
        numeral(worked->deletions), numeral(worked->leftovers), numeral(worked->withheld),
        blankless(worked->instructions), word_or_dash(worked->rescue));
    if (worked->detail[0] != '\0')
        say(number, "detail %s", worked->detail);
    if (worked->question.len > 0)
        say(number, "question %.*s", (int)worked->question.len,
            (const char *)worked->question.bytes);
}

static void close_ask(struct ask *ask)
{
    opened -= ask->open;
    ask->open = false;
}

static void end_watch_if_there(struct ask *ask)
{
    if (ask->there && ask->next[0] >= ask->size[0] && ask->next[1] >= ask->size[1])
        close_ask(ask);
}

static void take_record(int number, struct runner_record *record)
{
    struct ask *ask = &asks[number];
    say_record(number, record);
    if (ask->type != FRAME_WATCH)
        return;
    ask->there = ask->until == -1 || (int)record->state == ask->until;
    for (int i = 0; i < 2; i++) {
        int64_t size = i == 0 ? record->out_size : record->err_size;
        int64_t final = i == 0 ? record->out_final : record->err_final;
        if (final >= 0 && final < size)
            size = final; /* others wrote what follows: it is not sent */
        ask->size[i] = size > 0 && ask->until >= 0 ? (uint64_t)size : 0;
    }
    end_watch_if_there(ask);
}

static void take_output(int number, struct frame_in *payload)
{
    struct ask *ask = &asks[number];
    int stream = get_u8(payload) - 1;
    uint64_t offset = get_u64(payload);
    size_t len = (size_t)(payload->end - payload->at);
    if (payload->failed || stream < 0 || stream > 1 || len < 1 || len > FRAME_OUTPUT_MAX)
        leave(1, "no proper output\n");
    if (offset != ask->next[stream])
        leave(1, "output at %llu instead of %llu\n", (unsigned long long)offset,
              (unsigned long long)ask->next[stream]);
    int file = ask->files[stream];
    if (file >= 0 && pwrite(file, payload->at, len, (off_t)offset) != (ssize_t)len)
        leave(2, "cannot write: %s\n", strerror(errno));
    payload->at = payload->end;
    ask->next[stream] += len;
    end_watch_if_there(ask);
}

static void take_frame(struct frame *frame)
{
    struct runner_reply reply;
    struct runner_record record;
    struct runner_greeting greeting;
    struct runner_worked worked;
    if (frame->id == FIRST_HELLO)
        return;
    if (frame->id < 1 || frame->id > (uint32_t)asked)
        leave(1, "an answer to nothing: id %u\n", frame->id);
    int number = (int)frame->id;
    struct ask *ask = &asks[number];
    if ((int)frame->type == FRAME_GREETING) {
        get_greeting(&frame->payload, &greeting);
        if (!frame->payload.failed)
            say_greeting(number, &greeting);
    } else if ((int)frame->type == FRAME_REPLY) {
        get_reply(&frame->payload, &reply);
        if (!frame->payload.failed)
            say_reply(number, &reply);
    } else if ((int)frame->type == FRAME_RECORD) {
        get_record(&frame->payload, &record);
        if (!frame->payload.failed)
            take_record(number, &record);
    } else if ((int)frame->type == FRAME_OUTPUT) {
        take_output(number, &frame->payload);
    } else if ((int)frame->type == FRAME_WORKED) {
        get_worked(&frame->payload, &worked);
        if (!frame->payload.failed)
            say_worked(number, &worked);
    } else if ((int)frame->type == FRAME_PONG) {
        say(number, "pong");
    } else {
        leave(1, "a frame of type %u\n", (unsigned)frame->type);
    }
    if (!frame_done(&frame->payload))
        leave(1, "a frame of type %u that is none\n", (unsigned)frame->type);
    if (ask->type != FRAME_WATCH && (int)frame->type != FRAME_RECORD)
        close_ask(ask);
}

/* --- The channel --- */

static void read_some(void)
{
    ssize_t n = read(channel, in + in_len, sizeof in - in_len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        leave(1, "closed\n");
    in_len += (size_t)n;
    size_t used = 0;
    struct frame frame;
    int whole;
    while ((whole = frame_read(in + used, in_len - used, FRAME_ANSWER_MAX, &frame)) > 0) {
        take_frame(&frame);
        used += FRAME_HEAD + frame.len;
    }
    if (whole < 0)
        leave(1, "no frame\n");
    memmove(in, in + used, in_len - used);
    in_len -= used;
}

static void write_some(void)
{
    ssize_t n = send(channel, out, out_len < cut ? out_len : cut, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        leave(1, "closed\n");
    out_len -= (size_t)n;
    cut -= cut != SIZE_MAX ? (size_t)n : 0;
    memmove(out, out + n, out_len);
}

static bool may_send(void)
{
    return out_len > 0 && cut > 0;
}

/* One round; until `until` (clock) at most. */
static void turn(int64_t until)
{
    int64_t now = now_ms();
    if (now >= deadline)
        leave(124, "deadline\n");
    if (until > deadline)
        until = deadline;
    struct pollfd event = {.fd = channel, .events = POLLIN};
    if (may_send())
        event.events |= POLLOUT;
    if (poll(&event, 1, until > now ? (int)(until - now) : 0) <= 0)
        return;
    if ((event.revents & POLLOUT) != 0)
        write_some();
    if ((event.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        read_some();
}

static void queue(const void *bytes, size_t len)
{
    if (out_size - out_len < len) {
        out_size = out_len + len + 65536;
        out = realloc(out, out_size);
        if (out == NULL)
            leave(2, "no memory\n");
    }
    memcpy(out + out_len, bytes, len);
    out_len += len;
}

static void serve_runner(char *runner, char *base, char *hash)
{
    char *argv[16];
    int count = 0;
    for (char *word = strtok(runner, " "); word != NULL && count < 10; word = strtok(NULL, " "))
        argv[count++] = word;
    argv[count++] = "serve";
    argv[count++] = base;
    argv[count++] = MARK;
    argv[count++] = hash;
    argv[count] = NULL;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        leave(2, "socketpair: %s\n", strerror(errno));
    serve = fork();
    if (serve < 0)
        leave(2, "fork: %s\n", strerror(errno));
    if (serve == 0) {
        setpgid(0, 0);
        dup2(ends[1], 0);
        dup2(ends[1], 1);
        execv(argv[0], argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    setpgid(serve, serve);
    close(ends[1]);
    channel = ends[0];
    fcntl(channel, F_SETFL, O_NONBLOCK);
}

/* Everything before the line of the mark is noise. */
static void await_mark(void)
{
    char line[256] = "", byte = '\0';
    size_t len = 0;
    while (byte != '\n' || strcmp(line, MARK " serving") != 0) {
        struct pollfd event = {.fd = channel, .events = POLLIN};
        poll(&event, 1, 1000);
        ssize_t n = read(channel, &byte, 1);
        if (now_ms() >= deadline)
            leave(124, "deadline\n");
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n <= 0)
            leave(1, "closed\n");
        if (byte == '\n') {
            line[len] = '\0';
            len = 0;
            if (strcmp(line, MARK " other") == 0)
                leave(3, "other\n");
        } else if (len + 1 < sizeof line) {
            line[len++] = byte;
        }
    }
}

/* A channel begins with one; its greeting is not shown. */
static void say_hello(void)
{
    uint8_t bytes[64];
    struct frame_out frame = frame_begin(bytes, sizeof bytes, FRAME_HELLO, FIRST_HELLO);
    put_u32(&frame, FRAME_VERSION);
    put_u8(&frame, 0);
    queue(bytes, frame_end(&frame));
}

/* --- Commands --- */

struct words {
    int count;
    char *word[WORDS_MAX];
};

static char *word_at(const struct words *words, int index)
{
    if (index >= words->count)
        leave(2, "usage: too few words after %s\n", words->word[0]);
    return words->word[index];
}

/* The value of name=value behind the others, or NULL. */
static const char *option(const struct words *words, const char *name)
{
    size_t len = strlen(name);
    for (int i = 1; i < words->count; i++)
        if (strncmp(words->word[i], name, len) == 0 && words->word[i][len] == '=')
            return words->word[i] + len + 1;
    return NULL;
}

static uint64_t number_option(const struct words *words, const char *name, uint64_t otherwise)
{
    const char *value = option(words, name);
    return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

static uint64_t number_at(const struct words *words, int index)
{
    return strtoull(word_at(words, index), NULL, 10);
}

/* As it was said, proper or not: what is too long is cut. */
static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text != NULL ? text : "");
}

static void put_key_of(struct frame_out *frame, const struct words *words, const char *nonce,
                       uint64_t epoch)
{
    struct runner_key key = {.epoch = (uint32_t)epoch,
                             .pid = (int64_t)number_option(words, "pid", 0)};
    copy(key.run, sizeof key.run, word_at(words, 1));
    copy(key.nonce, sizeof key.nonce, nonce);
    copy(key.start, sizeof key.start, option(words, "start"));
    copy(key.boot, sizeof key.boot, option(words, "boot"));
    put_key(frame, &key);
}

static void *read_file(const char *path, uint32_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0 || about.st_size > FRAME_ASK_MAX)
        leave(2, "cannot read %s\n", path);
    void *bytes = malloc((size_t)about.st_size + 1);
    if (bytes == NULL || read(fd, bytes, (size_t)about.st_size) != about.st_size)
        leave(2, "cannot read %s\n", path);
    close(fd);
    *len = (uint32_t)about.st_size;
    return bytes;
}

static void put_start_of(struct frame_out *frame, const struct words *words)
{
    struct runner_start start = {.timeout_secs = (uint32_t)number_at(words, 4),
                                 .cap_bytes = number_at(words, 5)};
    copy(start.folder, sizeof start.folder, word_at(words, 6));
    void *job = read_file(word_at(words, 7), &start.job_len);
    void *prompt = read_file(word_at(words, 8), &start.prompt_len);
    start.job = job;
    start.prompt = prompt;
    copy(start.run_as, sizeof start.run_as, option(words, "run_as"));
    start.sandbox = option(words, "sandbox") != NULL;
    const char *writable = option(words, "writable");
    start.writable = writable;
    start.writable_len = writable != NULL ? (uint32_t)strlen(writable) : 0;
    put_start(frame, &start);
    free(job);
    free(prompt);
}

static void put_stop_of(struct frame_out *frame, const struct words *words)
{
    struct runner_stop stop = {.grace_secs = (uint8_t)number_at(words, 4),
                               .term_secs = (uint8_t)number_at(words, 5)};
    copy(stop.reason, sizeof stop.reason, word_at(words, 6));
    put_stop(frame, &stop);
}

/* A text, or what a file holds. */
static struct runner_blob blob_option(const struct words *words, const char *name,
                                      const char *file_name)
{
    struct runner_blob blob = {0};
    const char *text = name != NULL ? option(words, name) : NULL;
    const char *file = file_name != NULL ? option(words, file_name) : NULL;
    if (file != NULL)
        blob.bytes = read_file(file, &blob.len);
    else if (text != NULL)
        blob = (struct runner_blob){.bytes = text, .len = (uint32_t)strlen(text)};
    return blob;
}

static enum runner_access access_option(const struct words *words)
{
    const char *access = option(words, "access");
    if (access == NULL)
        return ACCESS_NONE;
    return strcmp(access, "ssh") == 0 ? ACCESS_SSH : ACCESS_PASSWORD;
}

/* What it reads of files lives as long as we do. */
static void put_work_of(struct frame_out *frame, const struct words *words)
{
    const char *repository = option(words, "repository"), *branch = option(words, "branch");
    struct runner_work work = {
        .number = (uint32_t)number_at(words, 5),
        .base = blob_option(words, "base", "base_file"),
        .fetch_secs = (uint32_t)number_option(words, "fetch", 60),
        .push_secs = (uint32_t)number_option(words, "push", 60),
        .min_free = number_option(words, "free", 0),
        .leftovers = number_option(words, "leftovers", 1) != 0,
        .workflows = number_option(words, "workflows", 0) != 0,
        .access = access_option(words),
        .secret = blob_option(words, NULL, "secret"),
        .known_hosts = blob_option(words, NULL, "known_hosts"),
        .author = blob_option(words, "author", NULL),
        .message = blob_option(words, "message", NULL),
        .protect = blob_option(words, NULL, "protect"),
        .before_remove = blob_option(words, "hook", NULL),
        .hook_secs = (uint32_t)number_option(words, "hook_secs", 60),
    };
    copy(work.folder, sizeof work.folder, word_at(words, 4));
    copy(work.url, sizeof work.url, word_at(words, 6));
    copy(work.repository, sizeof work.repository, repository != NULL ? repository : "acme/rocket");
    snprintf(work.branch, sizeof work.branch, "task/%s", work.folder);
    if (branch != NULL)
        copy(work.branch, sizeof work.branch, branch);
    copy(work.run_as, sizeof work.run_as, option(words, "run_as"));
    copy(work.user, sizeof work.user, option(words, "user"));
    put_work(frame, &work);
}

static void put_hello_of(struct frame_out *frame, const struct words *words)
{
    put_u32(frame, (uint32_t)number_option(words, "version", FRAME_VERSION));
    put_u8(frame, (uint8_t)((words->count - 1) / 2));
    for (int i = 1; i + 1 < words->count; i += 2) {
        put_u8(frame, strcmp(words->word[i], "version") == 0);
        put_text(frame, words->word[i + 1]);
    }
}

static int open_output(const char *path)
{
    if (strcmp(path, "-") == 0)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        leave(2, "cannot open %s: %s\n", path, strerror(errno));
    return fd;
}

static int wanted_state(const char *until)
{
    if (until == NULL)
        return -2;
    for (int i = 0; i < RUNNER_STATES; i++)
        if (strcmp(until, states[i]) == 0)
            return i;
    return -1;
}

static void put_watch_of(struct frame_out *frame, struct ask *ask, const struct words *words)
{
    ask->files[0] = open_output(word_at(words, 3));
    ask->files[1] = open_output(word_at(words, 4));
    ask->next[0] = number_option(words, "out", 0);
    ask->next[1] = number_option(words, "err", 0);
    ask->until = wanted_state(option(words, "until"));
    put_key_of(frame, words, word_at(words, 2), number_option(words, "epoch", 1));
    put_u64(frame, ask->next[0]);
    put_u64(frame, ask->next[1]);
    put_u32(frame, (uint32_t)number_option(words, "credit", UINT32_MAX));
}

static void put_hex(struct frame_out *frame, const char *hex)
{
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1 && hex[1] != '\0'; hex += 2)
        put_u8(frame, (uint8_t)byte);
}

static enum frame_type type_of(const struct words *words)
{
    static const char *const names[] = {
        [FRAME_HELLO] = "hello",   [FRAME_START] = "start",     [FRAME_RAISE] = "raise",
        [FRAME_VOID] = "void",     [FRAME_STOP] = "stop",       [FRAME_WATCH] = "watch",
        [FRAME_LIST] = "list",     [FRAME_GC] = "gc",           [FRAME_PING] = "ping",
        [FRAME_CLEAN] = "clean",   [FRAME_PREPARE] = "prepare", [FRAME_HARVEST] = "harvest",
        [FRAME_REMOVE] = "remove",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i] != NULL && strcmp(names[i], words->word[0]) == 0)
            return (enum frame_type)i;
    if (strcmp(words->word[0], "frame") == 0)
        return (enum frame_type)number_at(words, 1);
    leave(2, "usage: %s\n", words->word[0]);
}

static void put_payload(struct frame_out *frame, struct ask *ask, const struct words *words)
{
    if (strcmp(words->word[0], "frame") == 0) {
        put_hex(frame, words->count > 2 ? words->word[2] : "");
        return;
    }
    if (ask->type == FRAME_HELLO)
        put_hello_of(frame, words);
    else if (ask->type == FRAME_WATCH)
        put_watch_of(frame, ask, words);
    else if (ask->type == FRAME_CLEAN)
        put_text(frame, words->count > 1 ? words->word[1] : "");
    else if (ask->type != FRAME_LIST && ask->type != FRAME_PING)
        put_key_of(frame, words, word_at(words, 3), number_at(words, 2));
    if (ask->type == FRAME_START)
        put_start_of(frame, words);
    else if (ask->type == FRAME_STOP)
        put_stop_of(frame, words);
    else if (ask->type == FRAME_RAISE)
        put_u64(frame, number_option(words, "forged", 0));
    else if (ask->type == FRAME_PREPARE || ask->type == FRAME_HARVEST || ask->type == FRAME_REMOVE)
        put_work_of(frame, words);
}

static void ask_words(const struct words *words)
{
    static uint8_t bytes[FRAME_HEAD + FRAME_ASK_MAX + 4096];
    struct ask *ask = &asks[asked];
    *ask = (struct ask){.files = {-1, -1}, .type = type_of(words)};
    struct frame_out frame = frame_begin(bytes, sizeof bytes, ask->type, (uint32_t)asked);
    put_payload(&frame, ask, words);
    size_t len = frame_end(&frame);
    if (len == 0)
        leave(2, "usage: does not fit into a frame\n");
    /* Among others, what is never over by itself is not waited for. */
    ask->open = ask->type != FRAME_WATCH || ask->until != -2 || !many;
    opened += ask->open;
    queue(bytes, len);
}

/* CREDIT and UNWATCH: of another command's number, and without an answer. */
static void tell_watch(const struct words *words, enum frame_type type)
{
    uint8_t bytes[64];
    uint32_t number = (uint32_t)number_at(words, 1);
    struct frame_out frame = frame_begin(bytes, sizeof bytes, type, number);
    if (type == FRAME_CREDIT)
        put_u32(&frame, (uint32_t)number_at(words, 2));
    queue(bytes, frame_end(&frame));
    if (type == FRAME_UNWATCH && number < ASKS_MAX)
        close_ask(&asks[number]);
}

static void send_bytes(const char *hex)
{
    static uint8_t bytes[65536];
    struct frame_out raw = {.start = bytes, .at = bytes, .end = bytes + sizeof bytes};
    put_hex(&raw, hex);
    queue(bytes, (size_t)(raw.at - raw.start));
}

static void wait_for_answers(void)
{
    while (opened > 0 || out_len > 0)
        turn(deadline);
}

static void end_channel(const char *command)
{
    while (may_send())
        turn(deadline);
    if (strcmp(command, "kill") == 0)
        kill(serve, SIGKILL);
    if (strcmp(command, "killall") == 0)
        kill(-serve, SIGKILL);
    leave(0, "%s", "");
}

static void do_words(const struct words *words)
{
    if (++asked >= ASKS_MAX)
        leave(2, "too many commands\n");
    const char *command = words->word[0];
    if (strcmp(command, "wait") == 0) {
        wait_for_answers();
    } else if (strcmp(command, "pause") == 0) {
        for (int64_t until = now_ms() + (int64_t)number_at(words, 1); now_ms() < until;)
            turn(until);
    } else if (strcmp(command, "credit") == 0) {
        tell_watch(words, FRAME_CREDIT);
    } else if (strcmp(command, "unwatch") == 0) {
        tell_watch(words, FRAME_UNWATCH);
    } else if (strcmp(command, "cut") == 0) {
        cut = (size_t)strtoll(word_at(words, 1), NULL, 10);
    } else if (strcmp(command, "hangup") == 0 || strcmp(command, "kill") == 0 ||
               strcmp(command, "killall") == 0) {
        end_channel(command);
    } else if (strcmp(command, "bytes") == 0) {
        send_bytes(word_at(words, 1));
    } else {
        ask_words(words);
    }
}

static void do_lines(void)
{
    static char bytes[1 << 16];
    size_t len = 0;
    for (;;) {
        char *end = memchr(bytes, '\n', len);
        while (end == NULL) {
            struct pollfd events[2] = {{.fd = 0, .events = POLLIN},
                                       {.fd = channel, .events = POLLIN}};
            if (may_send())
                events[1].events |= POLLOUT;
            poll(events, 2, 1000);
            turn(0);
            if (events[0].revents == 0)
                continue;
            ssize_t n = read(0, bytes + len, sizeof bytes - len);
            if (n <= 0)
                return;
            len += (size_t)n;
            end = memchr(bytes, '\n', len);
        }
        *end = '\0';
        struct words words = {0};
        for (char *word = strtok(bytes, " "); word != NULL && words.count < WORDS_MAX;
             word = strtok(NULL, " "))
            words.word[words.count++] = word;
        if (words.count > 0)
            do_words(&words);
        len -= (size_t)(end + 1 - bytes);
        memmove(bytes, end + 1, len);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        leave(2, "usage: runner-client RUNNER BASE HASH [COMMAND WORD...]\n");
    const char *limit = getenv("CLIENT_DEADLINE");
    deadline = now_ms() + 1000 * (limit != NULL ? atoi(limit) : 240);
    signal(SIGPIPE, SIG_IGN);
    serve_runner(argv[1], argv[2], argv[3]);
    await_mark();
    many = argc == 4;
    const char *hello = getenv("CLIENT_HELLO");
    if (hello == NULL || strcmp(hello, "no") != 0)
        say_hello();
    if (many) {
        do_lines();
    } else {
        struct words words = {.count = argc - 4 < WORDS_MAX ? argc - 4 : WORDS_MAX};
        memcpy(words.word, argv + 4, (size_t)words.count * sizeof *argv);
        do_words(&words);
    }
    wait_for_answers();
    close(channel);
    waitpid(serve, NULL, 0); /* it ends with its channel, or the test hangs */
    return 0;
}
