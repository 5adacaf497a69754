/* log_write with any value and message: exactly one line, one JSON object with exactly our members.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"

static const char *const members[] = {"time", "level", "program", "message", "task", "host"};
static int report = -1; /* where libFuzzer wrote to before its stderr became ours */

static void capture(int file)
{
    if (report < 0)
        report = dup(STDERR_FILENO);
    if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0)
        abort();
    dup2(file, STDERR_FILENO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char line[1 << 20];
    if (file < 0) {
        file = memfd_create("log", MFD_CLOEXEC);
        log_open("fleet-fuzz", LOG_INFO_LEVEL);
    }
    char *text = mem_strndup((const char *)data, size);
    capture(file);
    log_info(LOG_ABOUT(LOG_FIELD("task", text), LOG_FIELD("host", "h1")), "%s", text);
    dup2(report, STDERR_FILENO);
    ssize_t got = pread(file, line, sizeof line, 0);
    if (got < 2 || memchr(line, '\n', (size_t)got) != line + got - 1)
        abort();
    for (ssize_t i = 0; i + 1 < got; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            abort();
    }
    struct error err;
    struct json_object *event = json_parse(line, (size_t)got, &err);
    if (event == NULL || json_object_object_length(event) != 6)
        abort();
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (json_string(event, members[i], NULL) == NULL)
            abort();
    }
    if (strcmp(json_string(event, "host", ""), "h1") != 0)
        abort();
    json_object_put(event);
    free(text);
    return 0;
}
