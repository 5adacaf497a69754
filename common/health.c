/* A node's line about itself, written and read. */
#include "common/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/exit.h"
#include "common/file.h"

#define FRESH_SECS 15 /* a loop that turns writes every second */
#define LINE_MAX_BYTES 1000

static const char WORKS[] = "ok ", WAITS[] = "no ";

void health_write(const char *path, bool works, const char *text)
{
    char fresh[4096];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
        return;
    FILE *file = fopen(fresh, "we");
    if (file == NULL)
        return;
    bool good = fprintf(file, "%s%s\n", works ? WORKS : WAITS, text) > 0;
    good = fclose(file) == 0 && good;
    if (!good || rename(fresh, path) != 0)
        unlink(fresh);
}

bool health_wanted(int argc, char **argv)
{
    return argc >= 2 && strcmp(argv[1], "health") == 0;
}

int health_command(const char *program)
{
    const char *path = getenv("FLEET_STATUS_FILE");
    struct buf line;
    struct stat info;
    struct error err;
    if (path == NULL || *path == '\0') {
        fprintf(stderr, "%s health: FLEET_STATUS_FILE names no file; set it for the node too\n",
                program);
        return EXIT_USAGE;
    }
    if (!file_read(path, FILE_REGULAR, LINE_MAX_BYTES, &line, &info, &err)) {
        printf("%s does not run, or has not begun to: %s\n", program, err.text);
        return 1;
    }
    long long age = (long long)time(NULL) - (long long)info.st_mtim.tv_sec;
    bool works = strncmp(buf_text(&line), WORKS, sizeof WORKS - 1) == 0;
    size_t skip = line.len >= sizeof WORKS - 1 ? sizeof WORKS - 1 : 0;
    if (age > FRESH_SECS)
        printf("%s hangs or has ended: it said nothing for %lld s; its last words: ", program, age);
    printf("%s", buf_text(&line) + skip);
    buf_release(&line);
    return works && age <= FRESH_SECS ? 0 : 1;
}
