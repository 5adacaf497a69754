/* Reads a spec file. */
#include "spec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the reader stands. `word` holds the last token; kinds: 'w' word, 'n' name, 's' SQL, 0 end.
 */
struct reader {
    const char *path; /* borrowed */
    char *text;       /* owned */
    const char *at;
    int line;
    char kind;
    char *word; /* owned */
};

__attribute__((noreturn)) static void reader_fail(const struct reader *reader, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", reader->path, reader->line, what);
    exit(2);
}

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    char *text = NULL;
    size_t room = 0;
    ssize_t size = getdelim(&text, &room, '\0', file);
    fclose(file);
    if (size < 0) {
        fprintf(stderr, "%s: empty\n", path);
        exit(2);
    }
    return text;
}

static void reader_skip(struct reader *reader)
{
    for (;; reader->at++) {
        if (*reader->at == '#')
            reader->at += strcspn(reader->at, "\n");
        if (*reader->at == '\n')
            reader->line++;
        if (*reader->at == '\0' || !isspace((unsigned char)*reader->at))
            return;
    }
}

/* The end of a braced text: braces inside (JSON, arrays) balance. */
static const char *reader_brace(struct reader *reader)
{
    int depth = 0;
    for (const char *at = reader->at; *at != '\0'; at++) {
        if (*at == '\n')
            reader->line++;
        if (*at == '{')
            depth++;
        if (*at == '}' && --depth == 0)
            return at;
    }
    reader_fail(reader, "a brace is not closed");
}

/* Reads the next token into reader->word and says its kind. */
static char reader_next(struct reader *reader)
{
    const char *end;
    free(reader->word);
    reader->word = NULL;
    reader_skip(reader);
    const char *from = reader->at + 1;
    switch (*reader->at) {
    case '\0':
        return reader->kind = 0;
    case '"':
        end = strchr(from, '"');
        if (end == NULL)
            reader_fail(reader, "a name is not closed");
        reader->kind = 'n';
        break;
    case '{':
        end = reader_brace(reader);
        reader->kind = 's';
        break;
    default:
        from = reader->at;
        end = from + strcspn(from, " \t\n\"{#");
        reader->kind = 'w';
    }
    reader->word = strndup(from, (size_t)(end - from));
    reader->at = reader->kind == 'w' ? end : end + 1;
    return reader->kind;
}

static char *reader_take(struct reader *reader, char kind, const char *what)
{
    if (reader_next(reader) != kind)
        reader_fail(reader, what);
    char *word = reader->word;
    reader->word = NULL;
    return word;
}

static char *reader_sql(struct reader *reader)
{
    return reader_take(reader, 's', "expected { SQL }");
}

static char *reader_name(struct reader *reader)
{
    return reader_take(reader, 'n', "expected a \"name\"");
}

static void read_setup(struct spec *spec, struct reader *reader)
{
    if (spec->session_count > 0)
        spec->sessions[spec->session_count - 1].setup = reader_sql(reader);
    else
        spec->setup = reader_sql(reader);
}

/* Reads a session's head; the token after it is the reader's next. */
static void read_session(struct spec *spec, struct reader *reader)
{
    if (spec->session_count == SPEC_SESSIONS)
        reader_fail(reader, "too many sessions");
    struct spec_session *session = &spec->sessions[spec->session_count++];
    session->name = reader_name(reader);
    const char *back = reader->at;
    int line = reader->line;
    if (reader_next(reader) == 'w' && strcmp(reader->word, "as") == 0) {
        session->role = reader_name(reader);
        return;
    }
    reader->at = back;
    reader->line = line;
}

static void read_step(struct spec *spec, struct reader *reader)
{
    if (spec->session_count == 0 || spec->step_count == SPEC_STEPS)
        reader_fail(reader, "a step without a session, or too many");
    struct spec_step *step = &spec->steps[spec->step_count++];
    step->session = spec->session_count - 1;
    step->name = reader_name(reader);
    while (reader_next(reader) == 'w') {
        if (strcmp(reader->word, "allow") == 0)
            step->allow = reader_name(reader);
        else if (strcmp(reader->word, "nowait") == 0)
            step->nowait = true;
        else
            reader_fail(reader, "expected allow, nowait or { SQL }");
    }
    if (reader->kind != 's')
        reader_fail(reader, "expected { SQL }");
    step->sql = reader->word;
    reader->word = NULL;
}

static void read_expect(struct spec *spec, struct reader *reader)
{
    if (spec->expect_count == SPEC_EXPECTS)
        reader_fail(reader, "too many expectations");
    struct spec_expect *expect = &spec->expects[spec->expect_count++];
    expect->name = reader_name(reader);
    expect->sql = reader_sql(reader);
}

