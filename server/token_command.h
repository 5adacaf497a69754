/* "fleet-server token create|list|revoke": tokens of the API, from the command line. */
#ifndef FLEET_TOKEN_COMMAND_H
#define FLEET_TOKEN_COMMAND_H

#include <stdbool.h>

/* The first word that is no option, nor the value of one, is "token". */
bool token_command_wanted(int argc, char **argv);

int token_command(int argc, char **argv); /* the exit status */

#endif
