/* Adapters: how an agent is started, and what its output means.
 *
 * Life of one run's reader: adapter_init, adapter_resumes (a run that goes on with a session),
 * adapter_restore (an adopter), adapter_feed with the bytes of stdout in order from adapter_next(),
 * adapter_end at the end of the output, adapter_judge, release.
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
#include "common/json.h"
#include "common/redact.h"
#include "worker/adapter/limit.h"

#define ADAPTER_LINE_MAX ((size_t)1 << 20) /* longer lines are kept in the log, not parsed */
#define ADAPTER_SUMMARY_CHARS 4000
#define ADAPTER_ERROR_CHARS 1000
#define ADAPTER_QUESTION_CHARS 2000
#define ADAPTER_SEEN_CHARS 200
#define ADAPTER_TAIL_MAX 4096                /* bytes of plain text that become the summary */
#define ADAPTER_COUNT_MAX ((int64_t)1 << 53) /* counters saturate where JSON numbers lose bits */
#define ADAPTER_SESSION_SIZE 129
#define ADAPTER_MODEL_SIZE 101
#define ADAPTER_WINDOW_SIZE 24

/* How a run stands by its own account. Where the format has a terminal event, the first one
 * stays. */
enum adapter_ending { ENDING_NONE, ENDING_COMPLETED, ENDING_FAILED };

struct adapter_tokens {
    int64_t input, cached_input, output, reasoning; /* saturate, never negative */
};

/* What the agent said of the limit that stops it; *_at and texts are what it was told. */
struct adapter_limit {
    char window[ADAPTER_WINDOW_SIZE]; /* five_hour, seven_day, …; "" = not told */
    int64_t resets_at;                /* seconds since 1970; 0 = by its text, or not told */
    char *text;                       /* owned; clean text, NULL when none */
};

/* What the events said. */
struct adapter_facts {
    enum adapter_ending ending;
    char session_id[ADAPTER_SESSION_SIZE]; /* [A-Za-z0-9_-]{1,128} or "" */
    char model[ADAPTER_MODEL_SIZE];        /* printable ASCII, or "" */
    char *summary;                         /* owned; clean text, NULL when none */
    char *question;    /* owned; what it waits to be told; clean text, NULL when it asks nothing */
    char *error;       /* owned; clean text, NULL when none */
    char *seen;        /* owned; the last line that was no event, NULL when none */
    const char *cause; /* reason that `error` comes to; static, NULL when none */
    struct adapter_limit limit;   /* of a cause provider_quota or rate_limited */
    struct adapter_tokens tokens; /* of this run alone */
    bool has_tokens;
    bool has_cost;
    int64_t cost_micros;              /* USD / 1,000,000, as the CLI reckons it */
    int64_t lines, ignored, warnings; /* lines seen, lines not understood, warnings of the agent */
    int64_t tools;                    /* tool calls that began and did not end */
    int64_t waits;  /* times it said that its provider does not answer, since the last progress */
    int64_t events; /* events understood */
    int64_t parts;  /* pieces of messages that were put together */
    bool step;      /* inside a step of the model, or a message in pieces */
    bool produced;  /* by that step: text, a tool call, tokens */
    bool asked;     /* the question is of a tool for that, not of its last message */
    bool sealed;    /* the rest of this message is left out: it held a credential */
};

struct adapter;

/* One output format. */
struct adapter_kind {
    const char *name; /* as in the configuration */
    /* An event is an object with a member `type` of text; else it takes lines of text. Of a format
     * that has neither, the last bytes are the summary. */
    void (*on_event)(struct adapter *, const char *type, const struct json_object *event);
    void (*on_text)(struct adapter *, const char *line, size_t len); /* without its \n */
    /* Reason of an exit status that its format defines; NULL: the common rules. Or NULL. */
    const char *(*status)(int status);
    bool no_status;    /* its exit status says nothing once the events have */
    bool same_session; /* it goes on with the wanted session, or has lost it */
    bool lingers;      /* it may stay when all is done */
    bool silent_waits; /* silence outside of a step: it waits for its provider */
};

