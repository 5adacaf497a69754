/* worker/link: calls, watches, and whatever a host may answer. */
#include "tests/unit/link_scene.h"

static struct scene scene;

static void key_is_ours(struct frame *frame)
{
    struct runner_key key;
    get_key(&frame->payload, &key);
    ck_assert_str_eq(key.run, SCENE_RUN);
    ck_assert_str_eq(key.nonce, SCENE_NONCE);
    ck_assert_str_eq(key.start, "99");
    ck_assert_str_eq(key.boot, "b-1");
    ck_assert_uint_eq(key.epoch, 3);
    ck_assert_int_eq(key.pid, 77);
}

START_TEST(calls_are_frames)
{
    struct frame frame;
    struct runner_start start = {.folder = "acme-app-42",
                                 .timeout_secs = 60,
                                 .cap_bytes = 1000,
                                 .job = "exec true",
                                 .job_len = 9,
                                 .prompt = "do\0it",
                                 .prompt_len = 5};
    struct runner_stop stop = {.grace_secs = 10, .term_secs = 5, .reason = "cancelled"};
    const struct runner_look looks[] = {{false, "codex"}, {true, "/opt/x y"}};
    char command[32], folder[RUNNER_RUN_SIZE];
    scene_init(&scene);
    scene_up(&scene);

    link_start(scene.link, &scene_key_of_run, &start, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_START, &frame);
    key_is_ours(&frame);
    struct runner_start read;
    get_start(&frame.payload, &read);
    ck_assert(frame_done(&frame.payload));
    ck_assert_uint_eq(read.prompt_len, 5);
    ck_assert_mem_eq(read.prompt, "do\0it", 5);
    scene_replies(&scene, frame.id, SCENE_RUN);
    ck_assert_int_eq(scene.replies, 1);
    ck_assert_int_eq(scene.reply.verdict, RUNNER_STATE);

    link_stop(scene.link, &scene_key_of_run, &stop, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_STOP, &frame);
    key_is_ours(&frame);
    get_stop(&frame.payload, &stop);
    ck_assert(frame_done(&frame.payload));
    scene_replies(&scene, frame.id, SCENE_RUN);

    link_raise(scene.link, &scene_key_of_run, 1ULL << 60, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_RAISE, &frame);
    key_is_ours(&frame);
    ck_assert(get_u64(&frame.payload) == 1ULL << 60 && frame_done(&frame.payload));
    scene_replies(&scene, frame.id, SCENE_RUN);

    link_void(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_VOID, &frame);
    key_is_ours(&frame);
    ck_assert(frame_done(&frame.payload));
    scene_replies(&scene, frame.id, SCENE_RUN);

    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_GC, &frame);
    key_is_ours(&frame);
    ck_assert(frame_done(&frame.payload));
    scene_replies(&scene, frame.id, SCENE_RUN);
    ck_assert_int_eq(scene.replies, 5);

    link_clean(scene.link, "acme-app-42", on_scene_reply, &scene);
    scene_asked(&scene, FRAME_CLEAN, &frame);
    get_folder(&frame.payload, folder);
    ck_assert(strcmp(folder, "acme-app-42") == 0 && frame_done(&frame.payload));
    scene_replies(&scene, frame.id, "none");
    ck_assert_int_eq(scene.replies, 6);

    link_hello(scene.link, looks, 2, on_scene_greeting, &scene);
    scene_asked(&scene, FRAME_HELLO, &frame);
    ck_assert(get_u32(&frame.payload) == FRAME_VERSION && get_u8(&frame.payload) == 2);
    ck_assert_uint_eq(get_u8(&frame.payload), 0);
    get_text(&frame.payload, command, sizeof command);
    ck_assert_str_eq(command, "codex");
    ck_assert_uint_eq(get_u8(&frame.payload), 1);
    get_text(&frame.payload, command, sizeof command);
    ck_assert(strcmp(command, "/opt/x y") == 0 && frame_done(&frame.payload));
    scene_greets(&scene, frame.id, 2);
    ck_assert_int_eq(scene.greetings, 1);
    scene_end(&scene);
}
END_TEST

