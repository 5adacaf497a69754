/* A task's repository on a host: what a worker asks for before an agent starts (PREPARE), after
 * it ended (HARVEST) and once its workspace is old (REMOVE), and what the runner answers. Written
 * and read like every frame (frame.h).
 *
 * Both may be repeated at any time, by any worker: what was done is found done. A name or a text in
 * them is data: nothing of it becomes an option or a part of a shell's text. */
#ifndef FLEET_RUNNER_WORK_H
#define FLEET_RUNNER_WORK_H

#include "worker/runner/frame.h"

#define WORK_URL_SIZE 1024
#define WORK_REPOSITORY_SIZE 202 /* owner/name, 100 characters each */
#define WORK_REF_SIZE 256
#define WORK_HASH_SIZE 65 /* SHA-1 or SHA-256 in hex */
#define WORK_DETAIL_SIZE 1000
#define WORK_QUESTION_MAX ((uint32_t)4096)
#define WORK_BLOB_MAX ((uint32_t)64 << 10) /* of a key, a list, a message */

/* How the server is told who we are. */
enum runner_access { ACCESS_NONE, ACCESS_PASSWORD, ACCESS_SSH, ACCESSES };

/* A text of any bytes; borrowed. */
struct runner_blob {
    const void *bytes;
    uint32_t len;
};

struct runner_work {
    char folder[RUNNER_RUN_SIZE]; /* the task's slug: work_dir/tasks/<folder> */
    uint32_t number;              /* of the attempt; a workspace refuses lower ones than it saw */
    char repository[WORK_REPOSITORY_SIZE]; /* owner/name */
    char url[WORK_URL_SIZE];               /* https:, ssh:, http:, file: or an absolute path */
    char branch[WORK_REF_SIZE];            /* the task's own */
    struct runner_blob base; /* name of the base branch; "": what the server's HEAD names */
    char run_as[RUNNER_ACCOUNT_SIZE]; /* the account that the agent has; "": ours */
    uint32_t fetch_secs, push_secs;   /* the longest that either may take */
    uint64_t min_free;                /* bytes that have to be free before anything is fetched */
    bool leftovers;                   /* what was not committed is, by us */
    bool workflows;                   /* changes of workflows may be pushed */
    enum runner_access access;
    char user[128];                   /* ACCESS_PASSWORD */
    struct runner_blob secret;        /* a password, or a private key */
    struct runner_blob known_hosts;   /* ACCESS_SSH */
    struct runner_blob author;        /* "Name <mail>", of our commits */
    struct runner_blob message;       /* of the commit of leftovers */
    struct runner_blob protect;       /* branches that are never pushed to: patterns, one a line */
    struct runner_blob before_remove; /* REMOVE: sh text, run in the workspace before it goes */
    uint32_t hook_secs;               /* ... for so long at most */
};

enum runner_work_state {
    WORK_READY,     /* PREPARE: the workspace stands. REMOVE: it is gone */
    WORK_NO_CHANGE, /* HARVEST: nothing to push */
    WORK_PUSHED,    /* HARVEST: the branch on the server is `head`, as read back */
    WORK_KEPT,      /* HARVEST: not pushed, REMOVE: not removed, for `reason`; all is kept there */
    WORK_FAILED,    /* for `reason`; what was there before is kept */
    WORK_FENCED,    /* a later owner or attempt has it */
    WORK_STATES,
};

/* Numbers are -1 and texts "" where they do not apply. */
struct runner_worked {
    enum runner_work_state state;
    char reason[RUNNER_WORD_SIZE];   /* a word of fleet.reason */
    char detail[WORK_DETAIL_SIZE];   /* printable ASCII, for people: git's last words */
    char base_branch[WORK_REF_SIZE]; /* other bytes than printable ASCII are shown as ? */
    char base[WORK_HASH_SIZE];       /* commit that the branch began at; "": empty repository */
    char head[WORK_HASH_SIZE];       /* of the task's branch, in the stage */
    char pushed[WORK_HASH_SIZE];     /* of it on the server, our own last one */
    int64_t commits, files, insertions, deletions; /* from base to head */
    int64_t leftovers;                /* paths that we committed, or found uncommitted */
    int64_t withheld;                 /* of them: look like secrets, and stay where they are */
    char instructions[WORK_REF_SIZE]; /* files for agents in the base, as "AGENTS.md CLAUDE.md" */
    char rescue[WORK_REF_SIZE];       /* branch on the server that what diverged was pushed to */
    /* HARVEST: what the agent asks, the text of the file .fleet-question in its workspace, which is
     * taken away and never committed; WORK_QUESTION_MAX bytes at most. */
    struct runner_blob question;
};

/* --- Writing --- */

static inline void put_part(struct frame_out *out, const struct runner_blob *blob)
{
    put_blob(out, blob->bytes, blob->len);
}

