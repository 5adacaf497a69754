/* The arguments of the token command: read and checked, nothing done. */
#ifndef FLEET_TOKEN_OPTIONS_H
#define FLEET_TOKEN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config/config.h"

#define TOKEN_LIST_MAX 100
#define TOKEN_CONFIG_ARGS 11 /* the program's name, and five options with their values */

struct token_words {
    const char *items[TOKEN_LIST_MAX];
    size_t count;
};

/* All texts are borrowed from argv. */
struct token_options {
    const char *verb; /* create, list or revoke */
    const char *scope, *name, *id, *agent_id;
    const char *database; /* instead of a configuration */
    struct token_words repositories, capabilities;
    long days; /* 0: for ever */
    bool force;
    char *config_argv[TOKEN_CONFIG_ARGS]; /* for config_command_line */
    int config_argc;
};

extern const struct config_program token_program;

/* Is the word "token" there, behind any options? Then argv is for token_options_read. */
bool token_command_wanted(int argc, char **argv);

/* -1 to go on; else the exit status: what there is to say is said. Sorts argv. */
int token_options_read(struct token_options *options, int argc, char **argv);

#endif