static struct runner_worked scene_last_worked;
static int scene_works, scene_failures;

static void on_scene_worked(void *data, const struct runner_worked *worked, const struct error *err)
{
    (void)data;
    if (err != NULL) {
        scene_failures++;
        return;
    }
    scene_works++;
    scene_last_worked = *worked;
}

static const struct runner_work work_of_scene = {.folder = "acme-app-42",
                                                 .number = 3,
                                                 .repository = "acme/app",
                                                 .url = "https://git.example.org/acme/app.git",
                                                 .branch = "task/acme-app-42",
                                                 .base = {"ma\xc3\xafn", 5},
                                                 .run_as = "fleet-1",
                                                 .fetch_secs = 1800,
                                                 .push_secs = 600,
                                                 .min_free = 1 << 20,
                                                 .leftovers = true,
                                                 .access = ACCESS_PASSWORD,
                                                 .user = "bot",
                                                 .secret = {"s3\0cret", 7},
                                                 .author = {"A <a@b>", 7},
                                                 .message = {"left\nover", 9},
                                                 .protect = {"main\n", 5}};

static void works(enum frame_type type)
{
    struct frame frame;
    struct runner_work read;
    struct frame_out out;
    uint8_t bytes[4096];
    scene_asked(&scene, type, &frame);
    key_is_ours(&frame);
    get_work(&frame.payload, &read);
    ck_assert(frame_done(&frame.payload));
    ck_assert_str_eq(read.url, work_of_scene.url);
    ck_assert_mem_eq(read.secret.bytes, "s3\0cret", 7);
    ck_assert_mem_eq(read.base.bytes, "ma\xc3\xafn", 5);
    ck_assert(read.leftovers && !read.workflows && read.access == ACCESS_PASSWORD);
    struct runner_worked worked = {.state = WORK_PUSHED,
                                   .detail = "read back",
                                   .base_branch = "main",
                                   .head = "00ff",
                                   .pushed = "00ff",
                                   .commits = 2,
                                   .files = 1,
                                   .insertions = 7,
                                   .deletions = -1,
                                   .leftovers = 0,
                                   .withheld = 1};
    out = frame_begin(bytes, sizeof bytes, FRAME_WORKED, frame.id);
    put_worked(&out, &worked);
    scene_frame(&scene, bytes, &out);
    ck_assert_int_eq(scene_last_worked.state, WORK_PUSHED);
    ck_assert_str_eq(scene_last_worked.head, "00ff");
    ck_assert_int_eq(scene_last_worked.insertions, 7);
    ck_assert_int_eq(scene_last_worked.deletions, -1);
    ck_assert_int_eq(scene_last_worked.withheld, 1);
}

START_TEST(work_is_asked_for_and_answered)
{
    scene_init(&scene);
    scene_up(&scene);
    link_prepare(scene.link, &scene_key_of_run, &work_of_scene, on_scene_worked, NULL);
    works(FRAME_PREPARE);
    link_harvest(scene.link, &scene_key_of_run, &work_of_scene, on_scene_worked, NULL);
    works(FRAME_HARVEST);
    link_remove(scene.link, &scene_key_of_run, &work_of_scene, on_scene_worked, NULL);
    works(FRAME_REMOVE);
    ck_assert_int_eq(scene_works, 3);
    ck_assert(link_up(scene.link));
    scene_end(&scene);
}
END_TEST

/* A host that says it of what was asked otherwise, or that cannot have been pushed. */
START_TEST(work_of_nobody)
{
    struct frame frame;
    struct runner_worked worked = {.state = WORK_READY};
    uint8_t bytes[4096];
    scene_init(&scene);
    scene_up(&scene);
    if (_i == 0)
        link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    else
        link_prepare(scene.link, &scene_key_of_run, &work_of_scene, on_scene_worked, NULL);
    scene_asked(&scene, _i == 0 ? FRAME_GC : FRAME_PREPARE, &frame);
    if (_i == 1 || _i == 3)
        worked.state = WORK_PUSHED;
    if (_i == 3) {
        snprintf(worked.head, sizeof worked.head, "00ff");
        snprintf(worked.pushed, sizeof worked.pushed, "00fe");
    }
    struct frame_out out =
        frame_begin(bytes, sizeof bytes, FRAME_WORKED, _i == 2 ? frame.id + 1 : frame.id);
    put_worked(&out, &worked);
    scene_frame(&scene, bytes, &out);
    ck_assert(!link_up(scene.link));
    ck_assert_int_eq(scene_works, 0);
    scene_end(&scene);
}
END_TEST

