/* Bodies of POST /tasks: members and their JSON types, and the row that becomes of a task. */
#include "server/api/task_body.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/db/db.h"
#include "common/text.h"

#define ROW_MAX ((size_t)256 << 20) /* bytes: twice the largest body, and more */
#define NUMBER_MAX 40               /* characters of a number with a fraction or an exponent */

/* The columns of the type fleet.wanted_task behind made_id, in its order; a test compares. */
struct member {
    const char *name;
    enum json_type type;
};

static const struct member members[] = {
    {"task_id", json_type_string},        {"title", json_type_string},
    {"body", json_type_string},           {"labels", json_type_array},
    {"any_agent", json_type_boolean},     {"priority", json_type_int},
    {"execution_mode", json_type_string}, {"task_type", json_type_string},
    {"repo", json_type_string},           {"issue_number", json_type_int},
    {"max_retries", json_type_int},       {"timeout_secs", json_type_int},
    {"run_at", json_type_string},         {"metadata", json_type_object},
    {"base_branch", json_type_string},
};

#define MEMBERS (sizeof members / sizeof members[0])

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

/* --- faults --- */

/* `index` < 0 for a body that is one task. */
static void fault_details(struct task_fault *fault, const char *member, int index)
{
    struct buf out;
    buf_init(&out, sizeof fault->details - 1);
    buf_adds(&out, "{\"member\": ");
    json_quote(&out, member, text_cut(member, 200));
    if (index >= 0)
        buf_addf(&out, ", \"index\": %d", index);
    buf_adds(&out, "}");
    snprintf(fault->details, sizeof fault->details, "%s", out.failed ? "{}" : buf_text(&out));
    buf_release(&out);
}

static bool refuse_unknown(struct task_fault *fault, const char *name, int index)
{
    fault->code = "unknown_member";
    error_set(&fault->text, "a task has no member '%.*s'", (int)text_cut(name, 100), name);
    fault_details(fault, name, index);
    return false;
}

static bool refuse_type(struct task_fault *fault, const char *name, int index, const char *wanted,
                        const struct json_object *value)
{
    fault->code = "wrong_type";
    error_set(&fault->text, "'%s' has to be %s, not %s", name, wanted,
              type_word(json_object_get_type(value)));
    fault_details(fault, name, index);
    return false;
}

/* --- checks --- */

static bool check_labels(const struct json_object *list, int index, struct task_fault *fault)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const struct json_object *label = json_object_array_get_idx(list, i);
        if (!json_object_is_type(label, json_type_string))
            return refuse_type(fault, "labels", index, "a list of strings", label);
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

static bool check_numbers(struct json_object *metadata, int index, struct task_fault *fault)
{
    if (numbers_fit(metadata))
        return true;
    fault->http = 422;
    fault->code = "invalid_value";
    error_set(&fault->text, "'metadata' has to hold whole numbers of less than 64 bits, and others "
                            "of at most 40 digits");
    fault_details(fault, "metadata", index);
    return false;
}

static const struct member *member_find(const char *name)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    }
    return NULL;
}

/* A member that is null counts as absent. */
static bool check_member(const char *name, struct json_object *value, int index,
                         struct task_fault *fault)
{
    const struct member *member = member_find(name);
    if (member == NULL)
        return refuse_unknown(fault, name, index);
    if (value == NULL)
        return true;
    if (!json_object_is_type(value, member->type))
        return refuse_type(fault, name, index, type_word(member->type), value);
    if (member->type == json_type_array)
        return check_labels(value, index, fault);
    return member->type != json_type_object || check_numbers(value, index, fault);
}

static bool check_task(struct json_object *task, int index, struct task_fault *fault)
{
    if (!json_object_is_type(task, json_type_object)) {
        fault->code = "wrong_type";
        error_set(&fault->text, "a task has to be an object, not %s",
                  type_word(json_object_get_type(task)));
        fault_details(fault, "", index);
        return false;
    }
    json_object_object_foreach(task, name, value)
    {
        if (!check_member(name, value, index, fault))
            return false;
    }
    return true;
}

/* --- forms --- */

/* Adds a task or takes over a list. */
static struct json_object *parse_json(const char *bytes, size_t len, enum task_form *form,
                                      struct task_fault *fault)
{
    struct json_object *json = json_parse(bytes, len, &fault->text);
    if (json == NULL && fault->text.text[0] != '\0')
        return NULL;
    *form = json_object_is_type(json, json_type_array) ? TASK_LIST : TASK_ONE;
    if (*form == TASK_LIST)
        return json;
    struct json_object *list = json_object_new_array();
    json_object_array_add(list, json);
    return list;
}

