/* The account on a host, judged: a command runs, work_dir, space, clock, logind. */
#ifndef FLEET_CHECK_ACCOUNT_H
#define FLEET_CHECK_ACCOUNT_H

#include <stdint.h>

#include "common/config/config.h"
#include "common/error.h"
#include "worker/check/probe.h"
#include "worker/check/sheet.h"
#include "worker/stream.h"

/* How the probe's command ended. */
struct account_end {
    bool ran;      /* a session was opened for it */
    int status;    /* as struct stream_end */
    char err[512]; /* of stderr, any bytes */
    size_t err_len;
    struct error trouble; /* why the stream went down meanwhile; text "" = it did not */
    int64_t asked, heard; /* our clock in seconds: before, and when its answer had come */
};

/* Adds its rows. probe was read; NULL: it was not run. True: the runner may be tried. */
bool account_judge(struct check_sheet *sheet, const struct config_host *host,
                   const struct probe *probe, const struct account_end *end);

#endif
