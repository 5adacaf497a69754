/* Buffers of the channel. */
#include "worker/runner/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void channel_init(struct channel *channel)
{
    channel->in = channel->small;
    channel->in_size = sizeof channel->small;
    channel->in_at = channel->in_len = 0;
    channel->control = (struct outgoing){channel->controls, sizeof channel->controls, 0, 0};
    channel->output = (struct outgoing){channel->outputs, sizeof channel->outputs, 0, 0};
    channel->blocked = false;
}

void channel_release(struct channel *channel)
{
    if (channel->in != channel->small)
        free(channel->in);
    channel_init(channel);
}

/* --- In --- */

uint8_t *channel_space(struct channel *channel, size_t *room)
{
    if (channel->in_at > 0) {
        memmove(channel->in, channel->in + channel->in_at, channel->in_len);
        channel->in_at = 0;
    }
    *room = channel->in_size - channel->in_len;
    return channel->in + channel->in_len;
}

void channel_add(struct channel *channel, size_t len)
{
    channel->in_len += len;
}

/* The frame that begins gets a buffer of its own size; it holds nothing else. */
static bool channel_grow(struct channel *channel, size_t size)
{
    uint8_t *large = malloc(size);
    if (large == NULL)
        return false;
    memcpy(large, channel->in + channel->in_at, channel->in_len);
    channel->in = large;
    channel->in_size = size;
    channel->in_at = 0;
    return true;
}

int channel_frame(struct channel *channel, struct frame *frame)
{
    int whole = frame_read(channel->in + channel->in_at, channel->in_len, FRAME_ASK_MAX, frame);
    if (whole != 0 || channel->in_len < FRAME_HEAD)
        return whole;
    size_t size = FRAME_HEAD + frame->len;
    if (size > channel->in_size && !channel_grow(channel, size))
        return -1;
    return 0;
}

void channel_next(struct channel *channel, const struct frame *frame)
{
    channel->in_at += FRAME_HEAD + frame->len;
    channel->in_len -= FRAME_HEAD + frame->len;
    if (channel->in == channel->small)
        return;
    free(channel->in);
    channel->in = channel->small;
    channel->in_size = sizeof channel->small;
    channel->in_at = channel->in_len = 0;
}

/* --- Out --- */

size_t channel_room(const struct channel *channel)
{
    return channel->control.size - channel->control.len;
}

struct frame_out channel_begin(struct channel *channel, enum frame_type type, uint32_t id)
{
    struct outgoing *out = &channel->control;
    return frame_begin(out->bytes + out->len, out->size - out->len, type, id);
}

void channel_end(struct channel *channel, struct frame_out *out)
{
    channel->control.len += frame_end(out);
}

void channel_put(struct channel *channel, const void *frame, size_t len)
{
    struct outgoing *out = &channel->control;
    if (len > out->size - out->len)
        return;
    memcpy(out->bytes + out->len, frame, len);
    out->len += len;
}

void channel_record(struct channel *channel, uint32_t id, const struct runner_record *record)
{
    struct frame_out out = channel_begin(channel, FRAME_RECORD, id);
    put_record(&out, record);
    channel_end(channel, &out);
}

uint8_t *channel_output_space(struct channel *channel, size_t *room)
{
    struct outgoing *out = &channel->output;
    size_t left = out->size - out->len;
    *room = left > CHANNEL_OUTPUT_HEAD ? left - CHANNEL_OUTPUT_HEAD : 0;
    if (*room > FRAME_OUTPUT_MAX)
        *room = FRAME_OUTPUT_MAX;
    return out->bytes + out->len + CHANNEL_OUTPUT_HEAD;
}

void channel_output(struct channel *channel, uint32_t id, int stream, uint64_t offset, size_t len)
{
    struct outgoing *out = &channel->output;
    struct frame_out frame =
        frame_begin(out->bytes + out->len, out->size - out->len, FRAME_OUTPUT, id);
    put_u8(&frame, (uint8_t)stream);
    put_u64(&frame, offset);
    frame.at += len; /* they are there */
    out->len += frame_end(&frame);
}

/* All of `out`; false with errno when that was not possible. */
static bool drain(struct outgoing *out, int fd)
{
    while (out->at < out->len) {
        ssize_t n = write(fd, out->bytes + out->at, out->len - out->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        out->at += (size_t)n;
    }
    out->at = out->len = 0;
    return true;
}

bool channel_write(struct channel *channel, int fd)
{
    struct outgoing *first = &channel->control, *second = &channel->output;
    if (second->at > 0) {
        first = &channel->output;
        second = &channel->control;
    }
    channel->blocked = !drain(first, fd) || !drain(second, fd);
    return !channel->blocked || errno == EAGAIN;
}
