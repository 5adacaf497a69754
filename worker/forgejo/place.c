/* Addresses of what a story tells of. */
#include "worker/forgejo/place.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/forgejo/client.h"

#define BASE_MAX 1024
#define PART_MAX 256 /* of a branch's name, between slashes */

static bool is_address(const char *url)
{
    bool http = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;

    for (const char *at = url; *at != '\0'; at++) {
        if (!isgraph((unsigned char)*at) || strchr("<>()[]\"'`\\", *at) != NULL)
            http = false;
    }
    return http && strlen(url) < BASE_MAX;
}

/* Below the repository; "" where there is no address. */
static void repo_url(struct buf *out, const struct json_object *story)
{
    const char *url = json_string(story, "url", "");
    size_t len = strlen(url);
    struct buf path;

    buf_init(&path, PLACE_MAX);
    while (len > 0 && url[len - 1] == '/')
        len--;
    if (is_address(url) && forgejo_path(&path, "/%r", json_string(story, "repo", "")))
        buf_addf(out, "%.*s%s", (int)len, url, buf_text(&path));
    buf_release(&path);
}

void place_numbered(struct buf *out, const struct json_object *story, const char *kind,
                    int64_t number)
{
    size_t before = out->len;

    repo_url(out, story);
    if (out->len > before)
        buf_addf(out, "/%s/%" PRId64, kind, number);
}

void place_branch(struct buf *out, const struct json_object *story, const char *branch)
{
    struct buf path;
    char part[PART_MAX];
    size_t len;
    bool fits = *branch != '\0';

    buf_init(&path, PLACE_MAX);
    for (; fits && *branch != '\0'; branch += len + (branch[len] == '/')) {
        len = strcspn(branch, "/");
        fits = len < sizeof part;
        if (fits) {
            snprintf(part, sizeof part, "%.*s", (int)len, branch);
            buf_adds(&path, "/");
            struct buf word;
            buf_init(&word, PLACE_MAX);
            fits = forgejo_path(&word, "%s", part);
            buf_adds(&path, buf_text(&word));
            buf_release(&word);
        }
    }
    size_t before = out->len;
    if (fits && !path.failed)
        repo_url(out, story);
    if (out->len > before)
        buf_addf(out, "/src/branch%s", buf_text(&path));
    buf_release(&path);
}

void place_link(struct buf *out, const char *text, const struct buf *url)
{
    if (url->len > 0)
        buf_addf(out, "[%s](%s)", text, buf_text(url));
    else
        buf_adds(out, text);
}
