/* The channel between a worker and the runner on a host: the frames that both sides write and read.
 * libc only, so that the runner is static and the worker's parser can be fuzzed alone.
 *
 * A frame: u32 bytes of payload, u8 type, u8[3] zero, u32 id; then the payload. All little-endian.
 * Types below FRAME_GREETING are a worker's, the others the runner's.
 *
 * - HELLO is the first frame and may be repeated; its answer is a GREETING.
 * - START RAISE VOID STOP GC CLEAN are answered by one REPLY each, LIST by RECORDs and a REPLY,
 *   PREPARE HARVEST REMOVE by a WORKED (worker/runner/work.h), PING by a PONG; each with the id of
 * its question. Questions are answered in any order: the runner carries each out in a process of
 * its own.
 * - WATCH makes its id a watch: RECORDs (at once, and whenever something but a size changed) and
 *   OUTPUT come with that id until UNWATCH, which has no answer. OUTPUT never exceeds the bytes
 *   that the watch and its CREDITs have granted.
 *
 * Ids are the worker's, not 0, and not used again on the same channel. Whoever reads a frame that
 * is none closes the channel: everything can be asked again on the next one. */
#ifndef FLEET_RUNNER_FRAME_H
#define FLEET_RUNNER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAME_VERSION 3
#define FRAME_HEAD 12
#define FRAME_ASK_MAX ((uint32_t)5 << 20)      /* payload towards the runner: a start's prompt */
#define FRAME_ANSWER_MAX ((uint32_t)128 << 10) /* payload towards the worker */
#define FRAME_OUTPUT_MAX ((uint32_t)64 << 10)  /* bytes of one stream in one OUTPUT */

#define RUNNER_RUN_SIZE 72 /* of a run's name with its NUL: [a-z0-9-]+ "." number */
#define RUNNER_NONCE_SIZE 33
#define RUNNER_WORD_SIZE 33 /* of a reason: [a-z_]{1,32} */
#define RUNNER_BOOT_SIZE 80
#define RUNNER_ACCOUNT_SIZE 65
#define RUNNER_LOOKS_MAX 64    /* commands in one hello */
#define RUNNER_VERSION_SIZE 65 /* of what a command says of itself */
#define RUNNER_FILE_SIZE 128   /* of a command's path; a longer one is cut */
#define RUNNER_SANDBOX_SIZE 160
#define RUNNER_PATH_SIZE 1024 /* of PATH; a longer one is cut */

enum frame_type {
    FRAME_HELLO = 1, /* u32 version, u8 n, n × (u8 ask for its version, text command) */
    FRAME_START,     /* key, start */
    FRAME_RAISE,     /* key, u64 forged: the epoch there that no owner can have given; 0: none */
    FRAME_VOID,      /* key */
    FRAME_STOP,      /* key, stop */
    FRAME_WATCH,     /* key, u64 out offset, u64 err offset, u32 credit */
    FRAME_CREDIT,    /* u32 bytes more (id: the watch) */
    FRAME_UNWATCH,   /* (id: the watch) */
    FRAME_LIST,      /* every run directory: RECORDs with id, then a REPLY of RUNNER_STATE */
    FRAME_GC,        /* key: removes the directory of a run that has ended or never started */
    FRAME_PING,
    FRAME_CLEAN,   /* text folder: removes work_dir/tasks/<folder>; "": what is nobody's any more */
    FRAME_PREPARE, /* key, work: makes the workspace */
    FRAME_HARVEST, /* key, work: takes in what the agent did, and pushes it */
    FRAME_REMOVE,  /* key, work: removes workspace and stage, once nothing would be lost */

    FRAME_GREETING = 64, /* greeting */
    FRAME_REPLY,         /* reply */
    FRAME_RECORD,        /* record */
    FRAME_OUTPUT,        /* u8 1 stdout, 2 stderr; u64 offset; the bytes */
    FRAME_PONG,
    FRAME_WORKED, /* worked */
};

/* --- What is said of a run --- */

/* Which run, and with what right: a lower epoch than the host has seen is fenced out, another nonce
 * is foreign. What the database knows of its supervisor is not the agent's to forge. */
