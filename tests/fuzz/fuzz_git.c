/* What git says, and a server through it: last words that fit and hold no control character and no
 * secret, and a default branch that has a proper name or none. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/runner/advert.h"
#include "worker/runner/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

/* Heard in pieces, as a pipe gives them. */
static void hear(const char *text, size_t size)
{
    char said[WORDS_SIZE] = "";
    struct words words = {.text = said};
    for (size_t at = 0, len = 0; at < size; at += len) {
        len = 1 + (unsigned char)text[at] % 32;
        len = len < size - at ? len : size - at;
        words_hear(&words, text + at, len);
    }
    expect(words.text_len < sizeof said && strlen(said) == words.text_len);
    for (const char *at = said; *at != '\0'; at++)
        expect(*at >= 0x20 && *at <= 0x7e);
    words_mask(said, "ab");
    expect(strstr(said, "ab") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char head[REFS_NAME_SIZE];
    bool sha256 = false;
    char *text = malloc(size + 1);
    expect(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    hear(text, size);
    advert_read(text, head, &sha256);
    expect(head[0] == '\0' || (strncmp(head, "refs/heads/", 11) == 0 && refs_is_name(head)));
    free(text);
    return 0;
}
