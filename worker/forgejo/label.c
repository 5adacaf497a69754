/* A state label, step by step. */
#include "worker/forgejo/label.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define PATH_MAX_BYTES 2048
#define LABELS_MAX 5000 /* of a repository */

static const struct {
    const char *name, *color, *description;
} labels[LABEL_COUNT] = {
    {"fleet/queued", "#c5def5", "Agent Fleet: waits to be run"},
    {"fleet/running", "#fbca04", "Agent Fleet: an agent works on it"},
    {"fleet/review", "#5319e7", "Agent Fleet: waits for a person"},
    {"fleet/done", "#0e8a16", "Agent Fleet: done"},
    {"fleet/failed", "#d73a4a", "Agent Fleet: failed"},
};

static void look_up(struct label *label);
static void set(struct label *label);

static const struct forgejo_answer impossible = {
    .verdict = FORGEJO_REFUSED,
    .retry_secs = -1,
    .text = "the repository has no name that can be asked for"};
static const struct forgejo_answer stopped = {
    .verdict = FORGEJO_AWAY, .retry_secs = -1, .text = "this worker stops"};
static const struct forgejo_answer dropped = {
    .verdict = FORGEJO_REFUSED,
    .retry_secs = -1,
    .text = "Forgejo took the state label and did not set it"};

static int which_is(const char *name)
{
    for (int i = 0; i < LABEL_COUNT; i++) {
        if (name != NULL && strcmp(name, labels[i].name) == 0)
            return i;
    }
    return -1;
}

static struct label_set *set_of(struct label *label)
{
    list_each(link, label->sets)
    {
        struct label_set *known = list_entry(link, struct label_set, link);
        if (strcmp(known->repo, label->repo) == 0)
            return known;
    }
    struct label_set *known = mem_alloc(sizeof *known);
    known->repo = mem_strdup(label->repo);
    list_append(label->sets, &known->link);
    return known;
}

void label_sets_release(struct list *sets)
{
    for (struct list *link; (link = list_take(sets)) != NULL;) {
        struct label_set *known = list_entry(link, struct label_set, link);
        free(known->repo);
        free(known);
    }
}

static void call(struct label *label, const char *method, struct buf *path, const char *body,
                 forgejo_done_cb done)
{
    if (!tracker_ready(label->tracker))
        label->done(label->data, &stopped);
    else if (path->failed)
        label->done(label->data, &impossible);
    else if (strcmp(method, "LIST") == 0)
        forgejo_list(label->tracker->forgejo, buf_text(path), LABELS_MAX, done, label);
    else
        forgejo_call(label->tracker->forgejo, method, buf_text(path), body, false, done, label);
    buf_release(path);
}

/* --- on the issue --- */

static void on_dropped(void *data, const struct forgejo_answer *answer);

static void drop(struct label *label)
{
    struct buf path;

    if (label->drop_count == 0) {
        label->done(label->data, NULL);
        return;
    }
    buf_init(&path, PATH_MAX_BYTES);
    forgejo_path(&path, "/repos/%r/issues/%d/labels/%d", label->repo, label->number,
                 label->drops[--label->drop_count]);
    call(label, "DELETE", &path, NULL, on_dropped);
}

/* One that is not there (any more) is 404 or 422: done. */
static void on_dropped(void *data, const struct forgejo_answer *answer)
{
    struct label *label = data;
    bool gone = answer->verdict == FORGEJO_GONE || answer->status == 422;

    if (answer->verdict == FORGEJO_OK || gone)
        drop(label);
    else
        label->done(label->data, answer);
}

/* What the issue has: the one that is wanted, and others of ours, which go. */
static bool read_issue(struct label *label, const struct json_object *list, int64_t wanted)
{
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    bool there = false;

    label->drop_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct json_object *item = json_object_array_get_idx(list, i);
        int64_t id = json_int(item, "id", 0);
        if (id == wanted)
            there = true;
        else if (which_is(json_string(item, "name", NULL)) >= 0 && id > 0 &&
                 label->drop_count < sizeof label->drops / sizeof *label->drops)
            label->drops[label->drop_count++] = id;
    }
    return there;
}

