/* Claude Code: `claude -p --output-format stream-json --verbose`, one JSON event a line on stdout
 * (code.claude.com/docs, types of its SDK). Success is a result that is no error, whose
 * terminal_reason is none or "completed", and status 0: errors of the API are results of subtype
 * "success", an interrupted run exits with 0 and has no result. */
#include <string.h>

#include "worker/adapter/facts.h"

static const char ask_tool[] = "AskUserQuestion";

static struct json_object *item(const struct json_object *list, size_t i)
{
    return json_object_is_type(list, json_type_array) && i < json_object_array_length(list)
               ? json_object_array_get_idx(list, i)
               : NULL;
}

static size_t items(const struct json_object *list)
{
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

/* --- The limits of a subscription --- */

/* Comes with "allowed" on healthy runs too; one that goes on into paid overage does not stop. */
static void on_rate_limit(struct adapter *adapter, const struct json_object *info)
{
    const char *status = json_string(info, "status", "");
    const char *window = json_string(info, "rateLimitType", "");
    struct adapter_facts *facts = &adapter->facts;
    bool limited = facts->cause != NULL && fact_is(facts->cause, "provider_quota");
    if (fact_is(status, "rejected") && !json_flag(info, "isUsingOverage", false)) {
        fact_fails(adapter, "provider_quota", "its usage limit is reached");
        facts->limit.window[0] = '\0';
        fact_limit_at(adapter, window, fact_number(info, "resetsAt"));
        fact_waits(adapter);
    } else if (limited && fact_is(facts->limit.window, window)) {
        fact_progress(adapter);
    }
}

/* --- What it does --- */

static void on_retry(struct adapter *adapter, const struct json_object *event)
{
    fact_error(adapter, (int)fact_number(event, "error_status"),
               json_string(event, "error", "api_retry"));
    fact_waits(adapter);
}

static void on_system(struct adapter *adapter, const struct json_object *event)
{
    const char *subtype = json_string(event, "subtype", "");
    if (fact_is(subtype, "init")) {
        fact_session(adapter, json_string(event, "session_id", NULL));
        fact_model(adapter, json_string(event, "model", NULL));
    } else if (fact_is(subtype, "api_retry")) {
        on_retry(adapter, event);
    }
}

static void on_tool(struct adapter *adapter, const struct json_object *block)
{
    fact_tool_begins(adapter);
    if (!fact_is(json_string(block, "name", ""), ask_tool))
        return;
    const struct json_object *input = json_member(block, "input");
    const struct json_object *first = item(json_member(input, "questions"), 0);
    fact_asks(adapter, json_string(first, "question", "it asked a question"));
}

/* One block of a message an event, as a rule; those of a sub-agent are not the answer. */
static void on_blocks(struct adapter *adapter, const struct json_object *list, bool of_agent)
{
    for (size_t i = 0; i < items(list); i++) {
        const struct json_object *block = item(list, i);
        const char *type = json_string(block, "type", "");
        if (fact_is(type, "tool_use"))
            on_tool(adapter, block);
        else if (fact_is(type, "tool_result"))
            fact_tool_ends(adapter);
        else if (fact_is(type, "text") && of_agent)
            fact_message(adapter, json_string(block, "text", ""));
    }
}

/* A message that the CLI wrote itself is no progress. */
static void on_message(struct adapter *adapter, const struct json_object *event, bool of_agent)
{
    const struct json_object *message = json_member(event, "message");
    if (fact_is(json_string(message, "model", ""), "<synthetic>"))
        return;
    fact_progress(adapter);
    bool main = json_string(event, "parent_tool_use_id", NULL) == NULL;
    on_blocks(adapter, json_member(message, "content"), of_agent && main);
}

/* --- Its result --- */

/* Of the provider's three counts of input, the whole is their sum. */
static void on_usage(struct adapter *adapter, const struct json_object *result)
{
    const struct json_object *usage = json_member(result, "usage");
    const struct json_object *cost = json_member(result, "total_cost_usd");
    struct adapter_tokens tokens = {.input = fact_number(usage, "input_tokens"),
                                    .cached_input = fact_number(usage, "cache_read_input_tokens"),
                                    .output = fact_number(usage, "output_tokens")};
    fact_add(&tokens.input, tokens.cached_input);
    fact_add(&tokens.input, fact_number(usage, "cache_creation_input_tokens"));
    if (json_object_is_type(usage, json_type_object))
        fact_tokens(adapter, tokens);
    if (cost != NULL)
        fact_cost(adapter, json_object_get_double(cost));
}

static bool is_good(const struct json_object *result)
{
    return !json_flag(result, "is_error", false) &&
           fact_is(json_string(result, "subtype", "success"), "success") &&
           fact_is(json_string(result, "terminal_reason", "completed"), "completed") &&
           !fact_is(json_string(result, "stop_reason", ""), "refusal");
}

/* What says why, from the most to the least telling. */
static const char *words_of(const struct json_object *result)
{
    const struct json_object *first = item(json_member(result, "errors"), 0);
    const char *text = json_string(result, "result", "");
    if (text[0] != '\0')
        return text;
    if (json_object_is_type(first, json_type_string))
        return json_object_get_string((struct json_object *)first);
    text = json_string(result, "terminal_reason", "");
    return text[0] != '\0' ? text : json_string(result, "subtype", "an error without a word");
}

static void on_failure(struct adapter *adapter, const struct json_object *result)
{
    const char *subtype = json_string(result, "subtype", "");
    const char *terminal = json_string(result, "terminal_reason", "");
    const char *text = words_of(result);
    if (fact_is(subtype, "error_max_turns") || fact_is(terminal, "max_turns") ||
        strncmp(subtype, "error_max_budget", 16) == 0)
        fact_fails(adapter, "turn_limit", text);
    else if (fact_is(terminal, "prompt_too_long"))
        fact_fails(adapter, "context_overflow", text);
    else if (fact_is(json_string(result, "stop_reason", ""), "refusal"))
        fact_fails(adapter, "agent_refused", text);
    else
        fact_error(adapter, (int)fact_number(result, "api_error_status"), text);
    fact_failed(adapter);
}

static void on_result(struct adapter *adapter, const struct json_object *result)
{
    on_usage(adapter, result);
    if (!is_good(result)) {
        on_failure(adapter, result);
        return;
    }
    const char *text = json_string(result, "result", "");
    fact_session(adapter, json_string(result, "session_id", NULL));
    if (text[0] != '\0')
        fact_message(adapter, text);
    fact_completed(adapter);
}

static void on_event(struct adapter *adapter, const char *type, const struct json_object *event)
{
    if (adapter->facts.ending != ENDING_NONE)
        return;
    if (fact_is(type, "system"))
        on_system(adapter, event);
    else if (fact_is(type, "assistant"))
        on_message(adapter, event, true);
    else if (fact_is(type, "user"))
        on_message(adapter, event, false);
    else if (fact_is(type, "stream_event"))
        fact_progress(adapter);
    else if (fact_is(type, "rate_limit_event"))
        on_rate_limit(adapter, json_member(event, "rate_limit_info"));
    else if (fact_is(type, "result"))
        on_result(adapter, event);
}

const struct adapter_kind adapter_claude = {.name = "claude-json", .on_event = on_event};
