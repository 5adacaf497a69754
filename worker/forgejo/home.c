/* Finding a repository by name, then by id. */
#include "worker/forgejo/home.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "worker/forgejo/tracker.h"

void home_init(struct home *home, struct tracker *tracker, const char *name, int64_t id)
{
    *home = (struct home){.tracker = tracker, .id = id};
    snprintf(home->name, sizeof home->name, "%s", name);
}

void home_release(struct home *home)
{
    json_object_put(home->json);
    home->json = NULL;
}

/* False when it is none. */
static bool take(struct home *home, struct json_object *json)
{
    const char *name = json_string(json, "full_name", "");
    int64_t id = json_int(json, "id", 0);
    if (id <= 0 || strchr(name, '/') == NULL || strlen(name) >= sizeof home->name)
        return false;
    if (strcmp(name, home->name) != 0)
        log_info(LOG_ABOUT(LOG_FIELD("repository", home->name)), "is called %s now", name);
    snprintf(home->name, sizeof home->name, "%s", name);
    home->id = id;
    home_release(home);
    home->json = json_object_get(json);
    return true;
}

static void on_by_id(void *data, const struct forgejo_answer *answer)
{
    struct home *home = data;
    if (answer->verdict != FORGEJO_OK || json_int(answer->json, "id", 0) != home->id ||
        !take(home, answer->json))
        setback_take(home->setback, home->tracker, "the repository, by its id", answer);
    home->on_found(home->data);
}

static void ask_by_id(struct home *home)
{
    char path[64];
    snprintf(path, sizeof path, "/repositories/%" PRId64, home->id);
    forgejo_call(home->tracker->forgejo, "GET", path, NULL, false, on_by_id, home);
}

static void on_by_name(void *data, const struct forgejo_answer *answer)
{
    struct home *home = data;
    bool found = answer->verdict == FORGEJO_OK;
    bool elsewhere = answer->verdict == FORGEJO_MOVED || answer->verdict == FORGEJO_GONE ||
                     (found && json_int(answer->json, "id", 0) != home->id);
    if (home->id > 0 && elsewhere && tracker_ready(home->tracker)) {
        ask_by_id(home);
        return;
    }
    if (answer->verdict == FORGEJO_MOVED)
        setback_set(home->setback, "moved",
                    "%s was renamed before we knew its id; write its new name into "
                    "forgejo.repositories",
                    home->name);
    else if (!found || !take(home, answer->json))
        setback_take(home->setback, home->tracker, "the repository", answer);
    home->on_found(home->data);
}

void home_find(struct home *home, struct setback *setback, void (*on_found)(void *), void *data)
{
    struct buf path;
    buf_init(&path, HOME_PATH_MAX);
    home->setback = setback;
    home->on_found = on_found;
    home->data = data;
    forgejo_path(&path, "/repos/%r", home->name);
    forgejo_call(home->tracker->forgejo, "GET", buf_text(&path), NULL, false, on_by_name, home);
    buf_release(&path);
}