struct runner_key {
    char run[RUNNER_RUN_SIZE];
    uint32_t epoch;                /* >= 1 */
    char nonce[RUNNER_NONCE_SIZE]; /* 32 hex digits */
    int64_t pid;                   /* of its supervisor; 0 = not known */
    char start[24];                /* its start time, in ticks since boot; "" = not known */
    char boot[RUNNER_BOOT_SIZE];   /* "" = not known */
};

/* What `start` brings. Texts and bytes are borrowed from the frame. */
struct runner_start {
    char folder[RUNNER_RUN_SIZE]; /* the task's slug: cwd of the job under work_dir/tasks */
    uint32_t timeout_secs;        /* the whole run */
    uint64_t cap_bytes;           /* of each stream; reaching it stops the run: output_limit */
    bool first;      /* nobody can have sent this start before: nothing of it is looked for */
    const void *job; /* sh text: exports, then exec of the agent; at least one byte */
    uint32_t job_len;
    const void *prompt; /* the agent's stdin */
    uint32_t prompt_len;
    char run_as[RUNNER_ACCOUNT_SIZE]; /* the account that the agent has; "": ours */
    bool sandbox;                     /* by bwrap */
    const void *writable;             /* paths beside its folder that it may write to, one a line */
    uint32_t writable_len;
};

/* INT, grace_secs, TERM, term_secs, KILL; grace_secs 0: no INT. */
struct runner_stop {
    uint8_t grace_secs, term_secs;
    char reason[RUNNER_WORD_SIZE]; /* one of runner_stop_reasons */
};

/* A stop travels to the supervisor as the value of a signal: nothing of it lies in a file. */
#define RUNNER_STOP_REASONS                                                                  \
    "cancelled", "silence_timeout", "provider_down", "auth_failed", "rate_limited",          \
        "context_overflow", "output_tampered", "run_tampered", "run_lost", "host_disk_full", \
        "provider_quota", "network_failed", "agent_refused", "agent_setup", "turn_limit",    \
        "session_lost", "agent_error", "done"

enum runner_state {
    RUNNER_PREPARED, /* a directory, nothing started: may be started or voided */
    RUNNER_RUNNING,  /* its supervisor lives */
    RUNNER_ORPHANED, /* the supervisor is gone, processes of the run live: stop it */
    RUNNER_ENDED,    /* a status with our nonce; or one that is none: reason "status_invalid" */
    RUNNER_VOID,     /* tombstone: never started and never will */
    RUNNER_LOST,   /* started, no status, supervisor gone, nothing of the run lives: proven ended */
    RUNNER_ABSENT, /* no directory, and nothing of the run lives */
    RUNNER_FOREIGN,  /* a directory that is not ours (other nonce, or no proper one) */
    RUNNER_TAMPERED, /* it lives beside a status, or its directory is gone or changed: stop it */
    RUNNER_STATES,   /* how many */
};

/* What the host says of one run. Numbers are -1 and texts "" where they do not apply. */
struct runner_record {
    char run[RUNNER_RUN_SIZE];
    enum runner_state state;
    int64_t epoch;
    int64_t pid; /* the supervisor */
    char start[24];
    char boot[RUNNER_BOOT_SIZE];
    int64_t out_size; /* bytes of the stream's file now; smaller than our offset: output_tampered */
    int64_t err_size;
    int64_t out_final; /* ended: bytes that the supervisor wrote */
    int64_t err_final;
    int32_t exit;       /* ended: as a shell says it, 0 to 255 */
    int32_t signal;     /* ended: exit - 128 when a signal ended it, else 0 */
    int64_t elapsed_ms; /* ended: from the start to the end of the job */
    /* Ended: exit, timed_out, output_limit, host_disk_full, output_failed, output_tampered,
     * status_invalid, or that of the stop. Tampered: what gave it away. */
    char reason[RUNNER_WORD_SIZE];
    /* Ended: words, how it is known that nothing is left: "no_child_left group children mark". */
    char proof[96];
};

