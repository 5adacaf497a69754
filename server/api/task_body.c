/* The body of a submission, member by member. */
#include "server/api/task_body.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/api/value.h"

#include "common/text.h"

#define SHOWN_MAX 120 /* bytes of a refused value that an answer shows */
#define NUMBER_MAX 40 /* characters of a number with a fraction or an exponent */

/* A check beyond type and length; false when the value is not allowed. */
typedef bool (*member_check)(const char *text);

/* The one table of what a task may hold. Strings: characters min to max. Numbers: value min to max.
 * Lists: at most max strings of 1 to 255 characters. Objects: at most max bytes as JSON. */
struct member {
    const char *name;
    enum json_type type;
    int64_t min, max;
    member_check check; /* strings only; may be NULL */
    const char *wanted; /* what a right value looks like, for the error */
};

static bool is_id(const char *text)
{
    size_t len = strlen(text);
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false; /* clients and proxies take them out of a path: RFC 3986 5.2.4 */
    return !value_has_control(text) && text[0] != ' ' && text[len - 1] != ' ';
}

static bool is_mode(const char *text)
{
    return strcmp(text, "ssh_cli") == 0 || strcmp(text, "http_pull") == 0 ||
           strcmp(text, "undecided") == 0;
}

static bool is_line(const char *text)
{
    return !value_has_control(text) && strspn(text, " ") < strlen(text);
}

static const struct member members[] = {
    {"title", json_type_string, 1, 500, is_line, "one line of 1 to 500 characters"},
    {"task_id", json_type_string, 1, 200, is_id,
     "1 to 200 characters without controls, not . or .."},
    {"body", json_type_string, 0, 1048576, NULL, "at most 1048576 characters"},
    {"labels", json_type_array, 0, 100, NULL,
     "at most 100 strings of 1 to 255 characters, those with agent: about 2000 bytes together"},
    {"priority", json_type_int, -1000, 1000, NULL, "a whole number from -1000 to 1000"},
    {"execution_mode", json_type_string, 1, 20, is_mode, "ssh_cli, http_pull or undecided"},
    {"task_type", json_type_string, 1, 64, is_line, "one line of 1 to 64 characters"},
    {"repo", json_type_string, 3, 201, value_is_repo, "owner/name"},
    {"issue_number", json_type_int, 1, 999999999, NULL, "a whole number from 1 to 999999999"},
    {"max_retries", json_type_int, 0, 100, NULL, "a whole number from 0 to 100"},
    {"timeout_secs", json_type_int, 1, 604800, NULL, "a whole number from 1 to 604800"},
    {"run_at", json_type_string, 1, 64, value_is_time, "an RFC 3339 time with its zone"},
    {"metadata", json_type_object, 0, 16384, NULL,
     "an object of at most 16384 bytes as JSON, whole numbers of less than 64 bits"},
};

static const char *type_word(enum json_type type)
{
    switch (type) {
    case json_type_null:
        return "null";
    case json_type_boolean:
        return "a boolean";
    case json_type_double:
        return "a number with a fraction";
    case json_type_int:
        return "a whole number";
    case json_type_object:
        return "an object";
    case json_type_array:
        return "a list";
    case json_type_string:
        return "a string";
    }
    return "unknown";
}

/* A value as it is shown in an answer: its JSON, cut. */
static void show_value(struct json_object *value, struct buf *out)
{
    const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
    if (strlen(text) <= SHOWN_MAX)
        buf_adds(out, text);
    else
        json_quote(out, text, text_cut(text, SHOWN_MAX));
}

/* Puts the details together; `index` < 0 for a body that is one task. */
static void fault_details(struct task_fault *fault, const char *member, int index,
                          const char *wanted, struct json_object *value)
{
    struct buf out;
    buf_init(&out, sizeof fault->details - 1);
    buf_adds(&out, "{\"member\": ");
    json_quote(&out, member, text_cut(member, 200));
    if (index >= 0)
        buf_addf(&out, ", \"index\": %d", index);
    if (wanted != NULL) {
        buf_adds(&out, ", \"limit\": ");
        json_quote(&out, wanted, strlen(wanted));
        buf_adds(&out, ", \"value\": ");
        show_value(value, &out);
    }
    buf_adds(&out, "}");
    snprintf(fault->details, sizeof fault->details, "%s", out.failed ? "{}" : buf_text(&out));
    buf_release(&out);
}

static bool refuse_type(struct task_fault *fault, const struct member *member, int index,
                        struct json_object *value)
{
    fault->http = 400;
    fault->code = "wrong_type";
    error_set(&fault->text, "'%s' has to be %s, not %s", member->name, type_word(member->type),
              type_word(json_object_get_type(value)));
    fault_details(fault, member->name, index, NULL, NULL);
    return false;
}

static bool refuse_value(struct task_fault *fault, const struct member *member, int index,
                         struct json_object *value)
{
    struct buf shown;
    buf_init(&shown, 1024);
    show_value(value, &shown);
    fault->http = 422;
    fault->code = "invalid_value";
    error_set(&fault->text, "'%s' has to be %s, not %s", member->name, member->wanted,
              buf_text(&shown));
    fault_details(fault, member->name, index, member->wanted, value);
    buf_release(&shown);
    return false;
}

static bool labels_fit(struct json_object *list, int64_t max, bool *wrong_type)
{
    if ((int64_t)json_object_array_length(list) > max)
        return false;
    size_t required = 0;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        *wrong_type = *wrong_type || !json_object_is_type(item, json_type_string);
        const char *text = *wrong_type ? "" : json_object_get_string(item);
        if (text[0] == '\0' || text_characters(text) > 255 || !is_line(text) ||
            !value_requirement_fits(text, &required))
            return false;
    }
    return true;
}