static inline void put_work(struct frame_out *out, const struct runner_work *work)
{
    put_text(out, work->folder);
    put_u32(out, work->number);
    put_text(out, work->repository);
    put_text(out, work->url);
    put_text(out, work->branch);
    put_part(out, &work->base);
    put_text(out, work->run_as);
    put_u32(out, work->fetch_secs);
    put_u32(out, work->push_secs);
    put_u64(out, work->min_free);
    put_u8(out, work->leftovers);
    put_u8(out, work->workflows);
    put_u8(out, (uint8_t)work->access);
    put_text(out, work->user);
    put_part(out, &work->secret);
    put_part(out, &work->known_hosts);
    put_part(out, &work->author);
    put_part(out, &work->message);
    put_part(out, &work->protect);
    put_part(out, &work->before_remove);
    put_u32(out, work->hook_secs);
}

static inline void put_worked(struct frame_out *out, const struct runner_worked *worked)
{
    put_u8(out, (uint8_t)worked->state);
    put_text(out, worked->reason);
    put_text(out, worked->detail);
    put_text(out, worked->base_branch);
    put_text(out, worked->base);
    put_text(out, worked->head);
    put_text(out, worked->pushed);
    put_u64(out, (uint64_t)worked->commits);
    put_u64(out, (uint64_t)worked->files);
    put_u64(out, (uint64_t)worked->insertions);
    put_u64(out, (uint64_t)worked->deletions);
    put_u64(out, (uint64_t)worked->leftovers);
    put_u64(out, (uint64_t)worked->withheld);
    put_text(out, worked->instructions);
    put_text(out, worked->rescue);
    put_part(out, &worked->question);
}

/* --- Reading --- */

#define WORK_SECS_MAX ((uint32_t)604800)

static inline void get_part(struct frame_in *in, struct runner_blob *blob)
{
    blob->bytes = get_blob(in, &blob->len);
    if (blob->len > WORK_BLOB_MAX)
        in->failed = true;
}

static inline void get_work(struct frame_in *in, struct runner_work *work)
{
    get_word(in, work->folder, sizeof work->folder, FRAME_NAME, 1);
    work->number = get_u32(in);
    get_text(in, work->repository, sizeof work->repository);
    get_text(in, work->url, sizeof work->url);
    get_text(in, work->branch, sizeof work->branch);
    get_part(in, &work->base);
    get_word(in, work->run_as, sizeof work->run_as, FRAME_ACCOUNT, 0);
    work->fetch_secs = get_u32(in);
    work->push_secs = get_u32(in);
    work->min_free = get_u64(in);
    work->leftovers = get_u8(in) != 0;
    work->workflows = get_u8(in) != 0;
    uint8_t access = get_u8(in);
    work->access = access < ACCESSES ? (enum runner_access)access : ACCESS_NONE;
    get_text(in, work->user, sizeof work->user);
    get_part(in, &work->secret);
    get_part(in, &work->known_hosts);
    get_part(in, &work->author);
    get_part(in, &work->message);
    get_part(in, &work->protect);
    get_part(in, &work->before_remove);
    work->hook_secs = get_u32(in);
    if (access >= ACCESSES || work->number < 1 || work->number > INT32_MAX ||
        work->url[0] == '\0' || strncmp(work->branch, "task/", 5) != 0 || work->run_as[0] == '-' ||
        work->fetch_secs < 1 || work->fetch_secs > WORK_SECS_MAX || work->push_secs < 1 ||
        work->push_secs > WORK_SECS_MAX || work->hook_secs > WORK_SECS_MAX ||
        work->base.len >= WORK_REF_SIZE)
        in->failed = true;
}

static inline void get_worked(struct frame_in *in, struct runner_worked *worked)
{
    uint8_t state = get_u8(in);
    if (state >= WORK_STATES)
        in->failed = true;
    worked->state = state < WORK_STATES ? (enum runner_work_state)state : WORK_FAILED;
    get_word(in, worked->reason, sizeof worked->reason, FRAME_WORD, 0);
    get_text(in, worked->detail, sizeof worked->detail);
    get_text(in, worked->base_branch, sizeof worked->base_branch);
    get_word(in, worked->base, sizeof worked->base, FRAME_HEX, 0);
    get_word(in, worked->head, sizeof worked->head, FRAME_HEX, 0);
    get_word(in, worked->pushed, sizeof worked->pushed, FRAME_HEX, 0);
    worked->commits = get_size(in);
    worked->files = get_size(in);
    worked->insertions = get_size(in);
    worked->deletions = get_size(in);
    worked->leftovers = get_size(in);
    worked->withheld = get_size(in);
    get_text(in, worked->instructions, sizeof worked->instructions);
    get_text(in, worked->rescue, sizeof worked->rescue);
    get_part(in, &worked->question);
    if ((worked->state == WORK_PUSHED &&
         (worked->head[0] == '\0' || strcmp(worked->head, worked->pushed) != 0)) ||
        worked->question.len > WORK_QUESTION_MAX)
        in->failed = true;
}

/* The longest that it may take from its arrival to its answer, in milliseconds. */
static inline int64_t work_limit_ms(const struct runner_work *work)
{
    return ((int64_t)work->fetch_secs + work->push_secs + work->hook_secs + 600) * 1000;
}

#endif
