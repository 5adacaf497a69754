/* What the workers told the database: their configuration is a file of their own. */
#include <stdio.h>
#include <string.h>

#include "server/doctor/doctor.h"

static void say_told(struct doctor *doctor, const struct db_result *res)
{
    const char *url = db_text(res, 0, "url"), *by = db_text(res, 0, "told_by");
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    if (len != strlen(doctor->web) || strncmp(url, doctor->web, len) != 0) {
        doctor_say(doctor, DOCTOR_WRONG, "workers", "%s has the Forgejo %s, not %s", by,
                   len > 0 ? url : "(none)", doctor->web);
        doctor_mend("give all nodes the same file, and systemctl reload fleet-worker");
    } else if (!db_bool(res, 0, "reads")) {
        doctor_say(doctor, DOCTOR_WRONG, "workers", "%s has no forgejo.token", by);
        doctor_mend("give all nodes the same file, and systemctl reload fleet-worker");
    } else {
        doctor_say(doctor, DOCTOR_OK, "workers", "have this Forgejo (%s, %lld s ago)", by,
                   (long long)db_int(res, 0, "age_secs", 0));
    }
}

static void read_told(void *data, const struct db_result *res, const struct error *err)
{
    struct doctor *doctor = data;
    if (err != NULL) {
        doctor_say(doctor, DOCTOR_WRONG, "database", "what came from Forgejo is not known: %s",
                   err->text);
        doctor_mend("fleet-server --check-config, and /readyz of a server");
    } else if (db_rows(res) == 0) {
        doctor_say(doctor, DOCTOR_WRONG, "workers", "none has told its Forgejo");
        doctor_mend("systemctl status fleet-worker; fleet-worker --check-config");
    } else {
        say_told(doctor, res);
    }
}

void doctor_workers(struct doctor *doctor)
{
    if (doctor->db != NULL)
        doctor_query(doctor, "select url, reads, told_by, age_secs from fleet.forgejo_told()", 0,
                     NULL, read_told, doctor);
}
