/* All of a reader's state that no byte of the output gives back, as one line of JSON. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "worker/adapter/adapter.h"
#include "worker/adapter/facts.h"
#include "worker/adapter/failure.h"

static void add_text(struct buf *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, text, strlen(text));
}

static void add_word(struct buf *out, const char *name, const char *text)
{
    add_text(out, name, text != NULL && text[0] != '\0' ? text : NULL);
}

static void add_count(struct buf *out, const char *name, int64_t count)
{
    if (count != 0)
        buf_addf(out, ",\"%s\":%lld", name, (long long)count);
}

static void add_flag(struct buf *out, const char *name, bool flag)
{
    add_count(out, name, flag);
}

static void add_tokens(struct buf *out, const char *name, const struct adapter_tokens *tokens)
{
    buf_addf(out, ",\"%s\":[%lld,%lld,%lld,%lld]", name, (long long)tokens->input,
             (long long)tokens->cached_input, (long long)tokens->output,
             (long long)tokens->reasoning);
}

static void add_facts(struct buf *out, const struct adapter_facts *facts)
{
    add_count(out, "ending", (int64_t)facts->ending);
    add_count(out, "lines", facts->lines);
    add_count(out, "ignored", facts->ignored);
    add_count(out, "warnings", facts->warnings);
    add_count(out, "tools", facts->tools);
    add_count(out, "waits", facts->waits);
    add_count(out, "events", facts->events);
    add_count(out, "parts", facts->parts);
    add_flag(out, "step", facts->step);
    add_flag(out, "produced", facts->produced);
    add_flag(out, "asked", facts->asked);
    add_flag(out, "sealed", facts->sealed);
    if (facts->has_tokens)
        add_tokens(out, "tokens", &facts->tokens);
    if (facts->has_cost)
        buf_addf(out, ",\"cost\":%lld", (long long)facts->cost_micros);
    add_word(out, "session", facts->session_id);
    add_word(out, "model", facts->model);
    add_text(out, "summary", facts->summary);
    add_text(out, "question", facts->question);
    add_text(out, "error", facts->error);
    add_text(out, "seen", facts->seen);
    add_word(out, "cause", facts->cause);
    add_word(out, "window", facts->limit.window);
    add_count(out, "resets_at", facts->limit.resets_at);
    add_text(out, "limit", facts->limit.text);
}

void adapter_checkpoint(const struct adapter *adapter, struct buf *out)
{
    buf_addf(out, "{\"v\":2,\"kind\":\"%s\",\"at\":%lld", adapter->kind->name,
             (long long)adapter->settled);
    add_flag(out, "skipping", adapter->skipping);
    add_word(out, "wanted", adapter->wanted_session);
    if (adapter->wanted_session[0] != '\0')
        add_tokens(out, "before", &adapter->before);
    add_facts(out, &adapter->facts);
    buf_adds(out, "}");
}

/* --- And back --- */

static bool read_tokens(const struct json_object *object, const char *name,
                        struct adapter_tokens *tokens)
{
    struct json_object *list = json_member(object, name);
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) != 4)
        return false;
    int64_t *fields[] = {&tokens->input, &tokens->cached_input, &tokens->output,
                         &tokens->reasoning};
    for (size_t i = 0; i < 4; i++) {
        int64_t value = json_object_get_int64(json_object_array_get_idx(list, i));
        *fields[i] = value < 0 ? 0 : value > ADAPTER_COUNT_MAX ? ADAPTER_COUNT_MAX : value;
    }
    return true;
}

/* A flag is a count here, and was one word or the other in the first version. */
static bool read_flag(const struct json_object *object, const char *name)
{
    return fact_number(object, name) > 0 || json_flag(object, name, false);
}

static enum adapter_ending read_ending(const struct json_object *object)
{
    int64_t ending = json_int(object, "ending", 0);
    return ending == ENDING_COMPLETED ? ENDING_COMPLETED
           : ending == ENDING_FAILED  ? ENDING_FAILED
                                      : ENDING_NONE;
}

