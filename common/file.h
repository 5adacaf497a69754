/* A small file, read whole. */
#ifndef FLEET_FILE_H
#define FLEET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/error.h"

enum file_kind { FILE_ANY, FILE_REGULAR };

/* At most `max` bytes, NUL-ended in *out (initialised by the call; the caller wipes and releases
 * it). *info (may be NULL) is the open file's. False with err, which names the path, and errno; of
 * FILE_REGULAR also for whatever is no regular file, and nothing is waited for. */
bool file_read(const char *path, enum file_kind kind, size_t max, struct buf *out,
               struct stat *info, struct error *err);

#endif
