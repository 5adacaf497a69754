/* Keys that a mapping may not hold, and the nearest one that it may. */
#include <ctype.h>
#include <string.h>

#include "common/config/read.h"

/* Levenshtein; words of more than 63 letters are far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t len = strlen(b);
    if (len > 63 || strlen(a) > 63)
        return 64;
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t best = diagonal + (tolower((unsigned char)a[i - 1]) != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[len];
}

static void unknown_key(struct config_reading *reading, const struct config_field *fields,
                        const struct tree_node *node)
{
    const char *nearest = NULL;
    size_t least = strlen(node->key) / 3 + 2;
    struct buf known;
    buf_init(&known, 400);
    for (const struct config_field *field = fields; field->key != NULL; field++) {
        size_t far = distance(node->key, field->key);
        if (field->type == FIELD_LATER)
            continue;
        if (far < least) {
            least = far;
            nearest = field->key;
        }
        buf_addf(&known, "%s%s", known.len > 0 ? ", " : "", field->key);
    }
    if (nearest != NULL)
        config_key_problem(reading, node, "unknown key; did you mean %s?", nearest);
    else
        config_key_problem(reading, node, "unknown key; here may stand %s", buf_text(&known));
    buf_release(&known);
}

void config_keys(struct config_reading *reading, const struct config_field *fields,
                 const struct tree_node *map)
{
    for (const struct tree_node *node = map->first; node != NULL; node = node->next) {
        const struct config_field *field = fields;
        while (field->key != NULL && strcmp(field->key, node->key) != 0)
            field++;
        if (field->key == NULL)
            unknown_key(reading, fields, node);
        else if (field->type == FIELD_LATER)
            config_key_problem(reading, node, "%s", field->text);
    }
}
