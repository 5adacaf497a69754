/* `fleet-worker check-hosts`: can the hosts of the configuration run work, and if not, what helps?
 */
#ifndef FLEET_CHECK_H
#define FLEET_CHECK_H

#include "worker/check/options.h"

/* The exit status of the program. */
int check_command(int argc, char **argv);

#endif
