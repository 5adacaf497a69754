/* The host of worker_scene.h: a link whose runner answers from a table, and pushes one run. */
#ifndef FLEET_WORKER_SCENE_HOST_H
#define FLEET_WORKER_SCENE_HOST_H

#include "tests/unit/worker_scene_sql.h"
#include "worker/link/link.h"

#define SCENE_BOOT "boot-1"
#define SCENE_BASE "1111111111111111111111111111111111111111"
#define SCENE_HEAD "2222222222222222222222222222222222222222"

/* One kind of call: what it answers: a verdict's name, "fenced EPOCH" or "refused REASON"; of a
 * workspace "ready", "no_change", "pushed", "kept REASON", "failed REASON" or "fenced". NULL: the
 * channel is cut under it; as the answer to an open or a hello: the host is away. */
struct scene_call {
    const char *name;
    const char *answer; /* literal */
    int calls;
    bool unsent; /* when it fails: not a byte left us */
    int hold;    /* calls from this number on get no answer yet; 0: all do */
};

static struct scene_call scene_call[] = {
    {.name = "open", .answer = "up"},       {.name = "hello", .answer = "greeting"},
    {.name = "start", .answer = "started"}, {.name = "raise", .answer = "state"},
    {.name = "void", .answer = "voided"},   {.name = "stop", .answer = "stopping"},
    {.name = "watch", .answer = "record"},  {.name = "gc", .answer = "state"},
    {.name = "clean", .answer = "state"},   {.name = "list", .answer = "state"},
    {.name = "prepare", .answer = "ready"}, {.name = "harvest", .answer = "pushed"},
    {.name = "remove", .answer = "ready"},
};

static struct scene_call *call(const char *name)
{
    for (size_t i = 0; i < sizeof scene_call / sizeof scene_call[0]; i++)
        if (strcmp(scene_call[i].name, name) == 0)
            return &scene_call[i];
    ck_abort_msg("no such call: %s", name);
}

/* The run on the fake host. */
static struct {
    struct runner_key key; /* of the last call */
    enum runner_state state;
    int exit;
    const char *reason, *boot, *lacks, *machine;
    uint64_t forged;         /* of the last raise */
    char job[65536];         /* of the last start */
    bool first;              /* and whether it said to be the first */
    const char *stop_reason; /* of the last stop */
    char out[32768], err[4096];
    size_t out_len, err_len;
    size_t chunk;        /* at most so many bytes in one push */
    bool ignored;        /* watches say nothing of it */
    int pushed;          /* records */
    bool agent;          /* hello finds the command */
    const char *version; /* and it says so of itself */
    uint64_t stamp;      /* of its program */
    int asked;           /* hellos that ask for a version */
    int64_t granted;     /* bytes, of all watches */
} scene_run;

struct link {
    struct timer timer;
    const struct link_events *events;
    void *data;
    bool up, closed, down;
    struct runner_greeting greeting;
    struct list asked, watches;
};

/* A call on its way. */
struct scene_asked {
    struct list link;
    const struct scene_call *call;
    int number; /* of the call, from 1 */
    link_greeting_cb on_greeting;
    void (*on_record)(void *data, const struct runner_record *record); /* of a list */
    link_reply_cb on_reply;
    link_worked_cb on_worked;
    void *data;
};

struct link_watch {
    struct list link;
    struct link *of;
    int64_t next[2];
    size_t credit;
    enum runner_state said; /* of the last record */
    bool any;               /* a record was pushed */
    const struct link_watch_events *events;
    void *data;
};

static int scene_answered; /* calls whose callback came */

static void scene_record(struct runner_record *record)
{
    bool ended = scene_run.state == RUNNER_ENDED;
    *record = (struct runner_record){.state = scene_run.state,
                                     .epoch = (int64_t)scene_run.key.epoch,
                                     .pid = 7,
                                     .start = "9",
                                     .out_size = (int64_t)scene_run.out_len,
                                     .err_size = (int64_t)scene_run.err_len,
                                     .out_final = ended ? (int64_t)scene_run.out_len : -1,
                                     .err_final = ended ? (int64_t)scene_run.err_len : -1,
                                     .exit = ended ? scene_run.exit : -1,
                                     .signal = -1,
                                     .elapsed_ms = ended ? 5 : -1};
    if (ended)
        record->signal = scene_run.exit > 128 ? scene_run.exit - 128 : 0;
    memcpy(record->run, scene_run.key.run, sizeof record->run);
    snprintf(record->boot, sizeof record->boot, "%s", scene_run.boot);
    snprintf(record->reason, sizeof record->reason, "%s", ended ? scene_run.reason : "");
}

