/* The runners that this program carries (worker/runner/), one for each kind of machine that it
 * could be built for. CMake writes the list. */
#ifndef FLEET_LINK_CARRIED_H
#define FLEET_LINK_CARRIED_H

#include <stddef.h>

struct carried {
    const char *machine; /* as `uname -m` says it */
    const unsigned char *bytes, *end;
};

extern const struct carried carried[];
extern const size_t carried_count;
extern const char carried_machines[]; /* "x86_64, aarch64" */

#endif
