/* Whatever an agent prints: no crash, bounded facts, and an adopter that goes on from any
 * checkpoint ends where an undisturbed reader does. The first byte says in which format it is read,
 * the second where the first reader dies. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/adapter/adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct adapter_kind *const kinds[] = {&adapter_text,   &adapter_codex,
                                                   &adapter_claude, &adapter_opencode,
                                                   &adapter_gemini, &adapter_aider};

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void expect_same(const struct adapter *one, const struct adapter *two)
{
    struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    adapter_checkpoint(one, &a);
    adapter_checkpoint(two, &b);
    demand(!a.failed && strcmp(buf_text(&a), buf_text(&b)) == 0);
    buf_release(&a);
    buf_release(&b);
}

static bool is_count(int64_t count)
{
    return count >= 0 && count <= ADAPTER_COUNT_MAX;
}

static bool fits(const char *text, size_t max_chars)
{
    return text == NULL || strlen(text) <= 4 * max_chars;
}

static void expect_bounds(struct adapter *adapter)
{
    static const struct limit_clock clock = {.now = 1000};
    const struct adapter_facts *facts = &adapter->facts;
    const char *reason, *wait = adapter_waits_for(adapter);
    bool guessed;
    int64_t end = adapter_resets_at(adapter, &clock, &guessed);
    const char *outcome = adapter_judge(adapter, 0, &reason);
    demand(outcome != NULL && (wait == NULL || wait[0] != '\0'));
    demand(end == 0 || end > clock.now);
    demand(is_count(facts->tokens.input) && is_count(facts->tokens.cached_input));
    demand(is_count(facts->tokens.output) && is_count(facts->tokens.reasoning));
    demand(is_count(facts->tools) && is_count(facts->waits) && is_count(facts->cost_micros));
    demand(fits(facts->summary, ADAPTER_SUMMARY_CHARS) && fits(facts->error, 1500));
    demand(fits(facts->question, ADAPTER_QUESTION_CHARS) && fits(facts->seen, 200));
    demand(facts->session_id[0] == '\0' || adapter_session_valid(facts->session_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct adapter_kind *kind = kinds[data[0] % (sizeof kinds / sizeof kinds[0])];
    const char *text = (const char *)data + 2;
    size_t len = size - 2, cut = len * data[1] / 255;
    struct adapter whole, first, second;
    struct buf point;
    buf_init(&point, 1 << 20);
    adapter_init(&whole, kind);
    adapter_init(&first, kind);
    adapter_init(&second, kind);
    adapter_resumes(&whole, "wanted", &(struct adapter_tokens){1, 2, 3, 4});
    adapter_resumes(&first, "wanted", &(struct adapter_tokens){1, 2, 3, 4});
    adapter_feed(&whole, text, len);
    adapter_feed(&first, text, cut);
    adapter_checkpoint(&first, &point);
    demand(adapter_restore(&second, buf_text(&point)));
    size_t from = (size_t)adapter_next(&second);
    demand(from <= cut);
    adapter_feed(&second, text + from, len - from);
    adapter_end(&whole);
    adapter_end(&second);
    expect_same(&whole, &second);
    expect_bounds(&whole);
    adapter_release(&whole);
    adapter_release(&first);
    adapter_release(&second);
    buf_release(&point);
    return 0;
}
