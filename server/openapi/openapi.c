/* From rows of the routing table to paths and operations. */
#include "server/openapi/openapi.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

/* components.json, as it is, ended by NUL. */
__asm__(".section .rodata\n"
        "openapi_components: .incbin \"" FLEET_SOURCE "/server/openapi/components.json\"\n"
        ".byte 0\n"
        ".previous");
extern const char openapi_components[];

/* --- paths --- */

/* The name of what "{}" takes: that of the collection before it, e.g. task_id after "tasks". */
static void add_name(struct buf *out, const char *pattern, const char *at)
{
    const char *end = at - 1, *begin = end;
    while (begin > pattern && begin[-1] != '/')
        begin--;
    size_t len = (size_t)(end - begin);
    if (strncmp(begin, "deliveries", len) == 0)
        buf_adds(out, "delivery_id");
    else
        buf_addf(out, "%.*s_id", (int)len - 1, begin); /* without the plural's s */
}

static void add_path(struct buf *out, const char *pattern)
{
    for (const char *at = pattern; *at != '\0'; at++) {
        buf_add(out, at, 1);
        if (*at == '{')
            add_name(out, pattern, at);
    }
}

static void add_path_parameter(struct buf *out, const char *pattern)
{
    const char *at = strstr(pattern, "{}");
    if (at == NULL)
        return;
    buf_adds(out, "{\"name\": \"");
    add_name(out, pattern, at);
    buf_adds(out, "\", \"in\": \"path\", \"required\": true, \"schema\": {\"type\": \"string\"}, "
                  "\"description\": \"percent-encoded: an id may hold / and #\"}");
}

/* --- operations --- */

static void add_string(struct buf *out, const char *text)
{
    json_quote(out, text, strlen(text));
}

static void add_reference(struct buf *out, const char *kind, const char *name, size_t len)
{
    buf_addf(out, "{\"$ref\": \"#/components/%s/%.*s\"}", kind, (int)len, name);
}

static void add_parameters(struct buf *out, const struct route *route)
{
    const char *const *queries = route->queries;
    buf_adds(out, ", \"parameters\": [");
    add_path_parameter(out, route->pattern);
    bool first = strstr(route->pattern, "{}") == NULL;
    for (; queries != NULL && *queries != NULL; queries++) {
        buf_adds(out, first ? "" : ", ");
        add_reference(out, "parameters", *queries, strlen(*queries));
        first = false;
    }
    buf_adds(out, "]");
}

/* One form of a body: by the name of its schema, or of what is no JSON. */
static void add_form(struct buf *out, const char *schema, size_t len)
{
    static const struct {
        const char *name, *type;
    } others[] = {{"text", "text/plain"},
                  {"events", "text/event-stream"},
                  {"lines", "application/x-ndjson"},
                  {"form", "application/x-www-form-urlencoded"},
                  {"bytes", "application/octet-stream"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strlen(others[i].name) == len && memcmp(others[i].name, schema, len) == 0) {
            buf_addf(out, "\"%s\": {\"schema\": {\"type\": \"string\"}}", others[i].type);
            return;
        }
    }
    buf_adds(out, "\"application/json\": {\"schema\": ");
    add_reference(out, "schemas", schema, len);
    buf_adds(out, "}");
}

/* What a body or an answer is: "text|events" is either. */
static void add_content(struct buf *out, const char *schema, size_t len)
{
    buf_adds(out, "\"content\": {");
    for (const char *at = schema, *end = schema + len; at < end;) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        size_t one = (size_t)((bar != NULL ? bar : end) - at);
        buf_adds(out, at > schema ? ", " : "");
        add_form(out, at, one);
        at += one + 1;
    }
    buf_adds(out, "}");
}

/* "200 TaskList, 404": one answer; a status without a schema is an error, but below 400 an answer
 * without a body. */
