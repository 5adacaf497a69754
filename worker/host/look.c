/* Which agents' programs a host has, and what they say of themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/pause.h"
#include "worker/host/host.h"

/* Until one that said nothing is asked again: its host may have been busy, or it never says. */
#define AGAIN_FIRST_MS 20000
#define AGAIN_LAST_MS 600000

/* Its place among the programs; their count when it has none. */
static int find(const struct host *host, const char *agent_type)
{
    int at = 0;
    while (at < host->program_count && strcmp(host->programs[at].agent_type, agent_type) != 0)
        at++;
    return at;
}

/* What we know of an agent's program is kept over looks and channels. */
static struct host_program *find_or_add(struct host *host, const char *agent_type)
{
    int at = find(host, agent_type);
    if (at == RUNNER_LOOKS_MAX)
        return NULL;
    struct host_program *program = &host->programs[at];
    if (at == host->program_count) {
        host->program_count++;
        *program = (struct host_program){.stamp = 0};
        snprintf(program->agent_type, sizeof program->agent_type, "%s", agent_type);
    }
    return program;
}

static bool wants_version(const struct host_program *program)
{
    return !program->said || (program->version[0] == '\0' && clock_ms() >= program->again);
}

/* The command, which the caller frees. */
static char *command_of(const struct host *host, const struct config_agent *agent, bool *version)
{
    struct adapter_template found;
    if (!adapter_find(node_settings(host->node), agent, &found))
        return NULL;
    *version = found.version;
    return adapter_program(&found, host_work_dir(host));
}

int host_choose_looks(struct host *host, struct runner_look looks[static RUNNER_LOOKS_MAX])
{
    const struct config_host *entry = host_entry(host);
    host->looked_count = 0;
    for (size_t i = 0; entry != NULL && i < entry->agent_count; i++) {
        const struct config_agent *agent = &entry->agents[i];
        bool version = false;
        struct host_program *program = NULL;
        char *command = command_of(host, agent, &version);
        if (command != NULL && host->looked_count < RUNNER_LOOKS_MAX)
            program = find_or_add(host, agent->agent_type);
        if (program == NULL) {
            free(command);
            continue;
        }
        program->asked = version && wants_version(program);
        snprintf(host->looked[host->looked_count], sizeof host->looked[0], "%s", agent->agent_type);
        looks[host->looked_count++] =
            (struct runner_look){.command = command, .version = program->asked};
    }
    return host->looked_count;
}

/* True when it is another program than the one that we know. */
static bool take_one(struct host_program *program, struct runner_seen *seen)
{
    bool other = program->said && seen->found && seen->stamp != program->stamp;
    if (other)
        program->pause_ms = 0;
    if (program->asked && seen->found) {
        program->said = true;
        program->stamp = seen->stamp;
        program->pause_ms = pause_longer(program->pause_ms, AGAIN_FIRST_MS, AGAIN_LAST_MS);
        program->again = clock_ms() + program->pause_ms;
        memcpy(program->version, seen->version, sizeof program->version);
        return false;
    }
    if (other)
        program->said = false;
    else if (seen->found && program->said)
        memcpy(seen->version, program->version, sizeof seen->version);
    return other;
}

bool host_take_looks(struct host *host)
{
    bool news = false;
    for (int i = 0; i < host->looked_count && i < host->hello.seen_count; i++) {
        int at = find(host, host->looked[i]);
        if (at < host->program_count)
            news |= take_one(&host->programs[at], &host->hello.seen[i]);
    }
    return news;
}

const char *host_agent_version(const struct host *host, const char *agent_type)
{
    int at = find(host, agent_type);
    bool said = at < host->program_count && host->programs[at].said;
    return said && host->programs[at].version[0] != '\0' ? host->programs[at].version : NULL;
}

void host_missing(const struct host *host, const char *agent_type, struct buf *out)
{
    struct adapter_template found;
    char *program = host_template(host, agent_type, &found)
                        ? adapter_program(&found, host_work_dir(host))
                        : NULL;
    if (program == NULL)
        buf_addf(out, "the command of %s was not found", agent_type);
    else if (program[0] == '/')
        buf_addf(out, "%s was not found, or may not be executed", program);
    else
        buf_addf(out, "%s was not found in the PATH of the account's login shell%s%s%s: %s",
                 program, host->hello.shell[0] != '\0' ? " (" : "", host->hello.shell,
                 host->hello.shell[0] != '\0' ? ")" : "", host->hello.path);
    free(program);
}
