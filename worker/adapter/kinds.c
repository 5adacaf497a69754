/* The formats by their names in the configuration, and plain text: any command, whose exit status
 * decides. */
#include <string.h>

#include "worker/adapter/adapter.h"

const struct adapter_kind adapter_text = {.name = "text"};

const struct adapter_kind *adapter_kind_named(const char *output)
{
    static const struct adapter_kind *const kinds[] = {&adapter_text,   &adapter_codex,
                                                       &adapter_claude, &adapter_opencode,
                                                       &adapter_gemini, &adapter_aider};
    for (size_t i = 0; output != NULL && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i]->name, output) == 0)
            return kinds[i];
    return &adapter_text;
}
