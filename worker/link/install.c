/* From a way in to a runner that serves: the first command, and the install where it is needed. */
#include <string.h>

#include "worker/clean.h"
#include "worker/link/internal.h"

#define QUOTE_MAX 160 /* characters of foreign text in a sentence */
#define NOT_EXECUTABLE 126

void link_quote(const struct link *link, struct buf *text, const char *err, size_t err_len)
{
    const struct buf *said = &link->boot.said;
    buf_init(text, (size_t)8 * QUOTE_MAX);
    clean_line(text, err, err_len, QUOTE_MAX);
    if (text->len > 0 && said->len > 0)
        buf_adds(text, " | ");
    clean_line(text, buf_text(said), said->len, QUOTE_MAX);
    if (text->len == 0)
        buf_adds(text, "nothing");
}

static void run(struct link *link, enum link_state state)
{
    struct buf command;
    buf_init(&command, BOOT_COMMAND_MAX);
    boot_renew(&link->boot);
    link->next = NEXT_NOTHING;
    if (state == LINK_INSTALLING)
        boot_install_command(&command, link->base, link->boot.mark, link->runner);
    else
        boot_command(&command, link->base, link->boot.mark);
    link_become(link, state);
    if (command.failed)
        link_fail(link, "runner_failed", "work_dir is too long for a command");
    else
        stream_run(link->stream, buf_text(&command));
    buf_release(&command);
}

void link_boot(struct link *link)
{
    run(link, LINK_BOOTING);
}

void link_boot_room(struct link *link)
{
    if (link->state != LINK_INSTALLING || link->next != NEXT_NOTHING)
        return;
    const char *bytes = (const char *)link->runner->bytes;
    size_t size = (size_t)(link->runner->end - link->runner->bytes);
    if (link->uploaded == size)
        return;
    link->uploaded += stream_write(link->stream, bytes + link->uploaded, size - link->uploaded);
    if (link->uploaded == size)
        stream_end_input(link->stream);
}

static void install(struct link *link)
{
    link->installed = true;
    link->uploaded = 0;
    link_ask_release(link);
    run(link, LINK_INSTALLING);
    link_boot_room(link);
}

static void cut(struct link *link, enum link_next next)
{
    link->next = next;
    timer_start(&link->limit, (uint64_t)link->ways->step_ms, 0);
    stream_cut(link->stream);
}

bool link_mend(struct link *link)
{
    if (link->installed || link->runner == NULL)
        return false;
    link_ask_release(link);
    cut(link, NEXT_INSTALL);
    return true;
}

/* --- Answers --- */

static void on_system(struct link *link)
{
    struct buf text;
    link->runner = boot_runner(link->boot.rest);
    if (link->runner != NULL)
        return;
    buf_init(&text, 512);
    clean_line(&text, link->boot.rest, strlen(link->boot.rest), 64);
    link_fail(link, "runner_failed", "no runner for %s; this worker carries %s",
              text.len > 0 ? text.data : "a system that does not say its name", carried_machines);
    buf_release(&text);
}

static void on_failed(struct link *link)
{
    struct buf text;
    buf_init(&text, 2048);
    clean_line(&text, link->boot.rest, strlen(link->boot.rest), 300);
    link_fail(link, "runner_failed", "cannot install the runner: %s", buf_text(&text));
    buf_release(&text);
}

static void on_noise(struct link *link)
{
    link_fail(link, "runner_failed",
              "more than 1 MiB came before the answer to our command; the account's login files "
              "(.bashrc, .profile and the like) must not print that much");
}

static void on_useless(struct link *link, const char *how)
{
    if (!link_mend(link))
        link_fail(link, "runner_failed",
                  "the runner was just installed but is %s: something removes or changes %s/bin",
                  how, link->base);
}

static void on_booting(struct link *link, enum boot_word word)
{
    if (word == BOOT_SYSTEM)
        on_system(link);
    else if (word == BOOT_MISSING)
        on_useless(link, "missing");
    else if (word == BOOT_OTHER)
        on_useless(link, "another one");
    else if (word == BOOT_SERVING && link->runner != NULL)
        link_first_hello(link);
}

static void on_installing(struct link *link, enum boot_word word)
{
    if (word == BOOT_INSTALLED)
        cut(link, NEXT_BOOT);
    else if (word == BOOT_FAILED)
        on_failed(link);
}

void link_boot_bytes(struct link *link, const char *bytes, size_t len)
{
    while (len > 0 && link->next == NEXT_NOTHING &&
           (link->state == LINK_BOOTING || link->state == LINK_INSTALLING)) {
        enum boot_word word;
        size_t taken = boot_take(&link->boot, bytes, len, &word);
        bytes += taken;
        len -= taken;
        if (word == BOOT_NOISE)
            on_noise(link);
        else if (link->state == LINK_BOOTING)
            on_booting(link, word);
        else
            on_installing(link, word);
    }
    if (len > 0 && link_talks(link))
        link_receive(link, bytes, len);
}

/* --- Ends --- */

static void fail_boot(struct link *link, const struct stream_end *end)
{
    struct buf text;
    link_quote(link, &text, end->err, end->err_len);
    if (link->runner == NULL)
        link_fail(link, "runner_failed",
                  "our command was not run (status %d), the answer was: %s; look at the account's "
                  "shell and its login files",
                  end->status, text.data);
    else if (end->status == NOT_EXECUTABLE)
        link_fail(link, "runner_failed",
                  "the runner cannot be executed under %s: is the file system of work_dir mounted "
                  "noexec? (%s)",
                  link->base, text.data);
    else
        link_fail(link, "runner_failed", "the runner does not start (status %d): %s", end->status,
                  text.data);
    buf_release(&text);
}

static void fail_install(struct link *link, const struct stream_end *end)
{
    struct buf text;
    link_quote(link, &text, end->err, end->err_len);
    link_fail(link, "runner_failed", "cannot install the runner (status %d): %s", end->status,
              text.data);
    buf_release(&text);
}

void link_boot_end(struct link *link, const struct stream_end *end)
{
    if (link->next == NEXT_BOOT)
        link_boot(link);
    else if (link->next == NEXT_INSTALL || (link->runner != NULL && !link->installed))
        install(link);
    else if (link->state == LINK_INSTALLING)
        fail_install(link, end);
    else
        fail_boot(link, end);
}

void link_boot_late(struct link *link)
{
    struct buf text;
    if (link->next == NEXT_NOTHING && link->state != LINK_INSTALLING && link_mend(link))
        return;
    link_quote(link, &text, "", 0);
    link_fail(link, "timeout",
              "the host did not answer our command within %d s, but said: %s; look at its load and "
              "at the account's login files",
              (link->state == LINK_INSTALLING ? link->ways->install_ms : link->ways->step_ms) /
                  1000,
              text.data);
    buf_release(&text);
}
