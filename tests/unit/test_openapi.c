/* The OpenAPI document against the table of routes, in both directions. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "server/openapi/openapi.h"
#include "server/routes.h"

static struct buf text;
static struct json_object *document;

static void setup(void)
{
    struct error err = {0};
    buf_init(&text, OPENAPI_MAX);
    openapi_write(&text, server_routes);
    ck_assert(!text.failed);
    document = json_parse(buf_text(&text), text.len, &err);
    ck_assert_msg(document != NULL, "%s", err.text);
}

static void teardown(void)
{
    json_object_put(document);
    buf_release(&text);
}

/* "/api/v1/tasks/{}" of "/api/v1/tasks/{task_id}". */
static void pattern_of(const char *path, char *pattern, size_t size)
{
    size_t used = 0;
    for (bool inside = false; *path != '\0' && used + 1 < size; path++) {
        inside = inside && *path != '}';
        if (!inside)
            pattern[used++] = *path;
        inside = inside || *path == '{';
    }
    pattern[used] = '\0';
}

static struct json_object *operation_of(const struct route *route)
{
    char pattern[200], method[16] = "";
    for (size_t i = 0; route->method[i] != '\0' && i < sizeof method - 1; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    json_object_object_foreach(json_member(document, "paths"), path, item)
    {
        pattern_of(path, pattern, sizeof pattern);
        if (strcmp(pattern, route->pattern) == 0)
            return json_member(item, method);
    }
    return NULL;
}

START_TEST(each_route_has_an_operation)
{
    for (const struct route *route = server_routes; route->method != NULL; route++) {
        struct json_object *operation = operation_of(route);
        ck_assert_msg(operation != NULL, "%s %s", route->method, route->pattern);
        ck_assert_str_eq(json_string(operation, "operationId", ""), route->doc.name);
        ck_assert_ptr_nonnull(route->doc.answers);
        ck_assert_ptr_nonnull(json_member(operation, "responses"));
        bool open = route->kind != ROUTE_API;
        ck_assert_int_eq(json_member(operation, "security") != NULL, open);
        ck_assert_str_eq(json_string(operation, "x-scope", "none"),
                         open ? "none" : scope_name(route->scope));
        bool writes = strcmp(route->method, "GET") != 0 && strcmp(route->method, "DELETE") != 0;
        ck_assert_msg(writes || route->doc.body == NULL, "%s has a body", route->doc.name);
    }
}
END_TEST

START_TEST(there_are_no_other_operations)
{
    int operations = 0, routes = 0;
    for (const struct route *route = server_routes; route->method != NULL; route++) {
        routes++;
        for (const struct route *other = server_routes; other < route; other++)
            ck_assert_str_ne(other->doc.name, route->doc.name);
    }
    json_object_object_foreach(json_member(document, "paths"), path, item)
    {
        (void)path;
        operations += json_object_object_length(item);
    }
    ck_assert_int_eq(operations, routes);
}
END_TEST

static bool resolves(const char *reference)
{
    char part[100];
    struct json_object *at = document;
    ck_assert(strncmp(reference, "#/", 2) == 0);
    for (const char *begin = reference + 2; at != NULL; begin += strlen(part) + 1) {
        snprintf(part, sizeof part, "%.*s", (int)strcspn(begin, "/"), begin);
        at = json_member(at, part);
        if (begin[strlen(part)] == '\0')
            break;
    }
    return at != NULL;
}

/* Every reference below; counts them. */
static int check_references(struct json_object *value)
{
    int count = 0;
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            count += check_references(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            if (strcmp(name, "$ref") == 0) {
                ck_assert_msg(resolves(json_object_get_string(member)), "%s leads nowhere",
                              json_object_get_string(member));
                count++;
            }
            count += check_references(member);
        }
    }
    return count;
}

START_TEST(references_lead_somewhere)
{
    ck_assert_int_gt(check_references(document), 100);
}
END_TEST

/* What is described is used by some route, or by what is. */
START_TEST(nothing_is_described_in_vain)
{
    static const char *const kinds[] = {"schemas", "parameters", NULL};
    for (const char *const *kind = kinds; *kind != NULL; kind++) {
        struct json_object *described = json_member(json_member(document, "components"), *kind);
        json_object_object_foreach(described, name, value)
        {
            char reference[200];
            (void)value;
            snprintf(reference, sizeof reference, "\"#/components/%s/%s\"", *kind, name);
            ck_assert_msg(strstr(buf_text(&text), reference) != NULL, "nobody uses %s", reference);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openapi");
    TCase *tcase = tcase_create("document");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, each_route_has_an_operation);
    tcase_add_test(tcase, there_are_no_other_operations);
    tcase_add_test(tcase, references_lead_somewhere);
    tcase_add_test(tcase, nothing_is_described_in_vain);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
