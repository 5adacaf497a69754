/* Log lines on stderr: one JSON object a line, or logfmt when stderr is a terminal.
 * Never log secrets or bodies. */
#ifndef FLEET_LOG_H
#define FLEET_LOG_H

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

void log_open(const char *program, enum log_level level);

/* `subject` names the object in logfmt, e.g. "task=acme/r#1 attempt=2 host=h1"; NULL or "" for
 * none. */
void log_write(enum log_level level, const char *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(subject, ...) log_write(LOG_DEBUG_LEVEL, subject, __VA_ARGS__)
#define log_info(subject, ...) log_write(LOG_INFO_LEVEL, subject, __VA_ARGS__)
#define log_warn(subject, ...) log_write(LOG_WARN_LEVEL, subject, __VA_ARGS__)
#define log_error(subject, ...) log_write(LOG_ERROR_LEVEL, subject, __VA_ARGS__)

#endif
