/* Built-in commands as data; between the files of "How an agent is started". */
#ifndef FLEET_ADAPTER_TEMPLATE_H
#define FLEET_ADAPTER_TEMPLATE_H

#include "worker/adapter/adapter.h"

/* When a phrase is said: where all of these hold. */
enum template_when {
    WHEN_SANDBOXED = 1,
    WHEN_FULL = 2,
    WHEN_FIRST = 4,   /* the session is new */
    WHEN_RESUMED = 8, /* it goes on */
    WHEN_MODEL = 16,  /* a model is named */
    WHEN_ROOT = 32,   /* the account is root, which the host finds out; of a variable only */
};

/* Words of a command, a space between two; or NAME=value. Placeholders are filled in afterwards, so
 * a value with spaces stays one word. A list of them ends with words NULL. */
struct template_phrase {
    unsigned when;
    const char *words;
};

struct template_builtin {
    const char *agent_type;
    const char *output; /* name of its format */
    const struct template_phrase *command, *environment;
    const char *login; /* what a person types to see whether it is logged in; NULL: nothing does */
};

/* A job script in the making. */
struct script {
    struct buf *out; /* borrowed, like all below */
    const struct adapter_template *template;
    const struct adapter_values *values;
    bool resumed;
    char session[129];
    bool prompt_file; /* a word names it */
};

/* Adds each word, a space in front, quoted after its placeholders were replaced. */
void script_words(struct script *script, const struct config_list *words);

#define HOOK_FAILED "120" /* status of a script whose agent was not started */

bool hook_any(const struct script *script);
void hook_before(struct script *script);
void hook_around(struct script *script, const char *agent);

#endif
