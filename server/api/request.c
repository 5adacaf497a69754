/* Small JSON bodies: their type, their members, and the reason among them. */
#include "server/api/request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/db/db.h"
#include "common/mem.h"
#include "common/redact.h"
#include "server/api/value.h"

#include "common/text.h"
#include "server/server.h"

#define REASON_MAX 1000
#define KEY_MAX 200 /* bytes of an Idempotency-Key */

bool request_has_type(const struct call *call, const char *wanted)
{
    size_t len, count;
    const char *type = call_header(call, "content-type", &len, &count);
    size_t at = strlen(wanted);
    return count == 1 && len >= at && strncasecmp(type, wanted, at) == 0 &&
           (len == at || type[at] == ';' || type[at] == ' ');
}

bool request_is_json(struct call *call)
{
    if (request_has_type(call, "application/json"))
        return true;
    call_error(call, 415, "unsupported_media_type", NULL,
               "the body has to be declared as Content-Type: application/json");
    return false;
}

static bool check_members(struct call *call, struct json_object *object, const char *const *members)
{
    json_object_object_foreach(object, name, value)
    {
        if (!text_listed(name, members)) {
            call_error(call, 400, "unknown_member", NULL, "there is no member '%.100s' here", name);
            return false;
        }
        if (strcmp(name, "reason") != 0 || value == NULL)
            continue;
        if (!json_object_is_type(value, json_type_string)) {
            call_error(call, 400, "wrong_type", NULL, "'reason' has to be a string");
            return false;
        }
        if (text_characters(json_object_get_string(value)) > REASON_MAX) {
            call_error(call, 422, "invalid_value", NULL, "'reason' has to be at most %d characters",
                       REASON_MAX);
            return false;
        }
    }
    return true;
}

bool request_object(struct call *call, const char *const *members, struct json_object **object)
{
    struct error err = {0};
    size_t len;
    const char *body = call_body(call, &len);
    if (len == 0) {
        *object = json_object_new_object();
        return true;
    }
    if (!request_is_json(call))
        return false;
    *object = json_parse(body, len, &err);
    if (*object == NULL && err.text[0] != '\0') {
        call_error(call, 400, "malformed_json", NULL, "%s", err.text);
        return false;
    }
    if (!json_object_is_type(*object, json_type_object))
        call_error(call, 400, "wrong_type", NULL, "the body has to be a JSON object");
    else if (check_members(call, *object, members))
        return true;
    json_object_put(*object);
    *object = NULL;
    return false;
}

bool request_key(struct call *call, char **key)
{
    size_t len, count;
    const char *text = call_header(call, "idempotency-key", &len, &count);
    *key = NULL;
    if (text == NULL)
        return true;
    bool good = count == 1 && len >= 1 && len <= KEY_MAX;
    for (size_t i = 0; good && i < len; i++)
        good = text[i] > 0x20 && text[i] < 0x7f;
    if (good)
        *key = mem_strndup(text, len);
    else
        call_error(call, 422, "invalid_value", "{\"member\": \"Idempotency-Key\"}",
                   "Idempotency-Key has to be 1 to %d visible ASCII characters, given once",
                   KEY_MAX);
    return good;
}

const char *request_by(const struct call *call, struct buf *out)
{
    char token[24];
    buf_init(out, 512);
    snprintf(token, sizeof token, "%lld", (long long)call->who.token_id);
    db_row_begin(out);
    db_row_text(out, token);
    db_row_text(out, call->client);
    db_row_text(out, call->id);
    db_row_end(out);
    return buf_text(out);
}

void request_redact(const struct call *call, char *text)
{
    const char *shared = call_server(call)->config->orchestrator.http_pull_token;
    const struct redact_words words = {.items = &shared, .count = shared != NULL ? 1 : 0};
    redact_text(text, &words);
}
