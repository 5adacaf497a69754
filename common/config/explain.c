/* --explain-config: every key of the schema, for people. */
#include <stdio.h>
#include <string.h>

#include "common/config/read.h"
#include "common/config/schema.h"

/* "a|b" as "a or b". */
static void print_words(FILE *to, const char *words)
{
    for (const char *at = words; *at != '\0';) {
        size_t len = strcspn(at, "|");
        fprintf(to, "%s%.*s", at == words ? "" : " or ", (int)len, at);
        at += len + (at[len] == '|');
    }
}

static void print_type(FILE *to, const struct config_field *field)
{
    switch (field->type) {
    case FIELD_TEXT:
        if (field->one_of != NULL)
            print_words(to, field->one_of);
        else
            fprintf(to, "%s", field->flags & FIELD_PATH ? "path" : "text");
        break;
    case FIELD_INT:
    case FIELD_INT64:
        fprintf(to, "whole number, %lld to %lld", (long long)field->min, (long long)field->max);
        break;
    case FIELD_FLAG:
        fprintf(to, "true or false");
        break;
    case FIELD_TEXTS:
        fprintf(to, "list of ");
        print_words(to, field->one_of != NULL ? field->one_of : "texts");
        break;
    case FIELD_ITEMS:
        fprintf(to, "%s",
                field->flags & FIELD_PLAIN   ? "mapping of names to texts, never shown"
                : field->flags & FIELD_NAMED ? "mapping of names"
                                             : "list of mappings");
        break;
    case FIELD_GROUP:
    case FIELD_LATER:
        break;
    }
    if (field->flags & FIELD_REQUIRED)
        fprintf(to, ", required");
    else if (field->text != NULL)
        fprintf(to, ", default %s", field->text);
    else
        fprintf(to, ", no default");
    if (field->flags & (FIELD_SECRET | FIELD_URL))
        fprintf(to, ", never shown");
}

static void explain(FILE *to, const struct config_field *fields, const char *prefix)
{
    for (const struct config_field *field = fields; field->key != NULL; field++) {
        char path[200];
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix != '\0' ? "." : "", field->key);
        if (field->type == FIELD_LATER)
            continue;
        if (field->type != FIELD_GROUP) {
            fprintf(to, "%s: ", path);
            print_type(to, field);
            fprintf(to, "\n    %s\n", field->help);
        }
        if (field->type == FIELD_ITEMS)
            strncat(path, field->flags & FIELD_NAMED ? ".NAME" : "[]",
                    sizeof path - strlen(path) - 1);
        if (field->fields != NULL && !(field->flags & FIELD_PLAIN))
            explain(to, field->fields, path);
    }
}

void config_explain(FILE *to)
{
    fprintf(to,
            "Every value may be \"${NAME}\", from the environment, {file: PATH} or {credential: "
            "NAME}:\n"
            "the file NAME of $CREDENTIALS_DIRECTORY, else of /run/secrets, else of the folder\n"
            "credentials/server or credentials/worker beside the configuration; for ssh_key_path\n"
            "and known_hosts its path, for all others what it holds.\n\n");
    explain(to, config_fields, "");
}
