/* Whatever people and agents write, what we write of it to Forgejo keeps the rules. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/words_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(const char *broken, const struct buf *out)
{
    if (!broken && !strstr(buf_text(out), "secretword"))
        return;
    fprintf(stderr, "%s:\n%s\n", broken ? broken : "a secret", buf_text(out));
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const own[] = {"secretword"};
    static const struct redact_words secrets = {own, 1};
    struct buf out;

    if (size < 2 || size > 4096)
        return 0;
    size_t max = data[0] + (size_t)16 * data[1];
    const char *text = (const char *)data + 2;
    buf_init(&out, 1 << 20);
    words_plain(&out, text, size - 2, max, &secrets);
    hold(rules_plain(buf_text(&out), out.len, max), &out);
    buf_clear(&out);
    words_span(&out, text, size - 2, max, &secrets);
    hold(rules_span(buf_text(&out), out.len, max), &out);
    buf_clear(&out);
    words_block(&out, "Said", text, size - 2, max, &secrets);
    hold(rules_block(buf_text(&out), out.len, max, "Said"), &out);
    buf_release(&out);
    return 0;
}