enum runner_verdict {
    RUNNER_STARTED, /* start: by this call, record is set. void: too late, it was started */
    RUNNER_EXISTS,  /* start: it was started before (or by another epoch), record says how it is */
    RUNNER_VOIDED,  /* start: a tombstone stands. void: the run never started and never will */
    RUNNER_FENCED,  /* our epoch is lower than the host's: `epoch` */
    /* `reason`: nonce, upload, host_disk_full, folder, busy, supervisor, usage, in_use */
    RUNNER_REFUSED,
    RUNNER_STOPPING, /* stop: on its way */
    RUNNER_STATE,    /* raise; stop of what does not run; gc; list: record. clean: it is gone */
    RUNNER_VERDICTS, /* how many */
};

struct runner_reply {
    enum runner_verdict verdict;
    int64_t epoch;                 /* of RUNNER_FENCED */
    char reason[RUNNER_WORD_SIZE]; /* of RUNNER_REFUSED */
    struct runner_record record;   /* of RUNNER_STARTED (start), RUNNER_EXISTS, RUNNER_STATE */
};

/* --- What is said of a host --- */

#define SANDBOX_PROGRAM "bwrap" /* a look at it tries to make a sandbox */

struct runner_look {
    bool version;        /* it is asked for its --version, too */
    const char *command; /* a bare name or an absolute path; borrowed */
};

struct runner_seen {
    bool found;
    char file[RUNNER_FILE_SIZE];       /* the program that it means; "" when it is not found */
    char version[RUNNER_VERSION_SIZE]; /* as it says; "" when it was not asked, or said nothing */
    uint64_t stamp; /* another one for another program, or the same after an update; 0: unknown */
};

struct runner_greeting {
    char system[65];  /* "Linux x86_64", of the runner's build */
    char machine[65]; /* machine-id, "none" when the host has none */
    /* boot_id "-" start time of pid 1: changes with every boot of machine or container. */
    char boot[RUNNER_BOOT_SIZE];
    char owner[33];              /* random id of <work_dir>/.fleet/owner, 32 hex digits */
    int32_t utc_offset_secs;     /* of its local time, now */
    int64_t disk_free;           /* bytes that our account may still write under work_dir */
    char lacks[256];             /* what the host lacks for a run, a sentence; "" = nothing */
    char path[RUNNER_PATH_SIZE]; /* PATH of a job, in which commands are looked for */
    /* Of a look at SANDBOX_PROGRAM: why there can be none; "" = there can. */
    char sandbox[RUNNER_SANDBOX_SIZE];
    char shell[33]; /* the login shell whose PATH it is; "": none answered */
    struct runner_seen seen[RUNNER_LOOKS_MAX]; /* in the order of the looks */
    int seen_count;
};

/* --- Writing --- */

/* Bytes being written into a buffer of the caller's. Nothing is written past its end: `failed`. */
struct frame_out {
    uint8_t *start, *at, *end;
    bool failed;
};

static inline void put_bytes(struct frame_out *out, const void *bytes, size_t len)
{
    if (out->failed || (size_t)(out->end - out->at) < len) {
        out->failed = true;
        return;
    }
    if (len > 0)
        memcpy(out->at, bytes, len);
    out->at += len;
}

static inline void put_number(struct frame_out *out, uint64_t value, int bytes)
{
    uint8_t text[8];
    for (int i = 0; i < bytes; i++)
        text[i] = (uint8_t)(value >> (8 * i));
    put_bytes(out, text, (size_t)bytes);
}

static inline void put_u8(struct frame_out *out, uint8_t value)
{
    put_number(out, value, 1);
}

static inline void put_u32(struct frame_out *out, uint32_t value)
{
    put_number(out, value, 4);
}

static inline void put_u64(struct frame_out *out, uint64_t value)
{
    put_number(out, value, 8);
}

static inline void put_blob(struct frame_out *out, const void *bytes, uint32_t len)
{
    put_u32(out, len);
    put_bytes(out, bytes, len);
}

static inline void put_text(struct frame_out *out, const char *text)
{
    size_t len = strlen(text);
    if (len > UINT16_MAX)
        out->failed = true;
    put_number(out, len, 2);
    put_bytes(out, text, len);
}

/* Begins a frame; frame_end() sets its length. */
static inline struct frame_out frame_begin(void *buffer, size_t size, enum frame_type type,
                                           uint32_t id)
{
    struct frame_out out = {.start = buffer, .at = buffer, .end = (uint8_t *)buffer + size};
    put_u32(&out, 0);
    put_u32(&out, (uint32_t)type);
    put_u32(&out, id);
    return out;
}

