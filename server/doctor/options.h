/* The doctor's command line. */
#ifndef FLEET_DOCTOR_OPTIONS_H
#define FLEET_DOCTOR_OPTIONS_H

#include "server/doctor/doctor.h"

extern const struct config_program doctor_program;

/* -1 to go on, else the exit status. */
int doctor_options_read(struct doctor_options *options, int argc, char **argv);

#endif
