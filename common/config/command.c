/* The command line that both nodes share. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/read.h"
#include "common/log.h"

#define DEFAULT_PATH "/etc/agent-fleet/fleet.yaml"
#define USAGE_STATUS 2

static const char options_help[] =
    "  --config PATH    the configuration (else $FLEET_CONFIG, else " DEFAULT_PATH ")\n"
    "  --env-file PATH  KEY=VALUE lines for the environment; what is set already wins\n"
    "  --check-config   read the configuration, say what is wrong, and end\n"
    "  --version        print the version and end\n"
    "  --help           print this and end\n";

static void print_all(FILE *to, const char *program, const char *word,
                      const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        fprintf(to, "%s: %s%s\n", program, word, list->items[i]);
}

/* --check-config: for people. */
static int check(const char *program, const char *path, const struct config *config,
                 const struct config_list *problems)
{
    print_all(stderr, program, "", problems);
    if (config == NULL)
        return 1;
    print_all(stderr, program, "warning: ", &config->warnings);
    printf("%s: ok\n", path);
    return 0;
}

static int start(const char *program, const char *path, enum config_node node, bool checking,
                 struct config **config)
{
    struct config_list problems;
    int status = -1;
    *config = config_load_all(path, node, &problems);
    if (checking) {
        status = check(program, path, *config, &problems);
        config_free(*config);
        *config = NULL;
    } else if (*config == NULL) {
        for (size_t i = 0; i < problems.count; i++)
            log_error(NULL, "%s", problems.items[i]);
        status = 1;
    }
    config_list_release(&problems);
    return status;
}

int config_command_line(int argc, char **argv, const char *program, const char *usage,
                        enum config_node node, struct config **config)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"env-file", required_argument, NULL, 'e'},
        {"check-config", no_argument, NULL, 'k'}, {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    const char *path = NULL;
    bool checking = false;
    struct error err;
    int option;
    *config = NULL;
    optind = 0; /* glibc: starts anew, also when called again */
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'e':
            if (!config_env_file(optarg, &err)) {
                fprintf(stderr, "%s: %s\n", program, err.text);
                return 1;
            }
            break;
        case 'k':
            checking = true;
            break;
        case 'v':
            printf("%s %s\n", program, FLEET_VERSION);
            return 0;
        case 'h':
            printf("%s\nOptions:\n%s", usage, options_help);
            return 0;
        default:
            fprintf(stderr, "%s: see %s --help\n", program, program);
            return USAGE_STATUS;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unknown argument: %s; see %s --help\n", program, argv[optind],
                program);
        return USAGE_STATUS;
    }
    if (path == NULL)
        path = getenv("FLEET_CONFIG");
    if (path == NULL || *path == '\0')
        path = DEFAULT_PATH;
    return start(program, path, node, checking, config);
}