static bool is_blank(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r')
            return false;
    }
    return true;
}

/* One line into `list`; false with fault->text, which names the line, when it is no JSON. */
static bool parse_line(struct json_object *list, const char *bytes, size_t len, int line,
                       struct task_fault *fault)
{
    struct error err = {0};
    struct json_object *json = json_parse(bytes, len, &err);
    if (json == NULL && err.text[0] != '\0') {
        error_set(&fault->text, "line %d: %s", line, err.text);
        return false;
    }
    json_object_array_add(list, json);
    return true;
}

/* A JSON text a line; blank lines count for nothing, and of too many not all are read. */
static struct json_object *parse_lines(const char *bytes, size_t len, struct task_fault *fault)
{
    struct json_object *list = json_object_new_array();
    const char *end = bytes + len;
    for (int line = 1; bytes < end; line++) {
        const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t size = (size_t)((stop != NULL ? stop : end) - bytes);
        bool taken = is_blank(bytes, size) || json_object_array_length(list) > TASK_BODY_ITEMS ||
                     parse_line(list, bytes, size, line, fault);
        if (!taken) {
            json_object_put(list);
            return NULL;
        }
        bytes += size + (stop != NULL);
    }
    return list;
}

static bool check_count(size_t count, struct task_fault *fault)
{
    if (count >= 1 && count <= TASK_BODY_ITEMS)
        return true;
    fault->http = 422;
    fault->code = "invalid_value";
    error_set(&fault->text, "a list has to hold 1 to %d tasks", TASK_BODY_ITEMS);
    return false;
}

struct json_object *task_body_parse(const char *bytes, size_t len, enum task_form *form,
                                    struct task_fault *fault)
{
    *fault = (struct task_fault){.http = 400, .code = "malformed_json"};
    struct json_object *list =
        *form == TASK_LINES ? parse_lines(bytes, len, fault) : parse_json(bytes, len, form, fault);
    if (list == NULL)
        return NULL;
    size_t count = json_object_array_length(list);
    bool good = check_count(count, fault);
    for (size_t i = 0; good && i < count; i++)
        good =
            check_task(json_object_array_get_idx(list, i), *form != TASK_ONE ? (int)i : -1, fault);
    if (good)
        return list;
    json_object_put(list);
    return NULL;
}

/* --- rows --- */

static void add_number(struct buf *row, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    db_row_text(row, text);
}

static void add_labels(struct buf *row, const struct json_object *list)
{
    struct buf array;
    buf_init(&array, ROW_MAX);
    db_array_begin(&array);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        db_array_text(&array, json_object_get_string(json_object_array_get_idx(list, i)));
    db_array_end(&array);
    db_row_text(row, buf_text(&array));
    buf_release(&array);
}

static void add_member(struct buf *row, struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        db_row_text(row, NULL);
        return;
    case json_type_array:
        add_labels(row, value);
        return;
    case json_type_string:
        db_row_text(row, json_object_get_string(value));
        return;
    case json_type_int: /* saturates: what is beyond 64 bits is out of every limit */
        add_number(row, json_object_get_int64(value));
        return;
    case json_type_boolean:
    case json_type_double:
    case json_type_object:
        db_row_text(row, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
        return;
    }
}

void task_body_request(struct buf *out, const struct task_sender *sender)
{
    static const char *const forms[] = {"one", "list", "lines"};
    struct buf row;
    buf_init(&row, ROW_MAX);
    db_row_begin(&row);
    add_number(&row, sender->token_id);
    db_row_text(&row, sender->address);
    db_row_text(&row, sender->request_id);
    db_row_text(&row, sender->key);
    db_row_text(&row, sender->hash);
    db_row_text(&row, forms[sender->form]);
    add_number(&row, sender->timeout_secs);
    add_number(&row, sender->max_retries);
    add_number(&row, sender->max_attempts_total);
    db_row_end(&row);
    buf_init(out, ROW_MAX);
    db_array_text(out, buf_text(&row));
    buf_release(&row);
}

void task_body_add(struct buf *out, const struct json_object *task, const char *id,
                   struct buf *scratch)
{
    struct json_object *own = json_member(task, "task_id");
    buf_clear(scratch);
    db_row_begin(scratch);
    db_row_text(scratch, own == NULL ? "t" : NULL);
    db_row_text(scratch, own != NULL ? json_object_get_string(own) : id);
    for (size_t i = 1; i < MEMBERS; i++)
        add_member(scratch, json_member(task, members[i].name));
    db_row_end(scratch);
    db_array_text(out, buf_text(scratch));
    out->failed = out->failed || scratch->failed;
}
