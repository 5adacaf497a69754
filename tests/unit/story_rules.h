/* What must be true of what worker/forgejo/render writes of a story, whatever is in it; written
 * from what Forgejo acts on. For unit tests and the fuzz target. */
#ifndef FLEET_STORY_RULES_H
#define FLEET_STORY_RULES_H

#include <stdbool.h>
#include <string.h>

#include "common/text.h"
#include "worker/forgejo/marker.h"
#include "worker/forgejo/render.h"

/* The text behind what may stand where we wrote it: fences, our own HTML, links into Forgejo. */
static inline const char *story_skip(const char *at)
{
    static const char *const ours[] = {
        "<!-- agent-fleet:", "<details><summary>", "</details>", "</summary>", "<sub>", "</sub>"};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strncmp(at, ours[i], strlen(ours[i])) == 0)
            return at + strlen(ours[i]);
    }
    return NULL;
}

/* The first rule that a comment breaks; NULL for none. `calls`: one mention may begin it. */
static inline const char *story_rules(const char *text, size_t len, bool calls, const char *base)
{
    const char *body = strchr(text, '\n');

    if (strncmp(text, "<!-- agent-fleet:", 17) != 0 || body == NULL)
        return "no marker at its beginning";
    if (memchr(text + 4, '<', (size_t)(body - text - 4)) || body - text >= MARKER_SIZE)
        return "a marker that holds more";
    if (!text_is_utf8(text, len) || len > RENDER_MAX)
        return "not UTF-8, or too long";
    if (calls && strncmp(body, "\n@", 2) == 0)
        body += 2;
    for (const char *at = body; *at != '\0'; at++) {
        const char *next = *at == '<' ? story_skip(at) : NULL;
        if (next != NULL) {
            at = next - 1;
            continue;
        }
        if (*at == '@')
            return "a mention";
        if (*at == '<' &&
            strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/!?", at[1]) &&
            at[1] != '\0')
            return "HTML";
        if (*at == '#' && at[1] >= '0' && at[1] <= '9')
            return "a reference";
        if (strncmp(at, "](", 2) == 0 && strncmp(at + 2, base, strlen(base)) != 0)
            return "a link to elsewhere";
        if (strncmp(at, "![", 2) == 0)
            return "an image";
    }
    return NULL;
}

#endif
