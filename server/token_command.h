/* "fleet-server token …": makes, lists and revokes API tokens, with nothing but the database. */
#ifndef FLEET_TOKEN_COMMAND_H
#define FLEET_TOKEN_COMMAND_H

#include "server/token_options.h"

/* argv of the whole program; returns its exit status. */
int token_command(int argc, char **argv);

#endif
