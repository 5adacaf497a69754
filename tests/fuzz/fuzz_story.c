/* Whatever a story holds, what is written of it to Forgejo keeps the rules. The input is a story's
 * JSON; each text in it is foreign. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/story_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE "https://git.example.org/"

static void hold(const char *broken, const struct buf *out)
{
    if (broken == NULL && strstr(buf_text(out), "s3cret;word") == NULL)
        return;
    fprintf(stderr, "%s:\n%s\n", broken != NULL ? broken : "a secret", buf_text(out));
    abort();
}

static void all_of(const struct json_object *story)
{
    static const char *const own[] = {"s3cret;word"};
    static const struct redact_words secrets = {own, 1};
    struct buf out;

    buf_init(&out, 2 * RENDER_MAX);
    render_comment(&out, story, &secrets);
    hold(story_rules(buf_text(&out), out.len, false, BASE), &out);
    buf_clear(&out);
    render_call(&out, story, &secrets);
    hold(story_rules(buf_text(&out), out.len, true, BASE), &out);
    buf_clear(&out);
    render_pull_title(&out, story, &secrets);
    hold(strpbrk(buf_text(&out), "@\r\n") != NULL || out.len > RENDER_TITLE_MAX ? "a title" : NULL,
         &out);
    buf_clear(&out);
    render_status(&out, story);
    if (out.len > RENDER_STATUS_MAX || strpbrk(buf_text(&out), "@\r\n") != NULL)
        hold("a description", &out);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct json_object *story = json_parse((const char *)data, size, &err);

    if (story == NULL)
        return 0;
    if (json_object_is_type(story, json_type_object)) {
        json_object_object_add(story, "url", json_object_new_string(BASE));
        all_of(story);
    }
    json_object_put(story);
    return 0;
}
