/* The command line that both nodes share. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/read.h"

#define DEFAULT_PATH "/etc/agent-fleet/fleet.yaml"
#define USAGE_STATUS 2

static const char options_help[] =
    "  --config PATH      the configuration (else $FLEET_CONFIG, else " DEFAULT_PATH ")\n"
    "  --env-file PATH    KEY=VALUE lines for the environment; what is set already wins\n"
    "  --log-level LEVEL  debug, info, warn or error: what is less is not logged\n"
    "  --check-config     read the configuration, say what is wrong, and end\n"
    "  --explain-config   print every key with its type, default, bounds and effect, and end\n"
    "  --version          print the version and end\n"
    "  --help             print this and end\n";

static void print_all(FILE *to, const char *program, const char *word,
                      const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        fprintf(to, "%s: %s%s\n", program, word, list->items[i]);
}

/* --check-config: for people. */
static int check(const struct config_program *program, const char *path)
{
    struct config_list problems;
    struct config *config = config_load_all(path, program->node, program->check_host, &problems);
    print_all(stderr, program->name, "", &problems);
    if (config != NULL) {
        print_all(stderr, program->name, "warning: ", &config->warnings);
        printf("%s: ok\n", path);
    }
    printf("%s", program->unchecked);
    config_list_release(&problems);
    int status = config == NULL;
    config_free(config);
    return status;
}

static int load(const struct config_program *program, const char *path, struct config **config)
{
    struct config_list problems;
    *config = config_load_all(path, program->node, NULL, &problems);
    for (size_t i = 0; i < problems.count; i++)
        log_error(NULL, "%s", problems.items[i]);
    config_list_release(&problems);
    return *config == NULL ? 1 : -1;
}

static int refuse(const struct config_program *program, const char *what, const char *text)
{
    fprintf(stderr, "%s: %s%s; see %s --help\n", program->name, what, text, program->name);
    return USAGE_STATUS;
}

int config_command_line(int argc, char **argv, const struct config_program *program,
                        struct config **config)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"env-file", required_argument, NULL, 'e'},
        {"log-level", required_argument, NULL, 'l'},
        {"check-config", no_argument, NULL, 'k'},
        {"explain-config", no_argument, NULL, 'x'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *path = getenv("FLEET_CONFIG");
    enum log_level level = program->level;
    bool checking = false;
    struct error err;
    int option;
    *config = NULL;
    optind = 0; /* glibc: starts anew, also when called again */
    opterr = 1;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'e':
            if (!config_env_file(optarg, &err)) {
                fprintf(stderr, "%s: %s\n", program->name, err.text);
                return 1;
            }
            break;
        case 'l':
            if (!log_level_parse(optarg, &level))
                return refuse(program, "--log-level is debug, info, warn or error, not ", optarg);
            break;
        case 'k':
            checking = true;
            break;
        case 'x':
            config_explain(stdout);
            return 0;
        case 'v':
            printf("%s %s\n", program->name, FLEET_VERSION);
            if (program->carries != NULL)
                printf("runs agents on Linux hosts of these machines: %s\n", program->carries);
            return 0;
        case 'h':
            printf("%s\nOptions:\n%s", program->usage, options_help);
            return 0;
        default:
            fprintf(stderr, "%s: see %s --help\n", program->name, program->name);
            return USAGE_STATUS;
        }
    }
    if (optind < argc)
        return refuse(program, "unknown argument: ", argv[optind]);
    if (path == NULL || *path == '\0')
        path = DEFAULT_PATH;
    log_open(program->name, level);
    return checking ? check(program, path) : load(program, path, config);
}
