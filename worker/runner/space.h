/* Room on the file system of work_dir. */
#ifndef FLEET_RUNNER_SPACE_H
#define FLEET_RUNNER_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that our account may still write where `dir` lies; -1: not known. */
int64_t space_free(int dir);
/* At least `floor` bytes, and an inode. False: `why` is a sentence. What is not known is enough. */
bool space_is_left(int dir, uint64_t floor, char why[static 256]);

#endif
