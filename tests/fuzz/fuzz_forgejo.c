/* Whatever a server answers, it becomes one verdict, JSON only where it is well, and a sentence
 * that may be shown. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/forgejo/internal.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool well)
{
    if (!well)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 204, 301, 400, 403, 404, 422, 423, 429, 500, 502};
    struct forgejo_answer answer;
    struct buf body;

    if (size < 2)
        return 0;
    bool get = data[0] & 1, null_fits = data[0] & 2;
    buf_init(&body, size);
    buf_add(&body, data + 2, size - 2);
    struct fetch_answer http = {.status = statuses[data[1] % (sizeof statuses / sizeof *statuses)],
                                .body = buf_text(&body),
                                .len = body.len,
                                .retry_after_secs = -1,
                                .total = -1,
                                .location = ""};
    struct forgejo forgejo = {0};
    forgejo_judge(&forgejo, &answer, &http, get ? "GET" : "POST", "/x", null_fits);
    bool well = answer.verdict == FORGEJO_OK;
    hold(well || (answer.json == NULL && answer.text[0] != '\0'));
    hold(!well || http.status / 100 == 2);
    hold(strnlen(answer.text, sizeof answer.text) < sizeof answer.text);
    hold(text_is_utf8(answer.text, strlen(answer.text)));
    hold(!well || !get || null_fits || answer.json != NULL);
    json_object_put(answer.json);
    buf_release(&body);
    return 0;
}
