/* Reading repositories: by name or id, then the list of issues, then that of pull requests, each
 * told to the database, then the heads of pull requests that it asks for. */
#include "worker/forgejo/backfill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/pause.h"
#include "worker/forgejo/shape.h"
#include "worker/forgejo/tracker.h"

#define POLL_MS 5000     /* the database says what is due */
#define ITEMS_MAX 100000 /* of one list */
#define TOLD_MAX 500     /* items at once */
#define AS_IT_IS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct reading {
    struct list link;
    struct backfill *backfill; /* borrowed */
    uint64_t life;             /* the node's, in which it began */
    char repo[HOME_NAME_MAX];  /* as the database calls it */
    struct home home;
    struct setback setback;
    char since[32];            /* "": from the beginning */
    int64_t began_ms;          /* clock_ms */
    int64_t newest;            /* the newest time that Forgejo showed; 0: none */
    bool pulls;                /* the list that is being read; else of issues */
    struct json_object *items; /* owned: what it showed */
    size_t told;               /* of these */
    int *heads;                /* owned: numbers of pull requests whose head is wanted */
    int head_count, head;
};

static void tell_items(struct reading *reading);
static void ask_due(struct backfill *backfill);

static struct node *node_of(const struct reading *reading)
{
    return reading->backfill->tracker->node;
}

/* --- The end --- */

static void reading_free(struct reading *reading)
{
    list_remove(&reading->link);
    home_release(&reading->home);
    json_object_put(reading->items);
    free(reading->heads);
    free(reading);
}

static void end(struct reading *reading)
{
    struct backfill *backfill = reading->backfill;
    reading_free(reading);
    backfill->count--;
    ask_due(backfill);
}

/* Others have it now, and what became of that is theirs: it was taken over, or our life is. */
static bool is_theirs(struct reading *reading, const char *what, const struct error *err)
{
    if (reading->life != node_of(reading)->life || strcmp(err->state, "AF004") == 0)
        return true;
    node_failed(node_of(reading), what, err);
    return reading->life != node_of(reading)->life;
}

static void on_over(void *data, const struct db_result *res, const struct error *err)
{
    struct reading *reading = data;
    (void)res;
    if (err != NULL)
        (void)is_theirs(reading, "backfill", err);
    end(reading);
}

static void fail(struct reading *reading)
{
    char retry[24];
    struct node *node = node_of(reading);
    snprintf(retry, sizeof retry, "%" PRId64, reading->setback.retry_secs);
    setback_say(&reading->setback, &reading->backfill->next_say, reading->home.name, "the whole");
    const char *params[] = {node->id, reading->repo, reading->setback.why, retry};
    db_query_locking(node->db, reading->repo, 0, "select fleet.backfill_failed($1, $2, $3, $4)",
                     DB_REPEAT, 4, params, on_over, reading);
}

/* Else it ends: by its setback, or because others have it now. */
static bool goes_on(struct reading *reading)
{
    if (reading->life != node_of(reading)->life) {
        end(reading);
        return false;
    }
    if (!reading->setback.any && !tracker_ready(reading->backfill->tracker))
        setback_set(&reading->setback, "dropped", "this worker stops, or has a new configuration");
    if (!reading->setback.any)
        return true;
    fail(reading);
    return false;
}

/* The database did not take something. */
static bool refused(struct reading *reading, const char *what, const struct error *err)
{
    if (err == NULL)
        return false;
    if (is_theirs(reading, what, err)) {
        end(reading);
        return true;
    }
    setback_set(&reading->setback, "refused", "the database does not take it: %s", err->text);
    fail(reading);
    return true;
}

static void tell(struct reading *reading, struct json_object *items, const char *until,
                 db_done_cb done)
{
    struct node *node = node_of(reading);
    const char *params[] = {node->id, reading->repo,
                            json_object_to_json_string_ext(items, AS_IT_IS), until};
    db_query_locking(node->db, reading->repo, 0,
                     "select x as number from fleet.backfilled($1, $2, $3, $4) x", DB_REPEAT, 4,
                     params, done, reading);
    json_object_put(items);
}

/* All was read. What came while it was is newer than the mark. */
static void finish(struct reading *reading)
{
    char until[32] = "";
    int64_t took = (clock_ms() - reading->began_ms) / 1000 + 1;
    if (reading->newest > took)
        stamp_format(reading->newest - took, until, sizeof until);
    tell(reading, json_object_new_array(), until, on_over);
}

