/* Reading what the runner answers. Whoever runs as the host's account can write these bytes. */
#include <string.h>

#include "worker/runner.h"

#define BANNER "fleet-runner 1\n"
#define NOISE_MAX \
    65536 /* bytes that a login shell may print before the banner (a ~/.bashrc that talks) */
#define SIZE_LIMIT ((int64_t)1 << 50) /* of a file, and of anything counted */

/* The unread part of an answer, or of a line of it. */
struct cursor {
    const char *at, *end; /* borrowed */
};

static bool malformed(struct error *err, const char *where)
{
    error_set_state(err, "runner_failed", "runner: the host's answer is malformed or was cut (%s)",
                    where);
    return false;
}

/* Behind the banner; false when there is none. */
static bool find_banner(const char *bytes, size_t len, struct cursor *answer)
{
    const size_t size = strlen(BANNER);
    const char *at = bytes, *end = bytes + len;
    while (at != NULL && (size_t)(end - at) >= size && at - bytes <= NOISE_MAX) {
        if (memcmp(at, BANNER, size) == 0) {
            *answer = (struct cursor){at + size, end};
            return true;
        }
        at = memchr(at, '\n', (size_t)(end - at));
        if (at != NULL)
            at++;
    }
    return false;
}

/* The next line without its newline. */
static bool take_line(struct cursor *answer, struct cursor *line)
{
    size_t left = (size_t)(answer->end - answer->at);
    size_t most = left < RUNNER_LINE_MAX ? left : RUNNER_LINE_MAX;
    const char *newline = most > 0 ? memchr(answer->at, '\n', most) : NULL;
    if (newline == NULL)
        return false;
    *line = (struct cursor){answer->at, newline};
    answer->at = newline + 1;
    return true;
}

static bool line_is(const struct cursor *line, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(line->end - line->at) == len && memcmp(line->at, text, len) == 0;
}

/* Takes `text` off the front. */
static bool take_text(struct cursor *line, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(line->end - line->at) < len || memcmp(line->at, text, len) != 0)
        return false;
    line->at += len;
    return true;
}

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == ',';
}

/* A word up to a space or the line's end into text; "-" and nothing are "". */
static bool take_word(struct cursor *line, const char *key, char *text, size_t size)
{
    if (!take_text(line, key))
        return false;
    size_t len = 0;
    while (line->at < line->end && *line->at != ' ') {
        if (!plain(*line->at) || len + 1 >= size)
            return false;
        text[len++] = *line->at++;
    }
    text[len] = '\0';
    if (strcmp(text, "-") == 0)
        text[0] = '\0';
    return true;
}

/* A number of 0 to max; "-" is -1. */
static bool take_number(struct cursor *line, const char *key, int64_t max, int64_t *number)
{
    char text[19]; /* 18 digits always fit */
    if (!take_word(line, key, text, sizeof text))
        return false;
    *number = text[0] != '\0' ? 0 : -1;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return false;
        *number = *number * 10 + (*at - '0');
    }
    return *number <= max;
}

static bool take_int(struct cursor *line, const char *key, int max, int *number)
{
    int64_t wide;
    bool taken = take_number(line, key, max, &wide);
    *number = taken ? (int)wide : -1;
    return taken;
}

static const char *const state_names[] = {
    [RUNNER_PREPARED] = "prepared", [RUNNER_RUNNING] = "running", [RUNNER_ORPHANED] = "orphaned",
    [RUNNER_ENDED] = "ended",       [RUNNER_VOID] = "void",       [RUNNER_LOST] = "lost",
    [RUNNER_ABSENT] = "absent",     [RUNNER_FOREIGN] = "foreign",
};
#define STATE_COUNT (sizeof state_names / sizeof state_names[0])

const char *runner_state_name(enum runner_state state)
{
    return (size_t)state < STATE_COUNT ? state_names[state] : "unknown";
}

static bool take_state(struct cursor *line, enum runner_state *state)
{
    char text[16];
    if (!take_word(line, " state=", text, sizeof text))
        return false;
    for (size_t i = 0; i < STATE_COUNT; i++) {
        if (strcmp(text, state_names[i]) == 0) {
            *state = (enum runner_state)i;
            return true;
        }
    }
    return false;
}

