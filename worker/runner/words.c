/* Hears what a program says. */
#include "worker/runner/words.h"

#include <string.h>

static bool is_progress(const char *line)
{
    const char *percent = strstr(line, "% (");
    return percent != NULL && percent > line && percent[-1] >= '0' && percent[-1] <= '9';
}

/* The oldest go where there is no room for the latest. */
static void keep_line(struct words *words)
{
    static const char between[] = " | ";
    size_t more = words->len + sizeof between - 1;
    words->line[words->len] = '\0';
    if (words->len == 0 || is_progress(words->line))
        return;
    if (words->text_len + more >= WORDS_SIZE) {
        size_t gone = words->text_len + more - WORDS_SIZE + 1;
        gone = gone < words->text_len ? gone : words->text_len;
        memmove(words->text, words->text + gone, words->text_len - gone);
        words->text_len -= gone;
    }
    if (words->text_len > 0) {
        memcpy(words->text + words->text_len, between, sizeof between - 1);
        words->text_len += sizeof between - 1;
    }
    memcpy(words->text + words->text_len, words->line, words->len);
    words->text_len += words->len;
    words->text[words->text_len] = '\0';
}

/* ssh ends its lines with a return, too. */
void words_hear(struct words *words, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char byte = bytes[i];
        if (byte == '\n')
            keep_line(words);
        if (byte == '\n' || (words->returned && byte != '\r'))
            words->len = 0;
        words->returned = byte == '\r';
        if (byte != '\n' && byte != '\r' && words->len + 1 < sizeof words->line)
            words->line[words->len++] = byte >= 0x20 && byte <= 0x7e ? byte : '?';
    }
}

void words_mask(char *text, const char *secret)
{
    size_t len = secret != NULL ? strlen(secret) : 0;
    for (char *at = text; len > 0 && (at = strstr(at, secret)) != NULL; at += len)
        memset(at, '*', len);
}