/* --- Heads of pull requests that the database does not know --- */

static void ask_head(struct reading *reading);

static void on_head_told(void *data, const struct db_result *res, const struct error *err)
{
    struct reading *reading = data;
    (void)res;
    if (refused(reading, "backfilled", err))
        return;
    reading->head++;
    ask_head(reading);
}

static void on_head(void *data, const struct forgejo_answer *answer)
{
    struct reading *reading = data;
    struct json_object *items = json_object_new_array(), *item = NULL;
    if (answer->verdict == FORGEJO_OK)
        item = shape_listed_pull(answer->json);
    else if (answer->verdict != FORGEJO_GONE)
        setback_take(&reading->setback, reading->backfill->tracker, "a pull request", answer);
    if (!goes_on(reading)) {
        json_object_put(items);
        json_object_put(item);
        return;
    }
    if (item != NULL)
        json_object_array_add(items, item);
    tell(reading, items, NULL, on_head_told);
}

static void ask_head(struct reading *reading)
{
    struct buf path;
    if (!goes_on(reading))
        return;
    if (reading->head == reading->head_count) {
        tell_items(reading);
        return;
    }
    buf_init(&path, HOME_PATH_MAX);
    forgejo_path(&path, "/repos/%r/pulls/%d", reading->home.name,
                 (int64_t)reading->heads[reading->head]);
    forgejo_call(reading->backfill->tracker->forgejo, "GET", buf_text(&path), NULL, false, on_head,
                 reading);
    buf_release(&path);
}

/* --- Lists --- */

static void on_items_told(void *data, const struct db_result *res, const struct error *err)
{
    struct reading *reading = data;
    if (refused(reading, "backfilled", err))
        return;
    free(reading->heads);
    reading->heads = mem_array((size_t)db_rows(res) + 1, sizeof *reading->heads);
    reading->head = reading->head_count = 0;
    for (int row = 0; row < db_rows(res); row++)
        if (db_int(res, row, "number", 0) > 0)
            reading->heads[reading->head_count++] = (int)db_int(res, row, "number", 0);
    ask_head(reading);
}

static void ask_list(struct reading *reading);

static void next_list(struct reading *reading)
{
    if (reading->pulls) {
        finish(reading);
        return;
    }
    reading->pulls = true;
    ask_list(reading);
}

/* Items of the kind that was asked for: an old Forgejo may not know the filter. */
static void tell_items(struct reading *reading)
{
    struct json_object *part = json_object_new_array();
    size_t count = json_object_array_length(reading->items);
    if (reading->told == count) {
        json_object_put(part);
        next_list(reading);
        return;
    }
    for (int i = 0; i < TOLD_MAX && reading->told < count; i++) {
        struct json_object *item = json_object_array_get_idx(reading->items, reading->told++);
        int64_t at = stamp_parse(json_string(item, "updated_at", ""));
        if (at > reading->newest)
            reading->newest = at;
        if (json_flag(item, "is_pull", false) == reading->pulls)
            json_object_array_add(part, json_object_get(item));
    }
    tell(reading, part, NULL, on_items_told);
}

static void on_list(void *data, const struct forgejo_answer *answer)
{
    struct reading *reading = data;
    const char *what = reading->pulls ? "the list of pull requests" : "the list of issues";
    const char *has = reading->pulls ? "has_pull_requests" : "has_issues";
    bool off = answer->verdict == FORGEJO_GONE && !json_flag(reading->home.json, has, true);
    if (answer->verdict != FORGEJO_OK && !off)
        setback_take(&reading->setback, reading->backfill->tracker, what, answer);
    else if (answer->more)
        setback_set(&reading->setback, "refused", "%s: there is more than we read", what);
    if (!goes_on(reading))
        return;
    json_object_put(reading->items);
    reading->items = off ? json_object_new_array() : json_object_get(answer->json);
    reading->told = 0;
    tell_items(reading);
}

/* Of what nobody has read, only what is open. sort is known from version 11 on; without it they
 * come newest first, which moves nothing forward either. */
