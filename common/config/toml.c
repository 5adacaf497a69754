/* A TOML file, or a line of one: answered with the YAML form. */
#include <ctype.h>
#include <string.h>

#include "common/config/read.h"

#define KEY_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

struct line {
    const char *text; /* borrowed, without indent */
    size_t len;       /* without white space at the end */
    size_t number, column;
};

/* The next line that is neither empty nor a comment. */
static bool next_line(const char *bytes, size_t len, size_t *at, struct line *line)
{
    while (*at < len) {
        const char *start = bytes + *at;
        const char *end = memchr(start, '\n', len - *at);
        size_t size = end != NULL ? (size_t)(end - start) : len - *at;
        *at += size + 1;
        line->number++;
        size_t indent = 0;
        while (indent < size && (start[indent] == ' ' || start[indent] == '\t'))
            indent++;
        while (size > indent && isspace((unsigned char)start[size - 1]))
            size--;
        *line = (struct line){start + indent, size - indent, line->number, indent + 1};
        if (line->len > 0 && line->text[0] != '#')
            return true;
    }
    return false;
}

static size_t key_length(const char *text, size_t len)
{
    size_t key = 0;
    while (key < len && text[key] != '\0' && strchr(KEY_CHARS, text[key]) != NULL)
        key++;
    return key;
}

/* "[name]" or "[[name]]", maybe with a comment. */
static bool is_section(const struct line *line, const char **name, size_t *name_len, bool *array)
{
    size_t open = line->len > 1 && line->text[0] == '[' ? (line->text[1] == '[' ? 2 : 1) : 0;
    if (open == 0)
        return false;
    *array = open == 2;
    *name = line->text + open;
    *name_len = key_length(*name, line->len - open);
    size_t end = open + *name_len;
    if (*name_len == 0 || line->len - end < open || memcmp(line->text + end, "]]", open) != 0)
        return false;
    end += open;
    while (end < line->len && (line->text[end] == ' ' || line->text[end] == '\t'))
        end++;
    return end == line->len || line->text[end] == '#';
}

/* "key = value"; *value is the offset of the value. */
static bool is_assignment(const struct line *line, size_t *key_len, size_t *value)
{
    *key_len = key_length(line->text, line->len);
    size_t at = *key_len;
    while (at < line->len && (line->text[at] == ' ' || line->text[at] == '\t'))
        at++;
    if (*key_len == 0 || at + 1 >= line->len || line->text[at] != '=' || line->text[at + 1] == '=')
        return false;
    do
        at++;
    while (line->text[at] == ' ' || line->text[at] == '\t');
    *value = at;
    return true;
}

/* Values of such keys are not repeated: the answer lands in logs. */
static bool is_secret(const char *key, size_t len)
{
    static const char *const words[] = {"secret", "token", "password", "url", "key"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (memmem(key, len, words[i], strlen(words[i])) != NULL)
            return true;
    }
    return false;
}

static void add_assignment(struct buf *form, const struct line *line, size_t key_len, size_t value)
{
    const char *dot = memrchr(line->text, '.', key_len);
    const char *key = dot != NULL ? dot + 1 : line->text;
    key_len -= (size_t)(key - line->text);
    buf_addf(form, "%.*s: ", (int)key_len, key);
    if (is_secret(key, key_len)) {
        buf_adds(form, "\"${");
        for (size_t i = 0; i < key_len; i++)
            buf_addf(form, "%c", key[i] == '-' ? '_' : toupper((unsigned char)key[i]));
        buf_adds(form, "}\"");
        return;
    }
    bool table = line->text[value] == '{';
    for (size_t at = value; at < line->len && form->len < 200; at++) {
        bool equals = table && line->len - at >= 3 && memcmp(line->text + at, " = ", 3) == 0;
        buf_add(form, equals ? ": " : line->text + at, equals ? 2 : 1);
        at += equals ? 2 : 0;
    }
}

/* The YAML form of a TOML line; false when it is none. */
static bool yaml_form(const struct line *line, struct buf *form)
{
    const char *name;
    size_t len, value;
    bool array;
    if (is_section(line, &name, &len, &array)) {
        const char *dot = memrchr(name, '.', len);
        if (dot != NULL)
            buf_addf(form, "(under %.*s) ", (int)(dot - name), name);
        const char *last = dot != NULL ? dot + 1 : name;
        buf_addf(form, "%.*s:%s", (int)(len - (size_t)(last - name)), last,
                 array ? " with one \"- \" entry for each of these" : "");
        return true;
    }
    if (!is_assignment(line, &len, &value))
        return false;
    add_assignment(form, line, len, value);
    return true;
}

static bool answer(struct config_reading *reading, const struct line *line)
{
    struct buf form;
    buf_init(&form, 400);
    bool toml = yaml_form(line, &form);
    if (toml)
        config_problem_at(reading, line->number, line->column, "",
                          "this is TOML, the configuration is YAML; write this line as: %s",
                          buf_text(&form));
    buf_release(&form);
    return toml;
}

bool config_toml(struct config_reading *reading, const char *bytes, size_t len, size_t where)
{
    size_t at = 0;
    bool whole = false; /* the file begins as TOML */
    bool found = false;
    bool first = true;
    struct line line = {0};
    while (next_line(bytes, len, &at, &line)) {
        bool near = where > 0 && (line.number == where || line.number + 1 == where);
        if (first || whole || near) {
            bool toml = answer(reading, &line);
            whole = whole || (first && toml);
            found = found || toml;
        }
        first = false;
    }
    return found;
}
