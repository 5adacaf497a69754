/* One visit of the doctor, from the command line to the exit status. */
#include "server/doctor/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "server/doctor/options.h"

#define STOP_MS 2000
#define DB_WAIT_MS 5000

static void open_database(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    struct error err = {0};
    struct db_options options = {.url = config->database.url,
                                 .application = "fleet-server forgejo doctor",
                                 .connections = 1,
                                 .wait_ms = DB_WAIT_MS,
                                 .allow_plaintext = config->database.insecure_plaintext};
    doctor->db = db_new(&doctor->loop, &options, &err);
    if (doctor->db == NULL)
        doctor_say(doctor, DOCTOR_WRONG, "database.url", "%s", err.text);
    else
        db_start(doctor->db);
}

static bool open_forgejo(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    struct error err = {0};
    struct fetch_options options = {.base = config->forgejo.url,
                                    .allow_http = config->forgejo.insecure_http,
                                    .connections = 1,
                                    .timeout_ms = config->forgejo.timeout_secs * 1000,
                                    .ca_file = config->forgejo.ca_file};
    if (config->forgejo.token == NULL || config->forgejo.url == NULL) {
        doctor_say(doctor, DOCTOR_WRONG, "forgejo.token",
                   "is not set: only signed deliveries count, and nothing is told on the issues");
        doctor_mend("deploy/README.md, 10: an account for the fleet, and a token of it");
        return false;
    }
    doctor->fetch = fetch_new(&doctor->loop, &options, &err);
    if (doctor->fetch == NULL) {
        doctor_say(doctor, DOCTOR_WRONG, "forgejo.url", "%s", err.text);
        return false;
    }
    doctor->web = fetch_base(doctor->fetch);
    doctor->forgejo =
        forgejo_new(doctor->fetch, config->forgejo.token, config->forgejo.lookup_token);
    return true;
}

static void look(struct doctor *doctor)
{
    if (!open_forgejo(doctor) || !doctor_reaches(doctor))
        return;
    doctor_server(doctor);
    open_database(doctor);
    doctor_workers(doctor);
    doctor_address(doctor);
    if (doctor->login[0] != '\0')
        doctor_repositories(doctor);
}

static void close_all(struct doctor *doctor)
{
    if (doctor->fetch != NULL)
        fetch_stop(doctor->fetch, NULL, NULL);
    if (doctor->db != NULL)
        db_stop(doctor->db, STOP_MS, NULL, NULL);
    loop_run(&doctor->loop);
    forgejo_free(doctor->forgejo);
    fetch_free(doctor->fetch);
    db_free(doctor->db);
    loop_release(&doctor->loop);
    config_free(doctor->config);
}

static int visit(struct doctor *doctor)
{
    loop_init(&doctor->loop);
    look(doctor);
    printf("%d ok, %d to look at, %d wrong", doctor->found[DOCTOR_OK], doctor->found[DOCTOR_WARN],
           doctor->found[DOCTOR_WRONG]);
    printf(doctor->mended > 0 ? ", %d mended\n" : "\n", doctor->mended);
    int status = doctor->found[DOCTOR_WRONG] > 0 ? EXIT_TROUBLE : 0;
    close_all(doctor);
    return status;
}

bool doctor_command_wanted(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "forgejo") == 0;
}

int doctor_command(int argc, char **argv)
{
    struct doctor doctor = {0};
    int status = doctor_options_read(&doctor.options, argc, argv);
    if (status >= 0)
        return status;
    status = config_command_line(doctor.options.config_argc, doctor.options.config_argv,
                                 &doctor_program, &doctor.config);
    if (status >= 0)
        return status;
    setvbuf(stdout, NULL, _IOLBF, 0);
    status = visit(&doctor);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "fleet-server forgejo: cannot write to stdout: %s\n", strerror(errno));
        status = EXIT_TROUBLE;
    }
    return status;
}
