/* A link over a stream that the test plays, and what came of it. */
#ifndef FLEET_TEST_LINK_SCENE_H
#define FLEET_TEST_LINK_SCENE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"
#include "worker/link/internal.h"

#define SCENE_RUN "acme-app-42-1f0c9a3e.1"
#define SCENE_NONCE "0123456789abcdef0123456789abcdef"

struct scene {
    struct stream stream; /* first */
    struct loop loop;
    struct link *link;
    struct link_ways ways;
    struct config_host host;
    /* the stream, as the link used it */
    char command[BOOT_COMMAND_MAX];
    int commands;
    struct buf written; /* since the last command */
    size_t takes;       /* bytes that stream_write() still takes */
    bool input_ended, cut, closed;
    /* what the link said */
    int ups, downs, records, outputs, replies, greetings, failures, unsents;
    bool close_in_callback;
    struct error trouble, failure; /* of on_down; of the last call that failed */
    struct runner_reply reply;
    struct runner_record record;
    struct buf output;
};

/* --- The stream --- */

static inline void scene_run(struct stream *stream, const char *command)
{
    struct scene *scene = (struct scene *)stream;
    snprintf(scene->command, sizeof scene->command, "%s", command);
    scene->commands++;
    scene->input_ended = scene->cut = false;
    buf_clear(&scene->written);
}

static inline size_t scene_write(struct stream *stream, const char *bytes, size_t len)
{
    struct scene *scene = (struct scene *)stream;
    size_t taken = len < scene->takes ? len : scene->takes;
    ck_assert(!scene->closed && !scene->input_ended);
    scene->takes -= taken;
    ck_assert(buf_add(&scene->written, bytes, taken));
    return taken;
}

static inline void scene_end_input(struct stream *stream)
{
    ((struct scene *)stream)->input_ended = true;
}

static inline void scene_cut(struct stream *stream)
{
    ((struct scene *)stream)->cut = true;
}

static inline void scene_close(struct stream *stream)
{
    ck_assert(!((struct scene *)stream)->closed);
    ((struct scene *)stream)->closed = true;
}

static inline const char *scene_key(const struct stream *stream)
{
    (void)stream;
    return "abc";
}

static inline struct stream *scene_stream(struct loop *loop, const struct config_host *host,
                                          const struct stream_events *events, void *data)
{
    static const struct stream_ops ops = {.run = scene_run,
                                          .write = scene_write,
                                          .end_input = scene_end_input,
                                          .cut = scene_cut,
                                          .close = scene_close,
                                          .host_key = scene_key};
    struct scene *scene = (struct scene *)(void *)((char *)loop - offsetof(struct scene, loop));
    ck_assert_ptr_eq(host, &scene->host);
    scene->stream = (struct stream){.ops = &ops, .events = events, .data = data};
    return &scene->stream;
}

static inline void scene_says(struct scene *scene, const void *bytes, size_t len)
{
    scene->stream.events->on_bytes(scene->stream.data, bytes, len);
}

static inline void scene_room(struct scene *scene, size_t takes)
{
    scene->takes = takes;
    scene->stream.events->on_room(scene->stream.data);
}

static inline void scene_ends(struct scene *scene, int status, const char *err)
{
    struct stream_end end = {.status = status, .err = err, .err_len = strlen(err)};
    scene->stream.events->on_end(scene->stream.data, &end);
}

/* --- What the link says --- */

static inline void maybe_close(struct scene *scene)
{
    if (scene->close_in_callback && scene->link != NULL) {
        link_close(scene->link);
        scene->link = NULL;
    }
}

static inline void on_scene_up(void *data)
{
    ((struct scene *)data)->ups++;
    maybe_close(data);
}

static inline void on_scene_down(void *data, const struct error *err)
{
    struct scene *scene = data;
    scene->downs++;
    scene->trouble = *err;
    maybe_close(data);
}

