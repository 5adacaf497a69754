/* Accounts of slots (isolation: separate) on a host, judged: whether sudo gives them to us, what
 * they find, and what they must not be able to read. */
#ifndef FLEET_CHECK_SLOTS_H
#define FLEET_CHECK_SLOTS_H

#include "common/buf.h"
#include "common/config/config.h"
#include "worker/check/sheet.h"

#define SLOTS_SAID_MAX ((size_t)256 << 10)

bool slots_is_separate(const struct config_agent *agent);
/* Whether an agent of the host has such accounts. */
bool slots_wanted(const struct config_host *host);
/* The command that asks them all: `runner` is the program, `base` its folder. */
void slots_command(struct buf *command, const struct config *config, const struct config_host *host,
                   const char *runner, const char *base, const char *mark);
/* Adds a row for each such agent. `said`: what the command wrote; NULL: it was not run. `user`:
 * whom sudo has to let. */
void slots_judge(struct check_sheet *sheet, const struct config *config,
                 const struct config_host *host, const char *user, const char *said,
                 const char *mark);

#endif
