/* Codex CLI: `codex exec --json`, one JSON event a line on stdout
 * (codex-rs/exec/src/exec_events.rs). Unknown events and members are ignored; items of type "error"
 * are only warnings. An unknown id is resumed as a new thread; usage is that of the whole thread.
 */
#include <string.h>
#include <strings.h>

#include "worker/adapter/facts.h"

static int64_t without(int64_t total, int64_t before)
{
    return total > before ? total - before : 0;
}

static void on_usage(struct adapter *adapter, const struct json_object *usage)
{
    static const struct adapter_tokens none = {0};
    const struct adapter_tokens *before = adapter_lost_session(adapter) ? &none : &adapter->before;
    if (!json_object_is_type(usage, json_type_object))
        return;
    fact_tokens(adapter, (struct adapter_tokens){
                             .input = without(fact_number(usage, "input_tokens"), before->input),
                             .cached_input = without(fact_number(usage, "cached_input_tokens"),
                                                     before->cached_input),
                             .output = without(fact_number(usage, "output_tokens"), before->output),
                             .reasoning = without(fact_number(usage, "reasoning_output_tokens"),
                                                  before->reasoning),
                         });
}

static bool is_tool(const char *type)
{
    return fact_is(type, "command_execution") || fact_is(type, "mcp_tool_call") ||
           fact_is(type, "collab_tool_call") || fact_is(type, "web_search");
}

static void on_item(struct adapter *adapter, const char *event, const struct json_object *item)
{
    const char *type = json_string(item, "type", "");
    if (fact_is(event, "item.started") && is_tool(type))
        fact_tool_begins(adapter);
    if (!fact_is(event, "item.completed"))
        return;
    if (is_tool(type))
        fact_tool_ends(adapter);
    if (fact_is(type, "agent_message"))
        fact_message(adapter, json_string(item, "text", ""));
    if (fact_is(type, "error"))
        fact_count(&adapter->facts.warnings);
}

/* "Reconnecting... 2/5 (why)": no verdict, but no progress either. */
static void on_error(struct adapter *adapter, const char *text)
{
    fact_error(adapter, 0, text);
    if (strncasecmp(text, "Reconnecting", 12) == 0 ||
        fact_is(adapter->facts.cause, "provider_down") ||
        fact_is(adapter->facts.cause, "network_failed"))
        fact_waits(adapter);
}

static void on_event(struct adapter *adapter, const char *type, const struct json_object *event)
{
    if (fact_is(type, "thread.started"))
        fact_session(adapter, json_string(event, "thread_id", NULL));
    if (adapter->facts.ending != ENDING_NONE)
        return;
    if (strncmp(type, "item.", 5) == 0) {
        fact_progress(adapter);
        on_item(adapter, type, json_member(event, "item"));
    } else if (fact_is(type, "turn.completed")) {
        fact_completed(adapter);
        on_usage(adapter, json_member(event, "usage"));
    } else if (fact_is(type, "turn.failed")) {
        fact_error(adapter, 0, json_string(json_member(event, "error"), "message", "turn.failed"));
        fact_failed(adapter);
    } else if (fact_is(type, "error")) {
        on_error(adapter, json_string(event, "message", ""));
    }
}

const struct adapter_kind adapter_codex = {
    .name = "codex-json",
    .on_event = on_event,
    .same_session = true,
    .lingers = true,
};
