/* Reading an issue: its repository, itself, then its timeline, so that no label is there of which
 * the timeline does not know who put it there; then the permissions of those people. And what
 * issues and pull requests have in common. */
#include <inttypes.h>
#include <string.h>

#include "worker/forgejo/look.h"
#include "worker/forgejo/shape.h"
#include "worker/forgejo/tracker.h"

#define TIMELINE_MAX 10000 /* entries */

/* --- For both kinds --- */

void look_path(struct look *look, struct buf *path)
{
    buf_init(path, HOME_PATH_MAX);
    forgejo_path(path, "/repos/%r", look->home.name);
}

void look_get(struct look *look, struct buf *path, forgejo_done_cb done)
{
    forgejo_call(look->looks->tracker->forgejo, "GET", buf_text(path), NULL, false, done, look);
    buf_release(path);
}

void look_list(struct look *look, struct buf *path, size_t max, forgejo_done_cb done)
{
    forgejo_list(look->looks->tracker->forgejo, buf_text(path), max, done, look);
    buf_release(path);
}

bool look_got(struct look *look, const char *what, const struct forgejo_answer *answer)
{
    if (answer->verdict != FORGEJO_OK)
        setback_take(&look->setback, look->looks->tracker, what, answer);
    else if (answer->more)
        setback_set(&look->setback, "refused", "%s: there is more than we read", what);
    return look_goes_on(look);
}

void look_add(struct look *look, const char *name, struct json_object *made)
{
    if (made == NULL)
        setback_set(&look->setback, "garbled", "the %s that Forgejo shows is not whole", name);
    else
        json_object_object_add(look->seen, name, made);
}

static void on_unit(void *data, const struct forgejo_answer *answer)
{
    struct look *look = data;
    const char *what = look->pull ? "pull request" : "issue";
    if (answer->verdict == FORGEJO_OK)
        setback_set(&look->setback, "gone", "%s has no %s %" PRId64 " any more", look->home.name,
                    what, look->number);
    else
        setback_take(&look->setback, look->looks->tracker,
                     look->pull ? "its pull requests" : "its issues", answer);
    look_end(look);
}

void look_missing(struct look *look, const struct forgejo_answer *answer)
{
    struct buf path;
    bool on = json_flag(look->home.json, look->pull ? "has_pull_requests" : "has_issues", true);
    if (!on) {
        setback_take(&look->setback, look->looks->tracker, "switched off in its repository",
                     answer);
        look_end(look);
        return;
    }
    look_path(look, &path);
    forgejo_path(&path, look->pull ? "/pulls?state=all&page=1&limit=1"
                                   : "/issues?state=all&type=issues&page=1&limit=1");
    look_get(look, &path, on_unit);
}

/* --- People --- */

/* Does it matter who put a label there? */
static bool label_counts(const char *name)
{
    return strncmp(name, "agent:", 6) == 0 || strncmp(name, "priority:", 9) == 0;
}

static void add_people(struct look *look, const char *list, const char *member, bool labellers)
{
    const struct json_object *items = json_member(look->seen, list);
    for (size_t i = 0; items != NULL && i < json_object_array_length(items); i++) {
        const struct json_object *item = json_object_array_get_idx(items, i);
        bool counts = !labellers || (json_flag(item, "added", false) &&
                                     label_counts(json_string(item, "label", "")));
        if (counts)
            people_add(&look->people, json_string(item, member, NULL));
    }
}

static void on_people(void *data)
{
    struct look *look = data;
    if (!look->setback.any)
        json_object_object_add(look->seen, "people", people_json(&look->people));
    look_end(look);
}

static void on_timeline(void *data, const struct forgejo_answer *answer)
{
    struct look *look = data;
    if (!look_got(look, "its timeline", answer))
        return;
    look_add(look, "label_events", shape_label_events(answer->json));
    look_add(look, "comments",
             shape_comments(answer->json, look->comment_after, look->looks->tracker->user_id));
    const char *thing = look->pull ? "pull" : "issue";
    people_add(&look->people, json_string(json_member(look->seen, thing), "author", NULL));
    add_people(look, "label_events", "by", true);
    add_people(look, "reviews", "by", false);
    add_people(look, "comments", "by", false);
    people_ask(&look->people, look->home.name, &look->setback, on_people, look);
}

void look_rest(struct look *look)
{
    struct buf path;
    look_path(look, &path);
    forgejo_path(&path, "/issues/%d/timeline", look->number);
    look_list(look, &path, TIMELINE_MAX, on_timeline);
}

/* --- An issue --- */

static void on_issue(void *data, const struct forgejo_answer *answer)
{
    struct look *look = data;
    if (answer->verdict == FORGEJO_GONE) {
        look_missing(look, answer);
        return;
    }
    if (!look_got(look, "the issue", answer))
        return;
    look_add(look, "issue", shape_issue(answer->json));
    if (look_goes_on(look))
        look_rest(look);
}

static void on_home(void *data)
{
    struct look *look = data;
    struct buf path;
    if (!look_goes_on(look))
        return;
    look_add(look, "repository", shape_repository(look->home.json));
    look_path(look, &path);
    forgejo_path(&path, "/issues/%d", look->number);
    look_get(look, &path, on_issue);
}

void look_issue(struct look *look)
{
    home_find(&look->home, &look->setback, on_home, look);
}
