/* One visit to one host: the way in, a probe of the account, the runner with its agents, and the
 * removal of what was put there for the check. */
#ifndef FLEET_CHECK_VISIT_H
#define FLEET_CHECK_VISIT_H

#include "common/config/config.h"
#include "common/loop.h"
#include "worker/check/sheet.h"

struct visit;

/* on_over comes once, later, when the sheet is filled in: after `secs` at the latest. Everything is
 * borrowed until then; the visit frees itself. */
void visit_start(struct loop *loop, const struct config *config, const struct config_host *host,
                 int secs, struct check_sheet *sheet, void (*on_over)(void *data), void *data);

#endif
