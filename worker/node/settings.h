/* A loaded configuration that several readers hold on to; freed with its last user. */
#ifndef FLEET_SETTINGS_H
#define FLEET_SETTINGS_H

#include "common/config/config.h"

struct settings {
    struct config *config; /* owned */
    int users;
};

struct settings *settings_new(struct config *config); /* one user; owns config from now on */
struct settings *settings_use(struct settings *settings);
void settings_drop(struct settings *settings);

#endif
