/* The token command's line, taken apart with getopt, options anywhere. */
#include "server/token_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/db.h"
#include "common/exit.h"
#include "common/mem.h"
#include "server/identity.h"

#define DAYS_MAX 36500

static const char usage[] =
    "Usage: fleet-server token create --scope SCOPE [OPTION]...\n"
    "       fleet-server token list\n"
    "       fleet-server token revoke ID [--force]\n"
    "\n"
    "Needs the database and nothing else of the fleet. Options may stand anywhere. create prints "
    "the token, alone, on stdout:\n"
    "it is shown once and stored as its SHA-256.\n"
    "SCOPE is admin, operate, submit or read, each with those after it, or agent: for agents that "
    "poll.\n"
    "Options of create:\n"
    "  --name NAME              who it is for, as the history shows it\n"
    "  --repository OWNER/REPO  only tasks of these are there for it; also OWNER/*, or none for\n"
    "                           tasks of no repository; may be repeated\n"
    "  --agent-id ID            with scope agent: the one agent that it may be\n"
    "  --capability WORD        with scope agent: its agents may have no others; may be repeated\n"
    "  --expires DAYS           after that many days it stops working\n"
    "Options of revoke:\n"
    "  --force                  also the last admin token that holds\n"
    "Which database:\n"
    "  --config PATH            that of a configuration (default: FLEET_CONFIG, else\n"
    "                           /etc/agent-fleet/fleet.yaml); --env-file PATH as for the server\n"
    "  --database URL           this one; passwords belong into a passfile (?passfile=PATH)\n"
    "Exit status: 0 done, 1 refused or the database is in trouble, 2 wrong command line,\n"
    "78 the configuration is wrong.\n";

const struct config_program token_program = {.name = "fleet-server",
                                             .usage = usage,
                                             .node = CONFIG_COMMAND,
                                             .level = LOG_ERROR_LEVEL,
                                             .check_url = db_check_url};

static const struct option long_options[] = {
    {"scope", required_argument, NULL, 's'},
    {"name", required_argument, NULL, 'n'},
    {"expires", required_argument, NULL, 'x'},
    {"repository", required_argument, NULL, 'r'},
    {"agent-id", required_argument, NULL, 'a'},
    {"capability", required_argument, NULL, 'p'},
    {"force", no_argument, NULL, 'f'},
    {"database", required_argument, NULL, 'd'},
    {"config", required_argument, NULL, 'c'},
    {"env-file", required_argument, NULL, 'e'},
    {"log-level", required_argument, NULL, 'l'},
    {"log-format", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool fail(const char *format, const char *text)
{
    fprintf(stderr, "fleet-server token: ");
    fprintf(stderr, format, text);
    fprintf(stderr, "; see fleet-server token --help\n");
    return false;
}

static bool take_days(struct token_options *options, const char *text)
{
    char *end;
    options->days = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || options->days < 1 || options->days > DAYS_MAX)
        return fail("--expires has to be a number of days from 1 to 36500, not '%s'", text);
    return true;
}

static bool take_word(struct token_words *words, const char *text)
{
    if (words->count == TOKEN_LIST_MAX)
        return fail("at most 100 of each are taken; one too many is '%s'", text);
    words->items[words->count++] = text;
    return true;
}

/* For the configuration's own command line. */
static bool take_config(struct token_options *options, const char *name, char *value)
{
    if (options->config_argc + 2 > TOKEN_CONFIG_ARGS)
        return fail("too many options, at '%s'", value);
    options->config_argv[options->config_argc++] = (char *)(void *)name;
    options->config_argv[options->config_argc++] = value;
    return true;
}

static bool take_option(struct token_options *options, int option, char *value)
{
    switch (option) {
    case 's':
        options->scope = value;
        return true;
    case 'n':
        options->name = value;
        return true;
    case 'a':
        options->agent_id = value;
        return true;
    case 'd':
        options->database = value;
        return true;
    case 'f':
        options->force = true;
        return true;
    case 'r':
        return take_word(&options->repositories, value);
    case 'p':
        return take_word(&options->capabilities, value);
    case 'x':
        return take_days(options, value);
    case 'c':
        return take_config(options, "--config", value);
    case 'e':
        return take_config(options, "--env-file", value);
    case 'l':
        return take_config(options, "--log-level", value);
    case 'o':
        return take_config(options, "--log-format", value);
    default: /* getopt_long has said what is wrong */
        fprintf(stderr, "fleet-server token: see fleet-server token --help\n");
        return false;
    }
}

static bool is_number(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= 18 &&
           strspn(text, "0123456789") == strlen(text);
}

static bool check_create(const struct token_options *options)
{
    if (scope_of(options->scope) == SCOPE_NONE)
        return fail("--scope has to be admin, operate, submit, read or agent%s", "");
    return options->id == NULL || fail("unknown argument '%s'", options->id);
}

static bool check(const struct token_options *options)
{
    bool creates = strcmp(options->verb, "create") == 0;
    bool revokes = strcmp(options->verb, "revoke") == 0;
    if (options->verb[0] == '\0')
        return fail("a command is missing; there are create, list and revoke%s", "");
    if (!creates && !revokes && strcmp(options->verb, "list") != 0)
        return fail("there is no command '%s'; there are create, list and revoke", options->verb);
    if (!creates && (options->scope != NULL || options->name != NULL || options->days > 0 ||
                     options->agent_id != NULL || options->repositories.count > 0 ||
                     options->capabilities.count > 0))
        return fail("what a token may is said when it is made: '%s' takes no such option",
                    options->verb);
    if (!revokes && options->force)
        return fail("--force is for revoke, not for '%s'", options->verb);
    if (creates)
        return check_create(options);
    if (revokes)
        return is_number(options->id) ||
               fail("revoke needs the number of a token, as list shows it%s", "");
    return options->id == NULL || fail("unknown argument '%s'", options->id);
}

int token_options_read(struct token_options *options, int argc, char **argv)
{
    static char program[] = "fleet-server";
    int option;
    *options = (struct token_options){.config_argv = {program}, .config_argc = 1};
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
    optind++; /* "token" */
    options->verb = optind < argc ? argv[optind] : "";
    options->id = optind + 1 < argc ? argv[optind + 1] : NULL;
    if (argc - optind > 2)
        fail("unknown argument '%s'", argv[optind + 2]);
    else if (check(options))
        return -1;
    return EXIT_USAGE;
}

bool token_command_wanted(int argc, char **argv)
{
    char **words = mem_array((size_t)argc + 1, sizeof *words); /* getopt sorts them */
    memcpy(words, argv, (size_t)argc * sizeof *words);
    optind = 0;
    opterr = 0;
    while (getopt_long(argc, words, "h", long_options, NULL) != -1) {
    }
    bool wanted = optind < argc && strcmp(words[optind], "token") == 0;
    free(words);
    return wanted;
}
