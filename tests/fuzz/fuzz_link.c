/* Whatever comes through the channel of a host: no crash, nothing read outside of what came, every
 * callback at most once and only for what was asked, output without gaps and within its credit. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/link/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RUN "acme-app-42-1f0c9a3e.1"
#define NONCE "0123456789abcdef0123456789abcdef"
#define CREDIT 64
#define CALLS 6

static struct scene {
    struct stream stream; /* first */
    struct loop loop;
    struct link *link;
    char mark[BOOT_MARK_SIZE];
    bool closed, up, down;
    int answered;
    int64_t next[2]; /* of the watch's streams */
    uint64_t credit;
    int close_after; /* callbacks */
} scene;

static void expect(bool right)
{
    if (!right)
        abort();
}

static void expect_word(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    expect(len < size);
    for (size_t i = 0; i < len; i++)
        expect(text[i] >= ' ' && text[i] < 127 && text[i] != '/' && text[i] != '\'');
}

static void expect_record(const struct runner_record *record)
{
    expect_word(record->run, sizeof record->run);
    expect_word(record->start, sizeof record->start);
    expect_word(record->boot, sizeof record->boot);
    expect_word(record->reason, sizeof record->reason);
    expect_word(record->proof, sizeof record->proof);
    expect(record->run[0] != '\0' && record->run[0] != '.' && record->state < RUNNER_STATES);
    expect(record->exit >= -1 && record->exit <= 255 && record->epoch >= -1);
}

static void called(void)
{
    expect(scene.link != NULL);
    if (--scene.close_after == 0) {
        link_close(scene.link);
        scene.link = NULL;
    }
}

/* --- The stream, which swallows all --- */

static void run(struct stream *stream, const char *command)
{
    const char *base = strstr(command, "/.fleet/f' ");
    (void)stream;
    expect(base != NULL && strchr(command, '\n') == NULL);
    memcpy(scene.mark, strchr(base, ' ') + 1, sizeof scene.mark - 1);
}

static size_t write_all(struct stream *stream, const char *bytes, size_t len)
{
    (void)stream;
    (void)bytes;
    return len;
}

static void nothing(struct stream *stream)
{
    (void)stream;
}

static void stream_closed(struct stream *stream)
{
    (void)stream;
    expect(!scene.closed);
    scene.closed = true;
}

static const char *no_key(const struct stream *stream)
{
    (void)stream;
    return "";
}

static struct stream *open_stream(struct loop *loop, const struct config_host *host,
                                  const struct stream_events *events, void *data)
{
    static const struct stream_ops ops = {.run = run,
                                          .write = write_all,
                                          .end_input = nothing,
                                          .cut = nothing,
                                          .close = stream_closed,
                                          .host_key = no_key};
    (void)loop;
    (void)host;
    scene.stream = (struct stream){.ops = &ops, .events = events, .data = data};
    return &scene.stream;
}

static void say(const void *bytes, size_t len)
{
    if (!scene.closed && len > 0)
        scene.stream.events->on_bytes(scene.stream.data, bytes, len);
}

/* --- Callbacks --- */

static void on_up(void *data)
{
    (void)data;
    expect(!scene.up);
    scene.up = true;
}

static void on_down(void *data, const struct error *err)
{
    (void)data;
    expect(!scene.down && err->state[0] != '\0' && err->text[0] != '\0');
    expect(scene.answered == (scene.up ? CALLS : 0));
    scene.down = true;
    called();
}

static void on_greeting(void *data, const struct runner_greeting *greeting, const struct error *err)
{
    (void)data;
    scene.answered++;
    expect((greeting != NULL) == (err == NULL));
    if (greeting != NULL) {
        expect(greeting->seen_count == 1);
        expect_word(greeting->machine, sizeof greeting->machine);
        expect(strlen(greeting->owner) == 32);
    }
    called();
}

static void on_reply(void *data, const struct runner_reply *reply, const struct error *err)
{
    scene.answered++;
    expect((reply != NULL) == (err == NULL));
    if (reply != NULL) {
        expect_record(&reply->record);
        expect(reply->verdict < RUNNER_VERDICTS);
        expect(data == NULL || strcmp(reply->record.run, RUN) == 0);
    }
    called();
}

static void on_record(void *data, const struct runner_record *record)
{
    expect_record(record);
    expect(data == NULL || strcmp(record->run, RUN) == 0);
    called();
}

