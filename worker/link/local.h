/* This machine as a way in, with its shell: see worker/stream.h. A command that nobody wants any
 * more loses its pipes, and its process group is killed when that does not end it; what has left
 * the group goes on. */
#ifndef FLEET_LINK_LOCAL_H
#define FLEET_LINK_LOCAL_H

#include "common/loop.h"
#include "worker/stream.h"

struct stream *local_stream_open(struct loop *loop, const struct stream_events *events, void *data);

#endif
