/* From the accounts' answers to rows and remedies. */
#include "worker/check/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/text.h"
#include "worker/adapter/adapter.h"

#define LINE_SIZE 512
#define NAMES_SIZE 1024

bool slots_is_separate(const struct config_agent *agent)
{
    return strcmp(agent->isolation, "separate") == 0;
}

bool slots_wanted(const struct config_host *host)
{
    for (size_t i = 0; i < host->agent_count; i++) {
        if (slots_is_separate(&host->agents[i]))
            return true;
    }
    return false;
}

/* --- The question --- */

/* The program of an agent; NULL when only a run can tell. The caller owns it. */
static char *program_of(const struct config *config, const struct config_host *host,
                        const struct config_agent *agent)
{
    struct adapter_template found;
    return adapter_find(config, agent, &found) ? adapter_program(&found, host->work_dir) : NULL;
}

static void add_word(struct buf *command, const char *word)
{
    if (word == NULL)
        return;
    buf_adds(command, " ");
    text_shell_quote(command, word);
}

void slots_command(struct buf *command, const struct config *config, const struct config_host *host,
                   const char *runner, const char *base, const char *mark)
{
    text_shell_quote(command, runner);
    buf_adds(command, " muster");
    add_word(command, base);
    add_word(command, mark);
    for (size_t i = 0; i < host->agent_count; i++) {
        const struct config_agent *agent = &host->agents[i];
        char *program = program_of(config, host, agent);
        for (size_t j = 0; slots_is_separate(agent) && j < agent->run_as.count; j++) {
            buf_addf(command, " +%s", agent->run_as.items[j]);
            add_word(command, program);
            add_word(command, adapter_login_file(agent->agent_type));
        }
        free(program);
    }
}

/* --- The answers --- */

struct slots {
    const char *said, *mark, *user;
    const struct config_host *host;
    const struct config_agent *agent;
    char *program;     /* owned */
    const char *login; /* NULL: none is known */
};

/* The rest of the line "MARK key name rest", or false. */
static bool line_of(const struct slots *slots, const char *key, const char *name,
                    char rest[static LINE_SIZE])
{
    char want[160];
    int len = snprintf(want, sizeof want, "%s %s %s ", slots->mark, key, name);
    const char *at = strstr(slots->said, want);
    if (at == NULL)
        return false;
    at += len;
    snprintf(rest, LINE_SIZE, "%.*s", (int)strcspn(at, "\r\n"), at);
    return true;
}

/* Whether it has what the word means; NULL: nothing. */
static bool has(const struct slots *slots, const char *name, const char *word)
{
    char key[LINE_SIZE], rest[LINE_SIZE];
    if (word == NULL)
        return true;
    snprintf(key, sizeof key, "%s %s", name, word);
    return line_of(slots, "has", key, rest) && strcmp(rest, "-") != 0;
}

enum flaw { FLAW_NONE, FLAW_LOGIN, FLAW_PROGRAM, FLAW_READS, FLAW_REFUSED, FLAW_SILENT };

static enum flaw flaw_of(const struct slots *slots, const char *name, char rest[static LINE_SIZE])
{
    if (line_of(slots, "refused", name, rest))
        return FLAW_REFUSED;
    if (line_of(slots, "reads", name, rest))
        return FLAW_READS;
    if (!line_of(slots, "account", name, rest))
        return FLAW_SILENT;
    if (!has(slots, name, slots->program))
        return FLAW_PROGRAM;
    return has(slots, name, slots->login) ? FLAW_NONE : FLAW_LOGIN;
}

/* The worst of all accounts, whose it is, and what was said of it. */
static enum flaw worst_of(const struct slots *slots, const char **name, char rest[static LINE_SIZE])
{
    enum flaw worst = FLAW_NONE;
    for (size_t i = 0; i < slots->agent->run_as.count; i++) {
        char line[LINE_SIZE] = "";
        enum flaw flaw = flaw_of(slots, slots->agent->run_as.items[i], line);
        if (flaw <= worst)
            continue;
        worst = flaw;
        *name = slots->agent->run_as.items[i];
        memcpy(rest, line, sizeof line);
    }
    return worst;
}

/* --- Remedies --- */

