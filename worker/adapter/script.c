/* The job script: how an agent's command gets onto the host without any value becoming code. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "worker/adapter/template.h"

#define UUID_LEN 36

/* --- The session --- */

static bool resumes(const struct adapter_template *template, const struct adapter_values *values)
{
    bool can =
        template->builtin != NULL || (template->resume != NULL && template->resume->count > 0);
    return can && values->session != NULL && adapter_session_valid(values->session);
}

/* A UUID of version 4 (RFC 4122 4.4), always the same one for a run. */
static void choose_session(const char *nonce, char id[static UUID_LEN + 1])
{
    char digits[33];
    id[0] = '\0';
    if (nonce == NULL || strspn(nonce, "0123456789abcdef") != 32 || nonce[32] != '\0')
        return;
    memcpy(digits, nonce, sizeof digits);
    digits[12] = '4';
    digits[16] = "89ab"[(digits[16] >= 'a' ? digits[16] - 'a' + 10 : digits[16] - '0') % 4];
    snprintf(id, UUID_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12,
             digits + 16, digits + 20);
}

/* --- Words --- */

/* What a placeholder stands for: a value, or a variable that only the host can fill in. */
struct placeholder {
    const char *name, *value, *variable;
};

static const struct placeholder *find_placeholder(const struct placeholder *known, const char *text)
{
    for (; known->name != NULL; known++) {
        if (strncmp(text, known->name, strlen(known->name)) == 0)
            return known;
    }
    return NULL;
}

/* Adds what was gathered as one quoted piece of a word. */
static void add_piece(struct buf *out, struct buf *text)
{
    if (text->len > 0)
        text_shell_quote(out, buf_text(text));
    out->failed = out->failed || text->failed;
    buf_clear(text);
}

static void add_word(struct script *script, const char *word, size_t len)
{
    const struct adapter_values *values = script->values;
    const char *model = script->template->model;
    const struct placeholder known[] = {{"{work_dir}", values->work_dir, NULL},
                                        {"{task_id}", values->task_id, NULL},
                                        {"{branch}", values->branch, NULL},
                                        {"{run_dir}", values->run_dir, NULL},
                                        {"{model}", model, NULL},
                                        {"{session}", script->session, NULL},
                                        {"{workspace}", NULL, "PWD"},
                                        {"{prompt_file}", NULL, "FLEET_PROMPT_FILE"},
                                        {0}};
    struct buf text;
    buf_init(&text, script->out->max);
    size_t before = script->out->len;
    for (const char *end = word + len; word < end;) {
        const struct placeholder *found = *word == '{' ? find_placeholder(known, word) : NULL;
        if (found == NULL) {
            buf_add(&text, word++, 1);
            continue;
        }
        word += strlen(found->name);
        if (found->variable == NULL) {
            buf_adds(&text, found->value != NULL ? found->value : "");
            continue;
        }
        add_piece(script->out, &text);
        buf_addf(script->out, "\"$%s\"", found->variable);
        script->prompt_file |= strcmp(found->name, "{prompt_file}") == 0;
    }
    add_piece(script->out, &text);
    buf_adds(script->out, script->out->len == before ? "''" : "");
    buf_release(&text);
}

void script_words(struct script *script, const struct config_list *words)
{
    for (size_t i = 0; i < words->count; i++) {
        buf_adds(script->out, " ");
        add_word(script, words->items[i], strlen(words->items[i]));
    }
}

/* --- Phrases of what is built in --- */

static bool is_said(const struct script *script, unsigned when)
{
    unsigned holds = script->template->full ? WHEN_FULL : WHEN_SANDBOXED;
    holds |= script->resumed ? WHEN_RESUMED : WHEN_FIRST;
    holds |= script->template->model != NULL ? WHEN_MODEL : 0;
    return (when & ~(holds | WHEN_ROOT)) == 0;
}

static void add_phrases(struct script *script, const struct template_phrase *phrase)
{
    for (; phrase->words != NULL; phrase++) {
        const char *word = phrase->words;
        for (size_t len; is_said(script, phrase->when) && *word != '\0'; word += len) {
            word += *word == ' ';
            len = strcspn(word, " ");
            buf_adds(script->out, " ");
            add_word(script, word, len);
        }
    }
}

