/* The facts of a run, set one by one. */
#include "worker/adapter/facts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/redact.h"
#include "common/text.h"
#include "worker/adapter/failure.h"
#include "worker/clean.h"

#define COST_MAX 1e6    /* USD */
#define PARTS_MAX 50000 /* pieces of messages that are put together: each costs a whole message */

bool fact_is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

/* --- Numbers --- */

void fact_count(int64_t *counter)
{
    fact_add(counter, 1);
}

void fact_add(int64_t *counter, int64_t number)
{
    if (number > 0)
        *counter = number < ADAPTER_COUNT_MAX - *counter ? *counter + number : ADAPTER_COUNT_MAX;
}

int64_t fact_number(const struct json_object *object, const char *name)
{
    int64_t value = json_int(object, name, 0);
    return value < 0 ? 0 : value > ADAPTER_COUNT_MAX ? ADAPTER_COUNT_MAX : value;
}

void fact_tokens(struct adapter *adapter, struct adapter_tokens tokens)
{
    adapter->facts.tokens = tokens;
    adapter->facts.has_tokens = true;
}

void fact_tokens_add(struct adapter *adapter, struct adapter_tokens tokens)
{
    struct adapter_tokens *sum = &adapter->facts.tokens;
    fact_add(&sum->input, tokens.input);
    fact_add(&sum->cached_input, tokens.cached_input);
    fact_add(&sum->output, tokens.output);
    fact_add(&sum->reasoning, tokens.reasoning);
    adapter->facts.has_tokens = true;
}

/* Nothing is what a CLI says that knows no price. */
void fact_cost_add(struct adapter *adapter, double usd)
{
    if (!isfinite(usd) || usd <= 0)
        return;
    fact_add(&adapter->facts.cost_micros, llround((usd > COST_MAX ? COST_MAX : usd) * 1e6));
    adapter->facts.has_cost = true;
}

void fact_cost(struct adapter *adapter, double usd)
{
    adapter->facts.cost_micros = 0;
    adapter->facts.has_cost = false;
    fact_cost_add(adapter, usd);
}

/* --- Texts --- */

/* Text of the agent without credentials; before it is cut, which might leave half of one. */
static char *without_secrets(const struct adapter *adapter, const char *text, size_t max_chars)
{
    char *whole = mem_strdup(text);
    redact_text(whole, &adapter->secrets);
    char *clean = clean_copy(whole, strlen(whole), max_chars);
    free(whole);
    return clean;
}

void fact_text(const struct adapter *adapter, char **slot, const char *text, size_t max_chars)
{
    char *clean = text == NULL ? NULL : without_secrets(adapter, text, max_chars);
    free(*slot);
    *slot = clean;
}

/* It holds no credential. */
static bool is_public(const struct adapter *adapter, const char *text)
{
    char *copy = mem_strdup(text);
    redact_text(copy, &adapter->secrets);
    bool same = strcmp(copy, text) == 0;
    free(copy);
    return same;
}

bool adapter_session_valid(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return len > 0 && len < ADAPTER_SESSION_SIZE && id[len] == '\0' && id[0] != '-';
}

void fact_session(struct adapter *adapter, const char *id)
{
    if (id != NULL && adapter->facts.session_id[0] == '\0' && adapter_session_valid(id) &&
        is_public(adapter, id))
        memcpy(adapter->facts.session_id, id, strlen(id) + 1);
}

void fact_model(struct adapter *adapter, const char *model)
{
    char *slot = adapter->facts.model;
    if (model == NULL || slot[0] != '\0')
        return;
    size_t len = 0;
    while (model[len] > ' ' && model[len] < 0x7f)
        len++;
    if (len > 0 && len < ADAPTER_MODEL_SIZE && model[len] == '\0' && is_public(adapter, model))
        memcpy(slot, model, len + 1);
}

/* The last line that holds anything, and where it ends. */
static const char *last_line(const char *text, size_t *len)
{
    size_t end = strlen(text);
    while (end > 0 && strchr(" \t\r\n", text[end - 1]) != NULL)
        end--;
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    *len = end - start;
    return text + start;
}

/* "QUESTION: …", also in the marks of Markdown. */
static void find_question(struct adapter *adapter, const char *text)
{
    static const char mark[] = "QUESTION:";
    size_t len;
    const char *line = last_line(text, &len);
    size_t lead = strspn(line, " \t*_>#`");
    if (!adapter->facts.asked)
        fact_answered(adapter);
    if (lead + sizeof mark - 1 >= len || strncmp(line + lead, mark, sizeof mark - 1) != 0)
        return;
    line += lead + sizeof mark - 1;
    len -= lead + sizeof mark - 1;
    size_t blanks = strspn(line, " \t*_`");
    while (len > blanks && strchr(" *_`", line[len - 1]) != NULL)
        len--;
    if (blanks >= len)
        return;
    char *question = mem_strndup(line + blanks, len - blanks);
    fact_text(adapter, &adapter->facts.question, question, ADAPTER_QUESTION_CHARS);
    free(question);
}

