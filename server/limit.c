/* Failures that leak away, and the line of those who have to wait. */
#include "server/limit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/mem.h"

#define SETS 1024 /* of WAYS addresses each */
#define WAYS 4

struct source {
    uint64_t key;  /* 0: free */
    int64_t since; /* clock_ms at which `failures` was true */
    int failures;
};

/* Turns of one address. */
struct line {
    struct list link; /* limit->lines */
    uint64_t key;
    struct list turns; /* never empty */
};

struct limit {
    uint64_t seed; /* nobody outside knows which addresses share a set */
    struct source sources[SETS][WAYS];
    struct list lines;
    bool busy; /* one has its turn */
};

struct limit *limit_new(void)
{
    struct limit *limit = mem_alloc(sizeof *limit);
    crypto_random(&limit->seed, sizeof limit->seed);
    list_init(&limit->lines);
    return limit;
}

void limit_free(struct limit *limit)
{
    free(limit);
}

/* IPv4: its 32 bits, also when written as IPv6. IPv6: its first 64. What is neither: one for all.
 */
static uint64_t key_of(const char *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t bytes[16];
    uint32_t four;
    uint64_t eight;
    if (inet_pton(AF_INET, address, &four) == 1)
        return UINT64_C(1) << 32 | four;
    if (inet_pton(AF_INET6, address, bytes) != 1)
        return 1;
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        memcpy(&four, bytes + sizeof mapped, sizeof four);
        return UINT64_C(1) << 32 | four;
    }
    memcpy(&eight, bytes, sizeof eight);
    return eight != 0 ? eight : 1;
}

static struct source *set_of(const struct limit *limit, uint64_t key)
{
    uint64_t mixed = (key ^ limit->seed) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (struct source *)limit->sources[(mixed >> 40) % SETS];
}

static int failures_now(const struct source *source, int64_t now)
{
    int64_t leaked = (now - source->since) / LIMIT_LEAK_MS;
    return leaked >= source->failures ? 0 : source->failures - (int)leaked;
}

static struct source *find(const struct limit *limit, uint64_t key)
{
    struct source *set = set_of(limit, key);
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
    }
    return NULL;
}

/* In place of the one that failed least lately. */
static struct source *make(struct limit *limit, uint64_t key)
{
    struct source *set = set_of(limit, key), *oldest = &set[0];
    for (int i = 1; i < WAYS; i++) {
        if (set[i].since < oldest->since)
            oldest = &set[i];
    }
    *oldest = (struct source){.key = key};
    return oldest;
}

int limit_failed(struct limit *limit, const char *address)
{
    uint64_t key = key_of(address);
    int64_t now = clock_ms();
    struct source *source = find(limit, key);
    if (source == NULL)
        source = make(limit, key);
    int failures = failures_now(source, now) + 1;
    source->failures = failures < LIMIT_MOST ? failures : LIMIT_MOST;
    source->since = now;
    if (source->failures < LIMIT_HOT)
        return 0;
    return (source->failures - LIMIT_HOT + 1) * LIMIT_LEAK_MS / 1000;
}

bool limit_is_hot(const struct limit *limit, const char *address)
{
    const struct source *source = find(limit, key_of(address));
    return source != NULL && failures_now(source, clock_ms()) >= LIMIT_HOT;
}

/* --- turns --- */

static struct line *line_of(struct limit *limit, uint64_t key)
{
    list_each(link, &limit->lines)
    {
        struct line *line = list_entry(link, struct line, link);
        if (line->key == key)
            return line;
    }
    struct line *line = mem_alloc(sizeof *line);
    line->key = key;
    list_init(&line->turns);
    list_append(&limit->lines, &line->link);
    return line;
}

struct limit_turn *limit_take(struct limit *limit)
{
    if (list_empty(&limit->lines))
        return NULL;
    struct line *line = list_entry(list_take(&limit->lines), struct line, link);
    struct limit_turn *turn = list_entry(list_take(&line->turns), struct limit_turn, link);
    if (list_empty(&line->turns))
        free(line);
    else
        list_append(&limit->lines, &line->link); /* the other addresses first */
    return turn;
}

static void next(struct limit *limit)
{
    struct limit_turn *turn = limit->busy ? NULL : limit_take(limit);
    if (turn == NULL)
        return;
    limit->busy = true;
    turn->go(turn);
}

void limit_queue(struct limit *limit, const char *address, struct limit_turn *turn)
{
    turn->line = line_of(limit, key_of(address));
    list_append(&turn->line->turns, &turn->link);
    next(limit);
}

bool limit_leave(struct limit_turn *turn)
{
    if (!list_linked(&turn->link))
        return false;
    list_remove(&turn->link);
    if (list_empty(&turn->line->turns)) {
        list_remove(&turn->line->link);
        free(turn->line);
    }
    return true;
}

void limit_done(struct limit *limit)
{
    limit->busy = false;
    next(limit);
}