static void scene_greeting(struct runner_greeting *greeting)
{
    *greeting = (struct runner_greeting){.system = "Linux x86_64",
                                         .utc_offset_secs = 7200,
                                         .boot = SCENE_BOOT,
                                         .owner = "0123456789abcdef0123456789abcdef",
                                         .disk_free = 1000000,
                                         .seen_count = 1};
    snprintf(greeting->machine, sizeof greeting->machine, "%s", scene_run.machine);
    snprintf(greeting->lacks, sizeof greeting->lacks, "%s", scene_run.lacks);
    greeting->seen[0].found = scene_run.agent;
    greeting->seen[0].stamp = scene_run.stamp;
    snprintf(greeting->seen[0].version, RUNNER_VERSION_SIZE, "%s", scene_run.version);
}

/* --- What it says --- */

static void scene_drop_watch(struct link_watch *watch)
{
    list_remove(&watch->link);
    free(watch);
}

static void scene_cut(struct link *link)
{
    struct error err;
    error_set_state(&err, "connection_lost", "the host is away");
    link->up = false;
    link->down = true;
    while (!link->closed && !list_empty(&link->asked)) {
        struct scene_asked *asked = list_entry(link->asked.next, struct scene_asked, link);
        struct scene_asked copy = *asked;
        list_remove(&asked->link);
        free(asked);
        scene_answered++;
        err.unsent = copy.call->unsent;
        if (copy.on_reply != NULL)
            copy.on_reply(copy.data, NULL, &err);
        else if (copy.on_worked != NULL)
            copy.on_worked(copy.data, NULL, &err);
        else
            copy.on_greeting(copy.data, NULL, &err);
    }
    while (!link->closed && !list_empty(&link->watches))
        scene_drop_watch(list_entry(link->watches.next, struct link_watch, link));
    if (!link->closed)
        link->events->on_down(link->data, &err);
}

static void scene_reply(struct scene_asked *asked)
{
    static const struct {
        const char *word;
        enum runner_verdict verdict;
    } words[] = {{"started", RUNNER_STARTED}, {"exists", RUNNER_EXISTS},
                 {"voided", RUNNER_VOIDED},   {"fenced", RUNNER_FENCED},
                 {"refused", RUNNER_REFUSED}, {"stopping", RUNNER_STOPPING},
                 {"state", RUNNER_STATE}};
    struct runner_reply reply = {.verdict = RUNNER_VERDICTS, .epoch = -1};
    const char *answer = asked->call->answer, *rest = strchr(answer, ' ');
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(answer, words[i].word, strlen(words[i].word)) == 0)
            reply.verdict = words[i].verdict;
    ck_assert_msg(reply.verdict != RUNNER_VERDICTS, "unknown answer: %s", answer);
    if (reply.verdict == RUNNER_FENCED)
        reply.epoch = strtoll(rest + 1, NULL, 10);
    else if (rest != NULL)
        snprintf(reply.reason, sizeof reply.reason, "%s", rest + 1);
    scene_record(&reply.record);
    asked->on_reply(asked->data, &reply, NULL);
}

/* What the agent asks in its file, when it is harvested. */
static const char *scene_asks;

static void scene_worked(struct scene_asked *asked)
{
    static const char *const words[] = {"ready", "no_change", "pushed", "kept", "failed", "fenced"};
    struct runner_worked worked = {.state = WORK_STATES, .commits = 1, .files = 2};
    const char *answer = asked->call->answer, *rest = strchr(answer, ' ');
    for (int i = 0; i < WORK_STATES; i++)
        if (strncmp(answer, words[i], strlen(words[i])) == 0)
            worked.state = (enum runner_work_state)i;
    ck_assert_msg(worked.state != WORK_STATES, "unknown answer: %s", answer);
    snprintf(worked.base_branch, sizeof worked.base_branch, "main");
    snprintf(worked.base, sizeof worked.base, "%s", SCENE_BASE);
    snprintf(worked.head, sizeof worked.head, "%s", SCENE_HEAD);
    if (worked.state == WORK_PUSHED)
        snprintf(worked.pushed, sizeof worked.pushed, "%s", SCENE_HEAD);
    if (rest != NULL)
        snprintf(worked.reason, sizeof worked.reason, "%s", rest + 1);
    if (scene_asks != NULL)
        worked.question =
            (struct runner_blob){.bytes = scene_asks, .len = (uint32_t)strlen(scene_asks)};
    asked->on_worked(asked->data, &worked, NULL);
}

