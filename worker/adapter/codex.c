/* Codex CLI: `codex exec --json`, one JSON event a line on stdout
 * (codex-rs/exec/src/exec_events.rs). Unknown events and members are ignored; items of type "error"
 * are only warnings. */
#include <string.h>
#include <strings.h>

#include "common/json.h"
#include "worker/adapter/adapter.h"

static void count(int64_t *counter)
{
    if (*counter < ADAPTER_COUNT_MAX)
        (*counter)++;
}

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

static int64_t tokens_of(const struct json_object *usage, const char *name)
{
    int64_t value = json_int(usage, name, 0);
    return value < 0 ? 0 : value > ADAPTER_COUNT_MAX ? ADAPTER_COUNT_MAX : value;
}

static void on_usage(struct adapter_facts *facts, const struct json_object *usage)
{
    if (!json_object_is_type(usage, json_type_object))
        return;
    facts->has_tokens = true;
    facts->tokens = (struct adapter_tokens){
        .input = tokens_of(usage, "input_tokens"),
        .cached_input = tokens_of(usage, "cached_input_tokens"),
        .output = tokens_of(usage, "output_tokens"),
        .reasoning = tokens_of(usage, "reasoning_output_tokens"),
    };
}

static bool is_tool(const char *type)
{
    return is(type, "command_execution") || is(type, "mcp_tool_call") ||
           is(type, "collab_tool_call") || is(type, "web_search");
}

static void on_item(struct adapter *adapter, const char *event, const struct json_object *item)
{
    struct adapter_facts *facts = &adapter->facts;
    const char *type = json_string(item, "type", "");
    if (is(event, "item.started") && is_tool(type))
        count(&facts->tools);
    if (!is(event, "item.completed"))
        return;
    if (is_tool(type) && facts->tools > 0)
        facts->tools--;
    if (is(type, "agent_message") && facts->ending == ENDING_NONE)
        adapter_set_text(adapter, &facts->summary, json_string(item, "text", ""),
                         ADAPTER_SUMMARY_CHARS);
    if (is(type, "error"))
        count(&facts->warnings);
}

static bool says(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasestr(text, *words) != NULL)
            return true;
    return false;
}

/* Which failure a text of the CLI or of its provider names. */
static const char *failure(const char *text)
{
    static const char *const auth[] = {"401 Unauthorized",
                                       "403 Forbidden",
                                       "invalid api key",
                                       "not logged in",
                                       "token expired",
                                       "authentication",
                                       NULL};
    static const char *const limit[] = {"429 Too Many Requests", "rate limit", "usage limit",
                                        "usage_limit",           "quota",      NULL};
    static const char *const context[] = {"context window", "context length", "maximum context",
                                          NULL};
    static const char *const down[] = {"high demand",
                                       "overloaded",
                                       "stream disconnected",
                                       "stream error",
                                       "error sending request",
                                       "connection refused",
                                       "connection failed",
                                       "dns error",
                                       "500 Internal Server Error",
                                       "502 Bad Gateway",
                                       "503 Service Unavailable",
                                       "504 Gateway Timeout",
                                       "Reconnecting...",
                                       NULL};
    if (text == NULL)
        return "agent_error";
    if (says(text, context))
        return "context_overflow";
    if (says(text, limit))
        return "rate_limited";
    if (says(text, auth))
        return "auth_failed";
    return says(text, down) ? "provider_down" : "agent_error";
}

/* It says what a person has to mend or wait for. */
static bool is_cause(const char *text)
{
    const char *reason = failure(text);
    return !is(reason, "agent_error") && !is(reason, "provider_down");
}

/* The cause stays when "something went wrong" follows it. */
static void set_error(struct adapter *adapter, const char *text)
{
    struct adapter_facts *facts = &adapter->facts;
    if (is_cause(text) || !is_cause(facts->error))
        adapter_set_text(adapter, &facts->error, text, ADAPTER_ERROR_CHARS);
}

/* The provider answered: what it refused before is past. */
static void on_progress(struct adapter *adapter)
{
    struct adapter_facts *facts = &adapter->facts;
    if (facts->waits > 0)
        adapter_set_text(adapter, &facts->error, NULL, 0);
    facts->waits = 0;
}

static void on_failed(struct adapter *adapter, const struct json_object *event)
{
    struct adapter_facts *facts = &adapter->facts;
    const char *text = json_string(json_member(event, "error"), "message", "turn.failed");
    facts->ending = ENDING_FAILED;
    facts->tools = 0;
    facts->waits = 0;
    set_error(adapter, text);
}

/* "Reconnecting... 2/5 (why)": no verdict, but no progress either. */
static void on_error(struct adapter *adapter, const char *text)
{
    struct adapter_facts *facts = &adapter->facts;
    if (strncasecmp(text, "Reconnecting", 12) == 0 || is(failure(text), "provider_down"))
        count(&facts->waits);
    set_error(adapter, text);
}

static void on_event(struct adapter *adapter, const char *type, const struct json_object *event)
{
    struct adapter_facts *facts = &adapter->facts;
    if (is(type, "thread.started")) {
        adapter_set_session(adapter, json_string(event, "thread_id", NULL));
    } else if (strncmp(type, "item.", 5) == 0) {
        on_progress(adapter);
        on_item(adapter, type, json_member(event, "item"));
    } else if (is(type, "turn.completed") && facts->ending == ENDING_NONE) {
        on_progress(adapter);
        facts->ending = ENDING_COMPLETED;
        facts->tools = 0;
        on_usage(facts, json_member(event, "usage"));
    } else if (is(type, "turn.failed") && facts->ending == ENDING_NONE) {
        on_failed(adapter, event);
    } else if (is(type, "error") && facts->ending == ENDING_NONE) {
        on_error(adapter, json_string(event, "message", ""));
    }
}

static void on_line(struct adapter *adapter, const char *line, size_t len)
{
    struct error err;
    struct json_object *event = line[0] == '{' ? json_parse(line, len, &err) : NULL;
    const char *type = json_string(event, "type", NULL);
    if (type != NULL)
        on_event(adapter, type, event);
    else
        count(&adapter->facts.ignored);
    json_object_put(event);
}

static const char *waits_for(const struct adapter *adapter)
{
    const char *reason = failure(adapter->facts.error);
    return is(reason, "agent_error") ? "provider_down" : reason;
}

static const char *judge(const struct adapter *adapter, int status)
{
    switch (adapter->facts.ending) {
    case ENDING_COMPLETED:
        return status == 0 ? NULL : "exit_nonzero";
    case ENDING_FAILED:
        return failure(adapter->facts.error);
    case ENDING_NONE:
        break;
    }
    if (status == 0)
        return "agent_no_result";
    if (status > 0 && adapter->facts.waits > 0)
        return waits_for(adapter);
    return status == 127 ? "adapter_missing" : "exit_nonzero"; /* 127: sh found no such command */
}

const struct adapter_kind adapter_codex = {
    .name = "codex-json",
    .on_line = on_line,
    .judge = judge,
    .waits_for = waits_for,
};
