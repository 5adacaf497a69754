/* Whatever comes as a tree of files from another account: no crash, nothing outside the folder that
 * it is made in, and what was made goes through the same way a second time. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/give.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool right)
{
    if (!right)
        abort();
}

static char top_path[64];

static void remove_top(void)
{
    rmdir(top_path);
}

static int make_top(void)
{
    char path[] = "/tmp/fuzz-give.XXXXXX";
    expect(mkdtemp(path) != NULL);
    int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect(top >= 0);
    snprintf(top_path, sizeof top_path, "%s", path);
    atexit(remove_top);
    return top;
}

static int make_inner(int top, const char *name)
{
    expect(mkdirat(top, name, 0700) == 0);
    int inner = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect(inner >= 0);
    return inner;
}

/* Only what we made. */
static void check_top(int top, int names)
{
    int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = 0;
    DIR *entries = fdopendir(fd);
    expect(entries != NULL);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    expect(count == names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int top = -1;
    if (top < 0)
        top = make_top();
    int in = memfd_create("in", MFD_CLOEXEC), again = memfd_create("again", MFD_CLOEXEC);
    int first = make_inner(top, "first"), second = make_inner(top, "second");
    expect(in >= 0 && again >= 0 && file_write_all(in, data, size) && lseek(in, 0, SEEK_SET) == 0);
    bool taken = give_read(in, first);
    check_top(top, 2);
    if (taken) {
        expect(give_write(first, again) && lseek(again, 0, SEEK_SET) == 0);
        expect(give_read(again, second));
    }
    close(in);
    close(again);
    close(first);
    close(second);
    expect(file_remove(top, "first") && file_remove(top, "second"));
    return 0;
}
