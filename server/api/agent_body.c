/* Reads bodies of agents, and says what is wrong with a member. */
#include "server/api/agent_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/db.h"
#include "common/mem.h"
#include "common/text.h"
#include "server/api/request.h"

#define TEXTS_MAX 65536 /* bytes of a list of texts */

bool agent_body(struct call *call, struct json_object **body)
{
    struct error err = {0};
    size_t len;
    const char *bytes = call_body(call, &len);
    *body = len > 0 ? json_parse(bytes, len, &err) : json_object_new_object();
    if (*body == NULL && err.text[0] != '\0')
        call_error(call, 400, "malformed_json", NULL, "%s", err.text);
    else if (!json_object_is_type(*body, json_type_object))
        call_error(call, 400, "wrong_type", NULL, "the body has to be a JSON object");
    else
        return true;
    json_object_put(*body);
    *body = NULL;
    return false;
}

const char *agent_body_text(struct json_object *body)
{
    return json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN);
}

static void refuse(struct call *call, const char *name, const char *wanted)
{
    struct buf details;
    buf_init(&details, 1000);
    buf_adds(&details, "{\"member\": ");
    json_quote(&details, name, strlen(name));
    buf_adds(&details, ", \"limit\": ");
    json_quote(&details, wanted, strlen(wanted));
    buf_adds(&details, "}");
    call_error(call, 422, "invalid_value", buf_text(&details), "'%s' has to be %s", name, wanted);
    buf_release(&details);
}

bool agent_body_texts(struct call *call, const struct json_object *body, const char *name,
                      struct buf *out, const char **array)
{
    struct json_object *list = json_member(body, name);
    bool good = list == NULL || json_object_is_type(list, json_type_array);
    buf_init(out, TEXTS_MAX);
    db_array_begin(out);
    for (size_t i = 0; good && list != NULL && i < json_object_array_length(list); i++) {
        struct json_object *text = json_object_array_get_idx(list, i);
        good = json_object_is_type(text, json_type_string);
        if (good)
            db_array_text(out, json_object_get_string(text));
    }
    db_array_end(out);
    good = good && !out->failed;
    if (!good)
        refuse(call, name, "a list of texts, of 64 KiB at most");
    *array = list != NULL ? buf_text(out) : NULL;
    return good;
}

bool agent_body_int(struct call *call, const struct json_object *body, const char *name,
                    int64_t low, int64_t high, int64_t fallback, int64_t *value)
{
    struct json_object *number = json_member(body, name);
    *value = fallback;
    if (number == NULL)
        return true;
    *value = json_object_get_int64(number);
    if (json_object_is_type(number, json_type_int) && *value >= low && *value <= high)
        return true;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)low,
             (long long)high);
    refuse(call, name, wanted);
    return false;
}

bool agent_body_string(struct call *call, const struct json_object *body, const char *name,
                       const char **value)
{
    struct json_object *text = json_member(body, name);
    *value = text != NULL ? json_object_get_string(text) : NULL;
    if (text == NULL || json_object_is_type(text, json_type_string))
        return true;
    refuse(call, name, "a text");
    return false;
}

/* --- credentials --- */

/* Every text in the value; recursion ends, for json_parse() bounds the depth. */
static void redact_value(const struct call *call, struct json_object *value)
{
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            redact_value(call, member);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            redact_value(call, json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_string)) {
        char *text = mem_strdup(json_object_get_string(value));
        request_redact(call, text);
        json_object_set_string(value, text);
        free(text);
    }
}

void agent_body_redact(const struct call *call, struct json_object *body)
{
    static const char *const names[] = {"agent_id", "agent_type", "hostname", "capabilities",
                                        "task_id",  "status",     NULL};
    json_object_object_foreach(body, name, value)
    {
        if (!text_listed(name, names))
            redact_value(call, value);
    }
}
