/* From the runner's greeting to rows and remedies. */
#include "worker/check/agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/adapter/adapter.h"
#include "worker/check/slots.h"
#include "worker/check/way.h"
#include "worker/link/boot.h"

/* The program of an agent; NULL when only a run can tell. */
static char *program_of(const struct config *config, const struct config_host *host, size_t agent,
                        bool *version)
{
    struct adapter_template found;
    if (!adapter_find(config, &host->agents[agent], &found))
        return NULL;
    *version = found.version;
    return adapter_program(&found, host->work_dir);
}

static bool wants_sandbox(const struct config_host *host)
{
    for (size_t i = 0; i < host->agent_count; i++) {
        if (strcmp(host->agents[i].sandbox, "bwrap") == 0)
            return true;
    }
    return false;
}

void agents_choose(struct agents_looks *looks, const struct config *config,
                   const struct config_host *host)
{
    *looks = (struct agents_looks){0};
    for (size_t i = 0; i < host->agent_count && looks->count < RUNNER_LOOKS_MAX; i++) {
        bool version = false;
        char *program = slots_is_separate(&host->agents[i]) ? NULL /* its own accounts are asked */
                                                            : program_of(config, host, i, &version);
        if (program == NULL)
            continue;
        looks->agents[looks->count] = i;
        looks->looks[looks->count++] = (struct runner_look){.command = program, .version = version};
    }
    if (wants_sandbox(host) && looks->count < RUNNER_LOOKS_MAX) {
        looks->agents[looks->count] = SIZE_MAX; /* of none */
        looks->looks[looks->count++] = (struct runner_look){.command = mem_strdup(SANDBOX_PROGRAM)};
    }
}

void agents_release(struct agents_looks *looks)
{
    for (int i = 0; i < looks->count; i++)
        free((char *)looks->looks[i].command);
    looks->count = 0;
}

/* --- The runner --- */

static void judge_runner(struct check_sheet *sheet, const struct config_host *host,
                         const struct agents_seen *seen)
{
    struct check_row *row = sheet_row(sheet, "runner", "");
    const struct carried *runner = boot_runner(seen->system);
    if (seen->system[0] == '\0')
        return;
    if (runner == NULL) {
        row_say(row, CHECK_FAILED, "this worker carries none for %s, but for Linux on %s",
                seen->system, carried_machines);
        row_note(row,
                 "a worker carries one for each machine that it could be built for; where it is "
                 "built, for aarch64 and x86_64:");
        row_paste(row, "apt install gcc-aarch64-linux-gnu gcc-x86-64-linux-gnu");
    } else if (seen->hello != NULL && seen->hello->lacks[0] != '\0') {
        row_say(row, CHECK_FAILED, "%s", seen->hello->lacks);
    } else if (seen->hello != NULL) {
        row_say(row, CHECK_GOOD,
                FLEET_VERSION " for %s answers (sha256 %.16s, as a worker installs it below "
                              ".fleet; this one was in %s and is removed)",
                seen->system, boot_hash(runner), seen->folder);
    } else if (seen->trouble != NULL && strcmp(seen->trouble->state, WAY_LATE) == 0) {
        row_say(row, CHECK_FAILED, "%s", seen->trouble->text);
        row_note(row, "is the host slow, or does an agent hang on --version? With more time:");
        row_paste(row, "fleet-worker check-hosts --timeout 120 %s", host->host_id);
    } else if (seen->trouble != NULL) {
        row_say(row, CHECK_FAILED, "%s", seen->trouble->text);
        row_note(row, "it is a static program of less than 1 MB that the worker puts there; what "
                      "keeps it from running (a security module, a full disk)?");
        row_paste(row, "dmesg | tail -n 20");
    }
}

/* --- PATH --- */

static void judge_path(struct check_row *row, const struct runner_greeting *hello)
{
    if (hello->shell[0] != '\0') {
        row_say(row, CHECK_GOOD, "%s, as the account's login shell (%s) says", hello->path,
                hello->shell);
        return;
    }
    row_say(row, CHECK_DOUBTFUL, "%s: the account's login shell does not answer", hello->path);
    row_note(row, "do its files wait for somebody? On the host, as the account, this has to end:");
    row_paste(row, "$SHELL -lic 'echo $PATH' </dev/null");
}

/* --- Agents --- */

static const struct runner_seen *seen_of(const struct agents_looks *looks,
                                         const struct agents_seen *seen, size_t agent, int *look)
{
    for (*look = 0; *look < looks->count; ++*look) {
        if (looks->agents[*look] == agent)
            return *look < seen->hello->seen_count ? &seen->hello->seen[*look] : NULL;
    }
    return NULL;
}

