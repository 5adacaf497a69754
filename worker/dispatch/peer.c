/* How long each other worker's beat has stood still. */
#include "worker/dispatch/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void peers_release(struct peers *peers)
{
    free(peers->items);
    *peers = (struct peers){0};
}

void peers_forget(struct peers *peers)
{
    peers->count = 0;
    peers->answered = 0;
}

struct peer *peers_find(struct peers *peers, const char *node)
{
    for (size_t i = 0; i < peers->count; i++)
        if (strcmp(peers->items[i].node, node) == 0)
            return &peers->items[i];
    return NULL;
}

void peers_begin(struct peers *peers, int64_t now, uint64_t generation, int64_t max_gap_ms)
{
    bool broken = peers->answered == 0 || generation != peers->generation ||
                  now - peers->answered > max_gap_ms;
    for (size_t i = 0; broken && i < peers->count; i++)
        peers->items[i].since = now;
    peers->generation = generation;
    peers->max_gap = max_gap_ms;
    peers->answered = now;
    peers->round++;
}

static struct peer *note(struct peers *peers, const char *node, int64_t beat, int64_t now)
{
    struct peer *peer = peers_find(peers, node);
    if (peer == NULL) {
        peers->items = mem_resize(peers->items, peers->count + 1, sizeof *peers->items);
        peer = &peers->items[peers->count++];
        *peer = (struct peer){.beat = beat, .since = now};
        snprintf(peer->node, sizeof peer->node, "%s", node);
    }
    if (peer->beat != beat) {
        peer->beat = beat;
        peer->since = now;
        peer->next_try = 0;
    }
    return peer;
}

void peers_beat(struct peers *peers, const char *node, int64_t beat, int64_t now)
{
    note(peers, node, beat, now)->seen = peers->round;
}

void peers_end(struct peers *peers)
{
    size_t kept = 0;
    for (size_t i = 0; i < peers->count; i++)
        if (peers->items[i].seen == peers->round || peers->items[i].left || peers->items[i].gone)
            peers->items[kept++] = peers->items[i];
    peers->count = kept;
}

void peers_look(struct peers *peers)
{
    for (size_t i = 0; i < peers->count; i++)
        peers->items[i].left = peers->items[i].gone = false;
}

void peers_left(struct peers *peers, const char *node, int64_t beat, int64_t now)
{
    note(peers, node, beat, now)->left = true;
}

void peers_gone(struct peers *peers, const char *node, int64_t beat, int64_t now)
{
    note(peers, node, beat, now)->gone = true;
}

struct peer *peers_next_dead(struct peers *peers, int64_t now, int64_t dead_ms)
{
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->items[i];
        /* Only what was seen counts: while no answer comes everybody's beat seems to
         * stand still. */
        bool still =
            peers->answered - peer->since >= dead_ms && now - peers->answered < peers->max_gap;
        if (now >= peer->next_try && (peer->left || peer->gone || still))
            return peer;
    }
    return NULL;
}
