/* The runner's side of a channel, without processes: frames in pieces, bounded buffers, SHA-256. */
#include <check.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/runner/channel.h"
#include "worker/runner/question.h"
#include "worker/runner/sha256.h"

#define NONCE "0123456789abcdef0123456789abcdef"

static void expect_hash(const void *bytes, size_t len, size_t step, const char *hex)
{
    struct sha256 sum;
    char got[SHA256_HEX_SIZE];
    sha256_init(&sum);
    for (size_t at = 0; at < len; at += step)
        sha256_take(&sum, (const char *)bytes + at, len - at < step ? len - at : step);
    sha256_hex(&sum, got);
    ck_assert_str_eq(got, hex);
}

/* Vectors of FIPS 180-2, appendix B, and of the empty message. */
START_TEST(hashes_of_the_standard)
{
    static char million[1000000];
    memset(million, 'a', sizeof million);
    expect_hash("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_hash("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 7,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_hash(million, sizeof million, 977,
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(hashes_of_every_length)
{
    uint8_t bytes[300], digest[SHA256_DIGEST_LENGTH];
    char hex[SHA256_HEX_SIZE];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    for (size_t len = 0; len < sizeof bytes; len++) {
        SHA256(bytes, len, digest);
        for (size_t i = 0; i < sizeof digest; i++)
            snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        expect_hash(bytes, len, 1 + len % 70, hex);
    }
}
END_TEST

static struct channel channel;

static size_t write_start(uint8_t *bytes, size_t size, uint32_t id, uint32_t prompt_len)
{
    uint8_t *prompt = calloc(1, prompt_len + 1);
    struct runner_key key = {.run = "a.1", .epoch = 1, .nonce = NONCE};
    struct runner_start start = {.folder = "a",
                                 .timeout_secs = 1,
                                 .cap_bytes = 1,
                                 .job = "x",
                                 .job_len = 1,
                                 .prompt = prompt,
                                 .prompt_len = prompt_len};
    struct frame_out out = frame_begin(bytes, size, FRAME_START, id);
    put_key(&out, &key);
    put_start(&out, &start);
    free(prompt);
    return frame_end(&out);
}

/* How many frames come out when the bytes come `step` at a time. */
static int take_all(const uint8_t *bytes, size_t len, size_t step)
{
    int frames = 0;
    struct frame frame;
    char run[RUNNER_RUN_SIZE];
    for (size_t at = 0; at < len;) {
        size_t room;
        uint8_t *space = channel_space(&channel, &room);
        size_t part = len - at < step ? len - at : step;
        part = part < room ? part : room;
        ck_assert_uint_gt(part, 0);
        memcpy(space, bytes + at, part);
        channel_add(&channel, part);
        at += part;
        while (channel_frame(&channel, &frame) == 1) {
            ck_assert_uint_eq(frame.id, (uint32_t)++frames);
            ck_assert(question_is_proper(&frame, run));
            ck_assert_str_eq(run, "a.1");
            channel_next(&channel, &frame);
        }
    }
    return frames;
}

START_TEST(frames_in_pieces)
{
    static uint8_t bytes[FRAME_ASK_MAX];
    static const size_t steps[] = {1, 7, 4096, 65536};
    static const uint32_t prompts[] = {0, 100, CHANNEL_SMALL, 1, 200000, 3};
    size_t len = 0;
    for (uint32_t i = 0; i < 6; i++)
        len += write_start(bytes + len, sizeof bytes - len, i + 1, prompts[i]);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        channel_init(&channel);
        ck_assert_int_eq(take_all(bytes, len, steps[i]), 6);
        /* What a large one needed was given back. */
        ck_assert_ptr_eq(channel.in, channel.small);
        channel_release(&channel);
    }
}
END_TEST

START_TEST(no_frame_is_larger_than_any)
{
    struct frame frame;
    size_t room;
    channel_init(&channel);
    uint8_t *space = channel_space(&channel, &room);
    struct frame_out head = {.start = space, .at = space, .end = space + room};
    put_u32(&head, FRAME_ASK_MAX + 1);
    put_u32(&head, FRAME_START);
    put_u32(&head, 1);
    channel_add(&channel, FRAME_HEAD);
    ck_assert_int_eq(channel_frame(&channel, &frame), -1);
    channel_release(&channel);
}
END_TEST

/* A batch that was begun is finished, then control goes first; nothing is written past the bounds.
 */
START_TEST(control_before_output)
{
    static uint8_t read_back[2 * CHANNEL_BATCH + CHANNEL_CONTROL];
    int ends[2], outputs = 0;
    size_t room, len = 0;
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    channel_init(&channel);
    for (;; outputs++) {
        uint8_t *space = channel_output_space(&channel, &room);
        if (room == 0)
            break;
        memset(space, 'x', room);
        channel_output(&channel, 7, 1, 0, room);
    }
    ck_assert_int_eq(outputs, 2);
    ck_assert(channel_write(&channel, ends[1]) && channel.blocked);
    while (channel_room(&channel) >= 2048)
        channel_record(&channel, 8, &(struct runner_record){.run = "a.1"});
    for (ssize_t n; (n = read(ends[0], read_back + len, sizeof read_back - len)) > 0;) {
        len += (size_t)n;
        ck_assert(channel_write(&channel, ends[1]));
    }
    struct frame frame;
    for (size_t at = 0; at < len; at += FRAME_HEAD + frame.len, outputs--) {
        ck_assert_int_eq(frame_read(read_back + at, len - at, FRAME_ANSWER_MAX, &frame), 1);
        ck_assert_uint_eq(frame.id, outputs > 0 ? 7 : 8);
    }
    channel_release(&channel);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runner_channel");
    TCase *all = tcase_create("all");
    tcase_add_test(all, hashes_of_the_standard);
    tcase_add_test(all, hashes_of_every_length);
    tcase_add_test(all, frames_in_pieces);
    tcase_add_test(all, no_frame_is_larger_than_any);
    tcase_add_test(all, control_before_output);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
