/* What Forgejo answers, cut down to what SQL wants to know of it: fleet.issue_seen,
 * fleet.pull_seen, fleet.backfilled.
 *
 * All of it is foreign: a member of another type than it should have is left out as null. Texts and
 * times are given on as they were written. Each function answers a new object, which its caller
 * puts; NULL when the answer is not what it should be and nothing may be done by it. */
#ifndef FLEET_FORGEJO_SHAPE_H
#define FLEET_FORGEJO_SHAPE_H

#include <stdint.h>

#include "common/json.h"

struct json_object *shape_repository(const struct json_object *repository);
struct json_object *shape_issue(const struct json_object *issue);
struct json_object *shape_pull(const struct json_object *pull);
/* Of a whole timeline: which labels were put on and taken off, by whom. */
struct json_object *shape_label_events(const struct json_object *timeline);
/* Of a whole timeline: the comments with an id beyond `after` that are not of `own` account. */
struct json_object *shape_comments(const struct json_object *timeline, int64_t after, int64_t own);
/* Those that were given (not asked for, not in the making, not dismissed), without comments. */
struct json_object *shape_reviews(const struct json_object *reviews, int64_t after);
struct json_object *shape_review_comments(const struct json_object *comments);
/* Of a head: the combined status, per context the newest. */
struct json_object *shape_checks(const struct json_object *status, const char *sha);
/* An issue or pull request of a list. */
struct json_object *shape_listed(const struct json_object *issue);
/* The same of a pull request that was read by itself: with its head. */
struct json_object *shape_listed_pull(const struct json_object *pull);

#endif