/* Bytes of the whole frame; 0 when it did not fit. */
static inline size_t frame_end(struct frame_out *out)
{
    if (out->failed)
        return 0;
    size_t len = (size_t)(out->at - out->start);
    struct frame_out head = {.start = out->start, .at = out->start, .end = out->start + 4};
    put_u32(&head, (uint32_t)(len - FRAME_HEAD));
    return len;
}

static inline void put_key(struct frame_out *out, const struct runner_key *key)
{
    put_text(out, key->run);
    put_u32(out, key->epoch);
    put_text(out, key->nonce);
    put_u64(out, (uint64_t)key->pid);
    put_text(out, key->start);
    put_text(out, key->boot);
}

static inline void put_start(struct frame_out *out, const struct runner_start *start)
{
    put_text(out, start->folder);
    put_u32(out, start->timeout_secs);
    put_u64(out, start->cap_bytes);
    put_u8(out, start->first);
    put_blob(out, start->job, start->job_len);
    put_blob(out, start->prompt, start->prompt_len);
    put_text(out, start->run_as);
    put_u8(out, start->sandbox);
    put_blob(out, start->writable, start->writable_len);
}

static inline void put_stop(struct frame_out *out, const struct runner_stop *stop)
{
    put_u8(out, stop->grace_secs);
    put_u8(out, stop->term_secs);
    put_text(out, stop->reason);
}

static inline void put_record(struct frame_out *out, const struct runner_record *record)
{
    put_text(out, record->run);
    put_u8(out, (uint8_t)record->state);
    put_u64(out, (uint64_t)record->epoch);
    put_u64(out, (uint64_t)record->pid);
    put_text(out, record->start);
    put_text(out, record->boot);
    put_u64(out, (uint64_t)record->out_size);
    put_u64(out, (uint64_t)record->err_size);
    put_u64(out, (uint64_t)record->out_final);
    put_u64(out, (uint64_t)record->err_final);
    put_u32(out, (uint32_t)record->exit);
    put_u32(out, (uint32_t)record->signal);
    put_u64(out, (uint64_t)record->elapsed_ms);
    put_text(out, record->reason);
    put_text(out, record->proof);
}

static inline void put_reply(struct frame_out *out, const struct runner_reply *reply)
{
    put_u8(out, (uint8_t)reply->verdict);
    put_u64(out, (uint64_t)reply->epoch);
    put_text(out, reply->reason);
    put_record(out, &reply->record);
}

static inline void put_greeting(struct frame_out *out, const struct runner_greeting *greeting)
{
    put_text(out, greeting->system);
    put_text(out, greeting->machine);
    put_text(out, greeting->boot);
    put_text(out, greeting->owner);
    put_u32(out, (uint32_t)greeting->utc_offset_secs);
    put_u64(out, (uint64_t)greeting->disk_free);
    put_text(out, greeting->lacks);
    put_text(out, greeting->path);
    put_text(out, greeting->sandbox);
    put_text(out, greeting->shell);
    put_u8(out, (uint8_t)greeting->seen_count);
    for (int i = 0; i < greeting->seen_count; i++) {
        put_u8(out, greeting->seen[i].found);
        put_text(out, greeting->seen[i].file);
        put_text(out, greeting->seen[i].version);
        put_u64(out, greeting->seen[i].stamp);
    }
}

/* --- Reading --- */

/* Both sides distrust what they read: nothing is read past the end, and once something was wrong
 * (`failed`) everything reads as 0 or "". Texts are printable ASCII. */

struct frame_in {
    const uint8_t *at, *end;
    bool failed;
};

static inline const uint8_t *get_bytes(struct frame_in *in, size_t len)
{
    if (in->failed || (size_t)(in->end - in->at) < len) {
        in->failed = true;
        return NULL;
    }
    const uint8_t *bytes = in->at;
    in->at += len;
    return bytes;
}

static inline uint64_t get_number(struct frame_in *in, int bytes)
{
    uint64_t value = 0;
    const uint8_t *text = get_bytes(in, (size_t)bytes);
    for (int i = 0; text != NULL && i < bytes; i++)
        value |= (uint64_t)text[i] << (8 * i);
    return value;
}

