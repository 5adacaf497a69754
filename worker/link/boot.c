/* The commands that bring the runner up, and their answers. */
#include "worker/link/boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "common/text.h"

#define HASH_SIZE (2 * SHA256_SIZE + 1)
#define MARK_LEN (BOOT_MARK_SIZE - 1)

/* $1 is the base, $2 the mark, then machine:hash of each runner that we carry. A directory that is
 * a link is none of ours. What does not execute ends the shell with 126 or 127. */
static const char boot_script[] =
    "b=$1; m=$2; shift 2; s=$(uname -sm); echo; echo \"$m system $s\"; for r do "
    "h=${r#*:}; f=$b/bin/fleet-runner-$h; "
    "if [ \"Linux ${r%%:*}\" = \"$s\" ] && [ -f \"$f\" ]; then "
    "[ -L \"$b/bin\" ] || [ -L \"$f\" ] || exec \"$f\" serve \"$b\" \"$m\" \"$h\"; fi; done; "
    "echo; echo \"$m missing\"";

/* $1 is the base, $2 the mark, $3 the hash, $4 the size. What stands in the way where only a
 * directory or a file of ours may be is removed; of links, the link. */
static const char install_script[] =
    "LC_ALL=C; export LC_ALL; umask 077; b=$1; m=$2; t=$b/bin/.new.$m; f=$b/bin/fleet-runner-$3; "
    "fail() { echo; echo \"$m failed $*\"; rm -f \"$t\"; exit 1; }; "
    "for d in \"${b%/*}\" \"$b\" \"$b/bin\"; do [ -d \"$d\" ] || rm -f \"$d\"; done; "
    "[ -L \"$b/bin\" ] && rm -f \"$b/bin\"; "
    "e=$(mkdir -p \"$b/bin\" 2>&1) || fail \"$e\"; "
    "e=$(chmod 700 \"$b\" \"$b/bin\" 2>&1) || fail \"$e\"; "
    "e=$(exec 2>&1; cat >\"$t\") || fail \"$e\"; "
    "[ \"$(wc -c <\"$t\")\" -eq \"$4\" ] || fail \"the upload was cut\"; "
    "[ -L \"$f\" ] || [ -d \"$f\" ] && rm -rf \"$f\"; "
    "e=$(exec 2>&1; chmod 700 \"$t\" && mv -f \"$t\" \"$f\") || fail \"$e\"; "
    "echo; echo \"$m installed\"";

void link_must(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "agent-fleet: link: %s is outside its character set or bounds\n", what);
    abort();
}