static inline void note_failure(struct scene *scene, const struct error *err)
{
    ck_assert_int_eq(scene->downs, 0); /* before on_down */
    scene->failures++;
    scene->unsents += err->unsent;
    scene->failure = *err;
}

static inline void on_scene_reply(void *data, const struct runner_reply *reply,
                                  const struct error *err)
{
    struct scene *scene = data;
    ck_assert((reply == NULL) != (err == NULL));
    if (err != NULL) {
        note_failure(scene, err);
    } else {
        scene->replies++;
        scene->reply = *reply;
    }
    maybe_close(scene);
}

static inline void on_scene_greeting(void *data, const struct runner_greeting *greeting,
                                     const struct error *err)
{
    struct scene *scene = data;
    ck_assert((greeting == NULL) != (err == NULL));
    if (err != NULL)
        note_failure(scene, err);
    else
        scene->greetings++;
    maybe_close(scene);
}

static inline void on_scene_record(void *data, const struct runner_record *record)
{
    struct scene *scene = data;
    scene->records++;
    scene->record = *record;
    maybe_close(scene);
}

static inline void on_scene_output(void *data, int stream, int64_t offset, const char *bytes,
                                   size_t len)
{
    struct scene *scene = data;
    scene->outputs++;
    buf_addf(&scene->output, "%d:%lld:%.*s ", stream, (long long)offset, (int)len, bytes);
    maybe_close(scene);
}

static const struct link_watch_events scene_watch_events = {.on_record = on_scene_record,
                                                            .on_output = on_scene_output};

/* --- Life --- */

/* Turns the loop until the count is reached. */
static inline void scene_until(struct scene *scene, const int *count, int wanted)
{
    int64_t deadline = clock_ms() + 20000;
    while (*count < wanted) {
        ck_assert_msg(clock_ms() < deadline, "not within 20 s");
        uv_run(&scene->loop.uv, UV_RUN_ONCE);
    }
}

/* One turn: what is due at once comes. */
static inline void scene_turn(struct scene *scene)
{
    uv_run(&scene->loop.uv, UV_RUN_NOWAIT);
    uv_run(&scene->loop.uv, UV_RUN_NOWAIT);
}

static inline void scene_init(struct scene *scene)
{
    static char id[] = "h1", name[] = "h1.example", work[] = "/srv/it's work";
    *scene = (struct scene){.takes = SIZE_MAX};
    scene->host = (struct config_host){.host_id = id, .hostname = name, .work_dir = work};
    scene->ways = (struct link_ways){.open = scene_stream,
                                     .step_ms = 20000,
                                     .install_ms = 20000,
                                     .ping_ms = 15000,
                                     .call_ms = 60000,
                                     .queue_max = (size_t)8 << 20};
    buf_init(&scene->written, (size_t)32 << 20);
    buf_init(&scene->output, 65536);
    loop_init(&scene->loop);
}

static inline void scene_open(struct scene *scene)
{
    static const struct link_events events = {.on_up = on_scene_up, .on_down = on_scene_down};
    scene->link = link_open_by(&scene->ways, &scene->loop, &scene->host, "fleet_1", &events, scene);
    scene->stream.events->on_up(scene->stream.data);
}

static inline void scene_end(struct scene *scene)
{
    if (scene->link != NULL)
        link_close(scene->link);
    ck_assert(scene->closed);
    loop_run(&scene->loop);
    loop_release(&scene->loop);
    buf_release(&scene->written);
    buf_release(&scene->output);
}

/* --- What a host answers --- */

/* The mark that the last command carries. */
static inline const char *scene_mark(const struct scene *scene)
{
    static char mark[BOOT_MARK_SIZE];
    const char *base = strstr(scene->command, "/.fleet/fleet_1' ");
    ck_assert_ptr_nonnull(base);
    snprintf(mark, sizeof mark, "%s", strchr(base, ' ') + 1);
    return mark;
}