/* Unknown ids are dropped silently: the answer has what is set. */
static void on_set(void *data, const struct forgejo_answer *answer)
{
    struct label *label = data;
    struct label_set *known = set_of(label);

    if (answer->verdict != FORGEJO_OK) {
        label->done(label->data, answer);
    } else if (read_issue(label, answer->json, known->ids[label->which])) {
        drop(label);
    } else if (!label->again) {
        label->again = true;
        look_up(label);
    } else {
        label->done(label->data, &dropped);
    }
}

static void set(struct label *label)
{
    struct buf path, body;

    buf_init(&path, PATH_MAX_BYTES);
    buf_init(&body, 64);
    forgejo_path(&path, "/repos/%r/issues/%d/labels", label->repo, label->number);
    buf_addf(&body, "{\"labels\":[%" PRId64 "]}", set_of(label)->ids[label->which]);
    call(label, "POST", &path, buf_text(&body), on_set);
    buf_release(&body);
}

static void on_issue_labels(void *data, const struct forgejo_answer *answer)
{
    struct label *label = data;

    if (answer->verdict != FORGEJO_OK) {
        label->done(label->data, answer);
        return;
    }
    read_issue(label, answer->json, 0);
    drop(label);
}

static void clear(struct label *label)
{
    struct buf path;

    buf_init(&path, PATH_MAX_BYTES);
    forgejo_path(&path, "/repos/%r/issues/%d/labels", label->repo, label->number);
    call(label, "GET", &path, NULL, on_issue_labels);
}

/* --- in the repository --- */

static void on_created(void *data, const struct forgejo_answer *answer)
{
    struct label *label = data;

    label->made = json_int(answer->json, "id", 0);
    if (answer->verdict != FORGEJO_OK)
        label->done(label->data, answer);
    else
        look_up(label); /* another worker may have made one at the same time */
}

static void create(struct label *label)
{
    struct buf path, body;

    buf_init(&path, PATH_MAX_BYTES);
    buf_init(&body, 512);
    forgejo_path(&path, "/repos/%r/labels", label->repo);
    buf_addf(&body, "{\"name\":\"%s\",\"color\":\"%s\",\"description\":\"%s\",\"exclusive\":true}",
             labels[label->which].name, labels[label->which].color,
             labels[label->which].description);
    call(label, "POST", &path, buf_text(&body), on_created);
    buf_release(&body);
}

static void on_surplus(void *data, const struct forgejo_answer *answer)
{
    (void)answer; /* it stays, unused: the lowest id is ours all the same */
    set(data);
}

static void delete_made(struct label *label)
{
    struct buf path;

    buf_init(&path, PATH_MAX_BYTES);
    forgejo_path(&path, "/repos/%r/labels/%d", label->repo, label->made);
    call(label, "DELETE", &path, NULL, on_surplus);
}

static void on_labels(void *data, const struct forgejo_answer *answer)
{
    struct label *label = data;
    struct label_set *known = set_of(label);

    if (answer->verdict != FORGEJO_OK) {
        label->done(label->data, answer);
        return;
    }
    memset(known->ids, 0, sizeof known->ids);
    for (size_t i = 0; i < json_object_array_length(answer->json); i++) {
        const struct json_object *item = json_object_array_get_idx(answer->json, i);
        int which = which_is(json_string(item, "name", NULL));
        int64_t id = json_int(item, "id", 0);
        if (which >= 0 && id > 0 && (known->ids[which] == 0 || id < known->ids[which]))
            known->ids[which] = id;
    }
    int64_t ours = known->ids[label->which];
    if (ours == 0 && label->made == 0)
        create(label);
    else if (ours == 0)
        label->done(label->data, &dropped);
    else if (label->made != 0 && label->made != ours)
        delete_made(label);
    else
        set(label);
}

static void look_up(struct label *label)
{
    struct buf path;

    buf_init(&path, PATH_MAX_BYTES);
    forgejo_path(&path, "/repos/%r/labels", label->repo);
    call(label, "LIST", &path, NULL, on_labels);
}

void label_settle(struct label *label)
{
    label->which = which_is(label->name);
    label->made = 0;
    label->again = false;
    if (label->which < 0)
        clear(label);
    else if (set_of(label)->ids[label->which] != 0)
        set(label);
    else
        look_up(label);
}
