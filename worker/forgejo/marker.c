/* The marker of our comments: made, and found. */
#include "worker/forgejo/marker.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define MARKER_BEGIN "<!-- agent-fleet:"
#define WORD_MAX 80

static void word(char to[WORD_MAX], const char *from)
{
    size_t len = 0;

    for (; from != NULL && *from != '\0' && len + 1 < WORD_MAX; from++) {
        unsigned char c = (unsigned char)*from;
        if (islower(c) || isdigit(c) || c == '.')
            to[len++] = (char)c;
    }
    to[len] = '\0';
}

void marker_make(char text[MARKER_SIZE], const char *fleet, const char *what)
{
    char whose[WORD_MAX], which[WORD_MAX];

    word(whose, fleet);
    word(which, what);
    snprintf(text, MARKER_SIZE, MARKER_BEGIN "%s%s%s -->", whose, which[0] != '\0' ? " " : "",
             which);
}

struct json_object *marker_shape(const struct json_object *item)
{
    const char *body = json_string(item, "body", "");
    struct json_object *kept, *user;

    if (strcmp(json_string(item, "type", ""), "comment") != 0 ||
        strncmp(body, MARKER_BEGIN, strlen(MARKER_BEGIN)) != 0)
        return NULL;
    kept = json_object_new_object();
    user = json_object_new_object();
    json_object_object_add(user, "id",
                           json_object_new_int64(json_int(json_member(item, "user"), "id", 0)));
    json_object_object_add(kept, "id", json_object_new_int64(json_int(item, "id", 0)));
    json_object_object_add(kept, "user", user);
    json_object_object_add(kept, "body",
                           json_object_new_string_len(body, (int)text_cut(body, MARKER_SIZE)));
    return kept;
}

static bool is_ours(const struct json_object *comment, const char *marker, int64_t user_id)
{
    const char *body = json_string(comment, "body", "");

    return user_id > 0 && json_int(json_member(comment, "user"), "id", 0) == user_id &&
           strncmp(body, marker, strlen(marker)) == 0;
}

static int by_id(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static bool is_known(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

size_t marker_find(const struct json_object *comments, const char *marker, int64_t user_id,
                   int64_t *ids, size_t max)
{
    size_t count = 0, len = 0;

    if (json_object_is_type(comments, json_type_array))
        len = json_object_array_length(comments);
    for (size_t i = 0; i < len && count < max; i++) {
        const struct json_object *comment = json_object_array_get_idx(comments, i);
        int64_t id = json_int(comment, "id", 0);
        if (id > 0 && is_ours(comment, marker, user_id) && !is_known(ids, count, id))
            ids[count++] = id;
    }
    qsort(ids, count, sizeof *ids, by_id);
    return count;
}