/* Says `text` with each @ replaced by the mark. */
static inline void scene_answers(struct scene *scene, const char *text)
{
    struct buf bytes;
    buf_init(&bytes, 4096);
    for (; *text != '\0'; text++) {
        if (*text == '@')
            buf_adds(&bytes, scene_mark(scene));
        else
            buf_add(&bytes, text, 1);
    }
    scene_says(scene, bytes.data, bytes.len);
    buf_release(&bytes);
}

static inline void scene_frame(struct scene *scene, uint8_t *bytes, struct frame_out *out)
{
    size_t len = frame_end(out);
    ck_assert_uint_gt(len, 0);
    scene_says(scene, bytes, len);
}

static inline void scene_greets(struct scene *scene, uint32_t id, int seen)
{
    struct runner_greeting greeting = {.system = "Linux x86_64",
                                       .machine = "none",
                                       .boot = "b-1",
                                       .owner = SCENE_NONCE,
                                       .disk_free = 7,
                                       .seen_count = seen};
    uint8_t bytes[4096];
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_GREETING, id);
    put_greeting(&out, &greeting);
    scene_frame(scene, bytes, &out);
}

/* Takes the next frame that the link has sent; its payload is in *frame. */
static inline void scene_asked(struct scene *scene, enum frame_type type, struct frame *frame)
{
    static uint8_t kept[4096];
    ck_assert_int_eq(frame_read(scene->written.data, scene->written.len, FRAME_ASK_MAX, frame), 1);
    ck_assert_int_eq(frame->type, type);
    size_t len = frame->len < sizeof kept ? frame->len : sizeof kept;
    memcpy(kept, frame->payload.at, len);
    frame->payload = (struct frame_in){.at = kept, .end = kept + len};
    buf_consume(&scene->written, FRAME_HEAD + frame->len);
}

static inline void scene_serves(struct scene *scene)
{
    struct frame frame;
    scene_answers(scene, "\n@ system Linux x86_64\n\n@ serving\n");
    scene_asked(scene, FRAME_HELLO, &frame);
    scene_greets(scene, frame.id, 0);
}

static inline void scene_up(struct scene *scene)
{
    scene_open(scene);
    scene_serves(scene);
    ck_assert_int_eq(scene->ups, 1);
    ck_assert(link_up(scene->link));
}

static inline void scene_is_down(struct scene *scene, const char *word, const char *text)
{
    scene_until(scene, &scene->downs, 1);
    ck_assert_str_eq(scene->trouble.state, word);
    ck_assert_msg(strstr(scene->trouble.text, text) != NULL, "%s", scene->trouble.text);
    ck_assert(scene->closed);
    ck_assert(!link_up(scene->link));
}

static inline struct runner_record scene_record_of(const char *run)
{
    struct runner_record record = {.state = RUNNER_RUNNING, .epoch = 1, .pid = 4, .exit = -1};
    snprintf(record.run, sizeof record.run, "%s", run);
    return record;
}

static inline void scene_replies(struct scene *scene, uint32_t id, const char *run)
{
    struct runner_reply reply = {.verdict = RUNNER_STATE, .record = scene_record_of(run)};
    uint8_t bytes[1024];
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_REPLY, id);
    put_reply(&out, &reply);
    scene_frame(scene, bytes, &out);
}

static inline void scene_records(struct scene *scene, uint32_t id, const char *run)
{
    struct runner_record record = scene_record_of(run);
    uint8_t bytes[1024];
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_RECORD, id);
    put_record(&out, &record);
    scene_frame(scene, bytes, &out);
}

static inline void scene_outputs(struct scene *scene, uint32_t id, int stream, uint64_t offset,
                                 const char *text)
{
    uint8_t bytes[1024];
    struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_OUTPUT, id);
    put_u8(&out, (uint8_t)stream);
    put_u64(&out, offset);
    put_bytes(&out, text, strlen(text));
    scene_frame(scene, bytes, &out);
}

static const struct runner_key scene_key_of_run = {
    .run = SCENE_RUN, .epoch = 3, .nonce = SCENE_NONCE, .pid = 77, .start = "99", .boot = "b-1"};

#endif
