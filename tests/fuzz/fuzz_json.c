/* json_parse and json_quote on any bytes: what is taken can be written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_quote(const char *bytes, size_t len)
{
    struct buf buf;
    struct error err;
    buf_init(&buf, 8 * len + 2);
    json_quote(&buf, bytes, len);
    if (buf.failed || !text_is_utf8(buf.data, buf.len))
        abort();
    /* Everything but NUL, which is written as the escape that we refuse to read. */
    struct json_object *value = json_parse(buf.data, buf.len, &err);
    if ((value == NULL) != (memchr(bytes, 0, len) != NULL))
        abort();
    json_object_put(value);
    buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {{0}, ""};
    const char *bytes = size > 0 ? (const char *)data : "";
    struct json_object *value = json_parse(bytes, size, &err);
    if (value != NULL && err.text[0] != '\0')
        abort();
    if (value != NULL) {
        const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
        struct error again = {{0}, ""};
        struct json_object *copy = json_parse(text, strlen(text), &again);
        if (copy == NULL)
            abort();
        json_object_put(copy);
        json_string(value, "a", "");
        json_int(value, "a", 0);
        json_flag(value, "a", false);
    } else if (err.text[0] != '\0' && strstr(err.text, "at byte ") == NULL) {
        abort();
    }
    json_object_put(value);
    check_quote(bytes, size);
    return 0;
}
