/* Reads a run's output, and judges by it. */
#include "worker/adapter/adapter.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/adapter/facts.h"
#include "worker/adapter/failure.h"
#include "worker/adapter/line.h"

void adapter_init(struct adapter *adapter, const struct adapter_kind *kind)
{
    *adapter = (struct adapter){.kind = kind};
    buf_init(&adapter->line, ADAPTER_LINE_MAX);
}

void adapter_release(struct adapter *adapter)
{
    struct adapter_facts *facts = &adapter->facts;
    buf_release(&adapter->line);
    free(facts->summary);
    free(facts->question);
    free(facts->error);
    free(facts->seen);
    free(facts->limit.text);
    *facts = (struct adapter_facts){0};
}

int64_t adapter_next(const struct adapter *adapter)
{
    return adapter->next;
}

/* --- Reading --- */

static void on_object(void *data, const struct json_object *object)
{
    struct adapter *adapter = data;
    const char *type = json_string(object, "type", NULL);
    if (type == NULL)
        return;
    fact_count(&adapter->facts.events);
    adapter->kind->on_event(adapter, type, object);
}

static void read_events(struct adapter *adapter, const char *line, size_t len)
{
    struct adapter_facts *facts = &adapter->facts;
    int64_t before = facts->events;
    line_objects(line, len, on_object, adapter);
    if (facts->events > before || before == ADAPTER_COUNT_MAX)
        return;
    fact_count(&facts->ignored);
    char *text = mem_strndup(line, len);
    fact_text(adapter, &facts->seen, text, ADAPTER_SEEN_CHARS);
    free(text);
}

static void read_line(struct adapter *adapter)
{
    const struct buf *line = &adapter->line;
    if (line->len == 0)
        return;
    if (adapter->kind->on_event != NULL)
        read_events(adapter, line->data, line->len);
    else
        adapter->kind->on_text(adapter, line->data, line->len);
}

/* One line, or the part of it that these bytes hold; `whole` when its \n was seen. */
static void take_line(struct adapter *adapter, const char *bytes, size_t len, bool whole)
{
    if (!adapter->skipping && !buf_add(&adapter->line, bytes, len)) {
        adapter->skipping = true;
        buf_clear(&adapter->line);
    }
    if (!whole)
        return;
    fact_count(&adapter->facts.lines);
    if (adapter->skipping)
        fact_count(&adapter->facts.ignored);
    else
        read_line(adapter);
    adapter->skipping = false;
    buf_clear(&adapter->line);
}

static bool has_lines(const struct adapter_kind *kind)
{
    return kind->on_event != NULL || kind->on_text != NULL;
}

static void take_lines(struct adapter *adapter, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t part = newline != NULL ? (size_t)(newline - bytes) : len;
        take_line(adapter, bytes, part, newline != NULL);
        size_t used = part + (newline != NULL);
        adapter->next += (int64_t)used;
        bytes += used;
        len -= used;
        if (newline != NULL || adapter->skipping)
            adapter->settled = adapter->next;
    }
}

/* Keeps the tail. A checkpoint says where the tail begins, so an adopter reads the same tail
 * again. */
static void take_tail(struct adapter *adapter, const char *bytes, size_t len)
{
    struct buf *tail = &adapter->line;
    adapter->next += (int64_t)len;
    if (len > ADAPTER_TAIL_MAX) {
        bytes += len - ADAPTER_TAIL_MAX;
        len = ADAPTER_TAIL_MAX;
    }
    if (tail->len + len > ADAPTER_TAIL_MAX)
        buf_consume(tail, tail->len + len - ADAPTER_TAIL_MAX);
    buf_add(tail, bytes, len);
    adapter->settled = adapter->next - (int64_t)tail->len;
}

void adapter_feed(struct adapter *adapter, const char *bytes, size_t len)
{
    if (has_lines(adapter->kind))
        take_lines(adapter, bytes, len);
    else
        take_tail(adapter, bytes, len);
}

/* The summary of plain text is its tail, from the first whole line on, or at least the first whole
 * word: the end of a credential would not look like one. */
static void summarise(struct adapter *adapter)
{
    const char *text = buf_text(&adapter->line);
    size_t len = adapter->line.len;
    const char *line = memchr(text, '\n', len);
    const char *blank = memchr(text, ' ', len);
    const char *from = line != NULL && line + 1 < text + len ? line : blank;
    if (len < ADAPTER_TAIL_MAX)
        from = NULL;
    size_t skipped = from != NULL ? (size_t)(from + 1 - text) : 0;
    text += skipped;
    len -= skipped;
    while (len > 0 && (*text & 0xc0) == 0x80)
        text++, len--;
    char *summary = mem_strndup(text, len);
    fact_message(adapter, summary);
    free(summary);
}

void adapter_end(struct adapter *adapter)
{
    if (!has_lines(adapter->kind)) {
        if (adapter->line.len > 0)
            summarise(adapter);
    } else if (adapter->line.len > 0 || adapter->skipping) {
        take_line(adapter, "", 0, true);
        adapter->settled = adapter->next;
    }
}

