/* The runner: a POSIX sh script on the host that owns run directories, and the protocol with it.
 *
 * Nothing here does I/O: builders write the command line (and stdin) of one call for exec_run(),
 * parsers read what came back on stdout. All that comes back is hostile: the parsers copy only
 * checked words and range-checked numbers, and never look past the bytes given.
 *
 * Each call runs only when the script on the host has our SHA-256. Else the whole answer is
 * "missing" (runner_missing()): send the install call, then repeat the first one. */
#ifndef FLEET_RUNNER_H
#define FLEET_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

/* worker/runner.sh, byte for byte (embedded at build time). */
extern const unsigned char runner_script[];
extern const size_t runner_script_size;

#define RUNNER_RUN_SIZE 72  /* of a run's name with its NUL */
#define RUNNER_ASKS_MAX 256 /* runs in one poll */
/* Bytes of an answer's line: out_max of a poll is asks * (line + 2 * max) + 64 KiB. */
#define RUNNER_LINE_MAX 1024

/* A run's name, owned by the caller: "acme-app-42-1f0c9a3e.2" is a folder under runs/. The task's
 * own folder, "acme-app-42-1f0c9a3e" under work_dir/tasks/, is its slug, which SQL makes:
 * [a-z0-9-]. */
char *runner_name(const char *folder, int number);

/* Where the runner lives on a host: <work_dir>/.fleet/<fleet_id>. */
struct runner_place {
    const char *work_dir; /* borrowed; absolute, any bytes but NUL and newline */
    const char *fleet_id; /* borrowed; [A-Za-z0-9_-]{1,64} */
};

/* Which run, and with what right: a lower epoch than the host has seen is fenced out, another nonce
 * is foreign. */
struct runner_key {
    const char *run;   /* borrowed; from runner_name() */
    int epoch;         /* >= 1 */
    const char *nonce; /* borrowed; 32 hex digits */
};

/* What `start` uploads. */
struct runner_start {
    const char *folder; /* borrowed; the task's slug: cwd of the job, made when absent */
    int timeout_secs;   /* the whole run, kept on the host */
    int64_t cap_bytes;  /* of each stream; reaching it stops the run with output_limit */
    const char *job;    /* borrowed; sh text: exports, then exec of the agent. At least one byte */
    size_t job_len;
    const char *prompt; /* borrowed; the agent's stdin */
    size_t prompt_len;
};

/* One line of a poll: from which byte on each stream is wanted. */
struct runner_ask {
    const char *run;   /* borrowed */
    const char *nonce; /* borrowed */
    int64_t out_offset;
    int64_t err_offset;
};

/* Builders. They add to `command` (and `input`: stdin); arguments outside their character set are a
 * bug of ours and abort. Check command->failed / input->failed (ceiling of the buffer) once at the
 * end. */
void runner_build_install(struct buf *command,
                          const struct runner_place *place); /* stdin: runner_script */
/* An agent's command that hello looks for on the host. */
struct runner_look {
    const char *command; /* borrowed; a bare name or an absolute path */
    bool version;        /* it is asked for its --version, too */
};
void runner_build_hello(struct buf *command, const struct runner_place *place,
                        const struct runner_look *looks, int count);
void runner_build_start(struct buf *command, struct buf *input, const struct runner_place *place,
                        const struct runner_key *key, const struct runner_start *start);
void runner_build_void(struct buf *command, const struct runner_place *place,
                       const struct runner_key *key);
/* Fences lower epochs. Makes the run directory when there is none (so that a late start by the old
 * owner is fenced too) and then answers with state absent. */
void runner_build_raise(struct buf *command, const struct runner_place *place,
                        const struct runner_key *key);
/* Asynchronous on the host: INT, grace_secs, TERM, term_secs, KILL (grace_secs 0: no INT). reason
 * is [a-z_]{1,32}; the status then carries it, unless the job had ended by itself before. */
void runner_build_stop(struct buf *command, const struct runner_place *place,
                       const struct runner_key *key, int grace_secs, int term_secs,
                       const char *reason);
/* At most max bytes of each stream of each run; stdin: one runner_add_ask() each. */
void runner_build_poll(struct buf *command, const struct runner_place *place, int max);
void runner_add_ask(struct buf *input, const struct runner_ask *ask);

/* True when the host has no runner with our hash (or no work_dir yet): install, then repeat. */
bool runner_missing(const char *bytes, size_t len);
/* Answer to install; err says what the host answered. */
bool runner_parse_installed(const char *bytes, size_t len, struct error *err);

