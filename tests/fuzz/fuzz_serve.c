/* Whatever comes to the runner through its channel: no crash, the same frames however it is cut
 * into pieces, and nothing that is no proper question passes for one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/runner/channel.h"
#include "worker/runner/question.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool right)
{
    if (!right)
        abort();
}

/* A hash of what was understood. */
static uint64_t take(struct frame *frame)
{
    char run[RUNNER_RUN_SIZE];
    bool proper = question_is_proper(frame, run);
    expect(strnlen(run, sizeof run) < sizeof run && strspn(run, FRAME_NAME ".") == strlen(run));
    expect(!proper || run[0] != '.');
    return (uint64_t)frame->type * 31 + frame->len * 7 + frame->id + proper;
}

static uint64_t take_pieces(const uint8_t *data, size_t size, size_t step)
{
    static struct channel channel;
    struct frame frame;
    uint64_t sum = 0;
    int whole = 0;
    channel_init(&channel);
    for (size_t at = 0; at < size && whole >= 0;) {
        size_t room;
        uint8_t *space = channel_space(&channel, &room);
        size_t part = size - at < step ? size - at : step;
        part = part < room ? part : room;
        expect(part > 0);
        memcpy(space, data + at, part);
        channel_add(&channel, part);
        at += part;
        while ((whole = channel_frame(&channel, &frame)) == 1) {
            sum = sum * 1099511628211U + take(&frame);
            channel_next(&channel, &frame);
        }
    }
    channel_release(&channel);
    return sum;
}

/* The first byte: how large the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint64_t one = take_pieces(data + 1, size - 1, (size_t)data[0] + 1);
    expect(one == take_pieces(data + 1, size - 1, size));
    return 0;
}
