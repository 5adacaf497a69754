#include "server/api/filter.h"

#include <ctype.h>
#include <string.h>

static void add_value(void *data, const char *part, size_t len)
{
    json_object_array_add(data, json_object_new_string_len(part, (int)len));
}

struct json_object *filter_build(const struct query *query, const char *const *names)
{
    struct json_object *filter = json_object_new_object();
    for (; *names != NULL; names++) {
        struct json_object *values = json_object_new_array();
        if (query_each(query, *names, add_value, values) > 0)
            json_object_object_add(filter, *names, values);
        else
            json_object_put(values);
    }
    return filter;
}

void filter_encode(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL))
            buf_add(out, text, 1);
        else
            buf_addf(out, "%%%02X", byte);
    }
}

void filter_next_query(struct buf *out, const struct query *query, const char *cursor)
{
    for (int i = 0; i < query->count; i++) {
        if (strcmp(query->items[i].name, "cursor") == 0)
            continue;
        filter_encode(out, query->items[i].name);
        buf_adds(out, "=");
        filter_encode(out, query->items[i].value);
        buf_adds(out, "&");
    }
    buf_adds(out, "cursor=");
    filter_encode(out, cursor);
}
