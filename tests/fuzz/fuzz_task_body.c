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

/* Whatever the texts hold, an element of the array is one quoted text. */
static void check_taken(struct json_object *list)
{
    struct buf out, scratch;
    size_t count = json_object_array_length(list), elements = 0;
    bool quoted = false;
    expect(count >= 1 && count <= TASK_BODY_ITEMS);
    buf_init(&out, 64 << 20);
    buf_init(&scratch, 64 << 20);
    for (size_t i = 0; i < count; i++)
        task_body_add(&out, json_object_array_get_idx(list, i), "t-x", &scratch);
    for (const char *c = buf_text(&out); *c != '\0'; c++) {
        if (*c == '"')
            elements += (quoted = !quoted);
        else if (*c == '\\')
            c++;
        else
            expect(quoted || *c == ',');
    }
    expect(!out.failed && !quoted && elements == count);
    buf_release(&scratch);
    buf_release(&out);
}

static void check_body(const char *bytes, size_t size, enum task_form form)
{
    struct task_fault fault;
    struct error err = {0};
    struct json_object *list = task_body_parse(bytes, size, &form, &fault);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_body((const char *)data, size, TASK_ONE);
    check_body((const char *)data, size, TASK_LINES);
    return 0;
}