static void tell_missing(struct check_row *row, const struct config_host *host, const char *command,
                         const char *path)
{
    const char *user = host->ssh_user != NULL ? host->ssh_user : "the worker's account";
    if (command[0] == '/') {
        row_say(row, CHECK_FAILED, "%s is missing, or %s may not execute it", command, user);
        row_note(row, "its place is the first word of `command` of this agent under `adapters`; on "
                      "the host:");
        row_paste(row, "ls -l %s", command);
        return;
    }
    row_say(row, CHECK_FAILED, "%s is missing: it is in no folder of PATH %s", command, path);
    row_note(row,
             "install it on the host so that %s finds it. If it is there already, in another "
             "folder: runs have the PATH of the account's login shell; for sh and bash, on the "
             "host, as %s, with that folder in place of FOLDER:",
             user, user);
    row_paste(row, "echo 'PATH=FOLDER:$PATH' >> ~/.profile");
}

static void judge_agent(struct check_row *row, const struct config *config,
                        const struct config_host *host, const struct agents_looks *looks,
                        const struct agents_seen *seen, size_t agent)
{
    struct adapter_template template;
    int look;
    if (!adapter_find(config, &host->agents[agent], &template)) {
        row_say(row, CHECK_FAILED, "no adapter is known for it");
        row_note(row, "describe its command in the configuration:");
        row_paste(row, "adapters: { %s: { command: [ PROGRAM, ARGUMENT ], output: text } }",
                  host->agents[agent].agent_type);
        return;
    }
    if (seen->hello == NULL)
        return;
    const struct runner_seen *one = seen_of(looks, seen, agent, &look);
    if (one == NULL)
        row_say(row, CHECK_NOT_TRIED, "only a run can tell whether its command is there");
    else if (!one->found)
        tell_missing(row, host, looks->looks[look].command, seen->hello->path);
    else if (looks->looks[look].version && one->version[0] == '\0') {
        row_say(row, CHECK_DOUBTFUL, "%s is there, but says nothing on --version within 10 s",
                one->file);
        row_note(row, "on the host, as the account: does it start?");
        row_paste(row, "%s --version", looks->looks[look].command);
    } else if (looks->looks[look].version) {
        row_say(row, CHECK_GOOD,
                "%s, %s; its adapter is built in; whether it is logged in was not "
                "checked",
                one->file, one->version);
        if (adapter_login(&template) != NULL) {
            row_note(row, "that it is logged in shows, on the host, as the account:");
            row_paste(row, "%s", adapter_login(&template));
        }
    } else {
        row_say(
            row, CHECK_GOOD,
            "%s; its adapter is in the configuration, so it was not asked for a version or login",
            one->file);
    }
}

static void judge_sandbox(struct check_row *row, const struct agents_seen *seen)
{
    if (seen->hello == NULL)
        return;
    const char *why = seen->hello->sandbox;
    if (why[0] == '\0') {
        row_say(row, CHECK_GOOD, "bubblewrap makes one");
        return;
    }
    row_say(row, CHECK_FAILED, "%s", why);
    row_note(row, "on the host, as root:");
    row_paste(row, "apt install bubblewrap");
    row_note(row,
             "if it is there: the kernel has to let an account make namespaces; what says no?");
    row_paste(row, "sysctl kernel.unprivileged_userns_clone user.max_user_namespaces "
                   "kernel.apparmor_restrict_unprivileged_userns");
}

void agents_judge(struct check_sheet *sheet, const struct config *config,
                  const struct config_host *host, const struct agents_looks *looks,
                  const struct agents_seen *seen)
{
    judge_runner(sheet, host, seen);
    if (seen->hello != NULL)
        judge_path(sheet_row(sheet, "PATH", ""), seen->hello);
    if (wants_sandbox(host))
        judge_sandbox(sheet_row(sheet, "sandbox", ""), seen);
    for (size_t i = 0; i < host->agent_count; i++) {
        if (!slots_is_separate(&host->agents[i]))
            judge_agent(sheet_row(sheet, "agent", host->agents[i].agent_type), config, host, looks,
                        seen, i);
    }
    if (host->agent_count == 0) {
        struct check_row *row = sheet_row(sheet, "agents", "");
        row_say(row, CHECK_DOUBTFUL, "none is listed for this host, so it gets no work");
        row_note(row, "in the configuration, to this host:");
        row_paste(
            row,
            "agents: [ { agent_type: codex-cli, max_concurrency: 1, capabilities: [ code ] } ]");
    }
}