START_TEST(answers_come_in_any_order)
{
    uint32_t ids[64];
    struct frame frame;
    scene_init(&scene);
    scene_up(&scene);
    for (int i = 0; i < 64; i++) {
        link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
        scene_asked(&scene, FRAME_GC, &frame);
        ids[i] = frame.id;
    }
    for (int i = 0; i < 64; i++)
        scene_replies(&scene, ids[(i * 37 + 11) % 64], SCENE_RUN);
    ck_assert_int_eq(scene.replies, 64);
    ck_assert(link_up(scene.link));
    scene_end(&scene);
}
END_TEST

START_TEST(list)
{
    struct frame frame;
    scene_init(&scene);
    scene_up(&scene);
    link_list(scene.link, on_scene_record, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_LIST, &frame);
    for (int i = 0; i < 3; i++)
        scene_records(&scene, frame.id, "other.7");
    scene_replies(&scene, frame.id, "list");
    ck_assert_int_eq(scene.records, 3);
    ck_assert_int_eq(scene.replies, 1);
    scene_end(&scene);
}
END_TEST

static uint32_t watched(uint32_t credit)
{
    struct frame frame;
    link_watch(scene.link, &scene_key_of_run, 10, 20, credit, &scene_watch_events, &scene);
    scene_asked(&scene, FRAME_WATCH, &frame);
    key_is_ours(&frame);
    ck_assert(get_u64(&frame.payload) == 10 && get_u64(&frame.payload) == 20);
    ck_assert(get_u32(&frame.payload) == credit && frame_done(&frame.payload));
    return frame.id;
}

START_TEST(watching)
{
    struct frame frame;
    scene_init(&scene);
    scene_up(&scene);
    struct link_watch *watch =
        link_watch(scene.link, &scene_key_of_run, 10, 20, 8, &scene_watch_events, &scene);
    scene_asked(&scene, FRAME_WATCH, &frame);
    uint32_t id = frame.id;
    scene_records(&scene, id, SCENE_RUN);
    scene_outputs(&scene, id, 1, 10, "abc");
    scene_outputs(&scene, id, 2, 20, "ef");
    scene_outputs(&scene, id, 1, 13, "xyz");
    link_grant(watch, 2);
    scene_asked(&scene, FRAME_CREDIT, &frame);
    ck_assert(frame.id == id && get_u32(&frame.payload) == 2);
    scene_outputs(&scene, id, 2, 22, "gh");
    ck_assert_str_eq(buf_text(&scene.output), "1:10:abc 2:20:ef 1:13:xyz 2:22:gh ");
    ck_assert_int_eq(scene.records, 1);
    link_unwatch(watch);
    scene_asked(&scene, FRAME_UNWATCH, &frame);
    ck_assert_uint_eq(frame.id, id);
    scene_outputs(&scene, id, 2, 24, "late"); /* it was on its way */
    scene_records(&scene, id, SCENE_RUN);
    ck_assert_int_eq(scene.outputs, 4);
    ck_assert_int_eq(scene.records, 1);
    ck_assert(link_up(scene.link));
    scene_end(&scene);
}
END_TEST

