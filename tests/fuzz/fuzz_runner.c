/* Whatever a host answers: no crash, nothing read or pointed to outside of the answer, only plain
 * words and numbers in their ranges. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/runner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
        expect(text[i] > ' ' && text[i] < 127 && text[i] != '/' && text[i] != '\'');
}

static void expect_inside(const char *part, size_t len, const char *bytes, size_t size)
{
    if (part == NULL)
        expect(len == 0);
    else
        expect(part >= bytes && len <= size && part + len <= bytes + size);
}

static void expect_record(const struct runner_record *record, const char *bytes, size_t size)
{
    expect_word(record->run, sizeof record->run);
    expect_word(record->start, sizeof record->start);
    expect_word(record->boot, sizeof record->boot);
    expect_word(record->reason, sizeof record->reason);
    expect_inside(record->out, record->out_len, bytes, size);
    expect_inside(record->err, record->err_len, bytes, size);
    expect(record->exit >= -1 && record->exit <= 255 && record->signal >= 0 &&
           record->signal <= 64);
    expect(record->out_size >= -1 && record->err_size >= -1 && record->epoch >= -1);
    runner_tampered(record, 5, 0);
    runner_state_name(record->state);
}

static void poll(const char *bytes, size_t size)
{
    struct runner_poll poll;
    struct runner_record record;
    struct error err;
    size_t records = 0;
    int more = 0;
    if (!runner_poll_begin(&poll, bytes, size, &err))
        return;
    while ((more = runner_poll_next(&poll, &record, &err)) == 1) {
        expect_record(&record, bytes, size);
        expect(++records <= size);
    }
    expect((more == 0) == poll.ended);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes =
        malloc(size > 0 ? size : 1); /* its very end is watched, and no NUL is behind it */
    struct runner_hello hello;
    struct runner_reply reply;
    struct error err;
    memcpy(bytes, data, size);
    if (runner_parse_hello(bytes, size, &hello, &err)) {
        expect_word(hello.machine, sizeof hello.machine);
        expect_word(hello.owner, sizeof hello.owner);
        expect_word(hello.missing, sizeof hello.missing);
        expect(hello.disk_free >= -1);
    }
    if (runner_parse_reply(bytes, size, &reply, &err)) {
        expect_word(reply.reason, sizeof reply.reason);
        expect_record(&reply.record, bytes, size);
    }
    runner_parse_installed(bytes, size, &err);
    runner_missing(bytes, size);
    poll(bytes, size);
    free(bytes);
    return 0;
}