char *boot_base(const char *work_dir, const char *fleet_id)
{
    size_t len = strlen(work_dir), id_len = strlen(fleet_id);
    link_must(work_dir[0] == '/' && strpbrk(work_dir, "\r\n") == NULL, "work_dir");
    link_must(
        id_len >= 1 && id_len <= 64 &&
            strspn(fleet_id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                id_len,
        "the fleet id");
    while (len > 1 && work_dir[len - 1] == '/')
        len--;
    return mem_printf("%.*s/.fleet/%s", (int)len, work_dir, fleet_id);
}

const char *boot_hash(const struct carried *runner)
{
    static char hashes[8][HASH_SIZE];
    char *hash = hashes[runner - carried];
    uint8_t digest[SHA256_SIZE];
    if (hash[0] == '\0') {
        crypto_sha256(runner->bytes, (size_t)(runner->end - runner->bytes), digest);
        crypto_hex(digest, sizeof digest, hash);
    }
    return hash;
}

const struct carried *boot_runner(const char *system)
{
    static const char linux_word[] = "Linux ";
    size_t len = sizeof linux_word - 1;
    for (size_t i = 0; i < carried_count; i++) {
        if (strncmp(system, linux_word, len) == 0 && strcmp(system + len, carried[i].machine) == 0)
            return &carried[i];
    }
    return NULL;
}

/* No `exec` before it: that would be a word which a login file can have made an alias. */
static void begin(struct buf *command, const char *script, const char *base, const char *mark)
{
    buf_addf(command, "/bin/sh -c '%s' sh ", script);
    text_shell_quote(command, base);
    buf_addf(command, " %s", mark);
}

void boot_command(struct buf *command, const char *base, const char *mark)
{
    begin(command, boot_script, base, mark);
    for (size_t i = 0; i < carried_count; i++)
        buf_addf(command, " %s:%s", carried[i].machine, boot_hash(&carried[i]));
}

void boot_install_command(struct buf *command, const char *base, const char *mark,
                          const struct carried *runner)
{
    begin(command, install_script, base, mark);
    buf_addf(command, " %s %td", boot_hash(runner), runner->end - runner->bytes);
}

/* --- Answers --- */

void boot_init(struct boot *boot)
{
    *boot = (struct boot){0};
    buf_init(&boot->said, BOOT_NOISE_MAX);
}

void boot_release(struct boot *boot)
{
    buf_release(&boot->said);
}

void boot_renew(struct boot *boot)
{
    uint8_t random[MARK_LEN / 2];
    crypto_random(random, sizeof random);
    crypto_hex(random, sizeof random, boot->mark);
    buf_clear(&boot->said);
    boot->searched = 0;
}

/* The word that the line says, `rest` what follows it; BOOT_NOTHING when it is none of ours (a
 * login file that shows its command shows the mark, too). */
static enum boot_word understand(struct boot *boot, const char *line, size_t len)
{
    static const struct {
        const char *text;
        enum boot_word word;
    } words[] = {
        {" system ", BOOT_SYSTEM},  {" missing", BOOT_MISSING},     {" other", BOOT_OTHER},
        {" serving", BOOT_SERVING}, {" installed", BOOT_INSTALLED}, {" failed ", BOOT_FAILED},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t word = strlen(words[i].text);
        bool open = words[i].text[word - 1] == ' ';
        if (len < word || memcmp(line, words[i].text, word) != 0 || (len > word && !open))
            continue;
        snprintf(boot->rest, sizeof boot->rest, "%.*s", (int)(len - word), line + word);
        return words[i].word;
    }
    return BOOT_NOTHING;
}

/* Looks for an answer in what was said. Its end is *end. */
static enum boot_word find(struct boot *boot, size_t *end)
{
    struct buf *said = &boot->said;
    const char *mark;
    while (said->len > boot->searched &&
           (mark = memmem(said->data + boot->searched, said->len - boot->searched, boot->mark,
                          MARK_LEN)) != NULL) {
        const char *line = mark + MARK_LEN;
        size_t left = (size_t)(said->data + said->len - line);
        size_t most = left < BOOT_LINE_SIZE ? left : BOOT_LINE_SIZE;
        const char *newline = memchr(line, '\n', most);
        boot->searched = (size_t)(mark - said->data);
        if (newline == NULL && left < BOOT_LINE_SIZE)
            return BOOT_NOTHING; /* its rest is still to come */
        size_t len = newline != NULL ? (size_t)(newline - line) : BOOT_LINE_SIZE;
        if (newline != NULL && len > 0 && line[len - 1] == '\r')
            len--; /* of a terminal */
        enum boot_word word = newline != NULL ? understand(boot, line, len) : BOOT_NOTHING;
        if (word != BOOT_NOTHING) {
            *end = (size_t)(newline + 1 - said->data);
            return word;
        }
        boot->searched += MARK_LEN;
    }
    if (said->len >= boot->searched + MARK_LEN)
        boot->searched = said->len - MARK_LEN + 1;
    return BOOT_NOTHING;
}

size_t boot_take(struct boot *boot, const char *bytes, size_t len, enum boot_word *word)
{
    size_t before = boot->said.len, end = 0;
    size_t room = BOOT_NOISE_MAX - before;
    buf_add(&boot->said, bytes, len < room ? len : room);
    *word = find(boot, &end);
    if (*word == BOOT_NOTHING) {
        if (len >= room)
            *word = BOOT_NOISE;
        return len;
    }
    buf_clear(&boot->said);
    boot->searched = 0;
    return end - before;
}
