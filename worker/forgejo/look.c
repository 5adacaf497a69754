/* Taking looks from the database, and ending them there. */
#include "worker/forgejo/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "worker/forgejo/tracker.h"

#define POLL_MS 5000 /* when nobody says that there is something */

static void ask(struct looks *looks);

/* --- One look --- */

static void look_free(struct look *look)
{
    list_remove(&look->link);
    home_release(&look->home);
    people_release(&look->people);
    json_object_put(look->seen);
    free(look);
}

static struct node *node_of(const struct look *look)
{
    return look->looks->tracker->node;
}

static void on_ended(struct look *look)
{
    struct looks *looks = look->looks;
    looks->count--;
    look_free(look);
    ask(looks);
}

static void on_failed(void *data, const struct db_result *res, const struct error *err)
{
    struct look *look = data;
    (void)res;
    if (err != NULL && look->life == node_of(look)->life)
        node_failed(node_of(look), "look_failed", err);
    on_ended(look);
}

static void say_failed(struct look *look)
{
    char id[24], seq[24], retry[24], what[40];
    snprintf(id, sizeof id, "%" PRId64, look->id);
    snprintf(seq, sizeof seq, "%" PRId64, look->seq);
    snprintf(retry, sizeof retry, "%" PRId64, look->setback.retry_secs);
    snprintf(what, sizeof what, "%s %" PRId64, look->pull ? "pull request" : "issue", look->number);
    setback_say(&look->setback, &look->looks->next_say, look->home.name, what);
    const char *params[] = {
        node_of(look)->id, look->pull ? "pull" : "issue", id, seq, look->setback.why, retry};
    db_query_locking(node_of(look)->db, look->home.name, 0,
                     "select fleet.look_failed($1, $2, $3, $4, $5, $6)", DB_REPEAT, 6, params,
                     on_failed, look);
}

static void on_seen(void *data, const struct db_result *res, const struct error *err)
{
    struct look *look = data;
    if (err == NULL)
        log_debug(LOG_ABOUT(LOG_FIELD("repository", look->home.name)), "%" PRId64 " was read: %s",
                  look->number, db_text(res, 0, "result"));
    else if (look->life == node_of(look)->life)
        node_failed(node_of(look), "what was seen", err);
    if (err == NULL || strcmp(err->state, "AF002") == 0 || look->life != node_of(look)->life) {
        on_ended(look);
        return;
    }
    setback_set(&look->setback, "refused", "the database does not take it: %s", err->text);
    say_failed(look);
}

static void say_seen(struct look *look)
{
    char id[24], seq[24];
    snprintf(id, sizeof id, "%" PRId64, look->id);
    snprintf(seq, sizeof seq, "%" PRId64, look->seq);
    const char *params[] = {
        node_of(look)->id, id, seq,
        json_object_to_json_string_ext(look->seen, JSON_C_TO_STRING_NOSLASHESCAPE)};
    db_query_locking(node_of(look)->db, look->home.name, 0,
                     look->pull ? "select fleet.pull_seen($1, $2, $3, $4) as result"
                                : "select fleet.issue_seen($1, $2, $3, $4) as result",
                     DB_REPEAT, 4, params, on_seen, look);
}

void look_end(struct look *look)
{
    if (look->life != node_of(look)->life)
        on_ended(look); /* others took it over */
    else if (look->setback.any)
        say_failed(look);
    else
        say_seen(look);
}

bool look_goes_on(struct look *look)
{
    if (!look->setback.any && !tracker_ready(look->looks->tracker))
        setback_set(&look->setback, "dropped", "this worker stops, or has a new configuration");
    if (!look->setback.any)
        return true;
    look_end(look);
    return false;
}

/* --- Taking them --- */

static void take_people(struct look *look, const char *logins)
{
    char *list = mem_strdup(logins != NULL ? logins : ""), *rest = NULL;
    for (char *login = strtok_r(list, " ", &rest); login; login = strtok_r(NULL, " ", &rest))
        people_add(&look->people, login);
    free(list);
}

static void begin(struct looks *looks, const struct db_result *res, int row)
{
    struct look *look = mem_alloc(sizeof *look);
    const char *kind = db_text(res, row, "kind");
    look->looks = looks;
    look->life = looks->tracker->node->life;
    look->pull = kind != NULL && strcmp(kind, "pull") == 0;
    look->id = db_int(res, row, "id", 0);
    look->seq = db_int(res, row, "seq", 0);
    look->number = db_int(res, row, "number", 0);
    look->comment_after = db_int(res, row, "comment_after", 0);
    look->review_after = db_int(res, row, "review_after", 0);
    look->seen = json_object_new_object();
    const char *repo = db_text(res, row, "repo");
    home_init(&look->home, looks->tracker, repo != NULL ? repo : "",
              db_int(res, row, "repository_id", 0));
    people_init(&look->people, looks->tracker);
    take_people(look, db_text(res, row, "people"));
    setback_clear(&look->setback);
    list_append(&looks->list, &look->link);
    looks->count++;
    if (!look_goes_on(look))
        return;
    if (look->pull)
        look_pull(look);
    else
        look_issue(look);
}

static void on_looks(void *data, const struct db_result *res, const struct error *err)
{
    struct looks *looks = data;
    int room = LOOKS_MAX - looks->count;
    looks->asking = false;
    if (looks->life != looks->tracker->node->life)
        return; /* others have those */
    if (err != NULL) {
        node_failed(looks->tracker->node, "looks", err);
        return;
    }
    looks->wanted = looks->wanted || db_rows(res) >= room;
    for (int row = 0; row < db_rows(res); row++)
        begin(looks, res, row);
    ask(looks);
}

static void ask(struct looks *looks)
{
    const struct node *node = looks->tracker->node;
    if (looks->asking || looks->count >= LOOKS_MAX || !tracker_ready(looks->tracker) ||
        (!looks->wanted && clock_ms() < looks->next_ask))
        return;
    char room[12];
    snprintf(room, sizeof room, "%d", LOOKS_MAX - looks->count);
    const char *params[] = {node->id, room};
    looks->asking = true;
    looks->life = node->life;
    looks->wanted = false;
    looks->next_ask = clock_ms() + pause_jitter(POLL_MS);
    db_query(node->db,
             "select kind, id, seq, repo, repository_id, number, array_to_string(people, ' ') as "
             "people, comment_after, review_after, head_sha from fleet.looks($1, $2)",
             DB_ONCE, 2, params, on_looks, looks);
}

void looks_init(struct looks *looks, struct tracker *tracker)
{
    *looks = (struct looks){.tracker = tracker};
    list_init(&looks->list);
}

void looks_tick(struct looks *looks, int64_t now)
{
    (void)now;
    ask(looks);
}

void looks_wake(struct looks *looks)
{
    looks->wanted = true;
    ask(looks);
}

bool looks_idle(const struct looks *looks)
{
    return looks->count == 0 && !looks->asking;
}

void looks_release(struct looks *looks)
{
    list_each(link, &looks->list)
    {
        look_free(list_entry(link, struct look, link));
    }
}