/* Every frame in pieces of every size, many of them across frames. */
START_TEST(pieces)
{
    struct runner_record record = scene_record_of(SCENE_RUN);
    for (size_t size = 1; size < 200; size += size < 20 ? 1 : 17) {
        struct buf bytes;
        uint8_t one[1024];
        scene_init(&scene);
        scene_up(&scene);
        uint32_t id = watched(1000000);
        buf_init(&bytes, 65536);
        for (int i = 0; i < 20; i++) {
            struct frame_out out = frame_begin(one, sizeof one, FRAME_RECORD, id);
            put_record(&out, &record);
            buf_add(&bytes, one, frame_end(&out));
        }
        for (size_t at = 0; at < bytes.len; at += size)
            scene_says(&scene, bytes.data + at, bytes.len - at < size ? bytes.len - at : size);
        ck_assert_int_eq(scene.records, 20);
        buf_release(&bytes);
        scene_end(&scene);
    }
}
END_TEST

static uint32_t gc_asked(void)
{
    struct frame frame;
    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_GC, &frame);
    return frame.id;
}

static void says_empty(enum frame_type type, uint32_t id)
{
    uint8_t bytes[FRAME_HEAD];
    struct frame_out out = frame_begin(bytes, sizeof bytes, type, id);
    scene_frame(&scene, bytes, &out);
}

static void hostile(int which, uint32_t gc, uint32_t watch)
{
    static const uint8_t huge[FRAME_HEAD] = {0xff, 0xff, 0xff, 0x7f, FRAME_OUTPUT};
    static const uint8_t padded[FRAME_HEAD] = {0, 0, 0, 0, FRAME_PONG, 1};
    switch (which) {
    case 0: /* too long */
        scene_says(&scene, huge, sizeof huge);
        break;
    case 1: /* a type of more than a byte */
        scene_says(&scene, padded, sizeof padded);
        break;
    case 2: /* a worker's frame */
        says_empty(FRAME_PING, gc);
        break;
    case 3: /* no such type */
        says_empty((enum frame_type)200, gc);
        break;
    case 4: /* nobody asked */
        scene_replies(&scene, gc + 100, SCENE_RUN);
        break;
    case 5:
        scene_replies(&scene, 0, SCENE_RUN);
        break;
    case 6: /* a watch is no call */
        scene_replies(&scene, watch, SCENE_RUN);
        break;
    case 7: /* answered already */
        scene_replies(&scene, gc, SCENE_RUN);
        scene_replies(&scene, gc, SCENE_RUN);
        break;
    case 8: /* of another run */
        scene_replies(&scene, gc, "other.1");
        break;
    case 9: /* a call is no watch */
        scene_records(&scene, gc, SCENE_RUN);
        break;
    case 10:
        scene_records(&scene, watch, "other.1");
        break;
    case 11: /* never an id of ours */
        scene_records(&scene, watch + 100, SCENE_RUN);
        break;
    case 12:
        scene_outputs(&scene, watch + 100, 1, 0, "x");
        break;
    case 13:
        scene_outputs(&scene, gc, 1, 10, "x");
        break;
    case 14: /* a gap */
        scene_outputs(&scene, watch, 1, 11, "x");
        break;
    case 15: /* again */
        scene_outputs(&scene, watch, 1, 9, "x");
        break;
    case 16: /* no such stream */
        scene_outputs(&scene, watch, 3, 10, "x");
        break;
    case 17: /* nothing */
        scene_outputs(&scene, watch, 1, 10, "");
        break;
    case 18: /* above the credit */
        scene_outputs(&scene, watch, 1, 10, "12345");
        scene_outputs(&scene, watch, 2, 20, "123456");
        break;
    case 19:
        scene_greets(&scene, gc, 0);
        break;
    case 20:
        says_empty(FRAME_PONG, gc);
        break;
    case 21: /* empty */
        says_empty(FRAME_REPLY, gc);
        break;
    case 22:
        says_empty(FRAME_RECORD, watch);
        break;
    case 23:
        says_empty(FRAME_OUTPUT, watch);
        break;
    case 24: {
        struct frame frame;
        const struct runner_look look = {false, "codex"};
        link_hello(scene.link, &look, 1, on_scene_greeting, &scene);
        scene_asked(&scene, FRAME_HELLO, &frame);
        scene_greets(&scene, frame.id, 2); /* more than was looked for */
        break;
    }
    default:
        ck_abort();
    }
}