/* The part of a record's line that tells how the run ended. */
static bool take_end(struct cursor *line, struct runner_record *record)
{
    if (!take_number(line, " oend=", SIZE_LIMIT, &record->out_final) ||
        !take_number(line, " eend=", SIZE_LIMIT, &record->err_final) ||
        !take_int(line, " exit=", 255, &record->exit) ||
        !take_number(line, " ms=", SIZE_LIMIT, &record->elapsed_ms) ||
        !take_word(line, " reason=", record->reason, sizeof record->reason))
        return false;
    record->signal = record->exit > 128 && record->exit <= 128 + 64 ? record->exit - 128 : 0;
    return true;
}

static bool take_record_line(struct cursor *line, struct runner_record *record, int64_t *out_len,
                             int64_t *err_len)
{
    return take_word(line, "run ", record->run, sizeof record->run) &&
           take_state(line, &record->state) && take_int(line, " epoch=", 1 << 30, &record->epoch) &&
           take_number(line, " pid=", 1 << 30, &record->pid) &&
           take_word(line, " start=", record->start, sizeof record->start) &&
           take_word(line, " boot=", record->boot, sizeof record->boot) &&
           take_number(line, " out=", SIZE_LIMIT, &record->out_size) &&
           take_number(line, " err=", SIZE_LIMIT, &record->err_size) && take_end(line, record) &&
           take_number(line, " n1=", SIZE_LIMIT, out_len) &&
           take_number(line, " n2=", SIZE_LIMIT, err_len) && line->at == line->end;
}

/* len bytes of a stream, borrowed from the answer. */
static bool take_bytes(struct cursor *answer, int64_t len, const char **bytes, size_t *taken)
{
    if (len < 0 || len > answer->end - answer->at)
        return false;
    *bytes = len > 0 ? answer->at : NULL;
    *taken = (size_t)len;
    answer->at += len;
    return true;
}

static bool take_record(struct cursor *answer, struct cursor *line, struct runner_record *record)
{
    int64_t out_len = 0, err_len = 0;
    *record = (struct runner_record){.state = RUNNER_FOREIGN};
    return take_record_line(line, record, &out_len, &err_len) && record->run[0] != '\0' &&
           (record->state != RUNNER_ENDED || record->reason[0] != '\0') &&
           take_bytes(answer, out_len, &record->out, &record->out_len) &&
           take_bytes(answer, err_len, &record->err, &record->err_len);
}

/* The closing line, and nothing behind it. */
static bool take_close(struct cursor *answer)
{
    return take_text(answer, "end\n") && answer->at == answer->end;
}

static bool answer_is(const char *bytes, size_t len, const char *word)
{
    struct cursor answer, line;
    return find_banner(bytes, len, &answer) && take_line(&answer, &line) && line_is(&line, word) &&
           take_close(&answer);
}

bool runner_missing(const char *bytes, size_t len)
{
    return answer_is(bytes, len, "missing");
}

/* The first line of an answer, or why there is none. */
static bool open_answer(const char *bytes, size_t len, struct cursor *answer, struct cursor *line,
                        struct error *err)
{
    if (!find_banner(bytes, len, answer)) {
        error_set_state(
            err, "runner_failed",
            "runner: the host gave no answer of the runner (does its account's shell run "
            "commands, and is work_dir writable?)");
        return false;
    }
    return take_line(answer, line) || malformed(err, "first line");
}

bool runner_parse_installed(const char *bytes, size_t len, struct error *err)
{
    struct cursor answer, line;
    if (!open_answer(bytes, len, &answer, &line, err))
        return false;
    return (line_is(&line, "installed") && take_close(&answer)) || malformed(err, "install");
}

/* The rest of a line: words with single spaces or none; shorter than `size`. */
static bool take_rest(struct cursor *line, char *text, size_t size)
{
    size_t len = (size_t)(line->end - line->at);
    if (len >= size)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = line->at[i];
        if (!plain(c) && c != ' ' && c != '+')
            return false;
        text[i] = c;
    }
    text[len] = '\0';
    return true;
}

/* Lines "agent found|missing VERSION". */
static bool take_seen(struct cursor *answer, struct runner_hello *hello)
{
    struct cursor line, ahead = *answer;
    while (take_text(&ahead, "agent ")) {
        struct runner_seen *seen = &hello->seen[hello->seen_count];
        if (hello->seen_count == RUNNER_LOOKS_MAX || !take_line(answer, &line) ||
            !take_text(&line, "agent "))
            return false;
        seen->found = take_text(&line, "found ");
        if (!seen->found && !take_text(&line, "missing "))
            return false;
        if (!take_rest(&line, seen->version, sizeof seen->version))
            return false;
        hello->seen_count++;
        ahead = *answer;
    }
    return true;
}