void fact_message(struct adapter *adapter, const char *text)
{
    fact_text(adapter, &adapter->facts.summary, text, ADAPTER_SUMMARY_CHARS);
    find_question(adapter, text);
}

/* Where the last `max` characters begin. */
static const char *end_of(const char *text, size_t max)
{
    size_t over = text_characters(text);
    for (over = over > max ? over - max : 0; over > 0; over--)
        do
            text++;
        while ((*text & 0xc0) == 0x80);
    return text;
}

/* A piece may hold the rest of a credential whose beginning was overwritten. */
void fact_message_part(struct adapter *adapter, const char *text)
{
    struct adapter_facts *facts = &adapter->facts;
    if (!facts->step) {
        fact_text(adapter, &facts->summary, NULL, 0);
        facts->sealed = false;
        facts->step = true;
    }
    if (facts->sealed || facts->parts >= PARTS_MAX)
        return;
    fact_count(&facts->parts);
    char *whole = mem_printf("%s%s", facts->summary != NULL ? facts->summary : "", text);
    facts->sealed = !is_public(adapter, whole);
    fact_text(adapter, &facts->summary, whole, SIZE_MAX / 8);
    free(whole);
    char *kept = mem_strdup(end_of(facts->summary, ADAPTER_SUMMARY_CHARS));
    free(facts->summary);
    facts->summary = kept;
}

void fact_message_ends(struct adapter *adapter)
{
    struct adapter_facts *facts = &adapter->facts;
    if (facts->step && facts->summary != NULL)
        find_question(adapter, facts->summary);
    facts->step = false;
}

void fact_asks(struct adapter *adapter, const char *question)
{
    fact_text(adapter, &adapter->facts.question, question, ADAPTER_QUESTION_CHARS);
    adapter->facts.asked = true;
}

void fact_answered(struct adapter *adapter)
{
    fact_text(adapter, &adapter->facts.question, NULL, 0);
    adapter->facts.asked = false;
}

/* --- What it does --- */

void fact_tool_begins(struct adapter *adapter)
{
    fact_count(&adapter->facts.tools);
    fact_answered(adapter);
}

void fact_tool_ends(struct adapter *adapter)
{
    if (adapter->facts.tools > 0)
        adapter->facts.tools--;
}

void fact_waits(struct adapter *adapter)
{
    fact_count(&adapter->facts.waits);
}

static void forget_limit(struct adapter *adapter)
{
    free(adapter->facts.limit.text);
    adapter->facts.limit = (struct adapter_limit){0};
}

void fact_progress(struct adapter *adapter)
{
    struct adapter_facts *facts = &adapter->facts;
    if (facts->waits > 0) {
        fact_text(adapter, &facts->error, NULL, 0);
        facts->cause = NULL;
        forget_limit(adapter);
    }
    facts->waits = 0;
}

void fact_limit(struct adapter *adapter, const char *text)
{
    struct adapter_limit *limit = &adapter->facts.limit;
    fact_limit_at(adapter, limit_window(text), 0);
    if (limit->text == NULL || limit_tells(text))
        fact_text(adapter, &limit->text, text, ADAPTER_ERROR_CHARS);
}

void fact_limit_at(struct adapter *adapter, const char *window, int64_t resets_at)
{
    struct adapter_limit *limit = &adapter->facts.limit;
    size_t len = strspn(window, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (len > 0 && len < sizeof limit->window && window[len] == '\0' && limit->window[0] == '\0')
        memcpy(limit->window, window, len + 1);
    if (resets_at > 0 && resets_at < ADAPTER_COUNT_MAX)
        limit->resets_at = resets_at;
}

void fact_fails(struct adapter *adapter, const char *reason, const char *text)
{
    struct adapter_facts *facts = &adapter->facts;
    if (fact_is(reason, "session_lost") && adapter->wanted_session[0] == '\0')
        reason = "agent_error"; /* it had none to lose */
    if (failure_weight(reason) < failure_weight(facts->cause))
        return;
    facts->cause = failure_named(reason);
    fact_text(adapter, &facts->error, text, ADAPTER_ERROR_CHARS);
    if (fact_is(reason, "provider_quota") || fact_is(reason, "rate_limited"))
        fact_limit(adapter, text);
    else
        forget_limit(adapter);
}

void fact_error(struct adapter *adapter, int status, const char *text)
{
    fact_fails(adapter, failure_of(status, text), text);
}

static void ends(struct adapter *adapter, enum adapter_ending ending)
{
    adapter->facts.ending = ending;
    adapter->facts.tools = 0;
    adapter->facts.step = false;
}

void fact_completed(struct adapter *adapter)
{
    fact_progress(adapter);
    ends(adapter, ENDING_COMPLETED);
}

void fact_failed(struct adapter *adapter)
{
    ends(adapter, ENDING_FAILED);
    adapter->facts.waits = 0;
}
