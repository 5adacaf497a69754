/* The token command: its arguments, its one query, and what it prints. */
#include "server/token_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config.h"
#include "common/db/db.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "server/auth.h"

#define STOP_MS 2000
#define REPOSITORIES_MAX 100
#define DAYS_MAX 36500
#define CONFIG_ARGS 9 /* the program's name, and four options with their values */

static const char usage[] =
    "Usage: fleet-server token create --scope SCOPE [--name NAME] [--repository OWNER/REPO]...\n"
    "                                 [--expires DAYS] [--config PATH] [--env-file PATH]\n"
    "       fleet-server token list   [--config PATH] [--env-file PATH]\n"
    "       fleet-server token revoke ID [--config PATH] [--env-file PATH]\n"
    "\n"
    "Options may stand anywhere. create prints the token, alone, on stdout: it is shown once and "
    "stored as its SHA-256.\n"
    "SCOPE is admin, operate, submit or read; each includes those after it.\n"
    "Options of create:\n"
    "  --name NAME              who it is for, as the history shows it\n"
    "  --repository OWNER/REPO  whose tasks it may submit, cancel and retry; also OWNER/*,\n"
    "                           or none for tasks of no repository; may be repeated\n"
    "  --expires DAYS           after that many days it stops working\n";

static const struct config_program program = {
    .name = "fleet-server", .usage = usage, .node = CONFIG_SERVER, .level = LOG_WARN_LEVEL};

