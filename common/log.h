/* Log lines on stderr: JSON objects or logfmt, one event a line. The journal gets the priority in
 * front of each (sd-daemon(3)), nobody else does.
 * Never log secrets or bodies; credentials of known shape that a quoted text holds
 * are overwritten. */
#ifndef FLEET_LOG_H
#define FLEET_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

/* LOG_AUTO: logfmt for a terminal and for the journal, JSON for all else. */
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON };

/* One member of a line: what the line is about. The key is a literal of ours, the value may be any
 * bytes that somebody else chose: it is quoted, and never read as anything but one value. */
struct log_field {
    const char *key;   /* a literal; NULL ends an array of fields */
    const char *value; /* borrowed; NULL is shown as empty */
};

/* LOG_FIELD compiles with a literal only, so no key comes from outside. */
#define LOG_FIELD(literal, text) ((struct log_field){"" literal, (text)})
#define LOG_ABOUT(...) ((const struct log_field[]){__VA_ARGS__, {0}})

void log_open(const char *program, enum log_level level);
void log_use(enum log_format format); /* instead of LOG_AUTO, after log_open */

/* "debug", "info", "warn" or "error"; false for anything else. */
bool log_level_parse(const char *name, enum log_level *level);
/* "auto", "text" or "json"; false for anything else. */
bool log_format_parse(const char *name, enum log_format *format);

/* `about` is ended by a field without key; NULL for none. Messages are cut at 8 KiB, values at
 * 1 KiB. */
void log_write(enum log_level level, const struct log_field *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(about, ...) log_write(LOG_DEBUG_LEVEL, about, __VA_ARGS__)
#define log_info(about, ...) log_write(LOG_INFO_LEVEL, about, __VA_ARGS__)
#define log_warn(about, ...) log_write(LOG_WARN_LEVEL, about, __VA_ARGS__)
#define log_error(about, ...) log_write(LOG_ERROR_LEVEL, about, __VA_ARGS__)

#endif