/* False when the channel is cut under it. */
static bool scene_answer(struct link *link, struct scene_asked *asked)
{
    struct scene_asked copy = *asked;
    struct runner_greeting greeting;
    if (asked->call->answer == NULL) {
        scene_cut(link);
        return false;
    }
    list_remove(&asked->link);
    free(asked);
    scene_answered++;
    scene_greeting(&greeting);
    if (copy.on_record != NULL) {
        struct runner_record record;
        scene_record(&record);
        copy.on_record(copy.data, &record);
    }
    if (copy.on_reply != NULL)
        scene_reply(&copy);
    else if (copy.on_worked != NULL)
        scene_worked(&copy);
    else
        copy.on_greeting(copy.data, &greeting, NULL);
    return !link->closed;
}

static void scene_push_output(struct link_watch *watch, int stream, const char *bytes, size_t have)
{
    size_t from = (size_t)watch->next[stream - 1];
    size_t len = from < have ? have - from : 0;
    len = len < scene_run.chunk ? len : scene_run.chunk;
    len = len < watch->credit ? len : watch->credit;
    if (len == 0)
        return;
    watch->credit -= len;
    watch->next[stream - 1] += (int64_t)len;
    watch->events->on_output(watch->data, stream, (int64_t)from, bytes + from, len);
}

static bool scene_has(struct link *link, struct link_watch *watch)
{
    list_each(item, &link->watches)
    {
        if (item == &watch->link)
            return true;
    }
    return false;
}

static void scene_push(struct link *link, struct link_watch *watch)
{
    struct runner_record record;
    if (scene_run.ignored)
        return;
    bool shrank = (int64_t)scene_run.out_len < watch->next[0];
    if (!watch->any || watch->said != scene_run.state || shrank) {
        watch->any = true;
        watch->said = scene_run.state;
        scene_run.pushed++;
        scene_record(&record);
        watch->events->on_record(watch->data, &record);
    }
    if (!link->closed && scene_has(link, watch))
        scene_push_output(watch, 1, scene_run.out, scene_run.out_len);
    if (!link->closed && scene_has(link, watch))
        scene_push_output(watch, 2, scene_run.err, scene_run.err_len);
}

/* Everything that a link says comes from here. */
static void scene_link_time(void *data)
{
    struct link *link = data;
    const struct scene_call *open = call("open");
    bool away = open->answer == NULL || call("hello")->answer == NULL;
    if (link->closed || link->down || (open->hold > 0 && open->calls >= open->hold))
        return;
    if (away) {
        scene_cut(link);
        return;
    }
    if (!link->up) {
        scene_greeting(&link->greeting);
        link->greeting.seen_count = 0;
        link->up = true;
        link->events->on_up(link->data);
        return;
    }
    list_each(item, &link->asked)
    {
        struct scene_asked *asked = list_entry(item, struct scene_asked, link);
        bool held = asked->call->hold > 0 && asked->number >= asked->call->hold;
        if (!held) {
            scene_answer(link, asked);
            return; /* the list may be another one now */
        }
    }
    list_each(item, &link->watches)
    {
        scene_push(link, list_entry(item, struct link_watch, link));
        if (link->closed)
            return;
    }
}

/* --- What is asked of it: worker/link/link.h --- */

struct link *link_open(struct loop *loop, const struct config_host *host, const char *fleet_id,
                       const struct link_events *events, void *data)
{
    struct link *link = mem_alloc(sizeof *link);
    (void)host, (void)fleet_id;
    link->events = events;
    link->data = data;
    list_init(&link->asked);
    list_init(&link->watches);
    call("open")->calls++;
    timer_init(&link->timer, loop, scene_link_time, link);
    timer_start(&link->timer, 1, 1);
    return link;
}

static void scene_link_closed(void *data)
{
    struct link *link = data;
    while (!list_empty(&link->asked)) {
        struct scene_asked *asked = list_entry(link->asked.next, struct scene_asked, link);
        list_remove(&asked->link);
        free(asked);
    }
    while (!list_empty(&link->watches))
        scene_drop_watch(list_entry(link->watches.next, struct link_watch, link));
    free(link);
}

void link_close(struct link *link)
{
    link->closed = true;
    link->up = false;
    timer_close(&link->timer, scene_link_closed);
}

bool link_up(const struct link *link)
{
    return link->up;
}

const char *link_host_key(const struct link *link)
{
    (void)link;
    return "";
}

const struct runner_greeting *link_greeting(const struct link *link)
{
    return &link->greeting;
}

static struct scene_asked *scene_ask(struct link *link, const char *name, void *data)
{
    struct scene_asked *asked = mem_alloc(sizeof *asked);
    ck_assert(link->up);
    asked->call = call(name);
    asked->number = ++call(name)->calls;
    asked->data = data;
    list_append(&link->asked, &asked->link);
    return asked;
}

void link_hello(struct link *link, const struct runner_look *looks, int count,
                link_greeting_cb on_greeting, void *data)
{
    scene_run.asked += count > 0 && looks[0].version;
    scene_ask(link, "hello", data)->on_greeting = on_greeting;
}

