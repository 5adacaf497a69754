/* OpenCode: `opencode run --format json`, one JSON event a line on stdout (its run.ts). There is no
 * terminal event, and the exit status differs by version: a run succeeded whose last step closed,
 * for another reason than tool calls, after it had produced something, with no error behind it. It
 * asks a provider that fails for ever and says nothing of it, and may stay when all is done. */
#include <string.h>

#include "common/mem.h"
#include "worker/adapter/facts.h"
#include "worker/adapter/failure.h"

#include <stdlib.h>

static void on_step_start(struct adapter *adapter)
{
    struct adapter_facts *facts = &adapter->facts;
    fact_progress(adapter);
    facts->ending = ENDING_NONE;
    facts->step = true;
    facts->produced = false;
}

static void on_tool(struct adapter *adapter, const struct json_object *part)
{
    const struct json_object *state = json_member(part, "state");
    fact_progress(adapter);
    adapter->facts.produced = true;
    fact_tool_begins(adapter); /* told when it is over */
    fact_tool_ends(adapter);
    if (!fact_is(json_string(part, "tool", ""), "question") ||
        !fact_is(json_string(state, "status", ""), "error"))
        return;
    const struct json_object *list = json_member(json_member(state, "input"), "questions");
    const struct json_object *first =
        json_object_is_type(list, json_type_array) ? json_object_array_get_idx(list, 0) : NULL;
    fact_asks(adapter, json_string(first, "question", "it asked a question"));
}

/* What was read from and written to the cache comes on top of its input. */
static void on_usage(struct adapter *adapter, const struct json_object *part)
{
    const struct json_object *tokens = json_member(part, "tokens");
    const struct json_object *cache = json_member(tokens, "cache");
    const struct json_object *cost = json_member(part, "cost");
    struct adapter_tokens step = {.input = fact_number(tokens, "input"),
                                  .cached_input = fact_number(cache, "read"),
                                  .output = fact_number(tokens, "output"),
                                  .reasoning = fact_number(tokens, "reasoning")};
    fact_add(&step.input, step.cached_input);
    fact_add(&step.input, fact_number(cache, "write"));
    if (json_object_is_type(tokens, json_type_object))
        fact_tokens_add(adapter, step);
    if (cost != NULL)
        fact_cost_add(adapter, json_object_get_double(cost));
    if (step.input > 0 || step.output > 0)
        adapter->facts.produced = true;
}

static void fails(struct adapter *adapter, const char *reason, const char *text)
{
    fact_fails(adapter, reason, text);
    fact_failed(adapter);
    fact_waits(adapter); /* what follows is progress again */
}

static void on_step_finish(struct adapter *adapter, const struct json_object *part)
{
    struct adapter_facts *facts = &adapter->facts;
    const char *reason = json_string(part, "reason", "unknown");
    on_usage(adapter, part);
    facts->step = false;
    if (fact_is(reason, "content-filter"))
        fails(adapter, "agent_refused", "the model's content filter stopped it");
    else if (fact_is(reason, "length"))
        fails(adapter, "agent_error", "the model's answer was cut at its output limit");
    else if (fact_is(reason, "error"))
        fails(adapter, "agent_error", "its last step ended with an error");
    else if (!fact_is(reason, "tool-calls") && facts->produced)
        fact_completed(adapter);
}

/* --- Errors --- */

/* "retry-after" of the provider, seconds behind the event. */
static void on_retry_after(struct adapter *adapter, const struct json_object *event,
                           const struct json_object *data)
{
    const char *after = json_string(json_member(data, "responseHeaders"), "retry-after", "");
    size_t digits = strspn(after, "0123456789");
    int64_t now = fact_number(event, "timestamp") / 1000;
    if (digits > 0 && digits < 8 && after[digits] == '\0' && now > 0)
        fact_limit_at(adapter, "", now + strtoll(after, NULL, 10));
}

static void on_error(struct adapter *adapter, const struct json_object *event)
{
    const struct json_object *error = json_member(event, "error");
    const struct json_object *data = json_member(error, "data");
    const char *name = json_string(error, "name", "error");
    const char *text = json_string(data, "message", json_string(error, "message", name));
    char *whole = mem_printf("%s: %s %s", name, text, json_string(data, "responseBody", ""));
    const char *reason = failure_of((int)fact_number(data, "statusCode"), whole);
    fails(adapter, reason, text);
    if (fact_is(reason, "rate_limited") || fact_is(reason, "provider_quota")) {
        fact_limit(adapter, whole);
        on_retry_after(adapter, event, data);
    }
    free(whole);
}

static void on_event(struct adapter *adapter, const char *type, const struct json_object *event)
{
    const struct json_object *part = json_member(event, "part");
    fact_session(adapter, json_string(event, "sessionID", NULL));
    if (fact_is(type, "step_start")) {
        on_step_start(adapter);
    } else if (fact_is(type, "text")) {
        adapter->facts.produced = true;
        fact_message(adapter, json_string(part, "text", ""));
    } else if (fact_is(type, "tool_use")) {
        on_tool(adapter, part);
    } else if (fact_is(type, "step_finish")) {
        on_step_finish(adapter, part);
    } else if (fact_is(type, "error")) {
        on_error(adapter, event);
    }
}

const struct adapter_kind adapter_opencode = {
    .name = "opencode-json",
    .on_event = on_event,
    .no_status = true,
    .lingers = true,
    .silent_waits = true,
};