static const char *add_answer(struct buf *out, const char *at)
{
    size_t len = strcspn(at, ",");
    const char *blank = memchr(at, ' ', len);
    size_t digits = blank != NULL ? (size_t)(blank - at) : len;
    buf_addf(out, "\"%.*s\": ", (int)digits, at);
    if (blank != NULL) {
        buf_addf(out, "{\"description\": \"%.*s\", ", (int)(len - digits - 1), blank + 1);
        add_content(out, blank + 1, len - digits - 1);
        buf_adds(out, "}");
    } else if (*at < '4') {
        buf_adds(out, "{\"description\": \"nothing\"}");
    } else {
        add_reference(out, "responses", "Error", 5);
    }
    at += len;
    return at + strspn(at, ", ");
}

/* What every route of its kind may answer beside its own. */
static const char *usual_errors(const struct route *route)
{
    if (route->kind == ROUTE_HEALTH)
        return "400";
    if (route->kind != ROUTE_API)
        return "400, 421, 500";
    return "400, 401, 403, 421, 429, 500, 503";
}

static bool has_status(const char *answers, const char *status)
{
    for (const char *at = answers; (at = strstr(at, status)) != NULL; at += 3) {
        if (at == answers || (at[-1] == ' ' && at[-2] == ','))
            return true;
    }
    return false;
}

static void add_answers(struct buf *out, const struct route *route)
{
    const char *at = route->doc.answers;
    buf_adds(out, ", \"responses\": {");
    while (*at != '\0') {
        at = add_answer(out, at);
        buf_adds(out, *at != '\0' ? ", " : "");
    }
    for (at = usual_errors(route); *at != '\0'; at += strcspn(at, ","), at += strspn(at, ", ")) {
        char status[4] = {at[0], at[1], at[2], '\0'};
        if (has_status(route->doc.answers, status))
            continue;
        buf_adds(out, ", ");
        add_answer(out, status);
    }
    buf_adds(out, "}");
}

/* Which tokens open it: OpenAPI has no word for that of a bearer, so it is told twice. */
static void add_security(struct buf *out, const struct route *route)
{
    if (route->kind != ROUTE_API) {
        buf_adds(out, ", \"security\": []");
        return;
    }
    buf_addf(out, ", \"x-scope\": \"%s\", \"x-agents\": %s", scope_name(route->scope),
             route->agents ? "true" : "false");
}

static void add_operation(struct buf *out, const struct route *route)
{
    for (const char *c = route->method; *c != '\0'; c++)
        buf_addf(out, "%s%c", c == route->method ? "\"" : "", tolower((unsigned char)*c));
    buf_adds(out, "\": {\"operationId\": ");
    add_string(out, route->doc.name);
    buf_adds(out, ", \"summary\": ");
    add_string(out, route->doc.summary);
    add_parameters(out, route);
    if (route->doc.body != NULL) {
        buf_adds(out, ", \"requestBody\": {");
        add_content(out, route->doc.body, strlen(route->doc.body));
        buf_adds(out, "}");
    }
    add_answers(out, route);
    add_security(out, route);
    buf_adds(out, "}");
}

static bool told_before(const struct route *routes, const struct route *route)
{
    for (; routes < route; routes++) {
        if (strcmp(routes->pattern, route->pattern) == 0)
            return true;
    }
    return false;
}

/* All methods of one path, wherever their rows are. */
static void add_item(struct buf *out, const struct route *route)
{
    const char *pattern = route->pattern;
    bool first = true;
    buf_adds(out, "\"");
    add_path(out, pattern);
    buf_adds(out, "\": {");
    for (; route->method != NULL; route++) {
        if (strcmp(route->pattern, pattern) != 0)
            continue;
        buf_adds(out, first ? "" : ", ");
        add_operation(out, route);
        first = false;
    }
    buf_adds(out, "}");
}

void openapi_write(struct buf *out, const struct route *routes)
{
    buf_adds(out, "{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"Agent Fleet\", \"version\": "
                  "\"" FLEET_VERSION "\"}, \"security\": [{\"token\": []}], \"paths\": {");
    for (const struct route *route = routes; route->method != NULL; route++) {
        if (told_before(routes, route))
            continue;
        buf_adds(out, route == routes ? "" : ", ");
        add_item(out, route);
    }
    buf_adds(out, "}, \"components\": ");
    buf_adds(out, openapi_components);
    buf_adds(out, "}");
}