static void scene_ask_of_run(struct link *link, const char *name, const struct runner_key *key,
                             link_reply_cb on_reply, void *data)
{
    scene_run.key = *key;
    scene_ask(link, name, data)->on_reply = on_reply;
}

void link_start(struct link *link, const struct runner_key *key, const struct runner_start *start,
                link_reply_cb on_reply, void *data)
{
    snprintf(scene_run.job, sizeof scene_run.job, "%.*s", (int)start->job_len,
             (const char *)start->job);
    scene_run.first = start->first;
    scene_ask_of_run(link, "start", key, on_reply, data);
}

void link_raise(struct link *link, const struct runner_key *key, uint64_t forged,
                link_reply_cb on_reply, void *data)
{
    scene_run.forged = forged;
    scene_ask_of_run(link, "raise", key, on_reply, data);
}

void link_void(struct link *link, const struct runner_key *key, link_reply_cb on_reply, void *data)
{
    scene_ask_of_run(link, "void", key, on_reply, data);
}

static char scene_stop_reason[RUNNER_WORD_SIZE];

void link_stop(struct link *link, const struct runner_key *key, const struct runner_stop *stop,
               link_reply_cb on_reply, void *data)
{
    memcpy(scene_stop_reason, stop->reason, sizeof scene_stop_reason);
    scene_run.stop_reason = scene_stop_reason;
    scene_ask_of_run(link, "stop", key, on_reply, data);
}

void link_gc(struct link *link, const struct runner_key *key, link_reply_cb on_reply, void *data)
{
    scene_ask_of_run(link, "gc", key, on_reply, data);
}

/* The last one that was asked for. */
static struct {
    struct runner_work work;
    char base[256], secret[256], message[1024], hook[256];
} scene_work;

static void scene_part(char *text, size_t size, const struct runner_blob *blob)
{
    snprintf(text, size, "%.*s", (int)blob->len, (const char *)blob->bytes);
}

static void scene_ask_work(struct link *link, const char *name, const struct runner_key *key,
                           const struct runner_work *work, link_worked_cb on_worked, void *data)
{
    scene_run.key = *key;
    scene_work.work = *work;
    scene_part(scene_work.base, sizeof scene_work.base, &work->base);
    scene_part(scene_work.secret, sizeof scene_work.secret, &work->secret);
    scene_part(scene_work.message, sizeof scene_work.message, &work->message);
    scene_part(scene_work.hook, sizeof scene_work.hook, &work->before_remove);
    scene_ask(link, name, data)->on_worked = on_worked;
}

void link_prepare(struct link *link, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data)
{
    scene_ask_work(link, "prepare", key, work, on_worked, data);
}

void link_harvest(struct link *link, const struct runner_key *key, const struct runner_work *work,
                  link_worked_cb on_worked, void *data)
{
    scene_ask_work(link, "harvest", key, work, on_worked, data);
}

void link_remove(struct link *link, const struct runner_key *key, const struct runner_work *work,
                 link_worked_cb on_worked, void *data)
{
    scene_ask_work(link, "remove", key, work, on_worked, data);
}

static char scene_cleaned[RUNNER_RUN_SIZE]; /* the last one that had a name */

void link_clean(struct link *link, const char *folder, link_reply_cb on_reply, void *data)
{
    if (folder[0] != '\0')
        snprintf(scene_cleaned, sizeof scene_cleaned, "%s", folder);
    scene_ask(link, "clean", data)->on_reply = on_reply;
}

void link_list(struct link *link, void (*on_record)(void *data, const struct runner_record *record),
               link_reply_cb on_reply, void *data)
{
    struct scene_asked *asked = scene_ask(link, "list", data);
    asked->on_record = on_record;
    asked->on_reply = on_reply;
}

struct link_watch *link_watch(struct link *link, const struct runner_key *key, int64_t out_offset,
                              int64_t err_offset, uint32_t credit,
                              const struct link_watch_events *events, void *data)
{
    struct link_watch *watch = mem_alloc(sizeof *watch);
    scene_run.key = *key;
    call("watch")->calls++;
    scene_run.granted += credit;
    watch->of = link;
    watch->next[0] = out_offset;
    watch->next[1] = err_offset;
    watch->credit = credit;
    watch->events = events;
    watch->data = data;
    list_append(&link->watches, &watch->link);
    return watch;
}

void link_grant(struct link_watch *watch, uint32_t bytes)
{
    watch->credit += bytes;
    scene_run.granted += bytes;
}

void link_unwatch(struct link_watch *watch)
{
    scene_drop_watch(watch);
}

#endif
