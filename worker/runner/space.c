/* How much may still be written. */
#include "worker/runner/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

int64_t space_free(int dir)
{
    struct statvfs disk;
    if (fstatvfs(dir, &disk) != 0)
        return -1;
    uint64_t bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

bool space_is_left(int dir, uint64_t floor, char why[static 256])
{
    struct statvfs disk;
    int64_t left = space_free(dir);
    if (left >= 0 && (uint64_t)left < floor) {
        snprintf(why, 256,
                 "%" PRId64
                 " bytes are free where work_dir lies, and git.min_free_bytes is %" PRIu64,
                 left, floor);
        return false;
    }
    if (fstatvfs(dir, &disk) == 0 && disk.f_files > 0 && disk.f_favail == 0) {
        snprintf(why, 256, "no inode is left where work_dir lies");
        return false;
    }
    return true;
}