START_TEST(hostile_answers)
{
    scene_init(&scene);
    scene_up(&scene);
    uint32_t gc = gc_asked();
    uint32_t watch = watched(10);
    hostile(_i, gc, watch);
    ck_assert(scene.closed);
    ck_assert_int_eq(scene.downs, 0); /* never from inside */
    scene_is_down(&scene, "protocol", "not the runner's");
    ck_assert_int_eq(scene.failures, _i == 7 ? 0 : _i == 24 ? 2 : 1);
    ck_assert_int_eq(scene.unsents, 0);
    scene_end(&scene);
}
END_TEST

/* A call of which not a byte left us certainly never runs. */
START_TEST(unsent)
{
    scene_init(&scene);
    scene_up(&scene);
    scene.takes = 30;
    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    ck_assert_uint_eq(scene.written.len, 30);
    scene_ends(&scene, 0, "");
    ck_assert_int_eq(scene.failures, 0);
    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene); /* too late */
    scene_is_down(&scene, "connection_lost", "ended");
    ck_assert_int_eq(scene.failures, 4);
    ck_assert_int_eq(scene.unsents, 3);
    scene_end(&scene);
}
END_TEST

START_TEST(an_answer_before_the_question)
{
    scene_init(&scene);
    scene_up(&scene);
    scene.takes = 30;
    link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    scene_replies(&scene, 2, SCENE_RUN);
    scene_is_down(&scene, "protocol", "not asked for");
    scene_end(&scene);
}
END_TEST

/* A full queue refuses a call, and nothing else. */
START_TEST(queue_is_bounded)
{
    static char prompt[(size_t)3 << 20];
    struct frame frame;
    struct runner_start start = {.folder = "acme-app-42",
                                 .timeout_secs = 60,
                                 .cap_bytes = 1000,
                                 .job = "x",
                                 .job_len = 1,
                                 .prompt = prompt,
                                 .prompt_len = sizeof prompt};
    scene_init(&scene);
    scene_up(&scene);
    scene.takes = 1000;
    for (int i = 0; i < 4; i++)
        link_start(scene.link, &scene_key_of_run, &start, on_scene_reply, &scene);
    ck_assert_int_eq(scene.failures, 0); /* later */
    scene_until(&scene, &scene.failures, 2);
    ck_assert_int_eq(scene.unsents, 2);
    ck_assert_str_eq(scene.failure.state, "runner_failed");
    ck_assert(link_up(scene.link));
    scene_room(&scene, SIZE_MAX);
    for (int i = 0; i < 2; i++) {
        scene_asked(&scene, FRAME_START, &frame);
        scene_replies(&scene, frame.id, SCENE_RUN);
    }
    start.prompt_len = 0;
    start.job = prompt;
    start.job_len = FRAME_ASK_MAX;
    struct runner_start large = start;
    char *job = mem_alloc(FRAME_ASK_MAX);
    large.job = job;
    link_start(scene.link, &scene_key_of_run, &large, on_scene_reply, &scene);
    free(job);
    scene_until(&scene, &scene.failures, 3);
    ck_assert_int_eq(scene.replies, 2);
    ck_assert_int_eq(scene.unsents, 3);
    scene_end(&scene);
}
END_TEST

/* Pings pass what waits, but cut no frame; a host that takes bytes lives. */
START_TEST(pings_pass_the_queue)
{
    static char prompt[(size_t)1 << 20];
    struct frame frame;
    struct runner_start start = {.folder = "acme-app-42",
                                 .timeout_secs = 60,
                                 .cap_bytes = 1000,
                                 .job = "x",
                                 .job_len = 1,
                                 .prompt = prompt,
                                 .prompt_len = sizeof prompt};
    scene_init(&scene);
    scene.ways.ping_ms = 50;
    scene_up(&scene);
    scene.takes = 1000;
    for (int i = 0; i < 3; i++)
        link_start(scene.link, &scene_key_of_run, &start, on_scene_reply, &scene);
    int64_t until = clock_ms() + 400;
    while (clock_ms() < until) {
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
        scene_room(&scene, 1000);
    }
    ck_assert(link_up(scene.link));
    scene_room(&scene, SIZE_MAX);
    scene_asked(&scene, FRAME_START, &frame);
    scene_asked(&scene, FRAME_PING, &frame);
    scene_end(&scene);
}
END_TEST