/* --- A session that goes on --- */

void adapter_resumes(struct adapter *adapter, const char *session,
                     const struct adapter_tokens *before)
{
    struct adapter probe = {.secrets = adapter->secrets};
    fact_session(&probe, session);
    memcpy(adapter->wanted_session, probe.facts.session_id, ADAPTER_SESSION_SIZE);
    adapter->before = (struct adapter_tokens){0};
    if (adapter->wanted_session[0] != '\0' && before != NULL)
        adapter->before = *before;
}

bool adapter_lost_session(const struct adapter *adapter)
{
    const struct adapter_facts *facts = &adapter->facts;
    return adapter->kind->same_session && adapter->wanted_session[0] != '\0' &&
           facts->session_id[0] != '\0' && strcmp(facts->session_id, adapter->wanted_session) != 0;
}

/* --- While it runs --- */

bool adapter_in_tool(const struct adapter *adapter)
{
    return adapter->facts.tools > 0 || (adapter->kind->silent_waits && adapter->facts.step);
}

bool adapter_done(const struct adapter *adapter)
{
    return adapter->kind->lingers && adapter->facts.ending == ENDING_COMPLETED &&
           adapter->facts.tools == 0 && adapter->line.len == 0;
}

const char *adapter_waits_for(const struct adapter *adapter)
{
    const struct adapter_facts *facts = &adapter->facts;
    if (facts->waits == 0)
        return NULL;
    bool told = facts->cause != NULL && !fact_is(facts->cause, "agent_error");
    return told ? facts->cause : "provider_down";
}

const char *adapter_silence(const struct adapter *adapter)
{
    const struct adapter_facts *facts = &adapter->facts;
    bool waits = adapter->kind->silent_waits && !facts->step && facts->ending == ENDING_NONE;
    return waits ? "provider_down" : "silence_timeout";
}

/* --- What it came to --- */

/* It was asked to go on with a session and ended at once, without a word. */
static bool never_went_on(const struct adapter *adapter)
{
    return adapter->wanted_session[0] != '\0' && adapter->kind->on_event != NULL &&
           adapter->facts.events == 0;
}

/* Its events do not say how it ended. */
static const char *by_status(const struct adapter *adapter, int status)
{
    const struct adapter_facts *facts = &adapter->facts;
    bool told = facts->cause != NULL && !fact_is(facts->cause, "agent_error");
    const char *reason =
        status > 0 && adapter->kind->status != NULL ? adapter->kind->status(status) : NULL;
    if (status == 0)
        return has_lines(adapter->kind) ? "agent_no_result" : NULL;
    if (status == 127)
        return "adapter_missing"; /* sh found no such command */
    if (status > 0 && told)
        return facts->cause;
    if (reason != NULL)
        return reason;
    if (status > 0 && facts->waits > 0)
        return adapter_waits_for(adapter);
    return status > 0 && status < 128 && never_went_on(adapter) ? "session_lost" : "exit_nonzero";
}

static const char *reason_of(const struct adapter *adapter, int status)
{
    const struct adapter_facts *facts = &adapter->facts;
    const char *special = adapter->kind->status != NULL ? adapter->kind->status(status) : NULL;
    if (adapter_lost_session(adapter))
        return "session_lost";
    switch (facts->ending) {
    case ENDING_COMPLETED:
        if (status != 0 && !adapter->kind->no_status)
            return special != NULL ? special : "exit_nonzero";
        return NULL;
    case ENDING_FAILED:
        if (special != NULL && (facts->cause == NULL || fact_is(facts->cause, "agent_error")))
            return special;
        return facts->cause != NULL ? facts->cause : "agent_error";
    case ENDING_NONE:
        break;
    }
    return by_status(adapter, status);
}

/* What a person can go by who has to find out. */
static void tell_what_was_seen(struct adapter *adapter)
{
    struct adapter_facts *facts = &adapter->facts;
    if (facts->error != NULL)
        return;
    facts->error =
        facts->lines == 0
            ? mem_strdup("it printed nothing")
            : mem_printf("no closing event in %lld lines, %lld of them understood%s%s",
                         (long long)facts->lines, (long long)(facts->lines - facts->ignored),
                         facts->seen != NULL ? "; last other line: " : "",
                         facts->seen != NULL ? facts->seen : "");
}

const char *adapter_judge(struct adapter *adapter, int status, const char **reason)
{
    *reason = reason_of(adapter, status);
    if (*reason != NULL && fact_is(*reason, "agent_no_result"))
        tell_what_was_seen(adapter);
    if (*reason != NULL)
        return "failed";
    *reason = adapter->facts.question != NULL ? "needs_input" : NULL;
    return "succeeded";
}

int64_t adapter_resets_at(const struct adapter *adapter, const struct limit_clock *clock,
                          bool *guessed)
{
    const struct adapter_limit *limit = &adapter->facts.limit;
    int64_t end;
    *guessed = false;
    if (limit->resets_at > clock->now)
        return limit->resets_at;
    return limit_end(limit->text, clock, &end, guessed) ? end : 0;
}
