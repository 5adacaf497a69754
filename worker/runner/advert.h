/* What a server says of its references, as ls-remote --symref shows it. */
#ifndef FLEET_RUNNER_ADVERT_H
#define FLEET_RUNNER_ADVERT_H

#include <stdbool.h>

#include "worker/runner/refs.h"

/* Of its HEAD: "refs/heads/…", or "" where it names no branch that is there. *sha256 is set when
 * there is any reference at all: whether its objects' names are that long. */
void advert_read(const char *text, char head[static REFS_NAME_SIZE], bool *sha256);

#endif