/* All accounts of the host: sudo gets one line. */
static void tell_sudo(const struct slots *slots, struct check_row *row)
{
    struct buf names;
    buf_init(&names, (size_t)64 << 10);
    for (size_t i = 0; i < slots->host->agent_count; i++) {
        const struct config_list *accounts = &slots->host->agents[i].run_as;
        for (size_t j = 0; j < accounts->count; j++)
            buf_addf(&names, "%s%s", names.len > 0 ? "," : "", accounts->items[j]);
    }
    row_note(row, "sudo's rule on the host, one line for all slots; as root:");
    row_paste(row,
              "echo '%s ALL=(%s) NOPASSWD: ALL' > /etc/sudoers.d/agent-fleet && chmod 440 "
              "/etc/sudoers.d/agent-fleet && visudo -c",
              slots->user, buf_text(&names));
    buf_release(&names);
}

static void tell_accounts(const struct slots *slots, struct check_row *row)
{
    row_note(row,
             "an account for each slot, which is nobody's but the fleet's; on the host, as root:");
    for (size_t i = 0; i < slots->agent->run_as.count; i++)
        row_paste(row, "useradd --create-home --shell /bin/bash %s", slots->agent->run_as.items[i]);
    tell_sudo(slots, row);
    row_note(row,
             "and it has to be able to pass through every folder on the way to work_dir (x for "
             "others); this shows them:");
    char *dir = sheet_quote(slots->host->work_dir);
    row_paste(row, "namei -l %s", dir);
    free(dir);
}

static void tell_program(const struct slots *slots, struct check_row *row, const char *name)
{
    row_say(row, CHECK_FAILED, "%s does not find %s", name, slots->program);
    row_note(row,
             "install it for all accounts, as root, or for this one; it has the PATH that its own "
             "~/.profile sets:");
    row_paste(row, "sudo -iu %s sh -c '. ~/.profile; command -v %s'", name, slots->program);
}

static void tell_login(const struct slots *slots, struct check_row *row, const char *name)
{
    row_say(row, CHECK_DOUBTFUL, "%s has no login of its agent: there is no %s", name,
            slots->login);
    row_note(row, "log it in, as root, unless the adapter's env brings a key:");
    row_paste(row, "sudo -iu %s %s", name, slots->program != NULL ? slots->program : "");
}

static void tell_silent(const struct slots *slots, struct check_row *row, const char *name)
{
    row_say(row, CHECK_FAILED, "%s did not answer", name);
    row_note(row,
             "does sudo wait for somebody, or a file of its login? On the host, as %s, this "
             "has to end:",
             slots->user);
    row_paste(row, "sudo -n -iu %s true", name);
    row_note(row, "is the host slow? With more time:");
    row_paste(row, "fleet-worker check-hosts --timeout 120 %s", slots->host->host_id);
}

static void judge(const struct slots *slots, struct check_row *row)
{
    char rest[LINE_SIZE] = "";
    const char *name = "";
    switch (worst_of(slots, &name, rest)) {
    case FLAW_NONE:
        row_say(row, CHECK_GOOD,
                "each of %zu can be used, finds its agent%s, and reads nothing of the fleet's",
                slots->agent->run_as.count, slots->login != NULL ? " and its login" : "");
        tell_sudo(slots, row);
        break;
    case FLAW_LOGIN:
        tell_login(slots, row, name);
        break;
    case FLAW_PROGRAM:
        tell_program(slots, row, name);
        break;
    case FLAW_READS:
        row_say(row, CHECK_FAILED, "%s can read, or write to, %s", name, rest);
        row_note(row,
                 "whoever shares a group with it, or a mount or an ACL, opens it; on the host:");
        row_paste(row, "id %s; ls -ld %s; getfacl %s", name, rest, rest);
        break;
    case FLAW_REFUSED:
        row_say(row, CHECK_FAILED, "%s cannot be used: %s", name, rest);
        tell_accounts(slots, row);
        break;
    case FLAW_SILENT:
        tell_silent(slots, row, name);
        break;
    }
}

void slots_judge(struct check_sheet *sheet, const struct config *config,
                 const struct config_host *host, const char *user, const char *said,
                 const char *mark)
{
    for (size_t i = 0; i < host->agent_count; i++) {
        const struct config_agent *agent = &host->agents[i];
        if (!slots_is_separate(agent))
            continue;
        struct check_row *row = sheet_row(sheet, "accounts", agent->agent_type);
        struct slots slots = {.said = said,
                              .mark = mark,
                              .user = user,
                              .host = host,
                              .agent = agent,
                              .program = program_of(config, host, agent),
                              .login = adapter_login_file(agent->agent_type)};
        if (said != NULL)
            judge(&slots, row);
        free(slots.program);
    }
}