static void ask_list(struct reading *reading)
{
    struct buf path;
    buf_init(&path, HOME_PATH_MAX);
    forgejo_path(&path, "/repos/%r/issues?sort=oldest&type=", reading->home.name);
    buf_adds(&path, reading->pulls ? "pulls" : "issues");
    if (reading->since[0] != '\0')
        forgejo_path(&path, "&state=all&since=%s", reading->since);
    else
        buf_adds(&path, "&state=open");
    forgejo_list_shaped(reading->backfill->tracker->forgejo, buf_text(&path), ITEMS_MAX,
                        shape_listed, on_list, reading);
    buf_release(&path);
}

/* --- The beginning --- */

static void on_called(void *data, const struct db_result *res, const struct error *err)
{
    struct reading *reading = data;
    if (refused(reading, "repository_seen", err))
        return;
    const char *name = db_text(res, 0, "name");
    if (name == NULL)
        setback_set(&reading->setback, "moved",
                    "it is called %s now, which forgejo.repositories does not name",
                    reading->home.name);
    else
        snprintf(reading->repo, sizeof reading->repo, "%s", name);
    if (goes_on(reading))
        ask_list(reading);
}

static void on_home(void *data)
{
    struct reading *reading = data;
    struct node *node = node_of(reading);
    struct json_object *seen = shape_repository(reading->home.json);
    if (goes_on(reading)) {
        const char *params[] = {node->id, json_object_to_json_string_ext(seen, AS_IT_IS)};
        db_query_locking(node->db, "repositories", 0,
                         "select fleet.repository_seen($1, $2) as name", DB_REPEAT, 2, params,
                         on_called, reading);
    }
    json_object_put(seen);
}

static void begin(struct backfill *backfill, const struct db_result *res, int row)
{
    struct reading *reading = mem_alloc(sizeof *reading);
    const char *repo = db_text(res, row, "repo"), *since = db_text(res, row, "since");
    reading->backfill = backfill;
    reading->life = backfill->tracker->node->life;
    reading->began_ms = clock_ms();
    home_init(&reading->home, backfill->tracker, repo, db_int(res, row, "repository_id", 0));
    setback_clear(&reading->setback);
    snprintf(reading->repo, sizeof reading->repo, "%s", repo);
    snprintf(reading->since, sizeof reading->since, "%s", since != NULL ? since : "");
    list_append(&backfill->list, &reading->link);
    backfill->count++;
    if (goes_on(reading))
        home_find(&reading->home, &reading->setback, on_home, reading);
}

static void on_due(void *data, const struct db_result *res, const struct error *err)
{
    struct backfill *backfill = data;
    backfill->asking = false;
    if (backfill->life != backfill->tracker->node->life)
        return; /* others have those */
    if (err != NULL) {
        node_failed(backfill->tracker->node, "backfills", err);
        return;
    }
    if (db_rows(res) > 0)
        backfill->next_ask = 0; /* there may be more */
    for (int row = 0; row < db_rows(res); row++)
        begin(backfill, res, row);
}

static void ask_due(struct backfill *backfill)
{
    const struct node *node = backfill->tracker->node;
    if (backfill->asking || backfill->count >= BACKFILLS_MAX || clock_ms() < backfill->next_ask ||
        !tracker_ready(backfill->tracker))
        return;
    char room[12];
    snprintf(room, sizeof room, "%d", BACKFILLS_MAX - backfill->count);
    const char *params[] = {node->id, room};
    backfill->asking = true;
    backfill->life = node->life;
    backfill->next_ask = clock_ms() + pause_jitter(POLL_MS);
    db_query(node->db, "select repo, repository_id, since from fleet.backfills($1, $2)", DB_ONCE, 2,
             params, on_due, backfill);
}

void backfill_init(struct backfill *backfill, struct tracker *tracker)
{
    *backfill = (struct backfill){.tracker = tracker};
    list_init(&backfill->list);
}

/* Before the first reading the database knows which repositories there are. */
void backfill_tick(struct backfill *backfill, int64_t now)
{
    if (!tracker_ready(backfill->tracker))
        return;
    if (backfill->names == NULL && now >= backfill->next_names)
        names_begin(backfill);
    if (backfill->next_names > 0)
        ask_due(backfill);
}

bool backfill_idle(const struct backfill *backfill)
{
    return backfill->count == 0 && !backfill->asking && backfill->names == NULL;
}

void backfill_release(struct backfill *backfill)
{
    list_each(link, &backfill->list)
    {
        reading_free(list_entry(link, struct reading, link));
    }
}
