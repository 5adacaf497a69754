/* Objects out of a repository that an agent wrote, file by file: what is a loose object or a pack
 * by its name and a regular file of ours is copied; nothing else of it is looked at, no link is
 * followed, and alternates are not read. */
#ifndef FLEET_RUNNER_CARRY_H
#define FLEET_RUNNER_CARRY_H

#include <stdint.h>

struct carry {
    int64_t bytes_max, files_max; /* more is too much: sparse files count as long as they say */
    int64_t bytes, files;         /* copied */
    int packs;
};

enum carry_end {
    CARRY_DONE,
    CARRY_TOO_MUCH, /* more than the bounds, or deeper than objects lie */
    CARRY_FAILED,   /* errno: of our side */
};

/* From the folder `from` (objects of a repository, -1: there is none) to `to`, an empty folder of
 * ours, in which loose objects and packs (*.pack alone: their index is made anew) come to lie. */
enum carry_end carry_objects(struct carry *carry, int from, int to);

#endif
