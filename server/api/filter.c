/* From query parameters to array literals, and back into the link of the next page. */
#include "server/api/filter.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/db.h"
#include "common/mem.h"
#include "common/text.h"
#include "server/api/value.h"

static void add_value(void *data, const char *part, size_t len)
{
    char *value = mem_strndup(part, len);
    db_array_text(data, value);
    free(value);
}

const char *filter_array(struct buf *out, const struct query *query, const char *name)
{
    db_array_begin(out);
    int count = query_each(query, name, add_value, out);
    db_array_end(out);
    return count > 0 ? buf_text(out) : NULL;
}

static void ignore_value(void *data, const char *part, size_t len)
{
    (void)data, (void)part, (void)len;
}

int filter_count(const struct query *query, const char *name)
{
    return query_each(query, name, ignore_value, NULL);
}

static bool is_word(const char *words, const char *value, size_t len)
{
    for (const char *at = words; *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (word == len && memcmp(at, value, len) == 0)
            return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

struct spelling {
    const char *words; /* borrowed */
    char *wrong;       /* borrowed */
};

static void check_value(void *data, const char *part, size_t len)
{
    struct spelling *spelling = data;
    if (spelling->wrong[0] != '\0' || is_word(spelling->words, part, len))
        return;
    char *value = mem_strndup(part, len);
    snprintf(spelling->wrong, 65, "%.*s", (int)text_cut(value, 64), value);
    free(value);
}

bool filter_misspelt(const struct query *query, const char *name, const char *words, char wrong[65])
{
    struct spelling spelling = {words, wrong};
    wrong[0] = '\0';
    query_each(query, name, check_value, &spelling);
    return wrong[0] != '\0';
}

void filter_encode(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL))
            buf_add(out, text, 1);
        else
            buf_addf(out, "%%%02X", byte);
    }
}

void filter_next_query(struct buf *out, const struct query *query, const char *cursor)
{
    for (int i = 0; i < query->count; i++) {
        if (strcmp(query->items[i].name, "cursor") == 0)
            continue;
        filter_encode(out, query->items[i].name);
        buf_adds(out, "=");
        filter_encode(out, query->items[i].value);
        buf_adds(out, "&");
    }
    buf_adds(out, "cursor=");
    filter_encode(out, cursor);
}
