/* POST /tasks: a body is taken and becomes rows, or is refused with a status, a
 * code and a sentence in valid UTF-8. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/task_body.h"

#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

/* Whatever the texts hold, a row has as many columns as every other. */
static void check_taken(struct json_object *list)
{
    static const struct task_sender sender = {.hash = "ab", .timeout_secs = 1};
    size_t count = json_object_array_length(list);
    expect(count >= 1 && count <= TASK_BODY_ITEMS);
    for (size_t i = 0; i < count; i++) {
        struct buf row;
        int commas = 0;
        bool quoted = false;
        task_body_row(&row, json_object_array_get_idx(list, i), &sender);
        for (const char *c = buf_text(&row); *c != '\0'; c++) {
            commas += *c == ',' && !quoted;
            if (*c == '"')
                quoted = !quoted;
            else if (*c == '\\')
                c++;
        }
        expect(!row.failed && !quoted && commas == 19);
        buf_release(&row);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct task_fault fault;
    struct error err = {0};
    bool many;
    struct json_object *list = task_body_parse((const char *)data, size, &many, &fault);
    if (list != NULL) {
        check_taken(list);
    } else {
        expect((fault.http == 400 || fault.http == 422) && fault.code != NULL);
        expect(fault.text.text[0] != '\0');
        expect(text_is_utf8(fault.text.text, strlen(fault.text.text)));
        if (fault.details[0] != '\0') {
            struct json_object *details = json_parse(fault.details, strlen(fault.details), &err);
            expect(details != NULL);
            json_object_put(details);
        }
    }
    json_object_put(list);
    return 0;
}
