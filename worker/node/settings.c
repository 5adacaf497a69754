/* A configuration and how many read from it. */
#include "worker/node/settings.h"

#include <stdlib.h>

#include "common/mem.h"

struct settings *settings_new(struct config *config)
{
    struct settings *settings = mem_alloc(sizeof *settings);
    *settings = (struct settings){.config = config, .users = 1};
    return settings;
}

struct settings *settings_use(struct settings *settings)
{
    settings->users++;
    return settings;
}

void settings_drop(struct settings *settings)
{
    if (--settings->users > 0)
        return;
    config_free(settings->config);
    free(settings);
}
