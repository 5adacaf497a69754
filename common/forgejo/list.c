/* A list of Forgejo's API, page after page.
 *
 * Where it ends is hard to know. Link is made of the address that the server believes to have. The
 * size of a page may be lower than what was asked for. Some lists are not paged and give the same
 * whole again for each page. X-Total-Count counts the whole list, but in a timeline what came on
 * this page, whose pages are also short wherever something was not for us to see. And texts without
 * a limit may make a page too large to be read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/forgejo/internal.h"
#include "common/mem.h"

#define BYTES_MAX ((size_t)32 << 20) /* of all pages */
#define BIG_MAX 3                    /* items in a row that are too large: then it is no list */

struct listing {
    struct forgejo *forgejo; /* borrowed */
    char *path;              /* owned */
    size_t max;
    forgejo_shape_cb shape; /* NULL: items are kept as they come */
    forgejo_done_cb done;
    void *data;                /* borrowed, for done */
    size_t count;              /* items that came; some may not have been kept */
    struct json_object *items; /* owned; those that are kept */
    struct json_object *page;  /* owned; the last one */
    int full;                  /* items of a page, as a rule */
    int limit;                 /* of the page that is asked for */
    size_t skip;               /* items before the page that is asked for; limit divides it */
    size_t bytes;              /* of the pages so far */
    int big;                   /* items in a row that were too large */
    bool timeline;             /* only an empty page ends it */
};

static void ask_page(struct listing *listing);

static void listing_begin(struct listing *listing)
{
    int64_t size = listing->forgejo->page_size;

    listing->full = size > 0 && size < FORGEJO_PAGE ? (int)size : FORGEJO_PAGE;
    listing->limit = listing->full;
    ask_page(listing);
}

static void listing_end(struct listing *listing, struct forgejo_answer *answer)
{
    listing->done(listing->data, answer);
    json_object_put(listing->items);
    json_object_put(listing->page);
    free(listing->path);
    free(listing);
}

static void listing_done(struct listing *listing, int status, bool more)
{
    size_t count = json_object_array_length(listing->items);
    struct forgejo_answer answer = {.verdict = FORGEJO_OK,
                                    .status = status,
                                    .json = listing->items,
                                    .retry_secs = -1,
                                    .more = more || listing->count > listing->max};

    if (count > listing->max)
        json_object_array_del_idx(listing->items, listing->max, count - listing->max);
    listing_end(listing, &answer);
}

/* The size of the next page: the largest that `skip` is a multiple of, but below `than`. */
static int page_below(const struct listing *listing, int than)
{
    static const int smaller[] = {10, 1};

    if (listing->full < than && listing->skip % (size_t)listing->full == 0)
        return listing->full;
    for (size_t i = 0; i < sizeof smaller / sizeof *smaller; i++) {
        if (smaller[i] < than && smaller[i] < listing->full &&
            listing->skip % (size_t)smaller[i] == 0)
            return smaller[i];
    }
    return 1;
}

/* Asks for fewer at once, in the end for one; one alone that is too large is left out. Where the
 * server's own size is not known it cannot be said how many came before. */
static void ask_less(struct listing *listing, struct forgejo_answer *answer)
{
    bool known = listing->forgejo->page_size > 0 || listing->skip == 0 || listing->limit == 1;

    if (!known || (listing->limit == 1 && ++listing->big > BIG_MAX)) {
        listing_end(listing, answer);
        return;
    }
    if (listing->limit == 1)
        listing->skip++;
    else
        listing->limit = page_below(listing, listing->limit);
    ask_page(listing);
}

/* Is what was read the whole? The last items came in a page of `came`. */
static bool is_end(const struct listing *listing, size_t came, int64_t total)
{
    int64_t size = listing->forgejo->page_size;

    if (listing->timeline)
        return false;
    if (total >= 0)
        return listing->count >= (size_t)total;
    return size > 0 && came < (size_t)listing->limit;
}

