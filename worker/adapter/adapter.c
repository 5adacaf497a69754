/* The adapters by name, and what is common to them. */
#include "worker/adapter/adapter.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/redact.h"
#include "worker/clean.h"

void adapter_init(struct adapter *adapter, const struct adapter_kind *kind)
{
    *adapter = (struct adapter){.kind = kind};
    buf_init(&adapter->line, ADAPTER_LINE_MAX);
}

void adapter_release(struct adapter *adapter)
{
    buf_release(&adapter->line);
    free(adapter->facts.summary);
    free(adapter->facts.error);
    adapter->facts = (struct adapter_facts){0};
}

bool adapter_session_valid(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return len > 0 && len <= 128 && id[len] == '\0' && id[0] != '-';
}

/* Text of the agent without credentials; before it is cut, which might leave half of one. */
static char *without_secrets(const struct adapter *adapter, const char *text, size_t len,
                             size_t max_chars)
{
    char *whole = mem_strndup(text, len);
    redact_text(whole, &adapter->secrets);
    char *clean = clean_copy(whole, strlen(whole), max_chars);
    free(whole);
    return clean;
}

static bool is_public(const struct adapter *adapter, const char *id)
{
    char *text = without_secrets(adapter, id, strlen(id), ADAPTER_ERROR_CHARS);
    bool same = strcmp(text, id) == 0;
    free(text);
    return same;
}

void adapter_set_session(struct adapter *adapter, const char *id)
{
    if (id != NULL && adapter->facts.session_id[0] == '\0' && adapter_session_valid(id) &&
        is_public(adapter, id))
        memcpy(adapter->facts.session_id, id, strlen(id) + 1);
}

void adapter_set_text(const struct adapter *adapter, char **slot, const char *text,
                      size_t max_chars)
{
    free(*slot);
    *slot = text == NULL ? NULL : without_secrets(adapter, text, strlen(text), max_chars);
}

int64_t adapter_next(const struct adapter *adapter)
{
    return adapter->next;
}

bool adapter_in_tool(const struct adapter *adapter)
{
    return adapter->facts.tools > 0;
}

const char *adapter_waits_for(const struct adapter *adapter)
{
    return adapter->facts.waits > 0 ? adapter->kind->waits_for(adapter) : NULL;
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
    if (adapter->facts.lines < ADAPTER_COUNT_MAX)
        adapter->facts.lines++;
    if (adapter->skipping)
        adapter->facts.ignored++;
    else if (adapter->line.len > 0)
        adapter->kind->on_line(adapter, adapter->line.data, adapter->line.len);
    adapter->skipping = false;
    buf_clear(&adapter->line);
}

void adapter_feed(struct adapter *adapter, const char *bytes, size_t len)
{
    if (adapter->kind->on_bytes != NULL) {
        adapter->next += (int64_t)len;
        adapter->kind->on_bytes(adapter, bytes, len);
        return;
    }
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
    free(adapter->facts.summary);
    adapter->facts.summary =
        len > 0 ? without_secrets(adapter, text, len, ADAPTER_SUMMARY_CHARS) : NULL;
}

void adapter_end(struct adapter *adapter)
{
    if (adapter->kind->on_bytes != NULL)
        summarise(adapter);
    if (adapter->kind->on_line != NULL && (adapter->line.len > 0 || adapter->skipping)) {
        take_line(adapter, "", 0, true);
        adapter->settled = adapter->next;
    }
}

const char *adapter_judge(const struct adapter *adapter, int status, const char **reason)
{
    *reason = adapter->kind->judge(adapter, status);
    return *reason == NULL ? "succeeded" : "failed";
}

/* -- Checkpoints ------------------------------------------------------------------------------- */

static void member_text(struct buf *out, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, text, strlen(text));
}

void adapter_checkpoint(const struct adapter *adapter, struct buf *out)
{
    const struct adapter_facts *facts = &adapter->facts;
    buf_addf(out, "{\"v\":1,\"kind\":\"%s\",\"at\":%lld,\"skipping\":%s,\"ending\":%d",
             adapter->kind->name, (long long)adapter->settled, adapter->skipping ? "true" : "false",
             (int)facts->ending);
    buf_addf(out,
             ",\"lines\":%lld,\"ignored\":%lld,\"warnings\":%lld,\"tools\":%lld,\"waits\":%lld",
             (long long)facts->lines, (long long)facts->ignored, (long long)facts->warnings,
             (long long)facts->tools, (long long)facts->waits);
    if (facts->has_tokens)
        buf_addf(out, ",\"tokens\":[%lld,%lld,%lld,%lld]", (long long)facts->tokens.input,
                 (long long)facts->tokens.cached_input, (long long)facts->tokens.output,
                 (long long)facts->tokens.reasoning);
    member_text(out, "session", facts->session_id);
    member_text(out, "summary", facts->summary);
    member_text(out, "error", facts->error);
    buf_adds(out, "}");
}

static int64_t count_of(const struct json_object *object, const char *name)
{
    int64_t value = json_int(object, name, 0);
    return value < 0 ? 0 : value > ADAPTER_COUNT_MAX ? ADAPTER_COUNT_MAX : value;
}

static void restore_tokens(struct adapter_facts *facts, const struct json_object *object)
{
    struct json_object *list = json_member(object, "tokens");
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) != 4)
        return;
    int64_t *fields[] = {&facts->tokens.input, &facts->tokens.cached_input, &facts->tokens.output,
                         &facts->tokens.reasoning};
    for (size_t i = 0; i < 4; i++) {
        int64_t value = json_object_get_int64(json_object_array_get_idx(list, i));
        *fields[i] = value < 0 ? 0 : value;
    }
    facts->has_tokens = true;
}

static void restore_facts(struct adapter *adapter, const struct json_object *object)
{
    struct adapter_facts *facts = &adapter->facts;
    int64_t ending = json_int(object, "ending", 0);
    facts->ending = ending == ENDING_COMPLETED ? ENDING_COMPLETED
                    : ending == ENDING_FAILED  ? ENDING_FAILED
                                               : ENDING_NONE;
    facts->lines = count_of(object, "lines");
    facts->ignored = count_of(object, "ignored");
    facts->warnings = count_of(object, "warnings");
    facts->tools = count_of(object, "tools");
    facts->waits = adapter->kind->waits_for != NULL ? count_of(object, "waits") : 0;
    restore_tokens(facts, object);
    adapter_set_session(adapter, json_string(object, "session", NULL));
    adapter_set_text(adapter, &facts->summary, json_string(object, "summary", NULL),
                     ADAPTER_SUMMARY_CHARS);
    adapter_set_text(adapter, &facts->error, json_string(object, "error", NULL),
                     ADAPTER_ERROR_CHARS);
}

bool adapter_restore(struct adapter *adapter, const char *checkpoint)
{
    if (checkpoint == NULL)
        return false;
    struct error err;
    struct json_object *object = json_parse(checkpoint, strlen(checkpoint), &err);
    int64_t at = json_int(object, "at", -1);
    bool known = json_object_is_type(object, json_type_object) && at >= 0 &&
                 strcmp(json_string(object, "kind", ""), adapter->kind->name) == 0;
    if (known) {
        adapter->next = adapter->settled = at;
        adapter->skipping = json_flag(object, "skipping", false);
        restore_facts(adapter, object);
    }
    json_object_put(object);
    return known;
}
