#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"

#define MESSAGE_MAX 8192
#define LINE_MAX_BYTES 65536

static struct {
    const char *program; /* borrowed: a literal */
    enum log_level level;
    bool terminal;
} log_state = {"agent-fleet", LOG_INFO_LEVEL, false};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_open(const char *program, enum log_level level)
{
    log_state.program = program;
    log_state.level = level;
    log_state.terminal = isatty(STDERR_FILENO) == 1;
}

/* One member of the line. Values are always quoted by JSON's rules, which logfmt shares. */
static void add_pair(struct buf *line, const char *key, size_t key_len, const char *value,
                     size_t value_len)
{
    if (log_state.terminal) {
        if (line->len > 0)
            buf_add(line, " ", 1);
        buf_add(line, key, key_len);
        buf_add(line, "=", 1);
    } else {
        buf_add(line, line->len > 0 ? "," : "{", 1);
        json_quote(line, key, key_len);
        buf_add(line, ":", 1);
    }
    json_quote(line, value, value_len);
}

static void add_text(struct buf *line, const char *key, const char *value)
{
    add_pair(line, key, strlen(key), value, strlen(value));
}

static bool plain_key(const char *key, size_t len)
{
    static const char *const taken[] = {"time", "level", "program", "message"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (strlen(taken[i]) == len && memcmp(taken[i], key, len) == 0)
            return false;
    }
    return len > 0 && len == strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789_.-");
}

/* "task=acme/r#1 attempt=2": a member for each pair. Text that is no pair becomes "subject". */
static void add_subject(struct buf *line, const char *subject)
{
    const char *at = subject;
    for (;;) {
        at += strspn(at, " ");
        if (*at == '\0')
            return;
        size_t len = strcspn(at, " ");
        size_t key_len = strcspn(at, "= ");
        if (key_len < len && plain_key(at, key_len))
            add_pair(line, at, key_len, at + key_len + 1, len - key_len - 1);
        else
            add_pair(line, "subject", 7, at, len);
        at += len;
    }
}

/* One write for one line, so that lines of several processes do not mix. What cannot be written is
 * dropped: a full disk or a closed pipe stops no node. */
static void emit(const struct buf *line)
{
    const char *at = line->data;
    size_t left = line->len;
    while (left > 0) {
        ssize_t done = write(STDERR_FILENO, at, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        at += done;
        left -= (size_t)done;
    }
}

void log_write(enum log_level level, const char *subject, const char *format, ...)
{
    if (level < log_state.level)
        return;
    int saved = errno;
    char message[MESSAGE_MAX];
    char now[32];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (wanted < 0)
        message[0] = '\0';
    if (wanted >= (int)sizeof message)
        memcpy(message + sizeof message - 4, "...", 4);
    clock_format(now, sizeof now);

    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    add_text(&line, "time", now);
    add_text(&line, "level", level_names[level]);
    add_text(&line, "program", log_state.program);
    add_text(&line, "message", message);
    size_t without_subject = line.len;
    if (subject != NULL)
        add_subject(&line, subject);
    if (line.failed) { /* the subject alone is over 16 KiB: go without it */
        line.failed = false;
        line.len = without_subject;
    }
    buf_adds(&line, log_state.terminal ? "\n" : "}\n");
    emit(&line);
    buf_release(&line);
    errno = saved;
}
