/* The command line of `fleet-worker check-hosts`. */
#ifndef FLEET_CHECK_OPTIONS_H
#define FLEET_CHECK_OPTIONS_H

#include <stdbool.h>

#include "common/config/config.h"

#define CHECK_CONFIG_ARGS 16

struct check_options {
    bool json;
    int secs;           /* for each host */
    char *const *hosts; /* borrowed from argv: host_ids; none: all hosts */
    int host_count;
    /* For the configuration's own command line. */
    char *config_argv[CHECK_CONFIG_ARGS];
    int config_argc;
};

extern const struct config_program check_program;

/* Is "check-hosts" the first word that is no option? */
bool check_wanted(int argc, char **argv);
/* The exit status to end with, or -1. Sorts argv. */
int check_options_read(struct check_options *options, int argc, char **argv);

#endif