bool runner_parse_hello(const char *bytes, size_t len, struct runner_hello *hello,
                        struct error *err)
{
    struct cursor answer, line;
    *hello = (struct runner_hello){.disk_free = -1};
    if (!open_answer(bytes, len, &answer, &line, err))
        return false;
    bool right = take_text(&line, "hello v=1") &&
                 take_word(&line, " machine=", hello->machine, sizeof hello->machine) &&
                 take_word(&line, " boot=", hello->boot, sizeof hello->boot) &&
                 take_word(&line, " owner=", hello->owner, sizeof hello->owner) &&
                 take_number(&line, " disk_free=", INT64_MAX / 16, &hello->disk_free) &&
                 take_word(&line, " missing=", hello->missing, sizeof hello->missing) &&
                 line.at == line.end && take_seen(&answer, hello) && take_close(&answer);
    return right || malformed(err, "hello");
}

bool runner_tampered(const struct runner_record *record, int64_t out_offset, int64_t err_offset)
{
    bool has_files = record->state == RUNNER_RUNNING || record->state == RUNNER_ORPHANED ||
                     record->state == RUNNER_ENDED || record->state == RUNNER_LOST;
    if (!has_files)
        return false;
    if (record->out_size < out_offset || record->err_size < err_offset)
        return true;
    return record->state == RUNNER_ENDED && record->exit >= 0 &&
           (record->out_size != record->out_final || record->err_size != record->err_final);
}

/* Which verdicts are one word with or without a record behind. */
struct verdict_word {
    const char *word;
    enum runner_verdict verdict;
    bool record;
};
static const struct verdict_word verdict_words[] = {
    {"started", RUNNER_STARTED, true}, {"exists", RUNNER_EXISTS, true},
    {"state", RUNNER_STATE, true},     {"stopping", RUNNER_STOPPING, false},
    {"void", RUNNER_VOIDED, false},
};

static bool take_verdict(struct cursor *answer, struct cursor *line, struct runner_reply *reply)
{
    if (take_text(line, "fenced")) {
        reply->verdict = RUNNER_FENCED;
        return take_int(line, " epoch=", 1 << 30, &reply->epoch) && reply->epoch >= 1 &&
               line->at == line->end;
    }
    if (take_text(line, "refused")) {
        reply->verdict = RUNNER_REFUSED;
        return take_word(line, " reason=", reply->reason, sizeof reply->reason) &&
               reply->reason[0] != '\0' && line->at == line->end;
    }
    for (size_t i = 0; i < sizeof verdict_words / sizeof verdict_words[0]; i++) {
        struct cursor next;
        if (!line_is(line, verdict_words[i].word))
            continue;
        reply->verdict = verdict_words[i].verdict;
        return !verdict_words[i].record ||
               (take_line(answer, &next) && take_record(answer, &next, &reply->record));
    }
    return false;
}

bool runner_parse_reply(const char *bytes, size_t len, struct runner_reply *reply,
                        struct error *err)
{
    struct cursor answer, line;
    *reply = (struct runner_reply){.verdict = RUNNER_REFUSED};
    if (!open_answer(bytes, len, &answer, &line, err))
        return false;
    return (take_verdict(&answer, &line, reply) && take_close(&answer)) ||
           malformed(err, "verdict");
}

bool runner_poll_begin(struct runner_poll *poll, const char *bytes, size_t len, struct error *err)
{
    struct cursor answer = {NULL, NULL};
    *poll = (struct runner_poll){0};
    if (!find_banner(bytes, len, &answer)) {
        error_set_state(err, "runner_failed", "runner: the host gave no answer to the poll");
        return false;
    }
    *poll = (struct runner_poll){.at = answer.at, .end = answer.end};
    return true;
}

int runner_poll_next(struct runner_poll *poll, struct runner_record *record, struct error *err)
{
    struct cursor answer = {poll->at, poll->end}, line;
    if (poll->ended)
        return 0;
    if (take_close(&answer)) {
        poll->ended = true;
        return 0;
    }
    if (!take_line(&answer, &line) || !take_record(&answer, &line, record)) {
        poll->at = poll->end;
        malformed(err, "poll");
        return -1;
    }
    poll->at = answer.at;
    return 1;
}