#define RUNNER_LOOKS_MAX 64 /* commands in one hello */
#define RUNNER_VERSION_SIZE 65

/* What hello found of one command. */
struct runner_seen {
    bool found;
    char version[RUNNER_VERSION_SIZE]; /* as it says; "" when it was not asked, or said nothing */
};

struct runner_hello {
    char machine[65]; /* machine-id, "none" when the host has none */
    /* boot_id and start time of pid 1: changes with every boot of machine or container */
    char boot[80];
    char owner[33];    /* random id of <work_dir>/.fleet/owner, 32 hex digits */
    int64_t disk_free; /* bytes that our account may still write under work_dir */
    /* programs that the runner needs and did not find, comma-separated; "" = none */
    char missing[256];
    struct runner_seen seen[RUNNER_LOOKS_MAX]; /* in the order of the looks */
    int seen_count;
};
bool runner_parse_hello(const char *bytes, size_t len, struct runner_hello *hello,
                        struct error *err);

enum runner_state {
    RUNNER_PREPARED, /* a directory, nothing started: may be started or voided */
    RUNNER_RUNNING,  /* its supervisor lives */
    RUNNER_ORPHANED, /* the supervisor is gone, processes with the run's mark live: stop it */
    RUNNER_ENDED,    /* a status with our nonce; or one that is none: reason "status_invalid" */
    RUNNER_VOID,     /* tombstone: never started and never will */
    RUNNER_LOST,     /* started, no status, supervisor gone, nothing bears the mark: proven ended */
    RUNNER_ABSENT,   /* no directory: proves nothing */
    RUNNER_FOREIGN,  /* a directory that is not ours (other nonce, or no proper one) */
};
const char *runner_state_name(enum runner_state state);

/* What the host says of one run. Numbers are -1 and texts "" where they do not apply. */
struct runner_record {
    char run[RUNNER_RUN_SIZE];
    enum runner_state state;
    int epoch;
    int64_t pid;    /* the supervisor */
    char start[24]; /* its start time, in ticks since boot */
    char boot[80];
    int64_t out_size; /* bytes of the stream's file now; smaller than our offset: output_tampered */
    int64_t err_size;
    int64_t out_final; /* ended: bytes that the supervisor saw at the end */
    int64_t err_final;
    int exit;           /* ended: as a shell says it, 0 to 255 */
    int signal;         /* ended: exit - 128 when the shell says "by a signal", else 0 */
    int64_t elapsed_ms; /* ended: from the start to the end of the job */
    /* ended: exit, timed_out, output_limit, host_disk_full, status_invalid, or the reason given to
     * stop */
    char reason[33];
    const char *out; /* borrowed from the answer: bytes from out_offset on; NULL when none */
    size_t out_len;
    const char *err; /* borrowed, likewise */
    size_t err_len;
};
/* The files shrank below what we read, or differ from what the supervisor saw at the end. */
bool runner_tampered(const struct runner_record *record, int64_t out_offset, int64_t err_offset);

/* Answer to start, void, raise and stop. */
enum runner_verdict {
    RUNNER_STARTED,  /* start: by this call, record is set. void: too late, it was started */
    RUNNER_EXISTS,   /* start: it was started before (or by another epoch), record says how it is */
    RUNNER_VOIDED,   /* start: a tombstone stands. void: the run never started and never will */
    RUNNER_FENCED,   /* our epoch is lower than the host's: `epoch` */
    RUNNER_REFUSED,  /* `reason`: nonce, upload, host_disk_full, folder, busy, supervisor, usage */
    RUNNER_STOPPING, /* stop: on its way */
    RUNNER_STATE,    /* raise; stop of what does not run: record */
};
struct runner_reply {
    enum runner_verdict verdict;
    int epoch;                   /* of RUNNER_FENCED */
    char reason[33];             /* of RUNNER_REFUSED */
    struct runner_record record; /* of RUNNER_STARTED (start), RUNNER_EXISTS, RUNNER_STATE */
};
bool runner_parse_reply(const char *bytes, size_t len, struct runner_reply *reply,
                        struct error *err);

/* Answer to poll: begin, then next until it says no more. */
struct runner_poll {
    const char *at, *end; /* borrowed: what is left of the answer */
    bool ended;           /* the last line was seen: nothing was cut */
};
bool runner_poll_begin(struct runner_poll *poll, const char *bytes, size_t len, struct error *err);
/* 1: *record is set. 0: the end, and the answer was whole. -1: err; what came before stays valid.
 */
int runner_poll_next(struct runner_poll *poll, struct runner_record *record, struct error *err);

#endif
