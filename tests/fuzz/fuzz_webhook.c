/* A delivery: its headers' words, a line feed, its body. Whatever comes, a verdict and no crash;
 * what is read holds what SQL relies on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/value.h"
#include "server/webhook/form.h"
#include "server/webhook/payload.h"
#include "server/webhook/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

static void read_signature(const char *text, size_t len)
{
    struct signature_header header = {text, len, 1};
    struct signature_headers headers = {.forgejo = header};
    uint8_t mac[SHA256_SIZE];
    struct error err = {0};
    if (signature_read(&headers, mac, &err))
        expect(!signature_fits("fuzz", text, len, mac));
    else
        expect(err.text[0] != '\0');
}

static void check_subject(const struct json_object *event, const char *name)
{
    const struct json_object *subject = json_member(event, name);
    if (!json_object_is_type(subject, json_type_object))
        return;
    int64_t number = json_int(subject, "number", 0);
    expect(number >= 1 && number <= 999999999);
    if (json_member(subject, "id") == NULL)
        return; /* of a comment on a pull request, before Forgejo 10 */
    expect(json_int(subject, "id", 0) >= 1 && json_string(subject, "title", "")[0] != '\0');
    expect(value_is_time(json_string(subject, "updated_at", "")));
    expect(json_object_is_type(json_member(subject, "labels"), json_type_array));
}

static void read_payload(const char *event, const char *type, const char *bytes, size_t len)
{
    struct payload payload;
    struct error err = {0};
    enum payload_verdict verdict = payload_read(&payload, event, type, bytes, len, &err);
    expect((verdict == PAYLOAD_INVALID) == (err.text[0] != '\0'));
    if (verdict == PAYLOAD_READ && event_kind_of(event, type) < EVENT_UNUSED) {
        expect(payload.repo[0] != '\0' && payload.sender[0] != '\0');
        check_subject(payload.json, "issue");
        check_subject(payload.json, "pull");
    }
    payload_release(&payload);
}

static void read_form(const char *bytes, size_t len)
{
    struct buf json;
    struct error err = {0};
    if (form_payload(bytes, len, &json, &err))
        expect(json.len <= len && !json.failed);
    else
        expect(err.text[0] != '\0');
    buf_release(&json);
}

/* "event/type" */
static void read_named(const char *head, size_t head_len, const char *body, size_t len)
{
    char event[64] = "", type[64] = "";
    const char *slash = memchr(head, '/', head_len);
    size_t first = slash != NULL ? (size_t)(slash - head) : head_len;
    if (first >= sizeof event || head_len - first > sizeof type ||
        memchr(head, '\0', head_len) != NULL)
        return;
    memcpy(event, head, first);
    if (slash != NULL)
        memcpy(type, slash + 1, head_len - first - 1);
    read_payload(event, type, body, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[][2] = {
        {"issues", ""}, {"issue_comment", ""}, {"pull_request", ""}, {"pull_request_approved", ""},
        {"push", ""},   {"delete", ""},        {"create", ""}};
    const char *text = (const char *)data;
    const char *line = size > 0 ? memchr(text, '\n', size) : NULL;
    size_t head = line != NULL ? (size_t)(line - text) : 0;
    const char *body = line != NULL ? line + 1 : text;
    size_t len = size - (size_t)(body - text);
    read_signature(text, head);
    read_form(body, len);
    read_named(text, head, body, len);
    read_payload(names[size % 7][0], names[size % 7][1], body, len);
    return 0;
}
