/* JSON reading with json-c, bounded and strict, and writing into a buf. */
#ifndef FLEET_JSON_H
#define FLEET_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define JSON_DEPTH_MAX 32

/* One JSON value and nothing but white space after it, valid UTF-8, no NUL (also not as \u0000),
 * depth <= JSON_DEPTH_MAX, no duplicate tolerance beyond json-c's "last wins". The caller puts
 * (json_object_put) the result; NULL with err set on failure (err names the byte offset). */
struct json_object *json_parse(const char *bytes, size_t len, struct error *err);

/* Members by name; the default when absent, null or of another type. Strings are borrowed. */
const char *json_string(const struct json_object *object, const char *name, const char *fallback);
int64_t json_int(const struct json_object *object, const char *name, int64_t fallback);
bool json_flag(const struct json_object *object, const char *name,
               bool fallback); /* json_bool is a type of json-c */
struct json_object *json_member(const struct json_object *object, const char *name); /* borrowed */

void json_quote(struct buf *out, const char *bytes,
                size_t len); /* "…" with escapes; bad UTF-8 becomes U+FFFD */

#endif
