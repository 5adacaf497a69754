/* Which repositories there are: those that forgejo.repositories names, and of "owner/" and "*" or
 * of "*" those that Forgejo lists. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "worker/forgejo/backfill.h"
#include "worker/forgejo/tracker.h"

#define NAMES_MAX 10000 /* of one entry */
#define AGAIN_MS 30000  /* when a list failed */

struct names {
    struct backfill *backfill;  /* borrowed */
    struct config_list entries; /* owned copies: the configuration may change meanwhile */
    size_t at;
    bool as_organisation; /* the owner is asked for as one: there is no user of that name */
    bool failed;
    struct buf found; /* array */
};

static void next(struct names *names);

static void end(struct names *names, bool failed)
{
    struct backfill *backfill = names->backfill;
    int interval = node_settings(backfill->tracker->node)->forgejo.poll_interval_secs * 1000;
    backfill->next_names =
        clock_ms() + pause_jitter(failed && interval > AGAIN_MS ? AGAIN_MS : interval);
    backfill->next_ask = 0; /* there may be new ones */
    backfill->names = NULL;
    for (size_t i = 0; i < names->entries.count; i++)
        free(names->entries.items[i]);
    free(names->entries.items);
    buf_release(&names->found);
    free(names);
}

static void on_known(void *data, const struct db_result *res, const struct error *err)
{
    struct names *names = data;
    (void)res;
    if (err != NULL)
        node_failed(names->backfill->tracker->node, "know_repositories", err);
    end(names, err != NULL || names->failed);
}

static void tell(struct names *names)
{
    struct node *node = names->backfill->tracker->node;
    db_array_end(&names->found);
    const char *params[] = {node->id, buf_text(&names->found)};
    db_query_locking(node->db, "repositories", 0, "select fleet.know_repositories($1, $2)",
                     DB_REPEAT, 2, params, on_known, names);
}

static void on_list(void *data, const struct forgejo_answer *answer)
{
    struct names *names = data;
    const char *entry = names->entries.items[names->at];
    if (answer->verdict == FORGEJO_GONE && !names->as_organisation && strcmp(entry, "*") != 0) {
        names->as_organisation = true;
        next(names);
        return;
    }
    if (answer->verdict != FORGEJO_OK) {
        log_warn(NULL, "forgejo.repositories: what %s stands for is not known now: %s", entry,
                 answer->text);
        names->failed = true;
    }
    for (size_t i = 0; answer->verdict == FORGEJO_OK && i < json_object_array_length(answer->json);
         i++) {
        const struct json_object *item = json_object_array_get_idx(answer->json, i);
        const char *name = json_string(item, "full_name", NULL);
        if (name != NULL && !json_flag(item, "archived", false))
            db_array_text(&names->found, name);
    }
    names->as_organisation = false;
    names->at++;
    next(names);
}

/* "*": where our account may write, for elsewhere it could do nothing. */
static void ask(struct names *names, const char *entry)
{
    struct buf path;
    buf_init(&path, HOME_PATH_MAX);
    char *owner = mem_strndup(entry, strcspn(entry, "/"));
    if (strcmp(entry, "*") == 0)
        buf_adds(&path, "/user/repos");
    else
        forgejo_path(&path, names->as_organisation ? "/orgs/%s/repos" : "/users/%s/repos", owner);
    forgejo_list(names->backfill->tracker->forgejo, buf_text(&path), NAMES_MAX, on_list, names);
    free(owner);
    buf_release(&path);
}

static void next(struct names *names)
{
    for (; names->at < names->entries.count; names->at++) {
        const char *entry = names->entries.items[names->at];
        if (!tracker_ready(names->backfill->tracker)) {
            end(names, true);
            return;
        }
        if (strchr(entry, '*') != NULL) {
            ask(names, entry);
            return;
        }
        db_array_text(&names->found, entry);
    }
    tell(names);
}

void names_begin(struct backfill *backfill)
{
    const struct config_list *list = &node_settings(backfill->tracker->node)->forgejo.repositories;
    struct names *names = mem_alloc(sizeof *names);
    names->backfill = backfill;
    names->entries.items = mem_array(list->count + 1, sizeof *names->entries.items);
    for (size_t i = 0; i < list->count; i++)
        names->entries.items[names->entries.count++] = mem_strdup(list->items[i]);
    buf_init(&names->found, (size_t)4 << 20);
    db_array_begin(&names->found);
    backfill->names = names;
    next(names);
}
