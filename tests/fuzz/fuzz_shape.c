/* Forgejo's answers, whatever they are: what is made of them is JSON that can be read, and of the
 * types that SQL takes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/forgejo/backfill.h"
#include "worker/forgejo/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_or_null(const struct json_object *object, const char *name, enum json_type type)
{
    const struct json_object *value = json_member(object, name);
    return value == NULL || json_object_is_type(value, type);
}

/* Owns made; NULL is an answer, too. */
static void check(struct json_object *made)
{
    struct error err;
    if (made == NULL)
        return;
    const char *text = json_object_to_json_string_ext(made, JSON_C_TO_STRING_PLAIN);
    struct json_object *copy = json_parse(text, strlen(text), &err);
    if (copy == NULL || !is_or_null(made, "id", json_type_int) ||
        !is_or_null(made, "title", json_type_string) ||
        !is_or_null(made, "author_id", json_type_int) ||
        !is_or_null(made, "merged", json_type_boolean))
        abort();
    json_object_put(copy);
    json_object_put(made);
}

static void check_stamp(const struct json_object *value)
{
    char text[32], again[32];
    int64_t stamp = stamp_parse(json_string(value, "updated_at", ""));
    stamp_format(stamp, text, sizeof text);
    stamp_format(stamp_parse(text), again, sizeof again);
    if (stamp > 0 && strcmp(text, again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct json_object *value = json_parse(size > 0 ? (const char *)data : "", size, &err);
    if (value == NULL)
        return 0;
    check(shape_repository(value));
    check(shape_issue(value));
    check(shape_pull(value));
    check(shape_listed(value));
    check(shape_listed_pull(value));
    check(shape_label_events(value));
    check(shape_comments(value, 5, 7));
    check(shape_reviews(value, 5));
    check(shape_review_comments(value));
    check(shape_checks(value, "abc"));
    check_stamp(value);
    json_object_put(value);
    return 0;
}
