/* The way in to a host, judged: its name, its port, its sshd, its key, our key, the log-in. */
#ifndef FLEET_CHECK_WAY_H
#define FLEET_CHECK_WAY_H

#include "common/config/config.h"
#include "common/error.h"
#include "worker/check/sheet.h"
#include "worker/ssh/ssh.h"

/* Adds its rows. trouble: why the stream went down before it was up; NULL when it is up. */
void way_judge(struct check_sheet *sheet, const struct config_host *host,
               const struct ssh_sight *sight, const struct error *trouble);

/* trouble->state of a host that did not answer before its time was over. */
#define WAY_LATE "late"

#endif