static const struct option token_options[] = {
    {"scope", required_argument, NULL, 's'},
    {"name", required_argument, NULL, 'n'},
    {"expires", required_argument, NULL, 'x'},
    {"repository", required_argument, NULL, 'r'},
    {"config", required_argument, NULL, 'c'},
    {"env-file", required_argument, NULL, 'e'},
    {"log-level", required_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* One run of the command. */
struct command {
    const char *verb; /* borrowed from argv, as all texts here */
    const char *scope, *name, *id;
    const char *repositories[REPOSITORIES_MAX];
    int repository_count;
    long days; /* 0: for ever */
    char *config_argv[CONFIG_ARGS];
    int config_argc;
    struct db *db;
    int status; /* exit status */
    char token[AUTH_TOKEN_MAX];
};

static bool fail(const char *format, const char *text)
{
    fprintf(stderr, "fleet-server token: ");
    fprintf(stderr, format, text);
    fprintf(stderr, "; see fleet-server token --help\n");
    return false;
}

static bool take_days(struct command *command, const char *text)
{
    char *end;
    command->days = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || command->days < 1 || command->days > DAYS_MAX)
        return fail("--expires has to be a number of days from 1 to 36500, not '%s'", text);
    return true;
}

static bool take_option(struct command *command, int option, char *value)
{
    switch (option) {
    case 's':
        command->scope = value;
        return true;
    case 'n':
        command->name = value;
        return true;
    case 'r':
        if (command->repository_count == REPOSITORIES_MAX)
            return fail("too many repositories, at '%s'", value);
        command->repositories[command->repository_count++] = value;
        return true;
    case 'x':
        return take_days(command, value);
    case 'c':
    case 'e':
    case 'l':
        if (command->config_argc + 2 > CONFIG_ARGS)
            return fail("too many options, at '%s'", value);
        command->config_argv[command->config_argc++] = option == 'c'   ? "--config"
                                                       : option == 'e' ? "--env-file"
                                                                       : "--log-level";
        command->config_argv[command->config_argc++] = value;
        return true;
    default: /* getopt_long has said what is wrong */
        fprintf(stderr, "fleet-server token: see fleet-server token --help\n");
        return false;
    }
}

/* 0 to go on, 1 after --help, -1 after an error. */
static int read_options(struct command *command, int argc, char **argv)
{
    int option;
    optind = 0;
    opterr = 1;
    while ((option = getopt_long(argc, argv, "", token_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 1;
        }
        if (!take_option(command, option, optarg))
            return -1;
    }
    optind++; /* "token" */
    command->verb = optind < argc ? argv[optind] : "";
    command->id = optind + 1 < argc ? argv[optind + 1] : NULL;
    return argc - optind > 2 ? (fail("unknown argument '%s'", argv[optind + 2]), -1) : 0;
}

static bool check(struct command *command)
{
    if (strcmp(command->verb, "create") == 0) {
        if (command->scope == NULL || scope_of(command->scope) == SCOPE_NONE)
            return fail("--scope has to be admin, operate, submit or read%s", "");
        if (command->id != NULL)
            return fail("unknown argument '%s'", command->id);
        return true;
    }
    if (strcmp(command->verb, "list") == 0)
        return command->id == NULL || fail("unknown argument '%s'", command->id);
    if (command->verb[0] == '\0')
        return fail("a command is missing; there are create, list and revoke%s", "");
    if (strcmp(command->verb, "revoke") != 0)
        return fail("there is no command '%s'; there are create, list and revoke", command->verb);
    if (command->id == NULL || command->id[0] == '\0' || strlen(command->id) > 18 ||
        strspn(command->id, "0123456789") != strlen(command->id))
        return fail("revoke needs the number of a token, as list shows it%s", "");
    return true;
}

/* --- what each command does --- */

static void finish(struct command *command, const struct error *err)
{
    if (err != NULL)
        fprintf(stderr, "fleet-server token: %s\n", err->text);
    command->status = err != NULL ? 1 : command->status;
    db_stop(command->db, STOP_MS, NULL, NULL);
}

static void on_created(void *data, const struct db_result *res, const struct error *err)
{
    struct command *command = data;
    if (err == NULL) {
        printf("%s\n", command->token);
        fprintf(
            stderr,
            "token %lld, scope %s: keep it, it is not shown again. Put the line\n"
            "Authorization: Bearer TOKEN\ninto a file of mode 600 and use it with curl -H @FILE\n",
            (long long)db_int(res, 0, "token_id", 0), command->scope);
    }
    finish(command, err);
}

static void create(struct command *command)
{
    uint8_t digest[SHA256_SIZE];
    char prefix[13], days[24];
    struct buf hash, repositories;
    buf_init(&hash, 128);
    buf_init(&repositories, 65536);
    auth_make(scope_of(command->scope), command->token, digest, prefix);
    db_bytea(&hash, digest, sizeof digest);
    db_array_begin(&repositories);
    for (int i = 0; i < command->repository_count; i++)
        db_array_text(&repositories, command->repositories[i]);
    db_array_end(&repositories);
    snprintf(days, sizeof days, "%ld", command->days);
    const char *params[] = {command->name != NULL ? command->name : command->scope,
                            command->scope,
                            buf_text(&hash),
                            prefix,
                            command->repository_count > 0 ? buf_text(&repositories) : NULL,
                            command->days > 0 ? days : NULL};
    db_query(command->db,
             "select fleet.token_create($1, $2, $3::bytea, $4, $5::text[], "
             "now() + make_interval(days => $6::int)) as token_id",
             DB_REPEAT, 6, params, on_created, command);
    buf_release(&hash);
    buf_release(&repositories);
}

static void show_token(const struct db_result *res, int row)
{
    static const char *const columns[] = {"token_id", "name",       "scope",       "prefix",
                                          "state",    "expires_at", "last_used_at"};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        const char *text = db_text(res, row, columns[i]);
        printf("%s%s", i > 0 ? "\t" : "", text != NULL ? text : "-");
    }
    printf("\n");
}

static void on_list(void *data, const struct db_result *res, const struct error *err)
{
    printf("%s", err == NULL ? "id\tname\tscope\tbegins with\tstate\texpires\tlast used\n" : "");
    for (int row = 0; err == NULL && row < db_rows(res); row++)
        show_token(res, row);
    finish(data, err);
}

static void on_revoked(void *data, const struct db_result *res, const struct error *err)
{
    struct command *command = data;
    if (err == NULL && !db_bool(res, 0, "revoked")) {
        fprintf(stderr, "fleet-server token: no token %s is in use\n", command->id);
        command->status = 1;
    } else if (err == NULL) {
        printf("token %s is revoked\n", command->id);
    }
    finish(command, err);
}

static void run(struct command *command)
{
    const char *params[] = {command->id};
    if (strcmp(command->verb, "create") == 0)
        create(command);
    else if (strcmp(command->verb, "list") == 0)
        db_query(command->db,
                 "select token_id, name, scope, prefix, expires_at, last_used_at,"
                 " case when revoked_at is not null then 'revoked'"
                 " when expires_at <= now() then 'expired' else 'valid' end as state"
                 " from fleet.token_list()",
                 DB_REPEAT, 0, NULL, on_list, command);
    else
        db_query(command->db, "select fleet.token_revoke($1::bigint) as revoked", DB_ONCE, 1,
                 params, on_revoked, command);
}

static int run_with(struct command *command, const struct config *config)
{
    struct loop loop;
    struct error err = {0};
    loop_limits();
    struct db_options options = {.url = config->database.url,
                                 .application = "fleet-server token",
                                 .connections = 1,
                                 .allow_plaintext = config->database.insecure_plaintext};
    loop_init(&loop);
    command->db = db_new(&loop, &options, &err);
    if (command->db == NULL) {
        fprintf(stderr, "fleet-server token: %s\n", err.text);
        command->status = 1;
    } else {
        db_start(command->db);
        run(command);
        loop_run(&loop);
        db_free(command->db);
    }
    loop_release(&loop);
    return command->status;
}

bool token_command_wanted(int argc, char **argv)
{
    char **words = mem_array((size_t)argc + 1, sizeof *words); /* getopt sorts them */
    memcpy(words, argv, (size_t)argc * sizeof *words);
    optind = 0;
    opterr = 0;
    while (getopt_long(argc, words, "", token_options, NULL) != -1) {
    }
    bool wanted = optind < argc && strcmp(words[optind], "token") == 0;
    free(words);
    return wanted;
}

int token_command(int argc, char **argv)
{
    struct command command = {.config_argv = {"fleet-server"}, .config_argc = 1};
    struct config *config;
    int status = read_options(&command, argc, argv);
    if (status != 0)
        return status > 0 ? 0 : 2;
    if (!check(&command))
        return 2;
    status = config_command_line(command.config_argc, command.config_argv, &program, &config);
    if (status >= 0)
        return status;
    status = run_with(&command, config);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "fleet-server token: cannot write to stdout: %s\n", strerror(errno));
        status = 1;
    }
    crypto_wipe(command.token, sizeof command.token);
    config_free(config);
    return status;
}