static void on_output(void *data, int stream, int64_t offset, const char *bytes, size_t len)
{
    uint32_t sum = 0;
    (void)data;
    expect(stream == 1 || stream == 2);
    expect(offset == scene.next[stream - 1] && len <= scene.credit);
    for (size_t i = 0; i < len; i++)
        sum += (uint8_t)bytes[i];
    scene.next[stream - 1] += (int64_t)len;
    scene.credit -= len;
    called();
    (void)sum;
}

/* --- Questions --- */

static void come_up(void)
{
    struct runner_greeting greeting = {
        .system = "Linux x86_64", .machine = "none", .boot = "b-1", .owner = NONCE, .disk_free = 7};
    uint8_t bytes[1024];
    char text[128];
    snprintf(text, sizeof text, "%s system Linux %s\n%s serving\n", scene.mark, carried[0].machine,
             scene.mark);
    say(text, strlen(text));
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_GREETING, 1);
    put_greeting(&out, &greeting);
    say(bytes, frame_end(&out));
    expect(scene.up);
}

static void ask(void)
{
    static const struct link_watch_events events = {.on_record = on_record, .on_output = on_output};
    static const struct runner_look look = {.version = true, .command = "codex"};
    static const struct runner_start start = {
        .folder = "f", .timeout_secs = 1, .cap_bytes = 1, .job = "x", .job_len = 1};
    static const struct runner_key key = {.run = RUN, .epoch = 1, .nonce = NONCE};
    static int about_run;
    link_start(scene.link, &key, &start, on_reply, &about_run);               /* 2 */
    link_gc(scene.link, &key, on_reply, &about_run);                          /* 3 */
    link_list(scene.link, on_record, on_reply, NULL);                         /* 4 */
    link_hello(scene.link, &look, 1, on_greeting, NULL);                      /* 5 */
    link_raise(scene.link, &key, 0, on_reply, &about_run);                    /* 6 */
    link_ping(scene.link);                                                    /* 7 */
    link_watch(scene.link, &key, 0, 0, CREDIT, &events, &about_run);          /* 8 */
    link_unwatch(link_watch(scene.link, &key, 0, 0, 9, &events, &about_run)); /* 9 */
    link_clean(scene.link, "f", on_reply, NULL);                              /* 10 */
}

/* The first byte says how: 1 the runner serves already, 2 in two pieces, 4 byte by byte, 8 and up:
 * closed after so many callbacks. In what comes before it serves, @ is the mark. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t how = data[0];
    data++;
    size--;
    scene.close_after = how >> 3;
    if (how & 1) {
        come_up();
        ask();
    }
    size_t piece = how & 4 ? 1 : how & 2 ? size / 2 + 1 : size;
    for (size_t at = 0; at < size && !scene.closed;) {
        size_t len = size - at < piece ? size - at : piece;
        if (!(how & 1) && data[at] == '@') {
            say(scene.mark, sizeof scene.mark - 1);
            at++;
            continue;
        }
        const uint8_t *mark = how & 1 ? NULL : memchr(data + at, '@', len);
        if (mark != NULL)
            len = (size_t)(mark - (data + at));
        uint8_t *exact = malloc(len); /* its very end is watched */
        memcpy(exact, data + at, len);
        say(exact, len);
        free(exact);
        at += len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct link_ways ways = {.open = open_stream,
                                          .step_ms = 60000,
                                          .install_ms = 60000,
                                          .ping_ms = 60000,
                                          .call_ms = 60000,
                                          .queue_max = (size_t)1 << 20};
    static const struct link_events events = {.on_up = on_up, .on_down = on_down};
    static char id[] = "h", work[] = "/w";
    static const struct config_host host = {.host_id = id, .hostname = id, .work_dir = work};
    if (size < 1)
        return 0;
    memset(&scene, 0, sizeof scene);
    scene.credit = CREDIT;
    loop_init(&scene.loop);
    scene.link = link_open_by(&ways, &scene.loop, &host, "f", &events, NULL);
    scene.stream.events->on_up(scene.stream.data);
    feed(data, size);
    for (int i = 0; i < 3; i++)
        uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    expect(scene.link == NULL || scene.down == scene.closed);
    if (scene.link != NULL)
        link_close(scene.link);
    expect(scene.closed);
    loop_release(&scene.loop);
    return 0;
}