struct adapter {
    const struct adapter_kind *kind;
    int64_t next;                /* offset of the next byte wanted */
    int64_t settled;             /* offset that a checkpoint restarts from: of `line` */
    struct buf line;             /* the unfinished line, or the tail of plain text */
    bool skipping;               /* inside a line over ADAPTER_LINE_MAX */
    struct redact_words secrets; /* borrowed from its job: words that no text may hold */
    char wanted_session[ADAPTER_SESSION_SIZE]; /* that it was to go on with; "" = a new one */
    struct adapter_tokens before;              /* of the wanted session, when the run began */
    struct adapter_facts facts;
};

extern const struct adapter_kind adapter_codex;
extern const struct adapter_kind adapter_claude;
extern const struct adapter_kind adapter_opencode;
extern const struct adapter_kind adapter_gemini;
extern const struct adapter_kind adapter_aider;
extern const struct adapter_kind adapter_text;

/* The kind of an `output` of the configuration; plain text when it names none. */
const struct adapter_kind *adapter_kind_named(const char *output);

void adapter_init(struct adapter *adapter, const struct adapter_kind *kind);
void adapter_release(struct adapter *adapter);

/* The run goes on with this session, of which so many tokens were counted before: see
 * adapter_session_tokens(). Nothing when the id is none. */
void adapter_resumes(struct adapter *adapter, const char *session,
                     const struct adapter_tokens *before);

/* Tokens of a session over all its runs so far, as the last checkpoint of an earlier run of it has
 * them; false when that says nothing of this session. */
bool adapter_session_tokens(const char *checkpoint, const char *session,
                            struct adapter_tokens *tokens);

/* Takes up a checkpoint made by adapter_checkpoint(). False, and as after init, when it is none. */
bool adapter_restore(struct adapter *adapter, const char *checkpoint);

/* Adds the checkpoint as one line of JSON. */
void adapter_checkpoint(const struct adapter *adapter, struct buf *out);

int64_t adapter_next(const struct adapter *adapter); /* offset of stdout to be fed next */
void adapter_feed(struct adapter *adapter, const char *bytes, size_t len);
void adapter_end(struct adapter *adapter); /* no more output: a last line without \n counts */
bool adapter_in_tool(const struct adapter *adapter); /* silence is more likely work */

/* All is said and done, and yet it may stay: after ADAPTER_LINGER_MS without a byte it is to be
 * ended, and judged with status 0. */
#define ADAPTER_LINGER_MS INT64_C(15000)
bool adapter_done(const struct adapter *adapter);

/* The reason to end with when it was silent for too long: silence_timeout, or provider_down where
 * the format is known to ask its provider again and again without a word. */
const char *adapter_silence(const struct adapter *adapter);

/* It works in another session than the wanted one: whatever it does is paid and of no use. */
bool adapter_lost_session(const struct adapter *adapter);

/* It goes on asking a provider that does not answer, which is output and no progress: the reason
 * to end with when it has to be stopped. NULL while it gets on. */
const char *adapter_waits_for(const struct adapter *adapter);

/* What the run came to, from its events first and its exit status second. *reason is NULL for
 * "succeeded", or needs_input; `status` is the exit status, -1 when a signal ended it. Returns the
 * outcome. Where nothing else is known, facts.error then says what was seen. */
const char *adapter_judge(struct adapter *adapter, int status, const char **reason);

/* When the limit of a run that ended as provider_quota or rate_limited is over, in seconds since
 * 1970, as it was told; 0 when nobody said. *guessed: by a zone that is not known. */
int64_t adapter_resets_at(const struct adapter *adapter, const struct limit_clock *clock,
                          bool *guessed);

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

/* What an agent of this type writes to in its home, for a sandbox: paths that begin with "~/", one
 * a line, a folder with "/" at its end; "" of an unknown type. And the file of its login there;
 * NULL: none is known. */
const char *adapter_home(const char *agent_type);
const char *adapter_login_file(const char *agent_type);

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
