/* The command line, taken apart with getopt, options anywhere. */
#include "worker/check/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit.h"
#include "common/mem.h"

#define SECS_DEFAULT 20
#define SECS_MAX 3600

static const char usage[] =
    "Usage: fleet-worker check-hosts [OPTION]... [HOST_ID]...\n"
    "\n"
    "Can the hosts of the configuration run work? Tries the whole way to each of them (or to "
    "those\n"
    "that are named), as a worker goes it, and says what is missing and what helps: its name, "
    "port,\n"
    "sshd and host key, our key, the log-in, a command, work_dir, space, clock, logind, the "
    "runner,\n"
    "each agent. What comes after a failure is \"not tried\".\n"
    "The database is not needed, nor what the configuration says of it. Hosts that were made by "
    "the\n"
    "API are not in the file, and not shown.\n"
    "A fleet at work is not disturbed: no run is started or touched. On the host, work_dir is "
    "made\n"
    "where it is missing, and <work_dir>/.fleet as every worker makes it; the runner is put into "
    "a\n"
    "folder of its own there, and removed again.\n"
    "\n"
    "Options:\n"
    "  --config PATH     the configuration (else $FLEET_CONFIG, else /etc/agent-fleet/fleet.yaml)\n"
    "  --env-file PATH   as for the worker\n"
    "  --timeout SECS    for each host, many of them at once (1 to 3600; default 20)\n"
    "  --json            an array with an object for each host\n"
    "  --help            print this and end\n"
    "\n"
    "Run it as the account that the worker has, so that its key and known_hosts are meant. Exit\n"
    "status: 0 all hosts can run their work, 1 some cannot, 2 wrong command line, 78 "
    "configuration\n"
    "broken.\n";

const struct config_program check_program = {
    .name = "fleet-worker", .usage = usage, .node = CONFIG_VISITOR, .level = LOG_ERROR_LEVEL};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"env-file", required_argument, NULL, 'e'},
    {"log-level", required_argument, NULL, 'l'},
    {"timeout", required_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool fail(const char *format, const char *text)
{
    fprintf(stderr, "fleet-worker check-hosts: ");
    fprintf(stderr, format, text);
    fprintf(stderr, "; see fleet-worker check-hosts --help\n");
    return false;
}

static bool take_config(struct check_options *options, const char *name, char *value)
{
    if (options->config_argc + 2 > CHECK_CONFIG_ARGS)
        return fail("too many options, at '%s'", value);
    options->config_argv[options->config_argc++] = (char *)(void *)name;
    options->config_argv[options->config_argc++] = value;
    return true;
}

static bool take_secs(struct check_options *options, const char *text)
{
    char *end;
    long secs = strtol(text, &end, 10);
    options->secs = (int)secs;
    return (text[0] >= '0' && text[0] <= '9' && *end == '\0' && secs >= 1 && secs <= SECS_MAX) ||
           fail("--timeout has to be a number of seconds from 1 to 3600, not '%s'", text);
}

static bool take_option(struct check_options *options, int option, char *value)
{
    switch (option) {
    case 'c':
        return take_config(options, "--config", value);
    case 'e':
        return take_config(options, "--env-file", value);
    case 'l':
        return take_config(options, "--log-level", value);
    case 't':
        return take_secs(options, value);
    case 'j':
        options->json = true;
        return true;
    default: /* getopt_long has said what is wrong */
        fprintf(stderr, "fleet-worker check-hosts: see fleet-worker check-hosts --help\n");
        return false;
    }
}

int check_options_read(struct check_options *options, int argc, char **argv)
{
    static char program[] = "fleet-worker";
    int option;
    *options =
        (struct check_options){.secs = SECS_DEFAULT, .config_argv = {program}, .config_argc = 1};
    optind = 0; /* glibc: starts anew */
    opterr = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (!take_option(options, option, optarg))
            return EXIT_USAGE;
    }
    optind++; /* "check-hosts" */
    options->hosts = argv + optind;
    options->host_count = argc - optind;
    return -1;
}

bool check_wanted(int argc, char **argv)
{
    char **words = mem_array((size_t)argc + 1, sizeof *words); /* getopt sorts them */
    memcpy(words, argv, (size_t)argc * sizeof *words);
    optind = 0;
    opterr = 0;
    while (getopt_long(argc, words, "", long_options, NULL) != -1) {
    }
    bool wanted = optind < argc && strcmp(words[optind], "check-hosts") == 0;
    free(words);
    return wanted;
}
