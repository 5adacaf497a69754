/* What this process uses of its machine, as the kernel tells it. */
#ifndef FLEET_PROCESS_H
#define FLEET_PROCESS_H

#include <stdint.h>

struct process_use {
    double cpu_seconds;   /* user and system */
    double start_seconds; /* since 1970 */
    uint64_t virtual_bytes, resident_bytes;
    int fds, fds_max; /* file descriptors open, and how many there may be */
};

/* What cannot be read is 0. */
struct process_use process_use(void);

#endif
