/* The token command: its one query, and what it prints. */
#include "server/token_command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/db/db.h"
#include "common/db/trouble.h"
#include "common/exit.h"
#include "common/json.h"
#include "common/log.h"
#include "common/loop.h"
#include "server/auth.h"

#define STOP_MS 2000
#define LIST_MAX 1000
#define WORDS_BYTES 65536

/* One run of the command. */
struct command {
    struct token_options options;
    struct db *db;
    int status; /* exit status */
    char token[AUTH_TOKEN_MAX];
};

static void finish(struct command *command, const struct error *err)
{
    char text[700];
    if (err != NULL) {
        if (strcmp(db_trouble_word(err), "database") == 0)
            snprintf(text, sizeof text, "%s", err->text);
        else
            db_trouble_text(err, "server", text, sizeof text);
        fprintf(stderr, "fleet-server token: %s\n", text);
        command->status = EXIT_TROUBLE;
    }
    db_stop(command->db, STOP_MS, NULL, NULL);
}

/* The answer as an object, to be put; NULL, and the refusal is said. */
static struct json_object *accepted(struct command *command, const struct db_result *res)
{
    struct error err = {0};
    const char *body = db_text(res, 0, "body");
    struct json_object *answer = json_parse(body, strlen(body), &err);
    if (db_int(res, 0, "status", 500) < 300)
        return answer;
    fprintf(stderr, "fleet-server token: %s\n", json_string(answer, "error", "refused"));
    json_object_put(answer);
    command->status = EXIT_TROUBLE;
    return NULL;
}

static void on_created(void *data, const struct db_result *res, const struct error *err)
{
    struct command *command = data;
    struct json_object *answer = err == NULL ? accepted(command, res) : NULL;
    if (answer != NULL) {
        const char *bounds = json_string(answer, "bounds", NULL);
        printf("%s\n", command->token);
        fprintf(stderr,
                "token %lld, scope %s%s%s: keep it, it is not shown again. Put the line\n"
                "Authorization: Bearer TOKEN\n"
                "into a file of mode 600 and use it with curl -H @FILE\n",
                (long long)json_int(answer, "token_id", 0), json_string(answer, "scope", ""),
                bounds != NULL ? ", bound to " : "", bounds != NULL ? bounds : "");
        json_object_put(answer);
    }
    finish(command, err);
}

/* An array of texts; NULL when there are none. */
static const char *array_of(struct buf *out, const struct token_words *words)
{
    buf_init(out, WORDS_BYTES);
    db_array_begin(out);
    for (size_t i = 0; i < words->count; i++)
        db_array_text(out, words->items[i]);
    db_array_end(out);
    return words->count > 0 ? buf_text(out) : NULL;
}

static void create(struct command *command)
{
    const struct token_options *options = &command->options;
    uint8_t digest[SHA256_SIZE];
    char prefix[13], days[24];
    struct buf hash, repositories, capabilities;
    buf_init(&hash, 128);
    auth_make(scope_of(options->scope), command->token, digest, prefix);
    db_bytea(&hash, digest, sizeof digest);
    snprintf(days, sizeof days, "%ld", options->days);
    const char *params[] = {options->name != NULL ? options->name : options->scope,
                            options->scope,
                            buf_text(&hash),
                            prefix,
                            array_of(&repositories, &options->repositories),
                            options->agent_id,
                            array_of(&capabilities, &options->capabilities),
                            options->days > 0 ? days : NULL};
    db_query(command->db,
             "select status, body from fleet.token_create(null, $1, $2, $3::bytea, $4, "
             "$5::text[], $6, $7::text[], now() + make_interval(days => $8::int))",
             DB_REPEAT, 8, params, on_created, command);
    buf_release(&hash);
    buf_release(&repositories);
    buf_release(&capabilities);
}

static void show_token(const struct db_result *res, int row)
{
    static const char *const columns[] = {"token_id", "name",  "scope",      "prefix",
                                          "bounds",   "state", "expires_at", "last_used_at"};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        const char *text = db_text(res, row, columns[i]);
        printf("%s%s", i > 0 ? "\t" : "", text != NULL ? text : "-");
    }
    printf("\n");
}

static void on_list(void *data, const struct db_result *res, const struct error *err)
{
    if (err == NULL)
        printf("id\tname\tscope\tbegins with\tbounds\tstate\texpires\tlast used\n");
    for (int row = 0; err == NULL && row < db_rows(res); row++)
        show_token(res, row);
    if (err == NULL && db_rows(res) == LIST_MAX)
        fprintf(stderr, "fleet-server token: these are the newest %d\n", LIST_MAX);
    finish(data, err);
}

static void on_revoked(void *data, const struct db_result *res, const struct error *err)
{
    struct command *command = data;
    struct json_object *answer = err == NULL ? accepted(command, res) : NULL;
    if (answer != NULL)
        printf("token %s is revoked\n", command->options.id);
    json_object_put(answer);
    finish(command, err);
}

static void run(struct command *command)
{
    const struct token_options *options = &command->options;
    const char *params[] = {options->id, options->force ? "true" : "false"};
    if (strcmp(options->verb, "create") == 0)
        create(command);
    else if (strcmp(options->verb, "list") == 0)
        db_query(command->db,
                 "select token_id, name, scope, prefix, bounds, state, expires_at, last_used_at "
                 "from fleet.token_rows(1000, null)",
                 DB_REPEAT, 0, NULL, on_list, command);
    else
        db_query(command->db,
                 "select status, body from fleet.token_revoke(null, $1::bigint, $2::boolean)",
                 DB_REPEAT, 2, params, on_revoked, command);
}

static void run_with(struct command *command, const char *url, bool plaintext)
{
    struct loop loop;
    struct error err = {0};
    struct db_options options = {.url = url,
                                 .application = "fleet-server token",
                                 .connections = 1,
                                 .allow_plaintext = plaintext};
    loop_init(&loop);
    command->db = db_new(&loop, &options, &err);
    if (command->db == NULL) {
        fprintf(stderr, "fleet-server token: %s\n", err.text);
        command->status = EXIT_NEVER; /* the URL is wrong */
    } else {
        db_start(command->db);
        run(command);
        loop_run(&loop);
        db_free(command->db);
    }
    loop_release(&loop);
}

int token_command(int argc, char **argv)
{
    struct command command = {0};
    struct token_options *options = &command.options;
    struct config *config = NULL;
    int status = token_options_read(options, argc, argv);
    if (status >= 0)
        return status;
    if (options->database != NULL)
        log_open(token_program.name, token_program.level);
    else
        status = config_command_line(options->config_argc, options->config_argv, &token_program,
                                     &config);
    if (status >= 0)
        return status;
    if (config != NULL)
        run_with(&command, config->database.url, config->database.insecure_plaintext);
    else
        run_with(&command, options->database, false);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "fleet-server token: cannot write to stdout: %s\n", strerror(errno));
        command.status = EXIT_TROUBLE;
    }
    crypto_wipe(command.token, sizeof command.token);
    config_free(config);
    return command.status;
}
