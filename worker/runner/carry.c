/* Copies loose objects and packs. */
#include "worker/runner/carry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"

#define HEX "0123456789abcdef"
#define PIECE ((size_t)256 << 10)

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, HEX) == len;
}

static bool is_loose(const char *name)
{
    return is_hex(name, 38) || is_hex(name, 62);
}

/* pack-<hash>.pack */
static bool is_pack(const char *name)
{
    size_t len = strlen(name);
    if (len < 10 || strncmp(name, "pack-", 5) != 0 || strcmp(name + len - 5, ".pack") != 0)
        return false;
    size_t hex = strspn(name + 5, HEX);
    return (hex == 40 || hex == 64) && hex + 10 == len;
}

/* As many bytes as it had when it was opened, at most. */
static enum carry_end copy_bytes(struct carry *carry, int from, int to)
{
    static char bytes[PIECE];
    struct stat status;
    if (fstat(from, &status) != 0 || status.st_size > carry->bytes_max - carry->bytes)
        return CARRY_TOO_MUCH;
    for (off_t left = status.st_size; left > 0;) {
        size_t got = file_read_some(from, bytes, left < (off_t)PIECE ? (size_t)left : PIECE);
        if (got == 0)
            break; /* it shrank: what is broken of it is found by its hash */
        if (!file_write_all(to, bytes, got))
            return CARRY_FAILED;
        left -= (off_t)got;
        carry->bytes += (int64_t)got;
    }
    return CARRY_DONE;
}

static enum carry_end copy_file(struct carry *carry, int from, int to, const char *name)
{
    if (carry->files >= carry->files_max)
        return CARRY_TOO_MUCH;
    int in = file_open(from, name, O_RDONLY);
    if (in < 0)
        return CARRY_DONE; /* a link, a fifo, somebody else's: none of its objects */
    int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum carry_end end = out >= 0 ? copy_bytes(carry, in, out) : CARRY_FAILED;
    if (out >= 0 && close(out) != 0)
        end = CARRY_FAILED;
    close(in);
    carry->files++;
    return end;
}

/* Every file of `from` whose name `is_one`. */
static enum carry_end copy_folder(struct carry *carry, int from, int to,
                                  bool (*is_one)(const char *))
{
    enum carry_end end = CARRY_DONE;
    int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    if (entries == NULL && fd >= 0)
        close(fd);
    for (const struct dirent *entry;
         end == CARRY_DONE && entries != NULL && (entry = readdir(entries)) != NULL;)
        if (is_one(entry->d_name))
            end = copy_file(carry, from, to, entry->d_name);
    if (entries != NULL)
        closedir(entries);
    return end;
}

static enum carry_end copy_part(struct carry *carry, int from, int to, const char *name,
                                bool (*is_one)(const char *))
{
    int in = file_open_folder(from, name);
    if (in < 0)
        return CARRY_DONE;
    int out = file_make_folder(to, name);
    enum carry_end end = out >= 0 ? copy_folder(carry, in, out, is_one) : CARRY_FAILED;
    if (out >= 0)
        close(out);
    close(in);
    return end;
}

enum carry_end carry_objects(struct carry *carry, int from, int to)
{
    enum carry_end end = CARRY_DONE;
    for (int i = 0; end == CARRY_DONE && from >= 0 && i < 256; i++) {
        const char name[] = {HEX[i / 16], HEX[i % 16], '\0'};
        end = copy_part(carry, from, to, name, is_loose);
    }
    int64_t loose = carry->files;
    if (end == CARRY_DONE && from >= 0)
        end = copy_part(carry, from, to, "pack", is_pack);
    carry->packs = (int)(carry->files - loose);
    return end;
}
