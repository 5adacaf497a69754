/* "fleet-server forgejo doctor": looks at what is configured of the Forgejo, with the Forgejo and
 * the database. */
#ifndef FLEET_DOCTOR_COMMAND_H
#define FLEET_DOCTOR_COMMAND_H

#include <stdbool.h>

bool doctor_command_wanted(int argc, char **argv); /* argv[1] is "forgejo" */
/* argv of the whole program; returns its exit status. */
int doctor_command(int argc, char **argv);

#endif
