/* Adapters: how an agent is started, and what its output means.
 *
 * Life of one run's reader: adapter_init, adapter_restore (an adopter), adapter_feed with the bytes
 * of stdout in order from adapter_next(), adapter_end at the end of the output, adapter_judge,
 * release.
 *
 * Always true: a checkpoint taken after any feed, restored elsewhere and fed from its
 * adapter_next(), comes to the same state as a reader that saw every byte. So an adopter goes on
 * exactly. All that an agent says is a claim, and is bounded here. */
#ifndef FLEET_ADAPTER_H
#define FLEET_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/config/config.h"
#include "common/redact.h"

#define ADAPTER_LINE_MAX ((size_t)1 << 20) /* longer lines are kept in the log, not parsed */
#define ADAPTER_SUMMARY_CHARS 4000
#define ADAPTER_ERROR_CHARS 1000
#define ADAPTER_TAIL_MAX 4096                /* bytes of plain text that become the summary */
#define ADAPTER_COUNT_MAX ((int64_t)1 << 53) /* counters saturate where JSON numbers lose bits */

/* How a run ended by its own account: the first terminal event wins. */
enum adapter_ending { ENDING_NONE, ENDING_COMPLETED, ENDING_FAILED };

struct adapter_tokens {
    int64_t input, cached_input, output, reasoning; /* saturate, never negative */
};

/* What the events said. */
struct adapter_facts {
    enum adapter_ending ending;
    char session_id[129];         /* [A-Za-z0-9_-]{1,128} or "" */
    char *summary;                /* owned; clean text, NULL when none */
    char *error;                  /* owned; clean text, NULL when none */
    struct adapter_tokens tokens; /* of the last report */
    bool has_tokens;
    int64_t lines, ignored, warnings; /* lines seen, lines not understood, warnings of the agent */
    int64_t tools;                    /* tool calls that began and did not end */
    int64_t waits; /* times it said that its provider does not answer, since the last progress */
};

struct adapter;

/* One output format. */
struct adapter_kind {
    const char *name;                                                  /* as in the configuration */
    void (*on_bytes)(struct adapter *, const char *bytes, size_t len); /* or NULL: lines */
    void (*on_line)(struct adapter *, const char *line, size_t len);   /* without its \n */
    const char *(*judge)(const struct adapter *, int status); /* reason; NULL = succeeded */
    const char *(*waits_for)(const struct adapter *); /* or NULL: reason while facts.waits > 0 */
};

struct adapter {
    const struct adapter_kind *kind;
    int64_t next;                /* offset of the next byte wanted */
    int64_t settled;             /* offset that a checkpoint restarts from: a line's beginning */
    struct buf line;             /* the unfinished line, or the tail of plain text */
    bool skipping;               /* inside a line over ADAPTER_LINE_MAX */
    struct redact_words secrets; /* borrowed from its job: words that no text may hold */
    struct adapter_facts facts;
};

extern const struct adapter_kind adapter_codex;
extern const struct adapter_kind adapter_text;

void adapter_init(struct adapter *adapter, const struct adapter_kind *kind);
void adapter_release(struct adapter *adapter);

/* Takes up a checkpoint made by adapter_checkpoint(). False, and as after init, when it is none. */
bool adapter_restore(struct adapter *adapter, const char *checkpoint);

/* Adds the checkpoint as one line of JSON. */
void adapter_checkpoint(const struct adapter *adapter, struct buf *out);

int64_t adapter_next(const struct adapter *adapter); /* offset of stdout to be fed next */
void adapter_feed(struct adapter *adapter, const char *bytes, size_t len);
void adapter_end(struct adapter *adapter); /* no more output: a last line without \n counts */
bool adapter_in_tool(const struct adapter *adapter); /* silence is more likely work */

/* It goes on asking a provider that does not answer, which is output and no progress: the reason
 * to end with when it has to be stopped. NULL while it gets on. */
const char *adapter_waits_for(const struct adapter *adapter);

/* What the run came to, from its events first and its exit status second. *reason is NULL for
 * "succeeded"; `status` is the exit status, -1 when a signal ended it. Returns the outcome. */
const char *adapter_judge(const struct adapter *adapter, int status, const char **reason);

/* Setters for the kinds: bounded, clean, first session id wins. */
void adapter_set_session(struct adapter *adapter, const char *id);
void adapter_set_text(const struct adapter *adapter, char **slot, const char *text,
                      size_t max_chars);

/* -- How an agent is started ------------------------------------------------------------------ */

/* A session id as it may stand in a command line: [A-Za-z0-9_-]{1,128}, and no option. */
bool adapter_session_valid(const char *id);

/* Commands around an agent in a clone; empty or NULL: none. Borrowed from the configuration. */
struct adapter_hooks {
    const struct config_list *after_create, *before_run, *after_run;
    int secs; /* that each of them may take */
};

/* Where an agent type's command and format come from. */
struct adapter_template {
    const struct adapter_kind *kind;
    const struct template_builtin *builtin; /* NULL: `command` */
    const struct config_list *command;      /* borrowed from the configuration */
    const struct config_list *resume;  /* goes on with a session; NULL or empty: nothing does */
    const char *model;                 /* borrowed; NULL: the agent's own choice */
    bool full;                         /* without the agent's own sandbox */
    bool version;                      /* its program may be asked for its --version */
    int silence_secs;                  /* of a run without output or progress; 0: no limit */
    const struct config_variable *env; /* borrowed from the configuration */
    size_t env_count;
    struct adapter_hooks hooks;
};

/* Of one run. */
struct adapter_values {
    const char *work_dir, *task_id, *branch, *run_dir;
    const char *nonce;   /* 32 hex digits; a session id that we choose is made from it */
    const char *session; /* to go on with; NULL, or one that is none: a new one */
    bool repository;     /* the workspace is a clone: hooks are run */
};

/* Finds the template: `adapters` of the configuration first, then what is built in. False when
 * there is none for that agent type. */
bool adapter_find(const struct config *config, const struct config_agent *agent,
                  struct adapter_template *found);

/* The program that the template runs, for the host to look for; the caller owns it. NULL when only
 * a run can tell. */
char *adapter_program(const struct adapter_template *template, const char *work_dir);

/* What a person types to see whether it is logged in; NULL: nothing does. */
const char *adapter_login(const struct adapter_template *template);

/* Id of the session that the run will have, as far as that is known before: the one that it goes on
 * with, or one that we choose; "" where the agent chooses. */
void adapter_session(const struct adapter_template *template, const struct adapter_values *values,
                     char id[static 129]);

/* Adds the job script: exports and one exec, every word single-quoted after its placeholders
 * were replaced, so no value is ever code; with hooks around the agent where there are any. False
 * when it would pass the ceiling of `out`.
 *
 * Placeholders: {work_dir} {task_id} {branch} {run_dir} {model} {session}, and of the host's own
 * knowledge {workspace} (its directory) and {prompt_file} (then the prompt is in that file, and
 * stdin is empty). */
bool adapter_script(struct buf *out, const struct adapter_template *template,
                    const struct adapter_values *values);

/* Adds what comes before the job script on its way to the host, and nowhere else: the template's
 * variables. The file that holds them removes itself first. Nothing when there are none. */
void adapter_environment(struct buf *out, const struct adapter_template *template);

#endif
