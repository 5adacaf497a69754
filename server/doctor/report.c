/* What the doctor tells, and what it asks the person before it changes something. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/doctor/doctor.h"

static const char *const words[DOCTOR_FINDINGS] = {"ok", "warn", "wrong"};

void doctor_say(struct doctor *doctor, enum finding finding, const char *where, const char *format,
                ...)
{
    va_list args;
    va_start(args, format);
    printf("%-5s  %s: ", words[finding], where);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    doctor->found[finding]++;
}

void doctor_mend(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("       -> ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

bool doctor_may_fix(struct doctor *doctor, const char *format, ...)
{
    char line[16] = "", what[500];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (!doctor->options.fix) {
        doctor_mend("fleet-server forgejo doctor --fix would %s", what);
        return false;
    }
    if (doctor->options.yes) {
        printf("       -> %s\n", what);
        return true;
    }
    printf("       -> %s? [y/N] ", what);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

void doctor_mended(struct doctor *doctor)
{
    doctor->found[DOCTOR_WRONG]--;
    doctor->mended++;
}