static inline uint8_t get_u8(struct frame_in *in)
{
    return (uint8_t)get_number(in, 1);
}

static inline uint32_t get_u32(struct frame_in *in)
{
    return (uint32_t)get_number(in, 4);
}

static inline uint64_t get_u64(struct frame_in *in)
{
    return get_number(in, 8);
}

/* At least -1: what does not apply. */
static inline int64_t get_size(struct frame_in *in)
{
    int64_t value = (int64_t)get_u64(in);
    if (value < -1)
        in->failed = true;
    return value;
}

static inline const void *get_blob(struct frame_in *in, uint32_t *len)
{
    *len = get_u32(in);
    const void *bytes = get_bytes(in, *len);
    if (bytes == NULL)
        *len = 0;
    return bytes;
}

/* Into `text`, NUL-ended; too long, or not printable ASCII, is a failure. */
static inline void get_text(struct frame_in *in, char *text, size_t size)
{
    size_t len = (size_t)get_number(in, 2);
    const uint8_t *bytes = get_bytes(in, len);
    text[0] = '\0';
    if (bytes == NULL || len >= size)
        in->failed = true;
    for (size_t i = 0; !in->failed && i < len; i++)
        in->failed = bytes[i] < 0x20 || bytes[i] > 0x7e;
    if (in->failed)
        return;
    memcpy(text, bytes, len);
    text[len] = '\0';
}

/* A text of min to max characters of `set`; "" too when min is 0. */
static inline void get_word(struct frame_in *in, char *text, size_t size, const char *set,
                            size_t min)
{
    get_text(in, text, size);
    size_t len = strlen(text);
    if (!in->failed && (len < min || strspn(text, set) != len)) {
        in->failed = true;
        text[0] = '\0';
    }
}

#define FRAME_HEX "0123456789abcdef"
#define FRAME_NAME "abcdefghijklmnopqrstuvwxyz0123456789-"
#define FRAME_WORD "abcdefghijklmnopqrstuvwxyz_"
#define FRAME_ACCOUNT FRAME_NAME "_.ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* The whole of the payload was read, and nothing of it was wrong. */
static inline bool frame_done(const struct frame_in *in)
{
    return !in->failed && in->at == in->end;
}

struct frame {
    uint32_t len; /* of the payload */
    enum frame_type type;
    uint32_t id;
    struct frame_in payload;
};

/* What begins at `bytes`: 1 when a whole frame does, 0 when more bytes are needed, -1 when it is
 * none. `max`: of a payload. The type's number is not checked. */
static inline int frame_read(const void *bytes, size_t len, uint32_t max, struct frame *frame)
{
    struct frame_in head = {.at = bytes, .end = (const uint8_t *)bytes + len};
    if (len < FRAME_HEAD)
        return 0;
    frame->len = get_u32(&head);
    uint32_t type = get_u32(&head);
    frame->id = get_u32(&head);
    if (frame->len > max || type > 255)
        return -1;
    frame->type = (enum frame_type)type;
    if (len - FRAME_HEAD < frame->len)
        return 0;
    frame->payload = (struct frame_in){.at = head.at, .end = head.at + frame->len};
    return 1;
}

static inline void get_run(struct frame_in *in, char run[static RUNNER_RUN_SIZE])
{
    get_word(in, run, RUNNER_RUN_SIZE, FRAME_NAME ".", 1);
    if (run[0] == '.')
        in->failed = true;
}

static inline void get_key(struct frame_in *in, struct runner_key *key)
{
    get_run(in, key->run);
    key->epoch = get_u32(in);
    get_word(in, key->nonce, sizeof key->nonce, FRAME_HEX, 32);
    key->pid = get_size(in);
    get_word(in, key->start, sizeof key->start, "0123456789", 0);
    get_word(in, key->boot, sizeof key->boot, FRAME_NAME, 0);
    if (key->epoch < 1 || key->epoch > INT32_MAX)
        in->failed = true;
}

