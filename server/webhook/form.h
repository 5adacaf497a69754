/* A delivery's body of type application/x-www-form-urlencoded: payload=<percent-encoded JSON>.
 * Pure.
 */
#ifndef FLEET_WEBHOOK_FORM_H
#define FLEET_WEBHOOK_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/* Decodes the value of `payload`, the form's only field, into *json, which is initialised here and
 * released by the caller whatever comes back. Its bytes are what was signed. */
bool form_payload(const char *bytes, size_t len, struct buf *json, struct error *err);

#endif
