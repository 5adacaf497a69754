/* The command line that both nodes share. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/read.h"
#include "common/exit.h"

#define DEFAULT_PATH "/etc/agent-fleet/fleet.yaml"

static const char options_help[] =
    "  --config PATH      the configuration (else $FLEET_CONFIG, else " DEFAULT_PATH ")\n"
    "  --env-file PATH    KEY=VALUE lines for the environment; what is set already wins\n"
    "  --log-level LEVEL  debug, info, warn or error: what is less is not logged\n"
    "  --log-format FORM  text (logfmt), json, or auto (else $FLEET_LOG_FORMAT, else auto): text "
    "on\n"
    "                     a terminal and to the journal, else json; the journal gets priorities\n"
    "  --check-config     read the configuration, say what is wrong, and end\n"
    "  --explain-config   print every key with its type, default, bounds and effect, and end\n"
    "  --version          print the version, the lowest schema of the database, and end\n"
    "  -h, --help         print this and end\n"
    "\n"
    "Exit status:\n"
    "  0   ended as asked\n"
    "  2   wrong command line\n"
    "  78  can never work as it is: the configuration is wrong, an address is not this machine's,\n"
    "      the database serves newer programs only; starting again changes nothing\n"
    "  1   anything else, e.g. the port is taken\n"
    "A database that is away, read-only, has no schema or an older one, or does not know the "
    "login\n"
    "is waited for: the log says so, and /readyz of a server.\n";

/* What the options say. */
struct line {
    const char *path;
    enum log_level level;
    enum log_format format;
    bool checking;
};

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
    struct config *config = config_load_all(path, program, true, &problems);
    print_all(stderr, program->name, "", &problems);
    if (config != NULL) {
        print_all(stderr, program->name, "warning: ", &config->warnings);
        printf("%s: ok\n", path);
    }
    printf("%s", program->unchecked);
    config_list_release(&problems);
    int status = config != NULL ? 0 : EXIT_NEVER;
    config_free(config);
    return status;
}

static int load(const struct config_program *program, const char *path, struct config **config)
{
    struct config_list problems;
    *config = config_load_all(path, program, false, &problems);
    for (size_t i = 0; i < problems.count; i++)
        log_error(NULL, "%s", problems.items[i]);
    config_list_release(&problems);
    return *config == NULL ? EXIT_NEVER : -1;
}

static int refuse(const struct config_program *program, const char *what, const char *text)
{
    fprintf(stderr, "%s: %s%s; see %s --help\n", program->name, what, text, program->name);
    return EXIT_USAGE;
}

static int print_version(const struct config_program *program)
{
    printf("%s %s\nschema %d\n", program->name, FLEET_VERSION, FLEET_SCHEMA);
    if (program->carries != NULL)
        printf("runs agents on Linux hosts of these machines: %s\n", program->carries);
    return 0;
}

/* -1 to go on, else the exit status. */
static int take(const struct config_program *program, struct line *line, int option, char *value)
{
    struct error err;
    switch (option) {
    case 'c':
        line->path = value;
        return -1;
    case 'e':
        if (config_env_file(value, &err))
            return -1;
        fprintf(stderr, "%s: --env-file: %s\n", program->name, err.text);
        return EXIT_NEVER;
    case 'l':
        return log_level_parse(value, &line->level)
                   ? -1
                   : refuse(program, "--log-level is debug, info, warn or error, not ", value);
    case 'f':
        return log_format_parse(value, &line->format)
                   ? -1
                   : refuse(program, "--log-format is auto, text or json, not ", value);
    case 'k':
        line->checking = true;
        return -1;
    case 'x':
        config_explain(stdout);
        return 0;
    case 'v':
        return print_version(program);
    case 'h':
        printf("%s\nOptions:\n%s", program->usage, options_help);
        return 0;
    default: /* getopt_long has said what is wrong */
        fprintf(stderr, "%s: see %s --help\n", program->name, program->name);
        return EXIT_USAGE;
    }
}

/* $FLEET_LOG_FORMAT, which --env-file may have set; a word that is none is said and not used. */
static enum log_format format_of(const struct line *line, const struct config_program *program)
{
    enum log_format format = line->format;
    const char *name = getenv("FLEET_LOG_FORMAT");
    if (format == LOG_AUTO && name != NULL && *name != '\0' && !log_format_parse(name, &format))
        fprintf(stderr, "%s: FLEET_LOG_FORMAT is auto, text or json, not %s: auto is used\n",
                program->name, name);
    return format;
}

int config_command_line(int argc, char **argv, const struct config_program *program,
                        struct config **config)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"env-file", required_argument, NULL, 'e'},
        {"log-level", required_argument, NULL, 'l'},
        {"log-format", required_argument, NULL, 'f'},
        {"check-config", no_argument, NULL, 'k'},
        {"explain-config", no_argument, NULL, 'x'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct line line = {.level = program->level, .format = LOG_AUTO};
    int option;
    *config = NULL;
    optind = 0; /* glibc: starts anew, also when called again */
    opterr = 1;
    while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
        int status = take(program, &line, option, optarg);
        if (status >= 0)
            return status;
    }
    if (optind < argc)
        return refuse(program, "unknown argument: ", argv[optind]);
    if (line.path == NULL)
        line.path = getenv("FLEET_CONFIG");
    if (line.path == NULL || *line.path == '\0')
        line.path = DEFAULT_PATH;
    log_open(program->name, line.level);
    log_use(format_of(&line, program));
    return line.checking ? check(program, line.path) : load(program, line.path, config);
}
