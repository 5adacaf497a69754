/* fleet-server token create|list|revoke: tokens from the command line of a server. */
#ifndef FLEET_TOKEN_COMMAND_H
#define FLEET_TOKEN_COMMAND_H

/* argv[0] is "token". Returns the exit status. */
int token_command(int argc, char **argv);

#endif
