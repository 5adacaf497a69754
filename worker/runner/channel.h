/* The two directions of the channel: frames out of stdin, frames into stdout. Bounded, and neither
 * ever blocks. What controls goes before what is output; a batch of output that was begun is
 * finished first. */
#ifndef FLEET_RUNNER_CHANNEL_H
#define FLEET_RUNNER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/runner/frame.h"

#define CHANNEL_SMALL ((size_t)16 << 10) /* of frames until one needs more */
#define CHANNEL_CONTROL ((size_t)64 << 10)
#define CHANNEL_OUTPUT_HEAD ((size_t)FRAME_HEAD + 9)
#define CHANNEL_BATCH ((size_t)2 * (CHANNEL_OUTPUT_HEAD + FRAME_OUTPUT_MAX))

struct outgoing {
    uint8_t *bytes; /* borrowed: the channel's own */
    size_t size, at, len;
};

struct channel {
    uint8_t *in; /* `small`, or owned: as large as the frame that is being read */
    size_t in_size, in_at, in_len;
    struct outgoing control, output;
    bool blocked; /* stdout takes no more now */
    uint8_t small[CHANNEL_SMALL];
    uint8_t controls[CHANNEL_CONTROL], outputs[CHANNEL_BATCH];
};

void channel_init(struct channel *channel);
void channel_release(struct channel *channel);

/* Where the next bytes are read to; there is room unless a whole frame waits. */
uint8_t *channel_space(struct channel *channel, size_t *room);
void channel_add(struct channel *channel, size_t len);
/* As frame_read(). What it gives is valid until channel_next(), which must follow. */
int channel_frame(struct channel *channel, struct frame *frame);
void channel_next(struct channel *channel, const struct frame *frame);

/* Room for controlling frames. Whoever makes one has asked for it before. */
size_t channel_room(const struct channel *channel);
struct frame_out channel_begin(struct channel *channel, enum frame_type type, uint32_t id);
void channel_end(struct channel *channel, struct frame_out *out);
void channel_put(struct channel *channel, const void *frame, size_t len); /* a whole one */
void channel_record(struct channel *channel, uint32_t id, const struct runner_record *record);

/* Where `room` bytes of one OUTPUT can be read to; 0: the batch is full. */
uint8_t *channel_output_space(struct channel *channel, size_t *room);
void channel_output(struct channel *channel, uint32_t id, int stream, uint64_t offset, size_t len);

/* Writes to `fd` until nothing is left or it takes no more: `blocked`. False: it is broken. */
bool channel_write(struct channel *channel, int fd);

#endif
