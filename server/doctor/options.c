/* The doctor's command line, taken apart with getopt, options anywhere. */
#include "server/doctor/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/exit.h"

static const char usage[] =
    "Usage: fleet-server forgejo doctor [OPTION]...\n"
    "\n"
    "Looks at what stands between the Forgejo and the fleet, and says of each thing what is\n"
    "wrong and how to mend it: version, token and its scopes, whether people's permissions can\n"
    "be asked for, each repository, its labels, its webhook, whether Forgejo may send to the\n"
    "fleet's address, and whether what it sends arrives. Changes nothing without --fix.\n"
    "Needs the Forgejo, the database, and a configuration with forgejo.token and\n"
    "forgejo.webhook_secret.\n"
    "\n"
    "  --fix              makes a missing webhook and mends a wrong one, asking for each\n"
    "  --yes              with --fix: asks nothing\n"
    "  --no-test          asks Forgejo for no test delivery of the webhooks\n"
    "  --config PATH      the configuration (default: FLEET_CONFIG, else\n"
    "                     /etc/agent-fleet/fleet.yaml); --env-file PATH as for the server\n"
    "Exit status: 0 nothing is wrong, 1 something is, 2 wrong command line,\n"
    "78 the configuration is wrong.\n";

const struct config_program doctor_program = {.name = "fleet-server",
                                              .usage = usage,
                                              .node = CONFIG_DOCTOR,
                                              .level = LOG_ERROR_LEVEL,
                                              .check_url = db_check_url};

static const struct option long_options[] = {
    {"fix", no_argument, NULL, 'f'},
    {"yes", no_argument, NULL, 'y'},
    {"no-test", no_argument, NULL, 'n'},
    {"config", required_argument, NULL, 'c'},
    {"env-file", required_argument, NULL, 'e'},
    {"log-level", required_argument, NULL, 'l'},
    {"log-format", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool fail(const char *text)
{
    fprintf(stderr, "fleet-server forgejo: %s; see fleet-server forgejo doctor --help\n", text);
    return false;
}

/* For the configuration's own command line. */
static bool take_config(struct doctor_options *options, const char *name, char *value)
{
    if (options->config_argc + 2 > DOCTOR_CONFIG_ARGS)
        return fail("too many options");
    options->config_argv[options->config_argc++] = (char *)(void *)name;
    options->config_argv[options->config_argc++] = value;
    return true;
}

static bool take_option(struct doctor_options *options, int option, char *value)
{
    switch (option) {
    case 'f':
        return options->fix = true;
    case 'y':
        return options->yes = true;
    case 'n':
        options->test = false;
        return true;
    case 'c':
        return take_config(options, "--config", value);
    case 'e':
        return take_config(options, "--env-file", value);
    case 'l':
        return take_config(options, "--log-level", value);
    case 'o':
        return take_config(options, "--log-format", value);
    default: /* getopt_long has said what is wrong */
        return fail("what is that?");
    }
}

static bool check(const struct doctor_options *options, int argc, char **argv)
{
    if (argc - optind != 1 || strcmp(argv[optind], "doctor") != 0)
        return fail("there is one command, doctor");
    if (options->yes && !options->fix)
        return fail("--yes is for --fix");
    if (options->fix && !options->yes && !isatty(STDIN_FILENO))
        return fail("--fix asks before it changes something, and there is no terminal: run it in "
                    "one, or with --yes");
    return true;
}

int doctor_options_read(struct doctor_options *options, int argc, char **argv)
{
    static char program[] = "fleet-server";
    int option;
    *options = (struct doctor_options){.test = true, .config_argv = {program}, .config_argc = 1};
    optind = 0; /* glibc: starts anew */
    opterr = 1;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (!take_option(options, option, optarg))
            return EXIT_USAGE;
    }
    optind++; /* "forgejo" */
    return check(options, argc, argv) ? -1 : EXIT_USAGE;
}
