/* Reading a pull request: its repository, itself, the reviews that are new with what they say to
 * lines, the checks of its head; then what it has in common with issues. */
#include <stdio.h>
#include <string.h>

#include "worker/forgejo/look.h"
#include "worker/forgejo/shape.h"
#include "worker/forgejo/tracker.h"

#define REVIEWS_MAX 2000
#define REVIEW_COMMENTS_MAX 500 /* of one review */

/* --- The checks of its head --- */

static void on_checks(void *data, const struct forgejo_answer *answer)
{
    struct look *look = data;
    bool none = answer->verdict == FORGEJO_GONE; /* a head that is gone, too */
    if (!none && !look_got(look, "the checks of its head", answer))
        return;
    look_add(look, "checks", shape_checks(answer->json, look->head_sha));
    if (look_goes_on(look))
        look_rest(look);
}

static void ask_checks(struct look *look)
{
    struct buf path;
    if (look->head_sha[0] == '\0') {
        look_add(look, "checks", shape_checks(NULL, ""));
        look_rest(look);
        return;
    }
    look_path(look, &path);
    forgejo_path(&path, "/commits/%s/status?page=1&limit=50", look->head_sha);
    look_get(look, &path, on_checks);
}

/* --- Its reviews --- */

static void next_review(struct look *look);

static void on_review_comments(void *data, const struct forgejo_answer *answer)
{
    struct look *look = data;
    if (answer->verdict != FORGEJO_GONE) {
        if (answer->verdict != FORGEJO_OK)
            setback_take(&look->setback, look->looks->tracker, "the comments of a review", answer);
        if (!look_goes_on(look))
            return;
        struct json_object *review = json_object_array_get_idx(look->reviews, look->review);
        json_object_object_add(review, "comments", shape_review_comments(answer->json));
    }
    look->review++;
    next_review(look);
}

/* What approves needs no reading of its lines. */
static void next_review(struct look *look)
{
    for (; look->review < json_object_array_length(look->reviews); look->review++) {
        const struct json_object *review = json_object_array_get_idx(look->reviews, look->review);
        struct buf path;
        if (strcmp(json_string(review, "state", ""), "APPROVED") == 0)
            continue;
        look_path(look, &path);
        forgejo_path(&path, "/pulls/%d/reviews/%d/comments", look->number,
                     json_int(review, "id", 0));
        look_list(look, &path, REVIEW_COMMENTS_MAX, on_review_comments);
        return;
    }
    ask_checks(look);
}

static void on_reviews(void *data, const struct forgejo_answer *answer)
{
    struct look *look = data;
    if (!look_got(look, "its reviews", answer))
        return;
    look->reviews = shape_reviews(answer->json, look->review_after);
    look_add(look, "reviews", look->reviews);
    next_review(look);
}

/* --- Itself --- */

static void on_pull(void *data, const struct forgejo_answer *answer)
{
    struct look *look = data;
    struct buf path;
    if (answer->verdict == FORGEJO_GONE) {
        look_missing(look, answer);
        return;
    }
    if (!look_got(look, "the pull request", answer))
        return;
    struct json_object *pull = shape_pull(answer->json);
    look_add(look, "pull", pull);
    if (!look_goes_on(look))
        return;
    snprintf(look->head_sha, sizeof look->head_sha, "%s",
             json_string(json_member(pull, "head"), "sha", ""));
    look_path(look, &path);
    forgejo_path(&path, "/pulls/%d/reviews", look->number);
    look_list(look, &path, REVIEWS_MAX, on_reviews);
}

static void on_home(void *data)
{
    struct look *look = data;
    struct buf path;
    if (!look_goes_on(look))
        return;
    look_add(look, "repository", shape_repository(look->home.json));
    look_path(look, &path);
    forgejo_path(&path, "/pulls/%d", look->number);
    look_get(look, &path, on_pull);
}

void look_pull(struct look *look)
{
    home_find(&look->home, &look->setback, on_home, look);
}