static void keep(struct listing *listing, struct json_object *item)
{
    struct json_object *kept =
        listing->shape != NULL ? listing->shape(item) : json_object_get(item);

    listing->count++;
    if (kept)
        json_object_array_add(listing->items, kept);
}

static void take_page(struct listing *listing, struct json_object *page, int status, int64_t total)
{
    size_t came = json_object_array_length(page);
    bool again = listing->page && json_object_equal(listing->page, page);

    if (came == 0 || again) {
        listing_done(listing, status, false);
        return;
    }
    for (size_t i = 0; i < came; i++)
        keep(listing, json_object_array_get_idx(page, i));
    json_object_put(listing->page);
    listing->page = json_object_get(page);
    if (came > (size_t)listing->limit || is_end(listing, came, total)) {
        listing_done(listing, status, false);
    } else if (listing->count >= listing->max || listing->bytes > BYTES_MAX) {
        listing_done(listing, status, true);
    } else {
        listing->skip += (size_t)listing->limit;
        listing->limit = page_below(listing, FORGEJO_PAGE + 1);
        ask_page(listing);
    }
}

static void on_page(void *data, const struct fetch_answer *http)
{
    struct listing *listing = data;
    struct forgejo_answer answer;
    struct json_object *page;

    forgejo_judge(listing->forgejo, &answer, http, "GET", listing->path, true);
    page = answer.json ? answer.json : json_object_new_array();
    if (answer.verdict == FORGEJO_OK && json_object_is_type(page, json_type_array)) {
        listing->bytes += listing->shape != NULL ? 0 : http->len;
        listing->big = 0;
        take_page(listing, page, http->status, http->total);
    } else if (http->status == 0 && strcmp(http->error.state, "big") == 0) {
        ask_less(listing, &answer);
    } else {
        if (answer.verdict == FORGEJO_OK) {
            answer.verdict = FORGEJO_GARBLED;
            snprintf(answer.text, sizeof answer.text, "%.200s: no list", listing->path);
        }
        answer.json = NULL;
        listing_end(listing, &answer);
    }
    json_object_put(page);
}

static void ask_page(struct listing *listing)
{
    char *path = mem_printf("/api/v1%s%cpage=%zu&limit=%d", listing->path,
                            strchr(listing->path, '?') ? '&' : '?',
                            listing->skip / (size_t)listing->limit + 1, listing->limit);
    struct fetch_request request = {
        .method = "GET", .path = path, .authorization = listing->forgejo->authorization};

    fetch_send(listing->forgejo->fetch, &request, on_page, listing);
    free(path);
}

/* Whatever comes of it, the list is read: an unknown size only costs a page more at its end. */
static void on_settings(void *data, const struct forgejo_answer *answer)
{
    struct listing *listing = data;
    int64_t size = json_int(answer->json, "max_response_items", -1);

    if (answer->verdict != FORGEJO_AWAY)
        listing->forgejo->page_size = size > 0 ? size : -1;
    listing_begin(listing);
}

void forgejo_list(struct forgejo *forgejo, const char *path, size_t max_items, forgejo_done_cb done,
                  void *data)
{
    forgejo_list_shaped(forgejo, path, max_items, NULL, done, data);
}

void forgejo_list_shaped(struct forgejo *forgejo, const char *path, size_t max_items,
                         forgejo_shape_cb shape, forgejo_done_cb done, void *data)
{
    struct listing *listing = mem_alloc(sizeof *listing);
    size_t end = strcspn(path, "?");
    static const char timeline[] = "/timeline";

    *listing = (struct listing){.forgejo = forgejo,
                                .path = mem_strdup(path),
                                .max = max_items,
                                .shape = shape,
                                .done = done,
                                .data = data,
                                .items = json_object_new_array()};
    listing->timeline = end >= strlen(timeline) &&
                        strncmp(path + end - strlen(timeline), timeline, strlen(timeline)) == 0;
    if (forgejo->page_size == 0)
        forgejo_call(forgejo, "GET", "/settings/api", NULL, false, on_settings, listing);
    else
        listing_begin(listing);
}