static inline void get_start(struct frame_in *in, struct runner_start *start)
{
    get_word(in, start->folder, sizeof start->folder, FRAME_NAME, 1);
    start->timeout_secs = get_u32(in);
    start->cap_bytes = get_u64(in);
    start->first = get_u8(in) != 0;
    start->job = get_blob(in, &start->job_len);
    start->prompt = get_blob(in, &start->prompt_len);
    get_word(in, start->run_as, sizeof start->run_as, FRAME_ACCOUNT, 0);
    start->sandbox = get_u8(in) != 0;
    start->writable = get_blob(in, &start->writable_len);
    if (start->timeout_secs < 1 || start->timeout_secs > INT32_MAX || start->cap_bytes < 1 ||
        start->cap_bytes > INT64_MAX || start->job_len < 1 || start->run_as[0] == '-')
        in->failed = true;
}

/* Of a task, as in a start; "" too. */
static inline void get_folder(struct frame_in *in, char folder[static RUNNER_RUN_SIZE])
{
    get_word(in, folder, RUNNER_RUN_SIZE, FRAME_NAME, 0);
}

static inline void get_stop(struct frame_in *in, struct runner_stop *stop)
{
    stop->grace_secs = get_u8(in);
    stop->term_secs = get_u8(in);
    get_word(in, stop->reason, sizeof stop->reason, FRAME_WORD, 1);
}

static inline void get_record(struct frame_in *in, struct runner_record *record)
{
    get_run(in, record->run);
    uint8_t state = get_u8(in);
    if (state >= RUNNER_STATES)
        in->failed = true;
    record->state = state < RUNNER_STATES ? (enum runner_state)state : RUNNER_FOREIGN;
    record->epoch = get_size(in);
    record->pid = get_size(in);
    get_word(in, record->start, sizeof record->start, "0123456789", 0);
    get_word(in, record->boot, sizeof record->boot, FRAME_NAME, 0);
    record->out_size = get_size(in);
    record->err_size = get_size(in);
    record->out_final = get_size(in);
    record->err_final = get_size(in);
    record->exit = (int32_t)get_u32(in);
    record->signal = (int32_t)get_u32(in);
    record->elapsed_ms = get_size(in);
    get_word(in, record->reason, sizeof record->reason, FRAME_WORD, 0);
    get_word(in, record->proof, sizeof record->proof, FRAME_WORD " ", 0);
    if (record->exit < -1 || record->exit > 255 || record->signal < -1 || record->signal > 127)
        in->failed = true;
}

static inline void get_reply(struct frame_in *in, struct runner_reply *reply)
{
    uint8_t verdict = get_u8(in);
    if (verdict >= RUNNER_VERDICTS)
        in->failed = true;
    reply->verdict = verdict < RUNNER_VERDICTS ? (enum runner_verdict)verdict : RUNNER_REFUSED;
    reply->epoch = get_size(in);
    get_word(in, reply->reason, sizeof reply->reason, FRAME_WORD, 0);
    get_record(in, &reply->record);
}

static inline void get_greeting(struct frame_in *in, struct runner_greeting *greeting)
{
    get_text(in, greeting->system, sizeof greeting->system);
    get_word(in, greeting->machine, sizeof greeting->machine, FRAME_NAME, 1);
    get_word(in, greeting->boot, sizeof greeting->boot, FRAME_NAME, 1);
    get_word(in, greeting->owner, sizeof greeting->owner, FRAME_HEX, 32);
    greeting->utc_offset_secs = (int32_t)get_u32(in);
    greeting->disk_free = get_size(in);
    get_text(in, greeting->lacks, sizeof greeting->lacks);
    get_text(in, greeting->path, sizeof greeting->path);
    get_text(in, greeting->sandbox, sizeof greeting->sandbox);
    get_text(in, greeting->shell, sizeof greeting->shell);
    greeting->seen_count = get_u8(in);
    if (greeting->seen_count > RUNNER_LOOKS_MAX || greeting->utc_offset_secs > 86400 ||
        greeting->utc_offset_secs < -86400)
        in->failed = true;
    for (int i = 0; !in->failed && i < greeting->seen_count; i++) {
        greeting->seen[i].found = get_u8(in) != 0;
        get_text(in, greeting->seen[i].file, RUNNER_FILE_SIZE);
        get_text(in, greeting->seen[i].version, RUNNER_VERSION_SIZE);
        greeting->seen[i].stamp = get_u64(in);
    }
}

#endif
