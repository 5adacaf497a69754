/* Exit statuses of both programs and their commands. A service manager does not start again what
 * ended with the first two: nothing would be different. */
#ifndef FLEET_EXIT_H
#define FLEET_EXIT_H

#define EXIT_USAGE 2   /* wrong command line */
#define EXIT_NEVER 78  /* EX_CONFIG of sysexits.h: it can never work as it is */
#define EXIT_TROUBLE 1 /* anything else: it may work later */

#endif
