/* A host's sheet as text for people, or as JSON. */
#ifndef FLEET_CHECK_PRINT_H
#define FLEET_CHECK_PRINT_H

#include "common/buf.h"
#include "common/config/config.h"
#include "worker/check/sheet.h"

/* All rows and the closing line. */
void print_text(struct buf *out, const struct config_host *host, const struct check_sheet *sheet);
/* One object. */
void print_json(struct buf *out, const struct config_host *host, const struct check_sheet *sheet);

#endif
