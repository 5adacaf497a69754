/* Aider: `aider --message-file FILE --no-pretty`, plain text (aider/coders/base_coder.py). It exits
 * with 0 even when every call of its model failed, so the lines decide: a report of tokens received
 * closes an answer, an exception of litellm that nothing follows is a failure. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "worker/adapter/facts.h"

static const char *behind(const char *text, const char *word)
{
    size_t len = strlen(word);
    return strncmp(text, word, len) == 0 ? text + len : NULL;
}

/* "2.3k", "12k", "1,234", "150"; 0 when it is none. */
static int64_t count_at(const char *text)
{
    double number = 0, place = 0;
    for (; strchr("0123456789.,", *text) != NULL && *text != '\0' && number < 1e15; text++) {
        if (*text == '.') {
            place = 1;
        } else if (*text != ',') {
            place *= 10;
            number = number * 10 + (*text - '0');
        }
    }
    number /= place > 1 ? place : 1;
    number *= *text == 'k' ? 1e3 : *text == 'M' ? 1e6 : 1;
    return number < (double)ADAPTER_COUNT_MAX ? (int64_t)(number + 0.5) : ADAPTER_COUNT_MAX;
}

/* The count that stands before ` word` in "Tokens: 2.3k sent, 800 cache hit, 150 received." */
static int64_t count_before(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    while (at != NULL && at > text && strchr("0123456789.,kM", at[-1]) != NULL)
        at--;
    return at != NULL ? count_at(at) : 0;
}

/* "Cost: $0.0072 message, $0.01 session.": also on a line of its own. */
static void on_cost(struct adapter *adapter, const char *line)
{
    const char *at = strstr(line, "Cost: $");
    const char *session = at != NULL ? strstr(at, " message, $") : NULL;
    if (session != NULL)
        fact_cost(adapter, strtod(session + sizeof " message, $" - 1, NULL));
}

static void on_tokens(struct adapter *adapter, const char *line)
{
    struct adapter_tokens tokens = {.input = count_before(line, " sent"),
                                    .cached_input = count_before(line, " cache hit"),
                                    .output = count_before(line, " received")};
    fact_tokens_add(adapter, tokens);
    fact_message_ends(adapter);
    if (tokens.output > 0 && adapter->facts.ending != ENDING_FAILED)
        fact_completed(adapter);
}

/* An exception ends the answer; it may be tried again, or another answer may follow. */
static void on_exception(struct adapter *adapter, const char *line)
{
    fact_message_ends(adapter);
    fact_error(adapter, 0, line);
    fact_failed(adapter);
}

static bool is_exception(const char *line)
{
    static const char *const names[] = {"litellm.", "BadRequestError: ", NULL};
    for (const char *const *name = names; *name != NULL; name++)
        if (behind(line, *name) != NULL)
            return true;
    return behind(line, "Model ") != NULL && strstr(line, " has hit a token limit!") != NULL;
}

static void on_model(struct adapter *adapter, const char *text)
{
    char *model = mem_strndup(text, strcspn(text, " "));
    fact_model(adapter, model);
    free(model);
}

/* What it says of itself between two answers. */
static bool is_notice(const char *line)
{
    static const char *const words[] = {
        "Aider v", "Git repo: ",        "Repo-map: ",   "Added ",         "Applied edit",
        "Commit ", "You can use /undo", "Weak model: ", "Editor model: ", "The API provider",
        NULL};
    for (const char *const *word = words; *word != NULL; word++)
        if (behind(line, *word) != NULL)
            return true;
    return false;
}

static void on_line(struct adapter *adapter, const char *line)
{
    struct adapter_facts *facts = &adapter->facts;
    const char *model = behind(line, "Main model: ");
    model = model != NULL ? model : behind(line, "Model: ");
    if (model != NULL && facts->model[0] == '\0') {
        on_model(adapter, model);
    } else if (behind(line, "Tokens: ") != NULL) {
        on_tokens(adapter, line);
    } else if (is_exception(line)) {
        on_exception(adapter, line);
    } else if (behind(line, "Retrying in ") != NULL && facts->ending == ENDING_FAILED) {
        facts->ending = ENDING_NONE;
        fact_waits(adapter);
    } else if (behind(line, "Commit ") != NULL && facts->tokens.output > 0) {
        facts->ending = ENDING_COMPLETED; /* what failed was to find words for it */
    } else if (!is_notice(line) && line[strspn(line, " \t\r")] != '\0') {
        if (facts->ending == ENDING_NONE)
            fact_progress(adapter);
        char *part = mem_printf("%s\n", line);
        fact_message_part(adapter, part);
        free(part);
    }
    if (behind(line, "Tokens: ") != NULL || behind(line, "Cost: ") != NULL)
        on_cost(adapter, line);
}

static void on_text(struct adapter *adapter, const char *line, size_t len)
{
    char *text = mem_strndup(line, len > 0 && line[len - 1] == '\r' ? len - 1 : len);
    on_line(adapter, text);
    free(text);
}

const struct adapter_kind adapter_aider = {.name = "aider", .on_text = on_text};