static bool is_given(const struct adapter_template *template, const char *name, size_t len)
{
    for (size_t i = 0; i < template->env_count; i++) {
        const char *given = template->env[i].name;
        if (strncmp(given, name, len) == 0 && given[len] == '\0')
            return true;
    }
    return false;
}

/* What the configuration gives wins. */
static void add_variables(struct script *script, const struct template_phrase *phrase)
{
    for (; phrase->words != NULL; phrase++) {
        size_t len = strcspn(phrase->words, "=");
        if (!is_said(script, phrase->when) || is_given(script->template, phrase->words, len))
            continue;
        if ((phrase->when & WHEN_ROOT) != 0)
            buf_adds(script->out, "[ \"$(id -u)\" != 0 ] || ");
        buf_addf(script->out, "export %.*s=", (int)len, phrase->words);
        add_word(script, phrase->words + len + 1, strlen(phrase->words) - len - 1);
        buf_adds(script->out, "\n");
    }
}

/* --- The whole --- */

static void add_export(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(out, "export %s=", name);
    text_shell_quote(out, value);
    buf_adds(out, "\n");
}

void adapter_environment(struct buf *out, const struct adapter_template *template)
{
    buf_adds(out, template->env_count > 0 ? "rm -f -- \"$0\"\n" : "");
    for (size_t i = 0; i < template->env_count; i++)
        add_export(out, template->env[i].name, template->env[i].value);
}

static struct script script_begin(struct buf *out, const struct adapter_template *template,
                                  const struct adapter_values *values)
{
    struct script script = {.out = out, .template = template, .values = values};
    script.resumed = resumes(template, values);
    if (script.resumed)
        snprintf(script.session, sizeof script.session, "%s", values->session);
    else
        choose_session(values->nonce, script.session);
    return script;
}

static void add_command(struct script *script)
{
    buf_adds(script->out, "exec");
    if (script->template->builtin != NULL)
        add_phrases(script, script->template->builtin->command);
    else
        script_words(script,
                     script->resumed ? script->template->resume : script->template->command);
    buf_adds(script->out, script->prompt_file ? " </dev/null" : "");
}

bool adapter_script(struct buf *out, const struct adapter_template *template,
                    const struct adapter_values *values)
{
    struct script script = script_begin(out, template, values);
    struct buf command;
    buf_init(&command, out->max);
    add_export(out, "FLEET_TASK_ID", values->task_id);
    add_export(out, "FLEET_BRANCH", values->branch);
    add_export(out, "FLEET_RUN_DIR", values->run_dir);
    if (template->builtin != NULL)
        add_variables(&script, template->builtin->environment);
    script.out = &command;
    add_command(&script);
    if (script.prompt_file) /* TMPDIR is the run's own */
        buf_adds(out, "FLEET_PROMPT_FILE=$TMPDIR/prompt\n"
                      "(umask 077 && exec cat >\"$FLEET_PROMPT_FILE\") || exit 126\n");
    script.out = out;
    if (hook_any(&script)) {
        hook_before(&script);
        hook_around(&script, buf_text(&command));
    } else {
        buf_addf(out, "%s\n", buf_text(&command));
    }
    out->failed = out->failed || command.failed;
    buf_release(&command);
    return !out->failed;
}

static bool names_session(const struct adapter_template *template)
{
    const struct template_phrase *phrase =
        template->builtin != NULL ? template->builtin->command : NULL;
    for (; phrase != NULL && phrase->words != NULL; phrase++) {
        if ((phrase->when & WHEN_FIRST) != 0 && strstr(phrase->words, "{session}") != NULL)
            return true;
    }
    for (size_t i = 0; template->command != NULL && i < template->command->count; i++) {
        if (strstr(template->command->items[i], "{session}") != NULL)
            return true;
    }
    return false;
}

void adapter_session(const struct adapter_template *template, const struct adapter_values *values,
                     char id[static 129])
{
    struct script script = script_begin(NULL, template, values);
    bool known = script.resumed || names_session(template);
    snprintf(id, 129, "%s", known ? script.session : "");
}
