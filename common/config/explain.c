/* --explain-config: every key of the schema, for people, for the guide and for the manual page. A
 * group begins in the first column, a key in the third, its facts go on in the fifth and its text
 * stands in the seventh. */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/config/read.h"
#include "common/config/schema.h"

#define COLUMNS 100
#define FACTS_MAX 4096

/* Prints text from column `at` on, and goes on in column `indent` where a line is full. */
static void print_wrapped(FILE *to, const char *text, size_t at, size_t indent)
{
    for (bool first = true; *text != '\0'; first = false) {
        size_t word = strcspn(text, " ");
        if (!first && at + 1 + word > COLUMNS) {
            fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', to);
            at++;
        }
        fprintf(to, "%.*s", (int)word, text);
        at += word;
        text += word + (text[word] == ' ');
    }
    fputc('\n', to);
}

/* "a|b" as "a or b", with what stands between. */
static void add_words(struct buf *facts, const char *words, const char *between)
{
    for (const char *at = words; *at != '\0';) {
        size_t len = strcspn(at, "|");
        buf_addf(facts, "%s%.*s", at == words ? "" : between, (int)len, at);
        at += len + (at[len] == '|');
    }
}

static void add_type(struct buf *facts, const struct config_field *field)
{
    switch (field->type) {
    case FIELD_TEXT:
        if (field->one_of != NULL)
            add_words(facts, field->one_of, " or ");
        else
            buf_adds(facts, field->flags & FIELD_PATH ? "path" : "text");
        if (field->one_of == NULL && field->max > 0)
            buf_addf(facts, " of at most %lld bytes", (long long)field->max);
        break;
    case FIELD_INT:
    case FIELD_INT64:
        buf_addf(facts, "whole number (%s), %lld to %lld", field->unit, (long long)field->min,
                 (long long)field->max);
        break;
    case FIELD_FLAG:
        buf_adds(facts, "true or false");
        break;
    case FIELD_TEXTS:
        buf_adds(facts, "list of ");
        add_words(facts, field->one_of != NULL ? field->one_of : "texts", ", ");
        if (field->max > 0)
            buf_addf(facts, " of at most %lld bytes", (long long)field->max);
        break;
    case FIELD_ITEMS:
        buf_adds(facts, field->flags & FIELD_PLAIN   ? "mapping of names to texts"
                        : field->flags & FIELD_NAMED ? "mapping of names"
                                                     : "list of mappings");
        if (field->max > 0)
            buf_addf(facts, ", at most %lld", (long long)field->max);
        break;
    case FIELD_GROUP:
    case FIELD_LATER:
        break;
    }
}

static void add_rest(struct buf *facts, const struct config_field *field)
{
    if (field->flags & FIELD_REQUIRED)
        buf_adds(facts, "; required");
    else if (field->text != NULL)
        buf_addf(facts, "; default %s", field->text);
    else
        buf_adds(facts, "; no default");
    if (field->flags & (FIELD_SECRET | FIELD_URL | FIELD_PLAIN))
        buf_adds(facts, "; never shown");
    if (field->flags & FIELD_SERVER_ONLY)
        buf_adds(facts, "; read by servers only");
    if (field->flags & FIELD_WORKER_ONLY)
        buf_adds(facts, "; read by workers only");
    if (field->flags & FIELD_RESTART)
        buf_adds(facts, "; needs a restart");
}

static void explain_key(FILE *to, const struct config_field *field, const char *path)
{
    struct buf facts;
    buf_init(&facts, FACTS_MAX);
    add_type(&facts, field);
    add_rest(&facts, field);
    fprintf(to, "  %s: ", path);
    print_wrapped(to, facts.data, strlen(path) + 4, 4);
    fprintf(to, "      ");
    print_wrapped(to, field->help, 6, 6);
    buf_release(&facts);
}

static void explain(FILE *to, const struct config_field *fields, const char *prefix)
{
    for (const struct config_field *field = fields; field->key != NULL; field++) {
        bool top = *prefix == '\0';
        char path[200];
        snprintf(path, sizeof path, "%s%s%s", prefix, top ? "" : ".", field->key);
        if (field->type == FIELD_LATER)
            continue;
        if (top)
            fprintf(to, "\n%s: %s\n", field->key, field->about);
        if (field->type != FIELD_GROUP)
            explain_key(to, field, path);
        if (field->type == FIELD_ITEMS)
            strncat(path, field->flags & FIELD_NAMED ? ".NAME" : "[]",
                    sizeof path - strlen(path) - 1);
        if (field->fields != NULL && !(field->flags & FIELD_PLAIN))
            explain(to, field->fields, path);
    }
}

void config_explain(FILE *to)
{
    fprintf(
        to,
        "A value is written as it is, or as \"${NAME}\", from the environment, {file: PATH} or\n"
        "{credential: NAME}: the file NAME of $CREDENTIALS_DIRECTORY, else of /run/secrets, else "
        "of\n"
        "the folder credentials/server or credentials/worker beside the configuration; for\n"
        "ssh_key_path and known_hosts its path, for all others what it holds. A text has at most\n"
        "1024 bytes where nothing else is said, a list 1000 entries. The file is read again on\n"
        "SIGHUP; what needs a restart says so.\n");
    explain(to, config_fields, "");
}
