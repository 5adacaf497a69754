/* Form bodies decoded: %XX is a byte, + is a blank (WHATWG URL 5.1). */
#include "server/webhook/form.h"

#include <string.h>

#include "common/crypto.h"

bool form_payload(const char *bytes, size_t len, struct buf *json, struct error *err)
{
    static const char name[] = "payload=";
    size_t at = strlen(name);
    buf_init(json, len + 1);
    if (len < at || memcmp(bytes, name, at) != 0 || memchr(bytes, '&', len) != NULL) {
        error_set(err, "the form does not hold 'payload', and nothing else");
        return false;
    }
    while (at < len) {
        uint8_t byte = (uint8_t)bytes[at];
        size_t step = 1;
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            step = 3;
            if (len - at < step || !crypto_unhex(bytes + at + 1, 2, &byte)) {
                error_set(err, "the form is not percent-encoded at byte %zu", at);
                return false;
            }
        }
        buf_add(json, &byte, 1);
        at += step;
    }
    return true;
}
