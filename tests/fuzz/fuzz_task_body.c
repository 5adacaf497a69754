/* POST /tasks: a body is taken with every member inside its limits, or refused with a status, a
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

static void check_taken(struct json_object *list)
{
    size_t count = json_object_array_length(list);
    expect(count >= 1 && count <= TASK_BODY_ITEMS);
    for (size_t i = 0; i < count; i++) {
        struct json_object *task = json_object_array_get_idx(list, i);
        expect(json_string(task, "title", "")[0] != '\0');
        expect(json_int(task, "timeout_secs", 1) >= 1);
        expect(json_int(json_member(task, "defaults"), "max_attempts_total", 0) == 10);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct task_defaults defaults = {2, 1800, 10};
    struct task_fault fault;
    struct error err = {0};
    bool many;
    struct json_object *list = task_body_parse((const char *)data, size, &defaults, &many, &fault);
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