START_TEST(calls_have_a_limit)
{
    struct frame frame;
    uint8_t bytes[FRAME_HEAD];
    scene_init(&scene);
    scene.ways.ping_ms = 50;
    scene.ways.call_ms = 500;
    scene_up(&scene);
    link_void(scene.link, &scene_key_of_run, on_scene_reply, &scene);
    scene_asked(&scene, FRAME_VOID, &frame);
    int64_t begin = clock_ms();
    while (!scene.closed) {
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
        if (scene.written.len == 0)
            continue;
        scene_asked(&scene, FRAME_PING, &frame);
        struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_PONG, frame.id);
        scene_frame(&scene, bytes, &out);
    }
    ck_assert_int_ge(clock_ms() - begin, 450);
    scene_is_down(&scene, "timeout", "did not answer a void within");
    ck_assert_int_eq(scene.failures, 1);
    scene_end(&scene);
}
END_TEST

/* link_close() in every callback: no other follows. */
START_TEST(close_in_callbacks)
{
    struct frame frame;
    struct runner_record record = scene_record_of(SCENE_RUN);
    uint8_t bytes[2048];
    scene_init(&scene);
    scene.close_in_callback = true;
    scene_open(&scene);
    scene_serves(&scene);
    ck_assert_int_eq(scene.ups, 1);
    ck_assert_ptr_null(scene.link);
    scene_end(&scene);
    for (int i = 0; i < 6; i++) {
        scene_init(&scene);
        scene_up(&scene);
        scene.close_in_callback = true;
        if (i < 2) {
            uint32_t id = watched(100);
            link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
            struct frame_out out = frame_begin(bytes, sizeof bytes, FRAME_RECORD, id);
            put_record(&out, &record);
            size_t len = frame_end(&out);
            memcpy(bytes + len, bytes, len);
            if (i == 0)
                scene_says(&scene, bytes, 2 * len);
            else
                scene_outputs(&scene, id, 1, 10, "x");
        } else if (i == 2) {
            link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
            scene_asked(&scene, FRAME_GC, &frame);
            scene_replies(&scene, frame.id, SCENE_RUN);
        } else if (i == 3) {
            link_hello(scene.link, NULL, 0, on_scene_greeting, &scene);
            scene_asked(&scene, FRAME_HELLO, &frame);
            scene_greets(&scene, frame.id, 0);
        } else if (i == 4) {
            link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
            link_gc(scene.link, &scene_key_of_run, on_scene_reply, &scene);
            scene_ends(&scene, 0, "");
            scene_until(&scene, &scene.failures, 1);
        } else {
            scene_ends(&scene, 0, "");
            scene_until(&scene, &scene.downs, 1);
        }
        ck_assert_ptr_null(scene.link);
        scene_turn(&scene);
        ck_assert_int_eq(scene.records + scene.outputs + scene.replies + scene.greetings +
                             scene.failures + scene.downs,
                         1);
        scene_end(&scene);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link_frames");
    TCase *tcase = tcase_create("link_frames");
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(tcase, 40);
    tcase_add_test(tcase, calls_are_frames);
    tcase_add_test(tcase, work_is_asked_for_and_answered);
    tcase_add_loop_test(tcase, work_of_nobody, 0, 4);
    tcase_add_test(tcase, answers_come_in_any_order);
    tcase_add_test(tcase, list);
    tcase_add_test(tcase, watching);
    tcase_add_test(tcase, pieces);
    tcase_add_loop_test(tcase, hostile_answers, 0, 25);
    tcase_add_test(tcase, unsent);
    tcase_add_test(tcase, an_answer_before_the_question);
    tcase_add_test(tcase, queue_is_bounded);
    tcase_add_test(tcase, pings_pass_the_queue);
    tcase_add_test(tcase, calls_have_a_limit);
    tcase_add_test(tcase, close_in_callbacks);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
