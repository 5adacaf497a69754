/* Writes log lines: one event, one line, one write. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/redact.h"
#include "common/text.h"

#define MESSAGE_MAX 8192
#define VALUE_MAX 1024
#define LINE_MAX_BYTES (1 << 20) /* never reached: a byte is six at most */

static struct {
    const char *program; /* borrowed: a literal */
    enum log_level level;
    bool text;    /* logfmt; else JSON */
    bool journal; /* stderr leads there: it reads a priority in front of a line */
} log_state = {"agent-fleet", LOG_INFO_LEVEL, false, false};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const priorities[] = {"<7>", "<6>", "<4>", "<3>"};

/* systemd.exec(5): JOURNAL_STREAM is "DEVICE:INODE" of what it made our stderr; it is inherited, so
 * stderr may be another one by now. */
static bool leads_to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat info;
    if (stream == NULL || fstat(STDERR_FILENO, &info) != 0)
        return false;
    snprintf(ours, sizeof ours, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    return strcmp(stream, ours) == 0;
}

void log_open(const char *program, enum log_level level)
{
    log_state.program = program;
    log_state.level = level;
    log_state.journal = leads_to_journal();
    log_use(LOG_AUTO);
}

void log_use(enum log_format format)
{
    log_state.text = format == LOG_TEXT ||
                     (format == LOG_AUTO && (log_state.journal || isatty(STDERR_FILENO) == 1));
}

bool log_format_parse(const char *name, enum log_format *format)
{
    static const char *const names[] = {"auto", "text", "json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            *format = (enum log_format)i;
            return true;
        }
    }
    return false;
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(level_names[i], name) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* One more member of the line. Values are always quoted by JSON's rules, which logfmt shares; keys
 * are literals and need no quoting. */
static void add(struct buf *line, const char *key, const char *value, size_t len)
{
    buf_addf(line, log_state.text ? " %s=" : ",\"%s\":", key);
    json_quote(line, value, len);
}

static void add_field(struct buf *line, const struct log_field *field)
{
    const char *text = field->value != NULL ? field->value : "";
    char value[VALUE_MAX + 4];
    size_t len = text_cut(text, VALUE_MAX);
    snprintf(value, sizeof value, "%.*s%s", (int)len, text, text[len] != '\0' ? "..." : "");
    redact_text(value, NULL);
    add(line, field->key, value, strlen(value));
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

void log_write(enum log_level level, const struct log_field *about, const char *format, ...)
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
        memcpy(message + text_cut(message, sizeof message - 4), "...", 4);
    redact_text(message, NULL); /* it may quote what a host or an agent said */
    clock_format(now, sizeof now);

    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    buf_addf(&line, log_state.text ? "%stime=\"%s\"" : "%s{\"time\":\"%s\"",
             log_state.journal ? priorities[level] : "", now);
    add(&line, "level", level_names[level], strlen(level_names[level]));
    add(&line, "program", log_state.program, strlen(log_state.program));
    add(&line, "message", message, strlen(message));
    for (; about != NULL && about->key != NULL; about++)
        add_field(&line, about);
    buf_adds(&line, log_state.text ? "\n" : "}\n");
    emit(&line);
    buf_release(&line);
    errno = saved;
}
