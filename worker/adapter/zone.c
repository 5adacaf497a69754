/* Reads /usr/share/zoneinfo (RFC 8536): TZ of the process is shared by all of it, so not for this.
 */
#include "worker/adapter/zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)64 << 10)
#define HEADER 44 /* bytes */

/* The counts of a header. */
struct counts {
    size_t utc, standard, leap, times, types, chars;
};

static uint32_t word(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t wide(const unsigned char *at)
{
    return (int64_t)((uint64_t)word(at) << 32 | word(at + 4));
}

static bool read_header(const unsigned char *at, size_t len, struct counts *counts)
{
    if (len < HEADER || memcmp(at, "TZif", 4) != 0 || at[4] < '2')
        return false;
    size_t *fields[] = {&counts->utc,   &counts->standard, &counts->leap,
                        &counts->times, &counts->types,    &counts->chars};
    for (size_t i = 0; i < 6; i++) {
        *fields[i] = word(at + 20 + 4 * i);
        if (*fields[i] > FILE_MAX)
            return false;
    }
    return counts->types > 0;
}

/* Bytes of the data behind a header whose times are of `size` bytes. */
static size_t data_size(const struct counts *counts, size_t size)
{
    return counts->times * (size + 1) + counts->types * 6 + counts->chars +
           counts->leap * (size + 4) + counts->standard + counts->utc;
}

/* The last time change is long past, and a rule that is not read here goes on. */
static bool has_rule(const unsigned char *footer, size_t len)
{
    return memchr(footer, ',', len) != NULL;
}

bool zone_offset_of(const unsigned char *bytes, size_t len, int64_t local, int *offset)
{
    struct counts first, counts;
    if (!read_header(bytes, len, &first) || len - HEADER < data_size(&first, 4))
        return false;
    bytes += HEADER + data_size(&first, 4);
    len -= HEADER + data_size(&first, 4);
    if (!read_header(bytes, len, &counts) || len - HEADER < data_size(&counts, 8))
        return false;
    const unsigned char *times = bytes + HEADER, *index = times + counts.times * 8;
    const unsigned char *types = index + counts.times;
    size_t last = counts.times;
    for (size_t i = 0; i <= counts.times; i++) {
        size_t type = i == 0 ? 0 : index[i - 1];
        if (type >= counts.types)
            return false;
        int east = (int)word(types + type * 6);
        if (i > 0 && wide(times + (i - 1) * 8) > local - east)
            break;
        *offset = east;
        last = i;
    }
    size_t rest = HEADER + data_size(&counts, 8);
    return last < counts.times || !has_rule(bytes + rest, len - rest);
}

bool zone_offset(const char *name, int64_t local, int *offset)
{
    unsigned char bytes[FILE_MAX];
    char path[128];
    if (name[0] == '/' || strstr(name, "..") != NULL || strpbrk(name, "\n ") != NULL)
        return false;
    int size = snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    if (size < 0 || (size_t)size >= sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, bytes, sizeof bytes);
    close(fd);
    return len > 0 && zone_offset_of(bytes, (size_t)len, local, offset);
}
