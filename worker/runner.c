/* The runner's calls as command lines, and its answers as records. */
#include "worker/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "common/text.h"
#include "worker/exec_job.h"

#define HASH_SIZE (2 * SHA256_SIZE + 1)

/* What is quoted below is written with double quotes only: it travels inside single ones.
 * $1 is BASE, $2 the hash of the script, the rest the call and its arguments. */
#define CALL_SCRIPT                                                                       \
    "cd \"$1\" 2>/dev/null && s=bin/runner-$2.sh && [ -f \"$s\" ] && [ ! -L \"$s\" ] && " \
    "printf \"%s  %s\\n\" \"$2\" \"$s\" | sha256sum -c --status 2>/dev/null && "          \
    "{ b=$1; shift 2; exec /bin/sh \"$s\" \"$b\" \"$@\"; }; "                             \
    "printf \"fleet-runner 1\\nmissing\\nend\\n\""

#define INSTALL_SCRIPT                                                                 \
    "umask 077; mkdir -p \"$1/bin\" \"$1/runs\" && cd \"$1/bin\" && t=.new.$$ && "     \
    "{ cat >\"$t\" && printf \"%s  %s\\n\" \"$2\" \"$t\" | sha256sum -c --status && "  \
    "sync \"$t\" && mv -T \"$t\" \"runner-$2.sh\" || { rm -f \"$t\"; exit 1; }; } && " \
    "printf \"fleet-runner 1\\ninstalled\\nend\\n\""

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX "0123456789abcdef"

/* A command line made of anything but our own words would be an injection: better no worker. */
static void must(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "agent-fleet: runner: %s is outside its character set\n", what);
    abort();
}

static bool made_of(const char *text, const char *set, size_t min, size_t max)
{
    size_t len = strlen(text);
    return len >= min && len <= max && strspn(text, set) == len;
}

static void hash_hex(const void *bytes, size_t len, char text[HASH_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    crypto_sha256(bytes, len, digest);
    crypto_hex(digest, sizeof digest, text);
}

char *runner_name(const char *folder, int number)
{
    must(number >= 1, "the number of the attempt");
    return mem_printf("%s.%d", folder, number);
}

/* sh -c SCRIPT sh BASE HASH. The login shell that reads the line may be any: it only has to know
 * '…' and exec. */
static void begin(struct buf *command, const struct runner_place *place, const char *script)
{
    must(place->work_dir[0] == '/' && strpbrk(place->work_dir, "\r\n") == NULL, "work_dir");
    must(made_of(place->fleet_id, LOWER UPPER DIGITS "_-", 1, 64), "the fleet id");
    char hash[HASH_SIZE];
    hash_hex(runner_script, runner_script_size, hash);
    size_t len = strlen(place->work_dir);
    while (len > 1 && place->work_dir[len - 1] == '/')
        len--;
    char *base = mem_printf("%.*s/.fleet/%s", (int)len, place->work_dir, place->fleet_id);
    buf_addf(command, "exec /bin/sh -c '%s' sh ", script);
    text_shell_quote(command, base);
    buf_addf(command, " %s", hash);
    free(base);
}

static void add_key(struct buf *command, const char *call, const struct runner_key *key)
{
    must(made_of(key->run, LOWER DIGITS ".-", 1, RUNNER_RUN_SIZE - 1) && key->run[0] != '.',
         "the run");
    must(key->epoch >= 1, "the epoch");
    must(made_of(key->nonce, HEX, 32, 32), "the nonce");
    buf_addf(command, " %s %s %d %s", call, key->run, key->epoch, key->nonce);
}

void runner_build_install(struct buf *command, const struct runner_place *place)
{
    begin(command, place, INSTALL_SCRIPT);
}

void runner_build_hello(struct buf *command, const struct runner_place *place,
                        const struct runner_look *looks, int count)
{
    must(count <= RUNNER_LOOKS_MAX, "the number of commands to look for");
    begin(command, place, CALL_SCRIPT);
    buf_adds(command, " hello");
    for (int i = 0; i < count; i++) {
        must(strpbrk(looks[i].command, "\r\n") == NULL, "an agent's command");
        buf_adds(command, looks[i].version ? " version " : " look ");
        text_shell_quote(command, looks[i].command);
    }
}

void runner_build_start(struct buf *command, struct buf *input, const struct runner_place *place,
                        const struct runner_key *key, const struct runner_start *start)
{
    must(made_of(start->folder, LOWER DIGITS "-", 1, RUNNER_RUN_SIZE - 1), "the folder");
    must(start->timeout_secs >= 1 && start->cap_bytes >= 1 && start->job_len >= 1,
         "a limit of the start");
    char job[HASH_SIZE], prompt[HASH_SIZE];
    hash_hex(start->job, start->job_len, job);
    hash_hex(start->prompt, start->prompt_len, prompt);
    begin(command, place, CALL_SCRIPT);
    add_key(command, "start", key);
    buf_addf(command, " %d %lld %s %zu %s %zu %s", start->timeout_secs, (long long)start->cap_bytes,
             start->folder, start->job_len, job, start->prompt_len, prompt);
    buf_add(input, start->job, start->job_len);
    buf_add(input, start->prompt, start->prompt_len);
}

void runner_build_void(struct buf *command, const struct runner_place *place,
                       const struct runner_key *key)
{
    begin(command, place, CALL_SCRIPT);
    add_key(command, "void", key);
}

void runner_build_raise(struct buf *command, const struct runner_place *place,
                        const struct runner_key *key)
{
    begin(command, place, CALL_SCRIPT);
    add_key(command, "raise", key);
}

void runner_build_stop(struct buf *command, const struct runner_place *place,
                       const struct runner_key *key, int grace_secs, int term_secs,
                       const char *reason)
{
    must(grace_secs >= 0 && term_secs >= 0, "a limit of the stop");
    must(made_of(reason, LOWER "_", 1, 32), "the reason of the stop");
    begin(command, place, CALL_SCRIPT);
    add_key(command, "stop", key);
    buf_addf(command, " %d %d %s", grace_secs, term_secs, reason);
}

void runner_build_poll(struct buf *command, const struct runner_place *place, int max)
{
    must(max >= 0, "the limit of the poll");
    begin(command, place, CALL_SCRIPT);
    buf_addf(command, " poll %d", max);
}

void runner_add_ask(struct buf *input, const struct runner_ask *ask)
{
    must(made_of(ask->run, LOWER DIGITS ".-", 1, RUNNER_RUN_SIZE - 1), "the run");
    must(made_of(ask->nonce, HEX, 32, 32), "the nonce");
    must(ask->out_offset >= 0 && ask->err_offset >= 0, "an offset");
    buf_addf(input, "%s %s %lld %lld\n", ask->run, ask->nonce, (long long)ask->out_offset,
             (long long)ask->err_offset);
}