/* `text` as it was written: one that is zero only because it is too small has an exponent. */
static bool double_fits(double number, const char *text)
{
    if (strlen(text) > NUMBER_MAX || !isfinite(number))
        return false;
    return fabs(number) > 1e-300 || strpbrk(text, "eE") == NULL;
}

/* Numbers that PostgreSQL's jsonb takes too: it has no infinity, and ends at exponents of 16383. */
static bool numbers_fit(struct json_object *value)
{
    bool fit = true;
    switch (json_object_get_type(value)) {
    case json_type_double:
        return double_fits(json_object_get_double(value), json_object_to_json_string(value));
    case json_type_array:
        for (size_t i = 0; fit && i < json_object_array_length(value); i++)
            fit = numbers_fit(json_object_array_get_idx(value, i));
        return fit;
    case json_type_object: {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            fit = fit && numbers_fit(member);
        }
        return fit;
    }
    case json_type_int: /* json-c turns what is beyond 64 bits into these */
        return json_object_get_int64(value) != INT64_MIN &&
               json_object_get_uint64(value) != UINT64_MAX;
    case json_type_null:
    case json_type_boolean:
    case json_type_string:
        return true;
    }
    return true;
}

static bool value_fits(const struct member *member, struct json_object *value, bool *wrong_type)
{
    int64_t size = 0;
    switch (member->type) {
    case json_type_string:
        size = (int64_t)text_characters(json_object_get_string(value));
        break;
    case json_type_int:
        size = json_object_get_int64(value);
        break;
    case json_type_object:
        size = (int64_t)strlen(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
        break;
    case json_type_array:
        return labels_fit(value, member->max, wrong_type);
    case json_type_null:
    case json_type_boolean:
    case json_type_double:
        return false;
    }
    if (size < member->min || size > member->max || !numbers_fit(value))
        return false;
    return member->check == NULL || member->check(json_object_get_string(value));
}

static const struct member *member_find(const char *name)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    }
    return NULL;
}

static bool check_member(const char *name, struct json_object *value, int index,
                         struct task_fault *fault)
{
    const struct member *member = member_find(name);
    if (member == NULL) {
        fault->http = 400;
        fault->code = "unknown_member";
        error_set(&fault->text, "a task has no member '%.*s'", (int)text_cut(name, 100), name);
        fault_details(fault, name, index, NULL, NULL);
        return false;
    }
    if (!json_object_is_type(value, member->type))
        return refuse_type(fault, member, index, value);
    bool wrong_type = false;
    if (value_fits(member, value, &wrong_type))
        return true;
    refuse_value(fault, member, index, value);
    if (wrong_type) {
        fault->http = 400;
        fault->code = "wrong_type";
    }
    return false;
}

/* What the task did not name goes beside its members, so that it does not count as its content. */
static void add_defaults(struct json_object *task, const struct task_defaults *defaults)
{
    struct json_object *values = json_object_new_object();
    json_object_object_add(values, "max_retries", json_object_new_int64(defaults->max_retries));
    json_object_object_add(values, "timeout_secs", json_object_new_int64(defaults->timeout_secs));
    json_object_object_add(values, "max_attempts_total",
                           json_object_new_int64(defaults->max_attempts_total));
    json_object_object_add(task, "defaults", values);
}

/* One task in place: members that are null count as absent and are taken out. */
static bool check_task(struct json_object *task, int index, const struct task_defaults *defaults,
                       struct task_fault *fault)
{
    if (!json_object_is_type(task, json_type_object)) {
        fault->http = 400;
        fault->code = "wrong_type";
        error_set(&fault->text, "a task has to be an object, not %s",
                  type_word(json_object_get_type(task)));
        fault_details(fault, "", index, NULL, NULL);
        return false;
    }
    json_object_object_foreach(task, name, value)
    {
        if (value == NULL && member_find(name) != NULL)
            continue;
        if (!check_member(name, value, index, fault))
            return false;
    }
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (json_member(task, members[i].name) == NULL)
            json_object_object_del(task, members[i].name);
    }
    if (json_member(task, "title") == NULL) {
        fault->http = 422;
        fault->code = "invalid_value";
        error_set(&fault->text, "'title' is missing: every task needs one");
        fault_details(fault, "title", index, NULL, NULL);
        return false;
    }
    add_defaults(task, defaults);
    return true;
}

/* The list that a body is, or a list of the one task that it is. Takes over `json`. */
static struct json_object *as_list(struct json_object *json, bool *many)
{
    *many = json_object_is_type(json, json_type_array);
    if (*many)
        return json;
    struct json_object *list = json_object_new_array();
    json_object_array_add(list, json);
    return list;
}

struct json_object *task_body_parse(const char *bytes, size_t len,
                                    const struct task_defaults *defaults, bool *many,
                                    struct task_fault *fault)
{
    *fault = (struct task_fault){.http = 400, .code = "malformed_json"};
    struct error err = {0};
    struct json_object *json = json_parse(bytes, len, &err);
    if (json == NULL && err.text[0] != '\0') {
        fault->text = err;
        return NULL;
    }
    struct json_object *list = as_list(json, many);
    int count = (int)json_object_array_length(list);
    bool good = count >= 1 && count <= TASK_BODY_ITEMS;
    if (!good) {
        fault->http = 422;
        fault->code = "invalid_value";
        error_set(&fault->text, "a list has to hold 1 to %d tasks, not %d", TASK_BODY_ITEMS, count);
    }
    for (int i = 0; good && i < count; i++)
        good =
            check_task(json_object_array_get_idx(list, (size_t)i), *many ? i : -1, defaults, fault);
    if (good)
        return list;
    json_object_put(list);
    return NULL;
}