static void read_counts(struct adapter_facts *facts, const struct json_object *object)
{
    facts->ending = read_ending(object);
    facts->lines = fact_number(object, "lines");
    facts->ignored = fact_number(object, "ignored");
    facts->warnings = fact_number(object, "warnings");
    facts->tools = fact_number(object, "tools");
    facts->waits = fact_number(object, "waits");
    facts->events = fact_number(object, "events");
    facts->parts = fact_number(object, "parts");
    facts->step = read_flag(object, "step");
    facts->produced = read_flag(object, "produced");
    facts->asked = read_flag(object, "asked");
    facts->sealed = read_flag(object, "sealed");
    facts->has_tokens = read_tokens(object, "tokens", &facts->tokens);
    facts->has_cost = json_member(object, "cost") != NULL;
    facts->cost_micros = fact_number(object, "cost");
}

static void read_texts(struct adapter *adapter, const struct json_object *object)
{
    struct adapter_facts *facts = &adapter->facts;
    const struct {
        const char *name;
        char **slot;
        size_t max;
    } texts[] = {{"summary", &facts->summary, ADAPTER_SUMMARY_CHARS},
                 {"question", &facts->question, ADAPTER_QUESTION_CHARS},
                 {"error", &facts->error, ADAPTER_ERROR_CHARS},
                 {"seen", &facts->seen, ADAPTER_SEEN_CHARS},
                 {"limit", &facts->limit.text, ADAPTER_ERROR_CHARS}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        fact_text(adapter, texts[i].slot, json_string(object, texts[i].name, NULL), texts[i].max);
    fact_session(adapter, json_string(object, "session", NULL));
    fact_model(adapter, json_string(object, "model", NULL));
    facts->cause = failure_named(json_string(object, "cause", NULL));
    if (facts->cause == NULL && facts->error != NULL)
        facts->cause = failure_of(0, facts->error);
    fact_limit_at(adapter, json_string(object, "window", ""), fact_number(object, "resets_at"));
}

/* The object that a checkpoint is; the caller puts it. NULL when it is none. */
static struct json_object *parse(const char *checkpoint)
{
    struct error err;
    if (checkpoint == NULL)
        return NULL;
    struct json_object *object = json_parse(checkpoint, strlen(checkpoint), &err);
    if (json_object_is_type(object, json_type_object) && json_int(object, "at", -1) >= 0)
        return object;
    json_object_put(object);
    return NULL;
}

bool adapter_restore(struct adapter *adapter, const char *checkpoint)
{
    struct json_object *object = parse(checkpoint);
    bool known = strcmp(json_string(object, "kind", ""), adapter->kind->name) == 0;
    if (known) {
        struct adapter_tokens before = {0};
        adapter->next = adapter->settled = fact_number(object, "at");
        adapter->skipping = read_flag(object, "skipping");
        read_tokens(object, "before", &before);
        if (json_string(object, "wanted", NULL) != NULL)
            adapter_resumes(adapter, json_string(object, "wanted", NULL), &before);
        read_counts(&adapter->facts, object);
        read_texts(adapter, object);
    }
    json_object_put(object);
    return known;
}

bool adapter_session_tokens(const char *checkpoint, const char *session,
                            struct adapter_tokens *tokens)
{
    struct json_object *object = parse(checkpoint);
    struct adapter_tokens before = {0};
    *tokens = (struct adapter_tokens){0};
    bool same = session != NULL && strcmp(json_string(object, "session", ""), session) == 0;
    if (same && strcmp(json_string(object, "wanted", ""), session) == 0)
        read_tokens(object, "before", &before);
    if (same)
        read_tokens(object, "tokens", tokens);
    fact_add(&tokens->input, before.input);
    fact_add(&tokens->cached_input, before.cached_input);
    fact_add(&tokens->output, before.output);
    fact_add(&tokens->reasoning, before.reasoning);
    json_object_put(object);
    return same;
}
