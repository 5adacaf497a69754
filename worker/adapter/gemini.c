/* Gemini CLI: `gemini -o stream-json`, one JSON event a line on stdout
 * (packages/core/src/output/types.ts). Its answer comes in pieces; its exit statuses are telling
 * (packages/core/src/utils/errors.ts). */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/adapter/facts.h"

static const char ask_tool[] = "ask_user";

static void on_message(struct adapter *adapter, const struct json_object *event)
{
    const char *text = json_string(event, "content", "");
    if (!fact_is(json_string(event, "role", ""), "assistant"))
        return;
    fact_progress(adapter);
    fact_message_part(adapter, text);
    if (!json_flag(event, "delta", false))
        fact_message_ends(adapter);
}

static void on_tool(struct adapter *adapter, const struct json_object *event)
{
    fact_progress(adapter);
    fact_message_ends(adapter);
    fact_tool_begins(adapter);
    if (!fact_is(json_string(event, "tool_name", ""), ask_tool))
        return;
    const struct json_object *list = json_member(json_member(event, "parameters"), "questions");
    const struct json_object *first =
        json_object_is_type(list, json_type_array) ? json_object_array_get_idx(list, 0) : NULL;
    fact_asks(adapter, json_string(first, "question", "it asked a question"));
}

static void on_tool_result(struct adapter *adapter, const struct json_object *event)
{
    fact_progress(adapter);
    fact_tool_ends(adapter);
    if (fact_is(json_string(event, "status", ""), "success"))
        fact_answered(adapter);
}

static void on_failure(struct adapter *adapter, const struct json_object *error)
{
    char *text = mem_printf("%s: %s", json_string(error, "type", "error"),
                            json_string(error, "message", "without a word"));
    fact_error(adapter, (int)fact_number(error, "code"), text);
    free(text);
}

/* input_tokens holds the cached ones. */
static void on_usage(struct adapter *adapter, const struct json_object *stats)
{
    if (!json_object_is_type(stats, json_type_object))
        return;
    fact_tokens(adapter, (struct adapter_tokens){.input = fact_number(stats, "input_tokens"),
                                                 .cached_input = fact_number(stats, "cached"),
                                                 .output = fact_number(stats, "output_tokens")});
}

static void on_result(struct adapter *adapter, const struct json_object *event)
{
    on_usage(adapter, json_member(event, "stats"));
    fact_message_ends(adapter);
    if (fact_is(json_string(event, "status", ""), "success")) {
        fact_completed(adapter);
    } else {
        on_failure(adapter, json_member(event, "error"));
        fact_failed(adapter);
    }
}

static void on_event(struct adapter *adapter, const char *type, const struct json_object *event)
{
    if (adapter->facts.ending != ENDING_NONE)
        return;
    if (fact_is(type, "init")) {
        fact_session(adapter, json_string(event, "session_id", NULL));
        fact_model(adapter, json_string(event, "model", NULL));
    } else if (fact_is(type, "message")) {
        on_message(adapter, event);
    } else if (fact_is(type, "tool_use")) {
        on_tool(adapter, event);
    } else if (fact_is(type, "tool_result")) {
        on_tool_result(adapter, event);
    } else if (fact_is(type, "error") && fact_is(json_string(event, "severity", ""), "warning")) {
        fact_count(&adapter->facts.warnings);
    } else if (fact_is(type, "error")) {
        fact_error(adapter, 0, json_string(event, "message", "error"));
    } else if (fact_is(type, "result")) {
        on_result(adapter, event);
    }
}

/* Its own: 42 its input, 44 its sandbox, 52 its settings, 55 a folder that is not trusted; 54, a
 * tool, and 130, cancelled, say no more than any other. */
static const char *status_reason(int status)
{
    switch (status) {
    case 41:
        return "auth_failed";
    case 42:
    case 44:
    case 52:
    case 55:
        return "agent_setup";
    case 53:
        return "turn_limit";
    default:
        return NULL;
    }
}

const struct adapter_kind adapter_gemini = {
    .name = "gemini-json",
    .on_event = on_event,
    .status = status_reason,
    .lingers = true,
};