static struct spec_order *order_add(struct spec *spec)
{
    if ((spec->order_count & (spec->order_count + 1)) == 0 || spec->orders == NULL) {
        size_t room = (size_t)(spec->order_count + 1) * 2;
        spec->orders = realloc(spec->orders, room * sizeof *spec->orders);
        if (spec->orders == NULL)
            abort();
    }
    struct spec_order *order = &spec->orders[spec->order_count++];
    memset(order, 0, sizeof *order);
    order->rounds = 1;
    return order;
}

static int step_find(const struct spec *spec, const struct reader *reader, const char *name)
{
    for (int i = 0; i < spec->step_count; i++)
        if (strcmp(spec->steps[i].name, name) == 0)
            return i;
    reader_fail(reader, "an order names a step that does not exist");
}

/* Reads the names of an order; the word after them stays in the reader. */
static void read_order(struct spec *spec, struct reader *reader, bool race)
{
    struct spec_order *order = order_add(spec);
    order->race = race;
    while (reader_next(reader) == 'n') {
        if (order->count == SPEC_STEPS)
            reader_fail(reader, "too many steps in an order");
        order->steps[order->count++] = step_find(spec, reader, reader->word);
    }
    if (race && reader->kind == 'w' && strcmp(reader->word, "rounds") == 0) {
        char *rounds = reader_take(reader, 'w', "expected a number of rounds");
        order->rounds = atoi(rounds);
        free(rounds);
        reader_next(reader);
    }
}

/* Puts the next step of every session in turn behind those in `order`, down to the last. */
static void interleave(struct spec *spec, const struct spec_order *order, const int *done)
{
    if (order->count == spec->step_count) {
        *order_add(spec) = *order;
        return;
    }
    for (int s = 0; s < spec->session_count && spec->order_count < SPEC_ORDERS; s++) {
        int seen = 0;
        for (int i = 0; i < spec->step_count; i++) {
            if (spec->steps[i].session != s || seen++ != done[s])
                continue;
            struct spec_order next = *order;
            int after[SPEC_SESSIONS];
            memcpy(after, done, sizeof after);
            after[s]++;
            next.steps[next.count++] = i;
            interleave(spec, &next, after);
        }
    }
}

static void read_all(struct spec *spec, struct reader *reader)
{
    reader_next(reader);
    while (reader->kind != 0) {
        const char *word = reader->kind == 'w' ? reader->word : "";
        bool race = strcmp(word, "race") == 0;
        if (race || strcmp(word, "order") == 0) {
            read_order(spec, reader, race);
            continue;
        }
        if (strcmp(word, "setup") == 0)
            read_setup(spec, reader);
        else if (strcmp(word, "teardown") == 0)
            spec->teardown = reader_sql(reader);
        else if (strcmp(word, "session") == 0)
            read_session(spec, reader);
        else if (strcmp(word, "step") == 0)
            read_step(spec, reader);
        else if (strcmp(word, "expect") == 0)
            read_expect(spec, reader);
        else
            reader_fail(reader, "expected setup, teardown, session, step, order, race or expect");
        reader_next(reader);
    }
}

void spec_load(struct spec *spec, const char *path)
{
    memset(spec, 0, sizeof *spec);
    spec->path = strdup(path);
    struct reader reader = {.path = spec->path, .text = file_text(path), .line = 1};
    reader.at = reader.text;
    read_all(spec, &reader);
    if (spec->step_count == 0 || spec->expect_count == 0)
        reader_fail(&reader, "a spec needs a step and an expectation");
    if (spec->order_count == 0) {
        spec->generated = true;
        struct spec_order none = {.rounds = 1};
        interleave(spec, &none, (int[SPEC_SESSIONS]){0});
    }
    free(reader.word);
    free(reader.text);
}

void spec_shuffle(struct spec *spec, unsigned seed)
{
    for (int i = spec->order_count - 1; i > 0; i--) {
        int other = rand_r(&seed) % (i + 1);
        struct spec_order kept = spec->orders[other];
        spec->orders[other] = spec->orders[i];
        spec->orders[i] = kept;
    }
}

void spec_release(struct spec *spec)
{
    for (int i = 0; i < spec->session_count; i++) {
        free(spec->sessions[i].name);
        free(spec->sessions[i].role);
        free(spec->sessions[i].setup);
    }
    for (int i = 0; i < spec->step_count; i++) {
        free(spec->steps[i].name);
        free(spec->steps[i].sql);
        free(spec->steps[i].allow);
    }
    for (int i = 0; i < spec->expect_count; i++) {
        free(spec->expects[i].name);
        free(spec->expects[i].sql);
    }
    free(spec->orders);
    free(spec->setup);
    free(spec->teardown);
    free(spec->path);
}
